#ifndef NEARCALL_TESTS_CONFORMANCE_REACTORS_H_
#define NEARCALL_TESTS_CONFORMANCE_REACTORS_H_

#include <atomic>
#include <utility>

#include "gtest/gtest.h"

namespace nearcall::testing {

// Whether the calling thread is inside an operation of a reactor.
inline thread_local bool in_operation = false;

// Starts an operation. No reaction may run inside.
template <class Start>
void Operate(const Start& start) {
  const bool outer = std::exchange(in_operation, true);
  start();
  in_operation = outer;
}

// Checks what holds for the reactions of every reactor: one at a time, none inside an operation, none after the last.
class Checker {
 public:
  class Scope {
   public:
    explicit Scope(Checker* checker) : checker_(checker) { checker_->Begin(); }
    ~Scope() { EXPECT_EQ(checker_->running_.fetch_sub(1), 1); }

   private:
    Checker* const checker_;
  };
  // OnDone; once.
  void Last() {
    Begin();
    EXPECT_FALSE(over_.exchange(true)) << "OnDone came twice";
    running_.fetch_sub(1);
  }

 private:
  void Begin() {
    EXPECT_EQ(running_.fetch_add(1), 0) << "two reactions at a time";
    EXPECT_FALSE(in_operation) << "a reaction inside an operation";
    EXPECT_FALSE(over_) << "a reaction after OnDone";
  }

  std::atomic<int> running_{0};
  std::atomic<bool> over_{false};
};

}  // namespace nearcall::testing

#endif  // NEARCALL_TESTS_CONFORMANCE_REACTORS_H_
