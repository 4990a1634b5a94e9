#ifndef NEARCALL_RUNTIME_RENDEZVOUS_FILE_ID_H_
#define NEARCALL_RUNTIME_RENDEZVOUS_FILE_ID_H_

#include <sys/stat.h>
#include <sys/types.h>

namespace nearcall {

// Tells files apart. Holds for as long as the file exists: the numbers of a deleted one are used again, unless a
// descriptor or a bound socket keeps it alive.
struct FileId {
  FileId() = default;
  explicit FileId(const struct stat& info) : device(info.st_dev), inode(info.st_ino) {}

  dev_t device = 0;
  ino_t inode = 0;

  bool operator==(const FileId&) const = default;
};

}  // namespace nearcall

#endif  // NEARCALL_RUNTIME_RENDEZVOUS_FILE_ID_H_
