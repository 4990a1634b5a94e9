// What a peer may pass for its memory and its doorbell: any kind of descriptor, any size, any seals.

#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <utility>

#include "runtime/transports/shm/doorbell.h"
#include "runtime/transports/shm/segment.h"
#include "tests/fuzz/fuzz.h"

#ifndef F_SEAL_FUTURE_WRITE
#define F_SEAL_FUTURE_WRITE 0x0010
#endif

namespace {

using nearcall::Fd;
using nearcall::testing::FuzzInput;

Fd MakeFd(FuzzInput* input) {
  int ends[2];
  switch (input->Byte() % 8) {
    default: {
      Fd fd(memfd_create("fuzz", MFD_CLOEXEC | MFD_ALLOW_SEALING));
      // Near to what is good, or any size at all.
      const int64_t base = input->Byte() % 2 == 0 ? 4096 + (int64_t{16384} << input->Byte() % 14) : 0;
      const auto size = static_cast<int64_t>(input->Number(6));
      [[maybe_unused]] const int sized = ftruncate(fd.get(), base != 0 ? base + size % 3 - 1 : size);
      fcntl(fd.get(), F_ADD_SEALS, input->Byte() & 31);
      return fd;
    }
    case 1:
      FUZZ_CHECK(pipe2(ends, O_CLOEXEC | O_NONBLOCK) == 0);
      break;
    case 2:
      FUZZ_CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
      break;
    case 3:
      return Fd(open("/dev/zero", O_RDWR | O_CLOEXEC));
    case 4:
      return Fd(eventfd(0, EFD_CLOEXEC));
    case 5:
      return Fd(open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  }
  Fd other(ends[1]);
  return Fd(ends[0]);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  FuzzInput input(data, size);
  Fd memory = MakeFd(&input);
  Fd bell = MakeFd(&input);
  const int seals = fcntl(memory.get(), F_GET_SEALS);
  constexpr int kRequired = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE;
  const absl::StatusOr<nearcall::Segment> segment = nearcall::Segment::Open(std::move(memory));
  if (segment.ok()) {
    FUZZ_CHECK((seals & kRequired) == kRequired);
    // All of it is there to be read, both times.
    uint64_t sum = 0;
    for (size_t at = 0; at < 2 * segment->ring_size(); at += 4096) sum += segment->ring()[at];
    FUZZ_CHECK(sum == 0 && segment->control()->read_position.load() == 0);
  }
  const absl::StatusOr<nearcall::Ringer> ringer = nearcall::Ringer::Open(std::move(bell));
  if (ringer.ok()) ringer->Ring();
  return 0;
}
