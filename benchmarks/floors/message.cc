// The payload as a protobuf message, serialised into memory that two processes share and parsed from it, each waiting
// for the other's by spinning: what an echo costs where nothing is between protobuf and the cache lines. There is one
// message at a time each way, nobody who sleeps, who dies, or whom one need not trust.

#include <atomic>
#include <cstdint>
#include <string>

#include "absl/strings/str_cat.h"
#include "benchmarks/echo.pb.h"
#include "benchmarks/floors/floors.h"
#include "runtime/base/cpu.h"

namespace nearcall::benchmarks {
namespace {

// One direction: half of the page.
struct Slot {
  static constexpr size_t kBytes = 2048;
  static constexpr uint32_t kOver = UINT32_MAX;  // instead of a size
  std::atomic<uint32_t> turn;                    // counts what was written; pairs as release with acquire
  uint32_t size;
  uint8_t bytes[kBytes - 8];
};
static_assert(sizeof(Slot) == Slot::kBytes);

class Message final : public Floor {
 public:
  void Serve(const Round&) override {
    Begin();
    while (Receive(request_)) {
      payload_.set_data(received_.data());
      Send(response_);
    }
    response_->turn.store(0, std::memory_order_relaxed);
    request_->turn.store(0, std::memory_order_release);  // tells the client that the round is over
  }

  Sample Drive(const Round& round) override {
    Begin();
    payload_.set_data(std::string(round.size(), 'x'));
    if (payload_.ByteSizeLong() > sizeof request_->bytes) {
      Die(absl::StrCat("messages are at most ", sizeof request_->bytes, " bytes here"));
    }
    Sample sample = Repeat(round, [this, &round] {
      Send(request_);
      Receive(response_);
      if (received_.data().size() != round.size()) Die("an echo of another size");
    });
    request_->size = Slot::kOver;
    request_->turn.store(sends_ + 1, std::memory_order_release);
    while (request_->turn.load(std::memory_order_acquire) != 0) CpuRelax();
    return sample;
  }

 private:
  void Begin() { sends_ = receives_ = 0; }
  void Send(Slot* slot) {
    slot->size = static_cast<uint32_t>(payload_.ByteSizeLong());
    payload_.SerializeWithCachedSizesToArray(slot->bytes);
    slot->turn.store(++sends_, std::memory_order_release);
  }
  bool Receive(Slot* slot) {
    ++receives_;
    while (slot->turn.load(std::memory_order_acquire) != receives_) CpuRelax();
    if (slot->size == Slot::kOver) return false;
    if (!received_.ParseFromArray(slot->bytes, static_cast<int>(slot->size))) Die("a message that cannot be parsed");
    return true;
  }

  Slot* const request_ = static_cast<Slot*>(MapSharedPage());
  Slot* const response_ = request_ + 1;
  uint32_t sends_ = 0;  // in this round
  uint32_t receives_ = 0;
  Payload payload_;
  Payload received_;
};

}  // namespace

std::unique_ptr<Floor> NewMessage() { return std::make_unique<Message>(); }

}  // namespace nearcall::benchmarks
