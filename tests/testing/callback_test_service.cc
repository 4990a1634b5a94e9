#include "tests/testing/callback_test_service.h"

#include <unistd.h>

#include <memory>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "nearcall/internal/attachments.h"

namespace nearcall::testing {
namespace {

ServerUnaryReactor* Answer(CallbackServerContext* context, absl::Status status) {
  ServerUnaryReactor* const reactor = context->DefaultReactor();
  reactor->Finish(std::move(status));
  return reactor;
}

class BlockReactor final : public ServerUnaryReactor {
 public:
  BlockReactor(Gates* gates, CallbackServerContext* context, const std::string& gate, GateState* response)
      : passage_(gates, context) {
    passage_.Begin(gate, [this, response](const GateState& state) {
      *response = state;
      Finish(absl::OkStatus());
    });
  }
  void OnCancel() override { passage_.Cancel(); }
  void OnDone() override { delete this; }

 private:
  Passage passage_;
};

class NestReactor final : public ServerUnaryReactor {
 public:
  NestReactor(Gates* gates, CallbackServerContext* context, const NestRequest& request, NestReply* response)
      : passage_(gates, context), response_(response) {
    if (request.gate().empty()) {
      Reply();
    } else {
      passage_.Begin(request.gate(), [this](const GateState&) { Reply(); });
    }
  }
  NestReactor(std::shared_ptr<Channel> channel, CallbackServerContext* context, NestRequest rest, NestReply* response)
      : passage_(nullptr, context), rest_(std::move(rest)), response_(response) {
    inner_ = ClientContext::FromServerContext(*context);
    TestService::NewStub(std::move(channel))
        ->async()
        ->Nest(inner_.get(), &rest_, response, [this](absl::Status status) {
          inner_.reset();
          status.ok() ? Reply() : Finish(std::move(status));
        });
  }
  // What is called for the call is cancelled with it.
  void OnCancel() override { passage_.Cancel(); }
  void OnDone() override { delete this; }

 private:
  void Reply() {
    response_->add_pids(getpid());
    Finish(absl::OkStatus());
  }

  Passage passage_;
  NestRequest rest_;
  NestReply* const response_;
  std::unique_ptr<ClientContext> inner_;
};

class UpReactor final : public ServerReadReactor<Payload> {
 public:
  explicit UpReactor(Payload* response) : response_(response) { StartRead(&message_); }
  void OnReadDone(bool ok) override {
    if (!ok) {
      response_->set_data(absl::StrCat(count_));
      return Finish(absl::OkStatus());
    }
    response_->set_number(response_->number() + message_.number());
    ++count_;
    StartRead(&message_);
  }
  void OnDone() override { delete this; }

 private:
  Payload* const response_;
  Payload message_;
  int64_t count_ = 0;
};

class DownReactor final : public ServerWriteReactor<Payload> {
 public:
  DownReactor(Gates* gates, CallbackServerContext* context, const DownRequest& request)
      : gates_(gates), context_(context), request_(request) {
    if (!request_.initial().empty()) StartSendInitialMetadata();
    message_.set_data(std::string(static_cast<size_t>(request_.size()), 'd'));
    Next();
  }
  void OnWriteDone(bool ok) override {
    if (!ok) return End();
    if (!request_.gate().empty()) gates_->CountEntered(request_.gate());
    message_.set_number(message_.number() + 1);
    Next();
  }
  void OnDone() override { delete this; }

 private:
  void Next() {
    if (message_.number() == request_.count()) return End();
    StartWrite(&message_);
  }
  void End() {
    if (!request_.gate().empty()) gates_->Leave(request_.gate(), context_->IsCancelled());
    Finish(absl::Status(static_cast<absl::StatusCode>(request_.code()), request_.message()));
  }

  Gates* const gates_;
  CallbackServerContext* const context_;
  const DownRequest& request_;
  Payload message_;
};

class ChatReactor final : public ServerBidiReactor<Payload, Payload> {
 public:
  explicit ChatReactor(CallbackServerContext* context) {
    internal::PassAttachments(context, context);
    StartRead(&message_);
  }
  void OnReadDone(bool ok) override { ok ? StartWrite(&message_) : Finish(absl::OkStatus()); }
  void OnWriteDone(bool ok) override { ok ? StartRead(&message_) : Finish(absl::AbortedError("the reader is gone")); }
  void OnDone() override { delete this; }

 private:
  Payload message_;
};

class BlockUpReactor final : public ServerReadReactor<Payload> {
 public:
  BlockUpReactor(Gates* gates, CallbackServerContext* context, Payload* response)
      : passage_(gates, context), response_(response) {
    StartRead(&message_);
  }
  void OnReadDone(bool ok) override {
    if (std::exchange(first_, false)) {
      if (!ok) return Finish(absl::InvalidArgumentError("no gate"));
      return passage_.Begin(message_.data(), [this](const GateState&) { StartRead(&message_); });
    }
    if (!ok) return Finish(absl::OkStatus());
    response_->set_number(response_->number() + 1);
    StartRead(&message_);
  }
  void OnCancel() override { passage_.Cancel(); }
  void OnDone() override { delete this; }

 private:
  Passage passage_;
  Payload* const response_;
  Payload message_;
  bool first_ = true;
};

class HangUpReactor final : public ServerBidiReactor<Payload, Payload> {
 public:
  HangUpReactor() { StartRead(&message_); }
  void OnReadDone(bool ok) override {
    if (!ok) return Finish(absl::InvalidArgumentError("no code"));
    Finish(absl::Status(static_cast<absl::StatusCode>(message_.number()), "hung up"));
  }
  void OnDone() override { delete this; }

 private:
  Payload message_;
};

}  // namespace

ServerUnaryReactor* CallbackTestService::Echo(CallbackServerContext* context, const Payload* request,
                                              Payload* response) {
  return Answer(context, blocking_.Echo(context, request, response));
}

ServerUnaryReactor* CallbackTestService::Produce(CallbackServerContext* context, const Payload* request,
                                                 Payload* response) {
  return Answer(context, blocking_.Produce(context, request, response));
}

ServerUnaryReactor* CallbackTestService::Fail(CallbackServerContext* context, const FailRequest* request,
                                              Payload* response) {
  return Answer(context, blocking_.Fail(context, request, response));
}

ServerUnaryReactor* CallbackTestService::Throw(CallbackServerContext* context, const ThrowRequest* request,
                                               Payload* response) {
  return Answer(context, blocking_.Throw(context, request, response));
}

ServerUnaryReactor* CallbackTestService::Inspect(CallbackServerContext* context, const InspectRequest* request,
                                                 CallInfo* response) {
  return Answer(context, blocking_.Inspect(context, request, response));
}

ServerUnaryReactor* CallbackTestService::Attach(CallbackServerContext* context, const AttachRequest* request,
                                                AttachReply* response) {
  return Answer(context, blocking_.Attach(context, request, response));
}

ServerUnaryReactor* CallbackTestService::Block(CallbackServerContext* context, const GateRequest* request,
                                               GateState* response) {
  return new BlockReactor(&blocking_.gates_, context, request->gate(), response);
}

ServerUnaryReactor* CallbackTestService::Open(CallbackServerContext* context, const GateRequest* request,
                                              GateState* response) {
  return Answer(context, blocking_.Open(context, request, response));
}

ServerUnaryReactor* CallbackTestService::Look(CallbackServerContext* context, const GateRequest* request,
                                              GateState* response) {
  return Answer(context, blocking_.Look(context, request, response));
}

ServerUnaryReactor* CallbackTestService::Nest(CallbackServerContext* context, const NestRequest* request,
                                              NestReply* response) {
  if (request->addresses().empty()) return new NestReactor(&blocking_.gates_, context, *request, response);
  NestRequest rest;
  std::shared_ptr<Channel> channel = blocking_.NextNest(*request, &rest);
  return new NestReactor(std::move(channel), context, std::move(rest), response);
}

ServerReadReactor<Payload>* CallbackTestService::Up(CallbackServerContext*, Payload* response) {
  return new UpReactor(response);
}

ServerWriteReactor<Payload>* CallbackTestService::Down(CallbackServerContext* context, const DownRequest* request) {
  blocking_.AddMetadata(context, request->initial(), request->trailing());
  return new DownReactor(&blocking_.gates_, context, *request);
}

ServerBidiReactor<Payload, Payload>* CallbackTestService::Chat(CallbackServerContext* context) {
  return new ChatReactor(context);
}

ServerReadReactor<Payload>* CallbackTestService::BlockUp(CallbackServerContext* context, Payload* response) {
  return new BlockUpReactor(&blocking_.gates_, context, response);
}

ServerBidiReactor<Payload, Payload>* CallbackTestService::HangUp(CallbackServerContext*) { return new HangUpReactor; }

}  // namespace nearcall::testing
