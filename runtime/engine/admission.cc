#include "runtime/engine/admission.h"

#include <utility>

#include "absl/strings/str_cat.h"

namespace nearcall {
namespace {

// Among processes of one user limits for each user protect nobody; where others may connect, they do.
constexpr int kConnectionsOfOtherUsers = 256;
constexpr int kCallsOfOtherUsers = 8192;

int64_t PerUser(int option, int otherwise, const ServerOptions& options) {
  if (option != 0) return option;
  return options.allow_other_users ? otherwise : -1;
}

std::shared_ptr<UserShare> MakeShare(const ServerOptions& options, Quota* connections, Quota* calls, Quota* bytes,
                                     Quota* fds) {
  return std::shared_ptr<UserShare>(
      new UserShare{{"max_connections_per_user",
                     PerUser(options.max_connections_per_user, kConnectionsOfOtherUsers, options), connections},
                    {"max_concurrent_calls_per_user",
                     PerUser(options.max_concurrent_calls_per_user, kCallsOfOtherUsers, options), calls},
                    {"max_buffered_bytes_per_user", options.max_buffered_bytes_per_user, bytes},
                    {"max_attached_fds_per_user", options.max_attached_fds_per_user, fds}});
}

// Where a user has no limit of its own, what its connections take counts for the server alone.
Quota* ParentOf(Quota* of_user, Quota* of_server) { return of_user->limit() >= 0 ? of_user : of_server; }

}  // namespace

Admission::Admission(std::shared_ptr<UserShare> user, const ServerOptions& options, Quota* calls, Quota* bytes,
                     Quota* fds)
    : user_(std::move(user)),
      calls_(ParentOf(&user_->calls, calls)),
      bytes_("max_buffered_bytes_per_connection", options.max_buffered_bytes_per_connection,
             ParentOf(&user_->bytes, bytes)),
      fds_("max_attached_fds_per_connection", options.max_attached_fds_per_connection, ParentOf(&user_->fds, fds)) {}

Admission::~Admission() { user_->connections.Give(1); }

Admissions::Admissions(const ServerOptions& options)
    : options_(options),
      connections_("max_connections", options.max_connections),
      calls_("max_concurrent_calls", options.max_concurrent_calls),
      bytes_("max_buffered_bytes", options.max_buffered_bytes),
      fds_("max_attached_fds", options.max_attached_fds),
      unknown_(new UserShare{{"", -1, &connections_}, {"", -1, &calls_}, {"", -1, &bytes_}, {"", -1, &fds_}}) {}

absl::StatusOr<std::shared_ptr<Admission>> Admissions::Admit(const Peer& peer) {
  std::shared_ptr<UserShare> share = peer.credentials.has_value() ? ShareOf(peer.credentials->uid) : unknown_;
  if (const Quota* const lacking = share->connections.Take(1)) {
    return absl::ResourceExhaustedError(
        absl::StrCat(lacking == &connections_ ? "the server has " : "this user has ", lacking->limit(), " connections",
                     lacking == &connections_ ? "" : " to the server", ", which is its ", lacking->name()));
  }
  auto admission = std::make_shared<Admission>(std::move(share), options_, &calls_, &bytes_, &fds_);
  if (options_.authorize_connection) {
    if (absl::Status status = options_.authorize_connection(peer); !status.ok()) return status;
  }
  return admission;
}

std::shared_ptr<UserShare> Admissions::ShareOf(uid_t uid) {
  absl::MutexLock lock(&mu_);
  std::weak_ptr<UserShare>& known = shares_[uid];
  std::shared_ptr<UserShare> share = known.lock();
  if (share != nullptr) return share;
  share = MakeShare(options_, &connections_, &calls_, &bytes_, &fds_);
  known = share;
  for (auto at = shares_.begin(); at != shares_.end();) at = at->second.expired() ? shares_.erase(at) : std::next(at);
  return share;
}

}  // namespace nearcall
