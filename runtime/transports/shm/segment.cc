#include "runtime/transports/shm/segment.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <cerrno>
#include <utility>

#include "absl/strings/str_cat.h"
#include "runtime/base/errno_status.h"
#include "runtime/base/shared_memory.h"
#include "runtime/base/step.h"

#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
#define MADV_POPULATE_WRITE 23
#endif
namespace nearcall {

absl::StatusOr<Segment> Segment::Create(size_t ring_size, size_t bulk_size) {
  Fd fd = MakeMemfd();
  if (!fd.valid()) return ErrnoStatus(errno, "creating shared memory (memfd_create)");
  const auto size = static_cast<off_t>(kControlSize + ring_size);
  if (ftruncate(fd.get(), size + static_cast<off_t>(bulk_size)) != 0) {
    return ErrnoStatus(errno, "sizing shared memory");
  }
  // Allocated now, so that a full memory is an error here and never a fault later.
  if (fallocate(fd.get(), 0, 0, size) != 0) {
    return ErrnoStatus(errno, absl::StrCat("allocating ", size, " bytes of shared memory"));
  }
  absl::StatusOr<Segment> segment = Map(std::move(fd), ring_size, bulk_size, /*writable=*/true);
  if (!segment.ok()) return segment;
  NEARCALL_STEP("segment.seal");
  if (absl::Status sealed = SealMemfd(segment->fd_); !sealed.ok()) return sealed;
  return segment;
}

absl::StatusOr<Segment> Segment::Open(Fd fd) {
  NEARCALL_STEP("segment.open");
  if (absl::Status seals = CheckSeals(fd); !seals.ok()) return seals;
  struct stat info;
  if (fstat(fd.get(), &info) != 0) return ErrnoStatus(errno, "the peer's shared memory");
  const auto size = static_cast<uint64_t>(info.st_size);
  const uint64_t areas = size > kControlSize ? size - kControlSize : 0;
  const uint64_t ring_size = areas & (~areas + 1);  // the lowest bit
  if (ring_size < kMinRing || ring_size > kMaxRing || areas - ring_size > kMaxBulk) {
    return absl::InvalidArgumentError(absl::StrCat("the peer's shared memory has a size of ", size,
                                                   " bytes: a page, a power of two from ", kMinRing, " to ", kMaxRing,
                                                   ", and an even multiple of that up to ", kMaxBulk, " are expected"));
  }
  return Map(std::move(fd), ring_size, areas - ring_size, /*writable=*/false);
}

bool Segment::Populate(size_t begin, size_t end) const {
  constexpr size_t kPage = 4096;
  if (end > bulk_size_) return false;
  begin -= begin % kPage;
  return madvise(bulk() + begin, end - begin, writable_ ? MADV_POPULATE_WRITE : MADV_POPULATE_READ) == 0;
}

absl::StatusOr<Segment> Segment::Map(Fd fd, size_t ring_size, size_t bulk_size, bool writable) {
  const size_t length = kControlSize + 2 * ring_size + bulk_size;
  const int protection = writable ? PROT_READ | PROT_WRITE : PROT_READ;
  void* const reserved = mmap(nullptr, length, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (reserved == MAP_FAILED) return ErrnoStatus(errno, "reserving address space for shared memory");
  auto* const base = static_cast<uint8_t*>(reserved);
  const int raw_fd = fd.get();
  Segment segment(std::move(fd), base, ring_size, bulk_size, writable);  // unmaps on every way out
  // The second mapping of the ring goes on into the bulk area, which follows the ring in the memfd.
  if (mmap(base, kControlSize + ring_size, protection, MAP_SHARED | MAP_FIXED, raw_fd, 0) == MAP_FAILED ||
      mmap(base + kControlSize + ring_size, ring_size + bulk_size, protection, MAP_SHARED | MAP_FIXED, raw_fd,
           kControlSize) == MAP_FAILED) {
    return ErrnoStatus(errno, "mapping shared memory");
  }
  // A forked child has no business in a connection of its parent's.
  madvise(base, length, MADV_DONTFORK);
  return segment;
}

Segment::Segment(Segment&& other) noexcept
    : fd_(std::move(other.fd_)),
      base_(std::exchange(other.base_, nullptr)),
      ring_size_(other.ring_size_),
      bulk_size_(other.bulk_size_),
      writable_(other.writable_) {}

Segment::~Segment() {
  if (base_ != nullptr) munmap(base_, mapped_size());
}

}  // namespace nearcall
