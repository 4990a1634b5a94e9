#ifndef NEARCALL_INTERNAL_SERVER_REACTOR_DRIVER_H_
#define NEARCALL_INTERNAL_SERVER_REACTOR_DRIVER_H_

#include <memory>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/types/optional.h"
#include "nearcall/internal/message.h"
#include "nearcall/internal/mutex.h"
#include "nearcall/internal/server_call.h"

namespace nearcall {
namespace internal {

class ServerReactor;

// What a reactor has started and not heard of yet, and the call that it happens on. Outlives the reactor, which may
// delete itself while another thread still wakes the call.
//
// Threads: the operations are thread-safe; Drive is the call's.
class ServerReactorDriver final : public ServerDriver, public std::enable_shared_from_this<ServerReactorDriver> {
 public:
  explicit ServerReactorDriver(ServerReactor* reactor) : reactor_(reactor) {}

  // The operations. Each may be started before the call is bound: then it happens when that is.
  void StartSendInitialMetadata();
  void StartRead(InMessage message);
  void StartWrite(OutMessage message, WriteOptions options);
  void StartWriteAndFinish(OutMessage message, WriteOptions options, absl::Status status);
  void Finish(absl::Status status);

  // By the handler, inside Run. A status that is OK takes `response` with it; `messages` is what keeps request and
  // response alive.
  void Bind(ServerCall* call, std::shared_ptr<void> messages, absl::optional<OutMessage> response);

  bool Drive() override;
  void OnDone() override;

 private:
  // The operations under way.
  struct Pending {
    bool metadata = false;
    bool read = false;
    bool write = false;
    bool write_is_silent = false;  // no reaction follows
    bool finish = false;
    InMessage read_to;
    OutMessage to_write;
    WriteOptions write_options;
    absl::Status status;
  };
  void WakeCall() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  Pending Snapshot();
  // The call, for Drive: who alone ends it reads it without the lock.
  ServerCall* driven_call() const ABSL_NO_THREAD_SAFETY_ANALYSIS { return call_; }
  // Tries what is under way; whether something came of it.
  bool Advance();
  template <class Reaction>
  void React(const Reaction& reaction);

  ServerReactor* const reactor_;
  std::shared_ptr<void> messages_;
  absl::optional<OutMessage> response_;
  bool cancel_told_ = false;  // Drive's own

  Mutex mu_;
  ServerCall* call_ ABSL_GUARDED_BY(mu_) = nullptr;  // set once, and ended by Drive
  Pending pending_ ABSL_GUARDED_BY(mu_);
};

// What every server reactor is.
class ServerReactor {
 public:
  ServerReactor() : driver_(std::make_shared<ServerReactorDriver>(this)) {}
  virtual ~ServerReactor() = default;
  ServerReactor(const ServerReactor&) = delete;
  ServerReactor& operator=(const ServerReactor&) = delete;

  virtual void OnDone() = 0;
  virtual void OnCancel() {}

  // For handlers.
  const std::shared_ptr<ServerReactorDriver>& driver() const { return driver_; }

 private:
  friend class ServerReactorDriver;
  virtual void OnSendInitialMetadataDone(bool) {}
  virtual void OnReadDone(bool) {}
  virtual void OnWriteDone(bool) {}

  const std::shared_ptr<ServerReactorDriver> driver_;
};

}  // namespace internal
}  // namespace nearcall

#endif  // NEARCALL_INTERNAL_SERVER_REACTOR_DRIVER_H_
