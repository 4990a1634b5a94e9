#ifndef NEARCALL_INTERNAL_HANDLERS_H_
#define NEARCALL_INTERNAL_HANDLERS_H_

#include <exception>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "nearcall/internal/context_access.h"
#include "nearcall/internal/message_cache.h"
#include "nearcall/internal/server_call.h"
#include "nearcall/server_stream.h"

namespace nearcall {
namespace internal {

// Runs `handler` and turns an exception that escapes it into UNKNOWN, as gRPC does.
template <class Handler>
absl::Status RunCatching(const Handler& handler) {
#if defined(__cpp_exceptions)
  try {
    return handler();
  } catch (const std::exception& e) {
    return absl::UnknownError(e.what());
  } catch (...) {
    return absl::UnknownError("the handler threw something that is not a std::exception");
  }
#else
  return handler();
#endif
}

// The same for a handler that blocks: what it asked to be told of is over when it has returned.
template <class Handler>
absl::Status RunHandler(ServerContext* context, const Handler& handler) {
  absl::Status status = RunCatching(handler);
  ServerContextAccess::HandlerReturned(context);
  return status;
}

// What the typed handlers answer when the one request of a call is missing or is not a message of its type.
absl::Status UnreadableRequest(const ServerContext& context);

// The handlers that generated services register: each unpacks one kind of call into one virtual method of the service
// S.
template <class S, class Request, class Response, absl::Status (S::*kMethod)(ServerContext*, const Request*, Response*)>
class UnaryHandler final : public MethodHandler {
 public:
  explicit UnaryHandler(S* service) : service_(service) {}

  void Run(ServerCall* call) override {
    CachedMessage<Request, MessageRole::kRequest> request;
    if (!call->Read(request.target())) return call->Finish(UnreadableRequest(*call->context()));
    CachedMessage<Response, MessageRole::kResponse> response;
    ServerContext* const context = call->context();
    const absl::Status status =
        RunHandler(context, [&] { return (service_->*kMethod)(context, request.get(), response.get()); });
    if (status.ok()) {
      call->FinishWithMessage(*response.get());
      response.SizeIsCached();
    } else {
      call->Finish(status);
    }
  }

 private:
  S* service_;
};

template <class S, class Request, class Response,
          absl::Status (S::*kMethod)(ServerContext*, ServerReader<Request>*, Response*)>
class ClientStreamingHandler final : public MethodHandler {
 public:
  explicit ClientStreamingHandler(S* service) : service_(service) {}

  void Run(ServerCall* call) override {
    ServerReader<Request> reader(call);
    Response response;
    const absl::Status status = RunHandler(call->context(), [&] { return (service_->*kMethod)(call->context(), &reader, &response); });
    if (status.ok()) {
      call->FinishWithMessage(response);
    } else {
      call->Finish(status);
    }
  }

 private:
  S* service_;
};

template <class S, class Request, class Response,
          absl::Status (S::*kMethod)(ServerContext*, const Request*, ServerWriter<Response>*)>
class ServerStreamingHandler final : public MethodHandler {
 public:
  explicit ServerStreamingHandler(S* service) : service_(service) {}

  void Run(ServerCall* call) override {
    Request request;
    if (!call->Read(&request)) return call->Finish(UnreadableRequest(*call->context()));
    ServerWriter<Response> writer(call);
    call->Finish(RunHandler(call->context(), [&] { return (service_->*kMethod)(call->context(), &request, &writer); }));
  }

 private:
  S* service_;
};

template <class S, class Request, class Response,
          absl::Status (S::*kMethod)(ServerContext*, ServerReaderWriter<Response, Request>*)>
class BidiStreamingHandler final : public MethodHandler {
 public:
  explicit BidiStreamingHandler(S* service) : service_(service) {}

  void Run(ServerCall* call) override {
    ServerReaderWriter<Response, Request> stream(call);
    call->Finish(RunHandler(call->context(), [&] { return (service_->*kMethod)(call->context(), &stream); }));
  }

 private:
  S* service_;
};

}  // namespace internal
}  // namespace nearcall

#endif  // NEARCALL_INTERNAL_HANDLERS_H_
