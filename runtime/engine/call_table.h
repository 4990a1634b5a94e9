#ifndef NEARCALL_RUNTIME_ENGINE_CALL_TABLE_H_
#define NEARCALL_RUNTIME_ENGINE_CALL_TABLE_H_

#include <sched.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <thread>

#include "runtime/base/cpu.h"
#include "runtime/wire/frame.h"

namespace nearcall {

// The calls that one client connection has open, by the number that travels in their frames.
//
// A slot belongs to the call that claimed it until the call frees it. The poller delivers frames to a call only
// while it holds the call's slot in kDelivering, so a call that gives up never goes away under a delivery:
//
//     free -> waiting <-> delivering -> done -> settled -> free
//                +--> closed ---------------------------------^    (gave up)
//
// "done" is what the caller waits for; "settled" says that the poller does not touch the call any more. The upper half
// of a call's number counts the uses of its slot, so an answer that comes late meets no other call.
//
// Threads: thread-safe. Slots never move and live as long as the table.
template <class Call>
class CallTable {
  struct Slot;

 public:
  // What a call holds while it is open.
  struct Ticket {
    uint32_t id = 0;  // travels in the frames; 0: no slot was free
    Slot* slot = nullptr;
  };

  explicit CallTable(uint32_t max_calls) : max_calls_(max_calls < kMaxCallSlots ? max_calls : kMaxCallSlots) {}
  ~CallTable() {
    for (std::atomic<Chunk*>& chunk : chunks_) delete chunk.load(std::memory_order_relaxed);
  }

  // Claims a slot, unless max_calls are open.
  Ticket Claim(Call* call) {
    // A thread comes back to the slot that it used last; threads rarely meet.
    uint32_t& hint = ThreadHint();
    if (hint < max_calls_) {
      const Ticket ticket = ClaimSlot(hint, call);
      if (ticket.id != 0) return ticket;
    }
    return ClaimAnySlot(hint, call);
  }

  // Whether the call was delivered its end. By the call's owner.
  static bool IsDone(const Ticket& ticket) {
    return PhaseOf(ticket.slot->state.load(std::memory_order_seq_cst)) >= kDone;
  }

  // After this nothing is delivered any more; waits for a delivery in progress. True when the call was done. By the
  // owner. The slot stays the call's until Free, so that what the owner sends about the call comes before anything that
  // the slot's next user sends.
  static bool Close(const Ticket& ticket) {
    for (uint32_t spins = 0;; ++spins) {
      uint32_t state = ticket.slot->state.load(std::memory_order_acquire);
      switch (PhaseOf(state)) {
        case kWaiting:
          if (ticket.slot->state.compare_exchange_strong(state, GenerationOf(state) | kClosed,
                                                         std::memory_order_acq_rel)) {
            return false;
          }
          break;
        case kClosed:
          return false;
        case kSettled:
          return true;
        default:  // the poller is at it, for the time of one parse
          spins < 100 ? CpuRelax() : static_cast<void>(sched_yield());
      }
    }
  }

  // Gives a closed slot back. By the owner, once.
  static void Free(const Ticket& ticket) {
    const uint32_t state = ticket.slot->state.load(std::memory_order_relaxed);
    ticket.slot->state.store(GenerationOf(state), std::memory_order_release);
  }

  // Whether some call may still be delivered something. Slow; for the end of a connection. Any thread.
  bool AnyOpen() const {
    for (const std::atomic<Chunk*>& entry : chunks_) {
      const Chunk* const chunk = entry.load(std::memory_order_acquire);
      if (chunk == nullptr) continue;
      for (const Slot& slot : chunk->slots) {
        const uint32_t phase = PhaseOf(slot.state.load(std::memory_order_acquire));
        if (phase == kClaiming || phase == kWaiting || phase == kDelivering) return true;
      }
    }
    return false;
  }

  // Calls `deliver(call)` if `id` is open; what it returns says whether this ends the call, and then `notify(call)`
  // follows before anything else can happen to the call. False for a call that is not open. Poller only. `own`: an open
  // call of the calling thread, or nullptr; to that one it costs no locked instruction, for nobody else would close it.
  template <class OnDeliver, class OnNotify>
  bool Deliver(uint32_t id, Call* own, const OnDeliver& deliver, const OnNotify& notify) {
    const uint32_t index = IndexOf(id);
    if (index >= max_calls_) return false;
    Chunk* const chunk = chunks_[index / kChunkSize].load(std::memory_order_acquire);
    if (chunk == nullptr) return false;
    Slot& slot = chunk->slots[index % kChunkSize];
    const uint32_t generation = GenerationOfId(id);
    if (own == nullptr || slot.state.load(std::memory_order_acquire) != (generation | kWaiting) ||
        slot.call.load(std::memory_order_relaxed) != own) {
      return DeliverTo(slot, generation, deliver, notify);
    }
    if (deliver(own)) {
      slot.state.store(generation | kSettled, std::memory_order_relaxed);
      notify(own);
    }
    return true;
  }

  // The same for every open call. Poller only.
  template <class OnDeliver, class OnNotify>
  void DeliverToAll(const OnDeliver& deliver, const OnNotify& notify) {
    for (std::atomic<Chunk*>& entry : chunks_) {
      Chunk* const chunk = entry.load(std::memory_order_acquire);
      if (chunk == nullptr) continue;
      for (Slot& slot : chunk->slots) {
        DeliverTo(slot, GenerationOf(slot.state.load(std::memory_order_acquire)), deliver, notify);
      }
    }
  }

 private:
  enum Phase : uint32_t { kFree, kClaiming, kClosed, kWaiting, kDelivering, kDone, kSettled };
  static constexpr uint32_t kPhaseBits = 8;
  static constexpr uint32_t kChunkSize = 64;

  struct alignas(kCacheLine) Slot {
    std::atomic<uint32_t> state{0};  // generation << kPhaseBits | phase
    std::atomic<Call*> call{nullptr};
  };
  struct Chunk {
    std::array<Slot, kChunkSize> slots;
  };

  static uint32_t PhaseOf(uint32_t state) { return state & ((1u << kPhaseBits) - 1); }
  static uint32_t GenerationOf(uint32_t state) { return state & ~((1u << kPhaseBits) - 1); }
  static uint32_t IndexOf(uint32_t id) { return id & (kMaxCallSlots - 1); }
  static uint32_t GenerationOfId(uint32_t id) { return (id >> kCallSlotBits) << kPhaseBits; }
  static uint32_t IdOf(uint32_t state, uint32_t index) {
    return (GenerationOf(state) >> kPhaseBits) << kCallSlotBits | index;
  }
  // The next generation: 16 bits, never 0, so that no call is numbered 0.
  static uint32_t Advance(uint32_t state) {
    const uint32_t last = GenerationOf(state) >> kPhaseBits;
    return (last < 0xffff ? last + 1 : 1) << kPhaseBits;
  }

  template <class OnDeliver, class OnNotify>
  bool DeliverTo(Slot& slot, uint32_t generation, const OnDeliver& deliver, const OnNotify& notify) {
    uint32_t state = generation | kWaiting;
    if (!slot.state.compare_exchange_strong(state, generation | kDelivering, std::memory_order_acquire)) return false;
    Call* const call = slot.call.load(std::memory_order_relaxed);
    if (deliver(call)) {
      slot.state.exchange(generation | kDone, std::memory_order_seq_cst);  // before the look for sleepers in notify
      notify(call);
      slot.state.store(generation | kSettled, std::memory_order_release);
    } else {
      slot.state.store(generation | kWaiting, std::memory_order_release);
    }
    return true;
  }

  // The first free slot behind `hint`, which it then is.
  Ticket ClaimAnySlot(uint32_t& hint, Call* call) {
    const uint32_t first = hint < max_calls_ ? hint : 0;
    for (uint32_t i = 0; i < max_calls_; ++i) {
      const uint32_t index = first + i < max_calls_ ? first + i : first + i - max_calls_;
      const Ticket ticket = ClaimSlot(index, call);
      if (ticket.id == 0) continue;
      hint = index;
      return ticket;
    }
    return Ticket{};
  }
  // No ticket where the slot is another call's.
  Ticket ClaimSlot(uint32_t index, Call* call) {
    Slot& slot = SlotAt(index);
    uint32_t state = slot.state.load(std::memory_order_relaxed);
    if (PhaseOf(state) != kFree) return Ticket{};
    const uint32_t next = Advance(state);
    if (!slot.state.compare_exchange_strong(state, next | kClaiming, std::memory_order_acquire)) return Ticket{};
    slot.call.store(call, std::memory_order_relaxed);
    slot.state.store(next | kWaiting, std::memory_order_release);  // pairs with Deliver's acquire
    return Ticket{IdOf(next, index), &slot};
  }

  Slot& SlotAt(uint32_t index) const {
    std::atomic<Chunk*>& entry = chunks_[index / kChunkSize];
    Chunk* chunk = entry.load(std::memory_order_acquire);
    if (chunk == nullptr) chunk = AddChunk(entry);
    return chunk->slots[index % kChunkSize];
  }
  static Chunk* AddChunk(std::atomic<Chunk*>& entry) {
    auto fresh = std::make_unique<Chunk>();
    Chunk* expected = nullptr;
    if (entry.compare_exchange_strong(expected, fresh.get(), std::memory_order_acq_rel)) return fresh.release();
    return expected;
  }

  // The slot that the calling thread used last, in whichever table.
  static uint32_t& ThreadHint() {
    static thread_local uint32_t hint = 0;
    return hint;
  }

  const uint32_t max_calls_;
  mutable std::array<std::atomic<Chunk*>, kMaxCallSlots / kChunkSize> chunks_{};
};

}  // namespace nearcall

#endif  // NEARCALL_RUNTIME_ENGINE_CALL_TABLE_H_
