#ifndef NEARCALL_TESTS_FUZZ_SESSIONS_H_
#define NEARCALL_TESTS_FUZZ_SESSIONS_H_

#include <cstddef>
#include <cstdint>
#include <string>

namespace nearcall::testing {

// Real sessions with a peer that sends the frames of an input, then hangs up, and waits until the other side has, too.
// `scheme` is "unix-abstract" (a byte stream) or "shm". A descriptor goes with each ATTACHMENT frame that says so, by
// its `extra` (modulo 256): up to 127 a buffer of 8192 bytes as it must be, up to 191 one that is not sealed, then
// none.

// A server of TestService, the same for all inputs. Where there is a RELEASE in the input it has lent the peer its
// buffer 0 before.
void PlayToServer(const std::string& scheme, const uint8_t* data, size_t size);
// A client of its own for each input, which makes a call of each kind; the unary one, 0x10000, lends buffer 0. Where
// there are attachments in the input, or RELEASE or FORGET, the peer begins when it has that call's REQUEST.
void PlayToClient(const std::string& scheme, const uint8_t* data, size_t size);

}  // namespace nearcall::testing

#endif  // NEARCALL_TESTS_FUZZ_SESSIONS_H_
