#ifndef NEARCALL_INTERNAL_CO_CLIENT_STREAM_H_
#define NEARCALL_INTERNAL_CO_CLIENT_STREAM_H_

#include <memory>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "nearcall/client_context.h"
#include "nearcall/internal/cancellable.h"
#include "nearcall/internal/client_reactor_driver.h"
#include "nearcall/internal/message.h"
#include "nearcall/internal/mutex.h"

namespace nearcall {
namespace internal {

// A coroutine that waits for an operation. Lies in its frame; without the words of C++20, for what is compiled in C++17.
struct CoWaiter {
  void (*resume)(void* frame) = nullptr;
  void* frame = nullptr;
  bool ok = false;  // what became of the operation

  // The frame, and this in it, may be gone afterwards.
  void Resume(bool result) {
    ok = result;
    resume(frame);
  }
};

// What a CoClientReader, CoClientWriter or CoClientReaderWriter stands for: the reactor of its call. The stream and the
// call own it together, so that the call can end after the stream. For the same reason the call uses nothing of what its
// caller gave it: it has a context of its own, its one request is serialised when it begins, and its one response is
// parsed when it is over, by then only if the stream is still there.
//
// Threads: one coroutine may read while another writes; Finish comes last. Reactions as for every reactor.
class CoClientStream final : public ClientReactor,
                             private Cancellable,
                             public std::enable_shared_from_this<CoClientStream> {
 public:
  // `reads`: whether the stream has messages to read; otherwise the one response is all that comes.
  explicit CoClientStream(bool reads) : reads_(reads) {}

  // Begins the call that the driver was bound to.
  void Begin();

  // The operations. True: `waiter` is resumed in a reaction, if it was not already. False: it need not wait, and
  // waiter->ok is the result.
  bool Read(InMessage message, CoWaiter* waiter);
  bool Write(OutMessage message, WriteOptions options, CoWaiter* waiter);
  bool WritesDone(CoWaiter* waiter);
  // Reads what is left, too, and drops it; status() is the call's end then.
  bool Finish(CoWaiter* waiter);
  const absl::Status& status() const { return status_; }

  // By the stream, last of all: cancels the call, if it is not over, and leaves it alone. Who still waits is resumed.
  void Drop();

 private:
  enum class Stage : uint8_t { kBound, kOpen, kFinishing, kDropped, kOver };

  void OnReadInitialMetadataDone(bool ok) override;
  void OnReadDone(bool ok) override;
  void OnWriteDone(bool ok) override;
  void OnWritesDoneDone(bool ok) override;
  void OnDone(const absl::Status& status) override;
  void OnCancel() override { context_.TryCancel(); }  // of the caller's context

  // Whether the call takes operations; `*slot` is then the waiter's.
  bool Enter(CoWaiter** slot, CoWaiter* waiter);
  void Answer(CoWaiter** slot, bool ok);
  // The caller's context and response are not used from here on.
  void LeaveCaller() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  const bool reads_;
  ClientContext context_;
  std::string request_;   // serialised
  std::string response_;  // to be parsed; or what nobody wants to read any more
  absl::Status status_;   // set before Stage::kOver
  std::shared_ptr<CoClientStream> self_;  // from Begin to OnDone

  Mutex mu_;
  Stage stage_ ABSL_GUARDED_BY(mu_) = Stage::kBound;
  bool read_to_end_ ABSL_GUARDED_BY(mu_) = false;
  ClientReactorDriver::Callers callers_ ABSL_GUARDED_BY(mu_);
  CoWaiter* reading_ ABSL_GUARDED_BY(mu_) = nullptr;
  CoWaiter* writing_ ABSL_GUARDED_BY(mu_) = nullptr;
  CoWaiter* finishing_ ABSL_GUARDED_BY(mu_) = nullptr;
};

}  // namespace internal
}  // namespace nearcall

#endif  // NEARCALL_INTERNAL_CO_CLIENT_STREAM_H_
