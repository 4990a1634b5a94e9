#include "runtime/transports/shm/segment.h"

#include <fcntl.h>
#include <linux/memfd.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <bit>
#include <cerrno>
#include <utility>

#include "absl/strings/str_cat.h"
#include "runtime/base/errno_status.h"

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U
#endif
#ifndef F_SEAL_FUTURE_WRITE
#define F_SEAL_FUTURE_WRITE 0x0010
#endif

namespace nearcall {
namespace {

constexpr int kSeals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE | F_SEAL_SEAL;

Fd MakeMemfd() {
  // Never executable, where the kernel knows that (Linux 6.3).
  Fd fd(memfd_create("nearcall", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL));
  if (!fd.valid() && errno == EINVAL) fd.reset(memfd_create("nearcall", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  return fd;
}

}  // namespace

absl::StatusOr<Segment> Segment::Create(size_t ring_size) {
  Fd fd = MakeMemfd();
  if (!fd.valid()) return ErrnoStatus(errno, "creating shared memory (memfd_create)");
  const auto size = static_cast<off_t>(kControlSize + ring_size);
  if (ftruncate(fd.get(), size) != 0) return ErrnoStatus(errno, "sizing shared memory");
  // Allocated now, so that a full memory is an error here and never a fault later.
  if (fallocate(fd.get(), 0, 0, size) != 0) {
    return ErrnoStatus(errno, absl::StrCat("allocating ", size, " bytes of shared memory"));
  }
  const int raw_fd = fd.get();
  absl::StatusOr<Segment> segment = Map(std::move(fd), ring_size, PROT_READ | PROT_WRITE);
  if (!segment.ok()) return segment;
  // After this nobody can map it for writing any more, through whatever descriptor; our mapping stays as it is.
  if (fcntl(raw_fd, F_ADD_SEALS, kSeals) != 0) return ErrnoStatus(errno, "sealing shared memory");
  return segment;
}

absl::StatusOr<Segment> Segment::Open(Fd fd) {
  // The seals first: only a memfd has any, and what follows is then safe to ask of it.
  const int seals = fcntl(fd.get(), F_GET_SEALS);
  if (seals < 0 || (seals & kSeals) != kSeals) {
    return absl::InvalidArgumentError(
        absl::StrCat("the peer's descriptor is not a memfd with the seals that make it safe (0x", absl::Hex(kSeals),
                     "); it has ", seals < 0 ? "none" : absl::StrCat("0x", absl::Hex(seals))));
  }
  struct stat info;
  if (fstat(fd.get(), &info) != 0) return ErrnoStatus(errno, "the peer's shared memory");
  const auto size = static_cast<uint64_t>(info.st_size);
  if (size < kControlSize + kMinRing || size > kControlSize + kMaxRing || !std::has_single_bit(size - kControlSize)) {
    return absl::InvalidArgumentError(absl::StrCat("the peer's shared memory has a size of ", size,
                                                   " bytes: a page and a power of two from ", kMinRing, " to ",
                                                   kMaxRing, " is expected"));
  }
  return Map(std::move(fd), size - kControlSize, PROT_READ);
}

absl::StatusOr<Segment> Segment::Map(Fd fd, size_t ring_size, int protection) {
  const size_t length = kControlSize + 2 * ring_size;
  void* const reserved = mmap(nullptr, length, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (reserved == MAP_FAILED) return ErrnoStatus(errno, "reserving address space for shared memory");
  auto* const base = static_cast<uint8_t*>(reserved);
  const int raw_fd = fd.get();
  Segment segment(std::move(fd), base, ring_size);  // unmaps on every way out
  if (mmap(base, kControlSize + ring_size, protection, MAP_SHARED | MAP_FIXED, raw_fd, 0) == MAP_FAILED ||
      mmap(base + kControlSize + ring_size, ring_size, protection, MAP_SHARED | MAP_FIXED, raw_fd, kControlSize) ==
          MAP_FAILED) {
    return ErrnoStatus(errno, "mapping shared memory");
  }
  // A forked child has no business in a connection of its parent's.
  madvise(base, length, MADV_DONTFORK);
  return segment;
}

Segment::Segment(Segment&& other) noexcept
    : fd_(std::move(other.fd_)), base_(std::exchange(other.base_, nullptr)), ring_size_(other.ring_size_) {}

Segment::~Segment() {
  if (base_ != nullptr) munmap(base_, kControlSize + 2 * ring_size_);
}

}  // namespace nearcall
