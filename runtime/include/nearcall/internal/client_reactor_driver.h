#ifndef NEARCALL_INTERNAL_CLIENT_REACTOR_DRIVER_H_
#define NEARCALL_INTERNAL_CLIENT_REACTOR_DRIVER_H_

#include <memory>
#include <string>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/types/optional.h"
#include "nearcall/channel.h"
#include "nearcall/internal/client_call.h"
#include "nearcall/internal/message.h"
#include "nearcall/internal/method.h"
#include "nearcall/internal/mutex.h"

namespace nearcall {
namespace internal {

class ClientReactor;

// What a streaming reactor has started and not heard of yet, and the call that it happens on. Outlives the reactor, which
// may delete itself while another thread still wakes the call.
//
// Threads: the operations are thread-safe; Drive is the call's.
class ClientReactorDriver final : public ClientDriver, public std::enable_shared_from_this<ClientReactorDriver> {
 public:
  explicit ClientReactorDriver(ClientReactor* reactor) : reactor_(reactor) {}

  // By the stub. `request`, where there is one, is all that is sent; `response`, where there is one, all that is read.
  // `method_owner` keeps `method` alive where that does not live forever.
  void Bind(std::shared_ptr<Channel> channel, const Method* method, ClientContext* context,
            absl::optional<OutMessage> request, absl::optional<InMessage> response,
            std::shared_ptr<const void> method_owner = nullptr);
  // Has the call, which is bound and not begun, use nothing of its caller's: `context` takes the place of the caller's,
  // which the result tells; the one request, where there is one, is serialised into *request now; the bytes of the one
  // response, where there is one, will be in *response.
  struct Callers {
    ClientContext* context = nullptr;
    absl::optional<InMessage> response;
  };
  Callers Separate(ClientContext* context, std::string* request, std::string* response);
  void StartCall();

  // The operations. Each may be started before the call: then it happens when that has begun.
  void StartRead(InMessage message);
  void StartWrite(OutMessage message, WriteOptions options);
  void StartWritesDone();
  void AddHolds(int holds);
  void RemoveHold();
  void TryCancel() { context_->TryCancel(); }

  bool Drive(ClientCall* call, absl::Status* status) override;
  void OnDone(const absl::Status& status) override;

 private:
  // The operations under way.
  struct Pending {
    bool metadata = true;
    bool read = false;
    bool read_is_silent = false;  // no reaction follows
    bool write = false;
    bool write_is_silent = false;
    bool writes_done = false;
    int holds = 0;
    InMessage read_to;
    OutMessage to_write;
    WriteOptions write_options;

    bool any() const { return metadata || read || write || writes_done || holds > 0; }
  };
  void WakeCall() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  Pending Snapshot();
  // Tries what is under way; whether something came of it.
  bool Advance(ClientCall* call);
  void MetadataIsThere(bool ok);

  ClientReactor* const reactor_;
  std::shared_ptr<Channel> channel_;
  const Method* method_ = nullptr;
  std::shared_ptr<const void> method_owner_;
  ClientContext* context_ = nullptr;
  bool wants_response_ = false;
  bool answered_ = false;  // Drive's own: the one response is there

  Mutex mu_;
  CallWaker* waker_ ABSL_GUARDED_BY(mu_) = nullptr;
  Pending pending_ ABSL_GUARDED_BY(mu_);
};

// What every streaming client reactor is.
class ClientReactor {
 public:
  ClientReactor() : driver_(std::make_shared<ClientReactorDriver>(this)) {}
  virtual ~ClientReactor() = default;
  ClientReactor(const ClientReactor&) = delete;
  ClientReactor& operator=(const ClientReactor&) = delete;

  // Begins the call. The reactions come from then on.
  void StartCall() { driver_->StartCall(); }
  // The call is not over, for OnDone, before each hold is removed: for who starts operations outside of reactions.
  void AddHold() { driver_->AddHolds(1); }
  void AddMultipleHolds(int holds) { driver_->AddHolds(holds); }
  void RemoveHold() { driver_->RemoveHold(); }
  // Ends the call with CANCELLED if it is not over yet.
  void TryCancel() { driver_->TryCancel(); }

  virtual void OnDone(const absl::Status& /*status*/) {}

  // For stubs.
  const std::shared_ptr<ClientReactorDriver>& driver() const { return driver_; }

 protected:
  // For what only stands for another reactor, whose driver this is, and hears of no reaction itself.
  explicit ClientReactor(std::shared_ptr<ClientReactorDriver> driver) : driver_(std::move(driver)) {}

 private:
  friend class ClientReactorDriver;
  virtual void OnReadInitialMetadataDone(bool) {}
  virtual void OnReadDone(bool) {}
  virtual void OnWriteDone(bool) {}
  virtual void OnWritesDoneDone(bool) {}

  const std::shared_ptr<ClientReactorDriver> driver_;
};

}  // namespace internal
}  // namespace nearcall

#endif  // NEARCALL_INTERNAL_CLIENT_REACTOR_DRIVER_H_
