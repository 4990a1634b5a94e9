#include "nearcall/bridge.h"

#include <atomic>
#include <string>
#include <utility>

#include "nearcall/internal/attachments.h"

namespace nearcall {
namespace {

// One call: what comes from the caller is written to the upstream server before the next message is read, and the other
// way round, so that a slow end slows the other one down.
//
// Lifetime: deletes itself when both ends are over, of which the caller's is the second.
class Relay final : public ServerGenericBidiReactor {
 public:
  Relay(GenericStub* upstream, CallbackServerContext* context)
      : context_(context), onward_(ClientContext::FromServerContext(*context)), upstream_(this) {
    for (const Metadata::Pair& pair : context->client_metadata()) onward_->AddMetadata(pair.first, pair.second);
    internal::PassAttachments(context, onward_.get());
    upstream->PrepareCall(onward_.get(), context->method(), &upstream_);
    upstream_.AddHold();  // the caller's reactions start operations on it
    upstream_.StartRead(&response_);
    upstream_.StartCall();
    StartRead(&request_);
  }

 private:
  // The upstream server's end.
  class Upstream final : public ClientGenericBidiReactor {
   public:
    explicit Upstream(Relay* relay) : relay_(relay) {}
    void OnReadInitialMetadataDone(bool ok) override {
      if (ok) relay_->PassInitialMetadata();
    }
    void OnWriteDone(bool ok) override {
      if (ok) relay_->StartRead(&relay_->request_);
    }
    void OnReadDone(bool ok) override {
      if (ok) {
        relay_->AddInitialMetadata();
        return relay_->StartWrite(&relay_->response_);
      }
      relay_->LetGo();
    }
    void OnDone(const absl::Status& status) override { relay_->End(status); }

   private:
    Relay* const relay_;
  };

  void PassInitialMetadata() {
    if (AddInitialMetadata()) StartSendInitialMetadata();
  }
  // They may also come with the only message, or with the status: then they go with that. Whether there are any to
  // send.
  bool AddInitialMetadata() {
    const Metadata& metadata = onward_->GetServerInitialMetadata();
    if (metadata.empty() || std::exchange(metadata_passed_, true)) return false;
    for (const Metadata::Pair& pair : metadata) context_->AddInitialMetadata(pair.first, pair.second);
    return true;
  }
  void End(const absl::Status& status) {
    AddInitialMetadata();
    for (const Metadata::Pair& pair : onward_->GetServerTrailingMetadata()) {
      context_->AddTrailingMetadata(pair.first, pair.second);
    }
    internal::PassAttachments(onward_.get(), context_);
    onward_ = nullptr;  // before the context that it belongs to
    Finish(status);
  }
  void LetGo() {
    if (!let_go_.exchange(true)) upstream_.RemoveHold();
  }

  // --- The caller's end; a cancelled call cancels the one that was made for it ---
  void OnReadDone(bool ok) override {
    if (ok) {
      upstream_.StartWrite(&request_);
    } else {
      upstream_.StartWritesDone();
    }
  }
  void OnWriteDone(bool ok) override {
    if (ok) return upstream_.StartRead(&response_);
    upstream_.TryCancel();
    LetGo();
  }
  void OnDone() override { delete this; }

  CallbackServerContext* const context_;
  std::unique_ptr<ClientContext> onward_;
  std::string request_;
  std::string response_;
  bool metadata_passed_ = false;  // the upstream's reactions' own
  std::atomic<bool> let_go_{false};
  Upstream upstream_;
};

}  // namespace

ServerGenericBidiReactor* Bridge::CreateReactor(CallbackServerContext* context) {
  return new Relay(&upstream_, context);
}

}  // namespace nearcall
