#ifndef NEARCALL_RUNTIME_WIRE_WIRE_H_
#define NEARCALL_RUNTIME_WIRE_WIRE_H_

#include <concepts>
#include <cstddef>
#include <cstdint>

#include "absl/status/status.h"
#include "nearcall/internal/attachments.h"
#include "runtime/base/fd.h"
#include "runtime/wire/frame.h"

namespace nearcall {

// How a Wire looks for the next frame.
enum class Received : uint8_t {
  kFrame,    // there is one
  kNothing,  // not now
  kClosed,   // there will never be another one: status() says why
};

// A file descriptor that a sleeping poller watches for one Wire.
struct WatchedFd {
  int fd = -1;
  // Report each event once instead of for as long as it lasts. For descriptors that nobody reads, such as doorbells.
  bool edge_triggered = false;
};

// What has come of a descriptor that a frame was to bring.
struct ReceivedFd {
  Fd fd;
  // There was one, and this process could not open it: it has too many.
  bool lost = false;
};

// A Wire carries frames, whole and in order, between two processes (or threads) that have shaken hands already. It is
// all that a mechanism has to bring: calls, streams, deadlines, threads and limits are the engine's, which is compiled
// once for each Wire (`Session<Wire>`), so that no call through a pointer stands between it and the bytes.
//
// Threads: the sending functions are called under the session's send lock; the receiving and sleeping ones by the one
// thread that polls at that time. The two groups run at the same time as each other. The destructor runs when nobody
// uses the Wire any more.
//
// Sending.
//   max_frame_size() The largest frame that Claim takes now; any thread. It only grows.
//   Reserve(size)    Sees to it that frames may be `size` bytes large, or as large as the mechanism and the memory
//                    allow; what max_frame_size() is then.
//   Claim(size)  Room for one frame of `size` bytes, header included, contiguous, 8-byte aligned, at most
//                max_frame_size(); nullptr when there is no room now. Claiming twice without Commit in between gives
//                the same room.
//   Commit(size) Hands the claimed frame over (`size` as claimed). The receiver may see it from now on. The first
//                four bytes, the frame's size, are Commit's to write; all others were written before.
//   Flush()      Makes sure that the receiver will see what was committed even if it sleeps. True when nothing is
//                left to flush; false when Flush must be called again once the poller finds the Wire writable. To be
//                called after the last Commit of a batch; never blocks.
//   WantRoom(b)  After Claim gave nullptr: asks (b = true) that sleepers wake when there is room, until taken back.
//                Called under the send lock; after WantRoom(true) the caller must Claim once more before it sleeps.
//
// Descriptors, which travel with a kAttachment frame that has the flag kDescriptor.
//   passes_fds()     Whether this Wire can do that; constant. The other functions are for those that can.
//   ReadyForFd()     Whether one may go with the next frame. False: not now, as when Claim gives nullptr; Flush helps.
//   AttachFd(fd)     `fd` goes with the frame that is committed next, which ReadyForFd has allowed. The Wire keeps
//                    it open until it is gone.
//   TakeFd()         The descriptor that came with the frame that Receive gave. See ReceivedFd.
//   OnFdPassing(p)   A kFdPassing frame has come. kWanted: of what comes after the answer, which is the caller's to
//                    send, none is lost. kExpected: ReadyForFd may say so from now on. False: a violation, as where
//                    it was not asked for. Of the receiving group.
//
// Receiving. Nothing of what the peer sent may be trusted; the Wire checks sizes against its own memory and closes
// itself on a violation, and hands every header through ValidateHeader.
//   Receive(&frame)  The next frame. Its payload is valid until Release.
//   Release()        Done with the frame: to be called once for each.
//   kDearLook        Whether it costs time, after a frame, to look for one that has not come yet: a cache line that the
//                    peer writes. For whoever has what it waits for.
//   trusted()        Whether payloads may be parsed where they lie: the peer cannot change them, or is the same user.
//
// Sleeping.
//   PrepareSleep()   Announces that the poller is about to sleep. False when there is something to receive
//                    already: then it must not sleep. After true, a frame, room that was wanted, or the peer's
//                    death makes one of watched_fds() ready.
//   FinishSleep(r)   Takes the announcement back; called after each PrepareSleep, whatever it returned. Bit i of
//                    `r` says that watched descriptor i is ready; a Wire that is awake may be told so, too.
//   watched_fds(out) Fills up to kMaxWatchedFds descriptors, returns how many; constant through the Wire's life.
//   wants_write()    Whether the descriptors must be watched for writability too (Flush has left something).
//
// Ending.
//   Shutdown()       Any thread, any time: nothing is sent any more, and Receive gives kClosed soon, on both sides.
//   status()         Why Receive gave kClosed: UNAVAILABLE when the peer is gone, anything else for a violation. Poller
//                    only.
//   PeerHasRead(p)   After the Wire is closed: whether the peer may have read the frame that ended at send position `p`
//                    (sent_bytes() right after its Commit). A Wire that cannot know says true.
//   kTellsWhatWasRead  Whether it can know.
template <class W>
concept Wire = requires(W wire, const W const_wire, size_t size, bool flag, uint32_t mask, Frame* frame, WatchedFd* fds,
                        uint64_t position, const internal::SharedFd& fd, FdPassing passing) {
  { const_wire.max_frame_size() } -> std::same_as<uint32_t>;
  { wire.Reserve(size) } -> std::same_as<uint32_t>;
  { wire.Claim(size) } -> std::same_as<uint8_t*>;
  { wire.Commit(size) } -> std::same_as<void>;
  { wire.Flush() } -> std::same_as<bool>;
  { wire.WantRoom(flag) } -> std::same_as<void>;
  { const_wire.sent_bytes() } -> std::same_as<uint64_t>;

  { const_wire.passes_fds() } -> std::same_as<bool>;
  { wire.ReadyForFd() } -> std::same_as<bool>;
  { wire.AttachFd(fd) } -> std::same_as<void>;
  { wire.TakeFd() } -> std::same_as<ReceivedFd>;
  { wire.OnFdPassing(passing) } -> std::same_as<bool>;

  { wire.Receive(frame) } -> std::same_as<Received>;
  { wire.Release() } -> std::same_as<void>;
  { const_wire.trusted() } -> std::same_as<bool>;

  { wire.PrepareSleep() } -> std::same_as<bool>;
  { wire.FinishSleep(mask) } -> std::same_as<void>;
  { const_wire.watched_fds(fds) } -> std::same_as<int>;
  { const_wire.wants_write() } -> std::same_as<bool>;

  { wire.Shutdown() } -> std::same_as<void>;
  { const_wire.status() } -> std::same_as<absl::Status>;
  { const_wire.PeerHasRead(position) } -> std::same_as<bool>;
  { W::kTellsWhatWasRead } -> std::convertible_to<bool>;
  { W::kDearLook } -> std::convertible_to<bool>;
};

inline constexpr int kMaxWatchedFds = 2;

}  // namespace nearcall

#endif  // NEARCALL_RUNTIME_WIRE_WIRE_H_
