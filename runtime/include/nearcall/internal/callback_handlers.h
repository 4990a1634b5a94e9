#ifndef NEARCALL_INTERNAL_CALLBACK_HANDLERS_H_
#define NEARCALL_INTERNAL_CALLBACK_HANDLERS_H_

#include <memory>
#include <utility>

#include "absl/status/status.h"
#include "absl/types/optional.h"
#include "nearcall/internal/handlers.h"
#include "nearcall/internal/server_call.h"
#include "nearcall/server_reactor.h"

namespace nearcall {
namespace internal {

// What a method that returns no reactor answers: it is not implemented.
absl::Status NoReactor(const ServerContext& context);

// Has `make()` return the reactor of a call, and binds it. nullptr, and an exception, end the call.
template <class Make>
void BindReactor(ServerCall* call, std::shared_ptr<void> messages, absl::optional<OutMessage> response,
                 const Make& make) {
  ServerReactor* reactor = nullptr;
  absl::Status status = RunCatching([&] {
    reactor = make();
    return reactor != nullptr ? absl::OkStatus() : NoReactor(*call->context());
  });
  if (!status.ok()) return call->Finish(status);
  // The reactor may be gone before this returns.
  const std::shared_ptr<ServerReactorDriver> driver = reactor->driver();
  driver->Bind(call, std::move(messages), response);
}

// The messages that a method's reactor works on.
template <class Request, class Response>
struct CallMessages {
  Request request;
  Response response;
};

// The handlers that generated CallbackServices register; as those of handlers.h.
template <class S, class Request, class Response,
          ServerUnaryReactor* (S::*kMethod)(CallbackServerContext*, const Request*, Response*)>
class CallbackUnaryHandler final : public MethodHandler {
 public:
  explicit CallbackUnaryHandler(S* service) : service_(service) {}
  bool drives() const override { return true; }

  void Run(ServerCall* call) override {
    auto messages = std::make_shared<CallMessages<Request, Response>>();
    auto* const both = messages.get();
    if (!call->Read(InMessage(&both->request))) return call->Finish(UnreadableRequest(*call->context()));
    BindReactor(call, std::move(messages), OutMessage(both->response),
                [&] { return (service_->*kMethod)(call->context(), &both->request, &both->response); });
  }

 private:
  S* service_;
};

template <class S, class Request, class Response,
          ServerReadReactor<Request>* (S::*kMethod)(CallbackServerContext*, Response*)>
class CallbackClientStreamingHandler final : public MethodHandler {
 public:
  explicit CallbackClientStreamingHandler(S* service) : service_(service) {}
  bool drives() const override { return true; }

  void Run(ServerCall* call) override {
    auto response = std::make_shared<Response>();
    Response* const pointer = response.get();
    BindReactor(call, std::move(response), OutMessage(*pointer),
                [&] { return (service_->*kMethod)(call->context(), pointer); });
  }

 private:
  S* service_;
};

template <class S, class Request, class Response,
          ServerWriteReactor<Response>* (S::*kMethod)(CallbackServerContext*, const Request*)>
class CallbackServerStreamingHandler final : public MethodHandler {
 public:
  explicit CallbackServerStreamingHandler(S* service) : service_(service) {}
  bool drives() const override { return true; }

  void Run(ServerCall* call) override {
    auto request = std::make_shared<Request>();
    Request* const pointer = request.get();
    if (!call->Read(InMessage(pointer))) return call->Finish(UnreadableRequest(*call->context()));
    BindReactor(call, std::move(request), absl::nullopt,
                [&] { return (service_->*kMethod)(call->context(), pointer); });
  }

 private:
  S* service_;
};

template <class S, class Request, class Response,
          ServerBidiReactor<Request, Response>* (S::*kMethod)(CallbackServerContext*)>
class CallbackBidiStreamingHandler final : public MethodHandler {
 public:
  explicit CallbackBidiStreamingHandler(S* service) : service_(service) {}
  bool drives() const override { return true; }

  void Run(ServerCall* call) override {
    BindReactor(call, nullptr, absl::nullopt, [&] { return (service_->*kMethod)(call->context()); });
  }

 private:
  S* service_;
};

}  // namespace internal
}  // namespace nearcall

#endif  // NEARCALL_INTERNAL_CALLBACK_HANDLERS_H_
