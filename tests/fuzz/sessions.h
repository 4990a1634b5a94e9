#ifndef NEARCALL_TESTS_FUZZ_SESSIONS_H_
#define NEARCALL_TESTS_FUZZ_SESSIONS_H_

#include <cstddef>
#include <cstdint>
#include <string>

namespace nearcall::testing {

// Real sessions with a peer that sends the frames of an input, then hangs up, and waits until the other side has, too.
// `scheme` is "unix-abstract" (a byte stream) or "shm".

// A server of TestService, the same for all inputs.
void PlayToServer(const std::string& scheme, const uint8_t* data, size_t size);
// A client of its own for each input, which makes a call of each kind.
void PlayToClient(const std::string& scheme, const uint8_t* data, size_t size);

}  // namespace nearcall::testing

#endif  // NEARCALL_TESTS_FUZZ_SESSIONS_H_
