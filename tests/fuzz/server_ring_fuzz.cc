// The server's side of a connection over a ring, with frames of any kind in any order.

#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/sessions.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  nearcall::testing::PlayToServer("shm", data, size);
  return 0;
}
