#include "runtime/base/hazard_pointer.h"

#include <utility>

#include "runtime/base/cpu.h"

namespace nearcall {

// They are never deleted, and a new thread takes one that another has left: a forked child can go on with them.
std::atomic<HazardPointer::Record*> HazardPointer::records_{nullptr};

namespace {
// What the thread runs now are the destructors of its other variables.
thread_local bool thread_is_over = false;
}  // namespace

// Gives a thread's record back when the thread ends.
struct HazardPointer::Returner {
  ~Returner() {
    thread_is_over = true;
    if (Record* const record = std::exchange(OfThisThread(), nullptr)) {
      record->taken.store(false, std::memory_order_release);
    }
  }
};

HazardPointer::Record* HazardPointer::TakeRecord() {
  static const bool can_delete = MembarrierOfProcess();
  if (!can_delete || thread_is_over) return nullptr;
  static thread_local Returner returner;
  for (Record* record = records_.load(std::memory_order_acquire); record != nullptr; record = record->next) {
    if (!record->taken.load(std::memory_order_relaxed) && !record->taken.exchange(true, std::memory_order_acquire)) {
      return OfThisThread() = record;
    }
  }
  auto* const fresh = new Record;
  fresh->next = records_.load(std::memory_order_relaxed);
  while (!records_.compare_exchange_weak(fresh->next, fresh, std::memory_order_release, std::memory_order_relaxed)) {
  }
  return OfThisThread() = fresh;
}

bool HazardPointer::BeginDeletion() { return MembarrierOfProcess(); }

bool HazardPointer::IsProtected(const void* object) {
  for (Record* record = records_.load(std::memory_order_acquire); record != nullptr; record = record->next) {
    if (record->object.load(std::memory_order_acquire) == object) return true;
  }
  return false;
}

}  // namespace nearcall
