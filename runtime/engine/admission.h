#ifndef NEARCALL_RUNTIME_ENGINE_ADMISSION_H_
#define NEARCALL_RUNTIME_ENGINE_ADMISSION_H_

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <memory>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "nearcall/peer.h"
#include "nearcall/server.h"
#include "runtime/engine/quota.h"

namespace nearcall {

// What one user's processes have of a server, all their connections together.
struct UserShare {
  Quota connections;
  Quota calls;
  Quota bytes;
  Quota fds;
};

// What a connection holds of its server from the moment that it is let in until its session is gone.
//
// Threads: thread-safe. It keeps the user's share alive; the server must outlive it.
class Admission {
 public:
  // `calls`, `bytes` and `fds` are the server's.
  Admission(std::shared_ptr<UserShare> user, const ServerOptions& options, Quota* calls, Quota* bytes, Quota* fds);
  ~Admission();

  Quota* calls() const { return calls_; }
  // Of messages that were received and not taken yet.
  Quota* bytes() { return &bytes_; }
  // Descriptors that have come with calls and were not taken.
  Quota* fds() { return &fds_; }

 private:
  const std::shared_ptr<UserShare> user_;
  Quota* const calls_;
  Quota bytes_;
  Quota fds_;
};

// Lets connections in, as far as a server's options say: how many there may be, of one user and in all.
//
// Threads: thread-safe. Must outlive its admissions.
class Admissions {
 public:
  explicit Admissions(const ServerOptions& options);

  // RESOURCE_EXHAUSTED over a limit; what authorize_connection says.
  absl::StatusOr<std::shared_ptr<Admission>> Admit(const Peer& peer);
  Quota* calls() { return &calls_; }

 private:
  std::shared_ptr<UserShare> ShareOf(uid_t uid);

  const ServerOptions& options_;
  Quota connections_;
  Quota calls_;
  Quota bytes_;
  Quota fds_;
  // Where the kernel does not say who they are: the server's own limits hold, and no user's.
  const std::shared_ptr<UserShare> unknown_;
  absl::Mutex mu_;
  std::map<uid_t, std::weak_ptr<UserShare>> shares_ ABSL_GUARDED_BY(mu_);
};

}  // namespace nearcall

#endif  // NEARCALL_RUNTIME_ENGINE_ADMISSION_H_
