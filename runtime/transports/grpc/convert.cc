#include "runtime/transports/grpc/convert.h"

#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "grpc/slice.h"
#include "grpc/support/time.h"
#include "grpcpp/support/slice.h"
#include "nearcall/delivery.h"
#include "nearcall/status_details.h"
#include "runtime/wire/frame.h"

namespace nearcall::grpc_transport {
namespace {

absl::string_view View(grpc::string_ref text) { return absl::string_view(text.data(), text.size()); }

bool IsApplications(absl::string_view key) {
  return !absl::StartsWith(key, "grpc-") && !absl::StartsWith(key, ":") && key != "user-agent" && key != "content-type";
}

}  // namespace

grpc::ByteBuffer ToGrpc(const internal::OutMessage& message, size_t size) {
  grpc_slice raw = grpc_slice_malloc(size);
  message.SerializeTo(GRPC_SLICE_START_PTR(raw));
  const grpc::Slice slice(raw, grpc::Slice::STEAL_REF);
  return grpc::ByteBuffer(&slice, 1);
}

bool FromGrpc(const grpc::ByteBuffer& bytes, internal::InMessage message) {
  grpc::Slice slice;
  if (bytes.TrySingleSlice(&slice).ok() || bytes.DumpToSingleSlice(&slice).ok()) {
    return message.Parse(slice.begin(), slice.size());
  }
  return false;
}

gpr_timespec ToGrpc(int64_t deadline) {
  if (deadline == kNever) return gpr_inf_future(GPR_CLOCK_MONOTONIC);
  return gpr_timespec{deadline / 1'000'000'000, static_cast<int32_t>(deadline % 1'000'000'000), GPR_CLOCK_MONOTONIC};
}

int64_t FromGrpc(gpr_timespec deadline) {
  if (gpr_time_cmp(deadline, gpr_inf_future(deadline.clock_type)) == 0) return kNever;
  const gpr_timespec left = gpr_time_sub(deadline, gpr_now(deadline.clock_type));
  constexpr int64_t kAbsurdSeconds = int64_t{100} * 365 * 24 * 3600;
  if (left.tv_sec >= kAbsurdSeconds) return kNever;
  return MonotonicNanos() + left.tv_sec * 1'000'000'000 + left.tv_nsec;
}

grpc::Status ToGrpc(const absl::Status& status, bool keep_delivery) {
  if (status.ok()) return grpc::Status();
  absl::Status kept = status;
  // What a handler learned of a call of its own says nothing about this one.
  if (!keep_delivery) kept.ErasePayload(kDeliveryTypeUrl);
  bool has_payloads = false;
  kept.ForEachPayload([&](absl::string_view, const absl::Cord&) { has_payloads = true; });
  std::string message(status.message());
  if (message.size() > kMaxHeadSize) message = absl::StrCat(message.substr(0, kMaxHeadSize - 256), " (cut to fit)");
  std::string details = has_payloads ? EncodeRpcStatus(kept) : std::string();
  if (details.size() + message.size() > kMaxHeadSize) {
    if (!details.empty()) absl::StrAppend(&message, " (details were dropped, to fit)");
    details.clear();
  }
  return grpc::Status(static_cast<grpc::StatusCode>(status.code()), message, details);
}

absl::Status FromGrpc(const grpc::Status& status) {
  if (status.ok()) return absl::OkStatus();
  const int code = status.error_code();
  absl::Status result(code >= 1 && code <= 16 ? static_cast<absl::StatusCode>(code) : absl::StatusCode::kUnknown,
                      status.error_message());
  absl::Status detailed;
  if (!status.error_details().empty() && DecodeRpcStatus(status.error_details(), &detailed).ok()) {
    detailed.ForEachPayload(
        [&result](absl::string_view type_url, const absl::Cord& payload) { result.SetPayload(type_url, payload); });
  }
  return result;
}

void FromGrpc(const GrpcMetadata& from, Metadata* to) {
  for (const auto& [key, value] : from) {
    if (IsApplications(View(key))) to->Add(View(key), View(value));
  }
}

absl::Status NoAttachments() {
  return absl::UnimplementedError("a call over grpc: carries no attachments: put the bytes into a message");
}

absl::Status TooLargeToSend(size_t size, int limit) {
  return absl::ResourceExhaustedError(absl::StrCat("a message of ", size, " bytes is over the send limit of ", limit));
}

}  // namespace nearcall::grpc_transport
