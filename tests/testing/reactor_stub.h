#ifndef NEARCALL_TESTS_TESTING_REACTOR_STUB_H_
#define NEARCALL_TESTS_TESTING_REACTOR_STUB_H_

#include <memory>

#include "nearcall/nearcall.h"
#include "protos/testing/test_service.nearcall.h"

namespace nearcall::testing {

// A stub that blocks as the generated one does, and makes every call with a reactor: what holds for blocking calls is so
// tested of asynchronous ones.
//
// Threads: thread-safe; its streams are as ClientReader and the like. Not for reactions: they would wait for themselves.
std::unique_ptr<TestService::StubInterface> NewReactorStub(std::shared_ptr<Channel> channel);

}  // namespace nearcall::testing

#endif  // NEARCALL_TESTS_TESTING_REACTOR_STUB_H_
