#include "runtime/base/shared_memory.h"

#include <fcntl.h>
#include <linux/memfd.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>

#include "absl/strings/str_cat.h"
#include "runtime/base/errno_status.h"
#include "runtime/base/step.h"

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U
#endif
#ifndef F_SEAL_FUTURE_WRITE
#define F_SEAL_FUTURE_WRITE 0x0010
#endif

namespace nearcall {
namespace {

constexpr int kSeals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE | F_SEAL_SEAL;
constexpr size_t kPage = 4096;
// Beyond this sizes are refused rather than rounded.
constexpr size_t kMaxSize = size_t{1} << 46;

}  // namespace

Fd MakeMemfd() {
  // Never executable, where the kernel knows that (Linux 6.3).
  Fd fd(memfd_create("nearcall", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL));
  if (!fd.valid() && errno == EINVAL) fd.reset(memfd_create("nearcall", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  return fd;
}

absl::Status SealMemfd(const Fd& fd) {
  if (fcntl(fd.get(), F_ADD_SEALS, kSeals) != 0) return ErrnoStatus(errno, "sealing shared memory");
  return absl::OkStatus();
}

absl::Status CheckSeals(const Fd& fd) {
  const int seals = fcntl(fd.get(), F_GET_SEALS);
  if (seals >= 0 && (seals & kSeals) == kSeals) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("the peer's descriptor is not a memfd with the seals that make it safe (0x", absl::Hex(kSeals),
                   "); it has ", seals < 0 ? "none" : absl::StrCat("0x", absl::Hex(seals))));
}

absl::StatusOr<std::shared_ptr<SharedMemory>> SharedMemory::Create(size_t size) {
  if (size > kMaxSize) return absl::ResourceExhaustedError(absl::StrCat("no machine has ", size, " bytes of memory"));
  size = std::max(kPage, (size + kPage - 1) / kPage * kPage);
  Fd fd = MakeMemfd();
  if (!fd.valid()) return ErrnoStatus(errno, "creating shared memory (memfd_create)");
  const auto length = static_cast<off_t>(size);
  // Allocated now, so that a full memory is an error here and never a fault later.
  if (ftruncate(fd.get(), length) != 0 || fallocate(fd.get(), 0, 0, length) != 0) {
    return ErrnoStatus(errno, absl::StrCat("allocating ", size, " bytes of shared memory"));
  }
  absl::StatusOr<std::shared_ptr<SharedMemory>> memory =
      Map(std::move(fd), size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE);
  if (!memory.ok()) return memory;
  NEARCALL_STEP("shared_memory.seal");
  if (absl::Status sealed = SealMemfd((*memory)->fd_); !sealed.ok()) return sealed;
  return memory;
}

absl::StatusOr<size_t> SharedMemory::SizeOf(const Fd& fd) {
  if (absl::Status seals = CheckSeals(fd); !seals.ok()) return seals;
  struct stat info;
  if (fstat(fd.get(), &info) != 0) return ErrnoStatus(errno, "the peer's shared memory");
  const auto size = static_cast<size_t>(info.st_size);
  // The seals keep holes from being made; there must be none already, or touching one could fail.
  constexpr blkcnt_t kBlock = 512;
  if (size == 0 || size > kMaxSize || size % kPage != 0 || info.st_blocks < info.st_size / kBlock) {
    return absl::InvalidArgumentError(absl::StrCat("the peer's shared memory has a size of ", size, " bytes, of which ",
                                                   info.st_blocks * kBlock, " are there"));
  }
  return size;
}

absl::StatusOr<std::shared_ptr<SharedMemory>> SharedMemory::Open(Fd fd, size_t size) {
  absl::StatusOr<std::shared_ptr<SharedMemory>> memory = Map(std::move(fd), size, PROT_READ, MAP_SHARED);
  if (memory.ok()) (*memory)->fd_.reset();
  return memory;
}

absl::StatusOr<std::shared_ptr<SharedMemory>> SharedMemory::Map(Fd fd, size_t size, int protection, int flags) {
  void* const at = mmap(nullptr, size, protection, flags, fd.get(), 0);
  if (at == MAP_FAILED) return ErrnoStatus(errno, absl::StrCat("mapping ", size, " bytes of shared memory"));
  // A forked child has no business in what its parent shares with others.
  madvise(at, size, MADV_DONTFORK);
  return std::shared_ptr<SharedMemory>(new SharedMemory(std::move(fd), static_cast<uint8_t*>(at), size));
}

SharedMemory::~SharedMemory() { munmap(data_, size_); }

}  // namespace nearcall
