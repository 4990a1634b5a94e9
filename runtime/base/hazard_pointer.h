#ifndef NEARCALL_RUNTIME_BASE_HAZARD_POINTER_H_
#define NEARCALL_RUNTIME_BASE_HAZARD_POINTER_H_

#include <atomic>
#include <utility>

namespace nearcall {

// While it protects an object, whoever has taken that out of everybody's sight waits with its deletion. Protecting
// takes no locked instruction and writes to no cache line that another thread writes; deleting takes a system call.
//
// A thread protects one object at a time: inside the lifetime of one that protects something, another one of the same
// thread protects nothing. Nor does any where the kernel has no membarrier.
//
// Threads: an object of this class is its thread's own; IsProtected is thread-safe.
// Source: M. Michael, "Hazard Pointers: Safe Memory Reclamation for Lock-Free Objects", IEEE TPDS 15 (2004); the
// reader's barrier is left to the deleter (MembarrierOfProcess).
class HazardPointer {
 public:
  HazardPointer() : record_(FreeRecord()) {}
  ~HazardPointer() { Clear(); }
  HazardPointer(const HazardPointer&) = delete;
  HazardPointer& operator=(const HazardPointer&) = delete;

  // What `source` leads to, protected until Clear. nullptr where it leads nowhere or nothing can be protected.
  template <class T>
  T* Protect(const std::atomic<T*>& source) {
    if (record_ == nullptr) return nullptr;
    T* object = source.load(std::memory_order_relaxed);
    for (;;) {
      record_->object.store(object, std::memory_order_relaxed);
      // The deleter's barrier puts the store above before this load: it sees the one, or we see that `source` changed.
      std::atomic_signal_fence(std::memory_order_seq_cst);
      T* const now = source.load(std::memory_order_acquire);  // pairs with the store that made the object known
      if (now == object) return object;
      object = now;
    }
  }
  // Protects nothing any more. What the calling thread looks at from here on is as new as what a deleter knew that
  // found the object protected.
  void Clear() {
    Record* const record = std::exchange(record_, nullptr);
    if (record == nullptr) return;
    record->object.store(nullptr, std::memory_order_release);  // pairs with the loads in IsProtected
    std::atomic_signal_fence(std::memory_order_seq_cst);
  }

  // Has every protection of before show itself: between taking objects out of sight and asking IsProtected. False: not
  // to be had, and nothing may be deleted.
  static bool BeginDeletion();
  // Whether some thread protects the object.
  static bool IsProtected(const void* object);

 private:
  // A thread's; there are as many as there were ever threads at once.
  struct Record {
    std::atomic<const void*> object{nullptr};
    std::atomic<bool> taken{true};
    Record* next = nullptr;
  };
  struct Returner;

  // The calling thread's, unless it protects something already.
  static Record* FreeRecord() {
    Record* const record = OfThisThread();
    if (record == nullptr) return TakeRecord();
    return record->object.load(std::memory_order_relaxed) == nullptr ? record : nullptr;
  }
  static Record* TakeRecord();

  static Record*& OfThisThread() {
    static thread_local Record* record = nullptr;
    return record;
  }

  static std::atomic<Record*> records_;

  Record* record_;  // nullptr: nothing can be protected
};

}  // namespace nearcall

#endif  // NEARCALL_RUNTIME_BASE_HAZARD_POINTER_H_
