// Peers that abuse attachments: bytes, buffers and file descriptors beside the messages of a call.

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cstring>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "runtime/base/fd.h"
#include "runtime/base/shared_memory.h"
#include "tests/hostile/script.h"

namespace nearcall::testing {
namespace {

using absl::StatusCode;
using frame_flags::kDescriptor;

constexpr auto kBytes = static_cast<uint16_t>(AttachmentType::kBytes);
constexpr auto kBuffer = static_cast<uint16_t>(AttachmentType::kBuffer);
constexpr auto kFd = static_cast<uint16_t>(AttachmentType::kFd);

std::string Attachment(uint16_t type, const std::string& payload, uint32_t extra = 0, uint8_t flags = 0,
                       uint32_t call = kCall) {
  return FrameOf(FrameKind::kAttachment, {.flags = flags, .detail = type, .call = call, .extra = extra}, payload);
}
std::string Part(const std::string& bytes, uint32_t to_come, uint32_t call = kCall) {
  return Attachment(kBytes, bytes, to_come, 0, call);
}
std::string SizeOf(uint64_t size) { return std::string(reinterpret_cast<const char*>(&size), sizeof size); }
std::string BufferFrame(uint64_t size, uint32_t buffer, uint8_t flags, uint32_t call = kCall) {
  return Attachment(kBuffer, SizeOf(size), buffer, flags, call);
}
std::string Notice(FrameKind kind, uint32_t buffer) { return FrameOf(kind, {.extra = buffer}); }

Fd Memory(size_t size, unsigned seals, unsigned flags = MFD_ALLOW_SEALING) {
  Fd fd(memfd_create("hostile", MFD_CLOEXEC | flags));
  EXPECT_EQ(ftruncate(fd.get(), static_cast<off_t>(size)), 0);
  if (seals != 0) {
    EXPECT_EQ(fcntl(fd.get(), F_ADD_SEALS, seals), 0);
  }
  return fd;
}

// Everything that a client might pass for a buffer and that is none.
std::vector<Fd> NoBuffers() {
  constexpr unsigned kAll = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL | 0x10;  // F_SEAL_FUTURE_WRITE
  std::vector<Fd> fds;
  for (const unsigned without : {F_SEAL_SHRINK, F_SEAL_GROW, F_SEAL_SEAL, 0x10}) {
    fds.push_back(Memory(8192, 0));
    EXPECT_EQ(fallocate(fds.back().get(), 0, 0, 8192), 0);
    EXPECT_EQ(fcntl(fds.back().get(), F_ADD_SEALS, kAll & ~without), 0);
  }
  fds.push_back(Memory(8192, 0));
  fds.push_back(Memory(8192, kAll));  // without memory: a hole in which every touch may fail
  fds.push_back(Memory(0, kAll));
  fds.push_back(Memory(5000, kAll));  // no whole pages
  int ends[2];
  EXPECT_EQ(pipe2(ends, O_CLOEXEC), 0);
  fds.emplace_back(ends[0]);
  fds.emplace_back(ends[1]);
  for (const char* path : {"/dev/null", "/", "/dev/zero"}) fds.emplace_back(open(path, O_RDONLY | O_CLOEXEC));
  return fds;
}

void EveryKindOfBuffer(const std::string& address) {
  for (const Fd& fd : NoBuffers()) {
    const std::unique_ptr<Peer> peer = ConnectPeer(address);
    ASSERT_NE(peer, nullptr);
    peer->AskToPassFds();
    peer->SendWithFds(BufferFrame(1, 0, kDescriptor), {fd.get()});
    peer->AwaitEnd();
  }
}

std::string AttachRequestFor(uint32_t call = kCall) { return Request("Attach", "", call); }

// The process can open nothing more while the descriptors come: the call fails, and the next one has them.
void NoDescriptorLeft(Peer* peer, int fd) {
  for (const int type : {int{kBuffer}, int{kFd}}) {
    const uint32_t fails = CallId(0, static_cast<uint32_t>(2 * type + 1)),
                   works = CallId(0, static_cast<uint32_t>(2 * type + 2));
    const auto send = [&](uint32_t call) {
      peer->SendWithFds(
          type == kBuffer ? BufferFrame(100, 3, kDescriptor, call) : Attachment(kFd, "", 0, kDescriptor, call), {fd});
      peer->Send(AttachRequestFor(call));
    };
    rlimit before;
    ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
    rlimit low = before;
    const int next = fcntl(0, F_DUPFD_CLOEXEC, 0);  // the limit is on numbers: all below this one are taken
    close(next);
    low.rlim_cur = static_cast<rlim_t>(next);
    ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &low), 0);
    send(fails);
    EXPECT_EQ(peer->AwaitResponse(fails), static_cast<int>(StatusCode::kResourceExhausted));
    EXPECT_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
    send(works);
    EXPECT_EQ(peer->AwaitResponse(works), 0);
  }
}

std::shared_ptr<SharedMemory> GoodMemory() { return *SharedMemory::Create(8192); }

}  // namespace

std::vector<ClientScript> AttachmentScripts() {
  constexpr auto HungUp = ClientScript::HungUp;
  constexpr auto Served = ClientScript::Served;
  constexpr auto Answered = ClientScript::Answered;
  const auto say = [](std::string name, unsigned over, ClientScript::Outcome outcome, std::vector<std::string> frames) {
    return ClientScript{std::move(name), over, outcome, [frames = std::move(frames)](Peer* peer) {
                          for (const std::string& frame : frames) peer->Send(frame);
                        }};
  };
  const auto with_fd = [](std::string name, ClientScript::Outcome outcome, std::function<void(Peer*, int fd)> play) {
    return ClientScript{std::move(name), kUnixOrRing, outcome, [play = std::move(play)](Peer* peer) {
                          const std::shared_ptr<SharedMemory> memory = GoodMemory();
                          peer->AskToPassFds();
                          play(peer, memory->fd());
                        }};
  };
  std::vector<ClientScript> scripts = {
      say("AnAttachmentOfUnknownType", kAll, HungUp(), {Attachment(3, "a")}),
      say("AnAttachmentOfNoCall", kAll, HungUp(), {Attachment(kBytes, "a", 0, 0, 0)}),
      say("AnAttachmentBeyondTheSlots", kAll, HungUp(), {Part("a", 0, CallId(60'000))}),
      say("AnAttachmentInAnOpenSlot", kAll, HungUp(), {OpenRequest("Chat"), Part("a", 0)}),
      say("AttachmentsThatDoNotFit", kAll, HungUp(), {Part("a", 10), Part("b", 10)}),
      say("AnEmptyPartOfAnAttachment", kAll, HungUp(), {Part("", 5)}),
      say("AnAttachmentOfFourGiB", kAll, HungUp(), {Part("a", 0xffffffff)}),
      say("AnotherTypeInTheMiddle", kAll, HungUp(), {Part("a", 10), BufferFrame(1, 0, 0)}),
      say("ARequestInTheMiddle", kAll, HungUp(), {Part("a", 10), AttachRequestFor()}),
      say("TooManyAttachments", kAll, HungUp(), std::vector<std::string>(65, Part("", 0))),
      say("ABufferThatWasNeverSent", kAll, HungUp(), {BufferFrame(1, 0, 0)}),
      say("ABufferWithoutItsSize", kAll, HungUp(), {Attachment(kBuffer, "1234567", 0, 0)}),
      say("ADescriptorThatDidNotCome", kAll, HungUp(), {BufferFrame(1, 0, kDescriptor)}),
      say("AnFdThatDidNotCome", kAll, HungUp(), {Attachment(kFd, "", 0, kDescriptor)}),
      say("AnFdWithoutItsFlag", kAll, HungUp(), {Attachment(kFd, "")}),
      say("AReleaseOfNothing", kAll, HungUp(), {Notice(FrameKind::kRelease, 0)}),
      say("AReleaseFarAway", kAll, HungUp(), {Notice(FrameKind::kRelease, 0xffffffff)}),
      say("AForgetOfNothing", kAll, HungUp(), {Notice(FrameKind::kForget, 0)}),
      say("AForgetFarAway", kAll, HungUp(), {Notice(FrameKind::kForget, 0xffffffff)}),
      say("AnAnswerAboutFdsThatNobodyAskedFor", kAll, HungUp(), {Passing(FdPassing::kExpected)}),
      say("AskedTwiceWhetherFdsMayCome", kUnix, HungUp(), {Passing(FdPassing::kWanted), Passing(FdPassing::kWanted)}),
      say("AskedWhetherFdsMayComeWhereNoneDo", kTcp | kRing, HungUp(), {Passing(FdPassing::kWanted)}),
      // For calls that never come: they are the caller's to cancel.
      {"AttachmentsAndCancels", kAll, Served(),
       [](Peer* peer) {
         for (uint32_t i = 1; i <= 3000; ++i) {
           peer->Send(Part(std::string(1000, 'a'), 1000, CallId(0, i)));
           peer->Send(FrameOf(FrameKind::kCancel, {.call = CallId(0, i)}));
         }
       }},
      {"AttachmentsWithoutCalls", kAll, HungUp(),
       [](Peer* peer) {
         for (uint32_t i = 1; i <= 3000; ++i) peer->Send(Part("a", 0, CallId(0, i)));
       }},
      {"AttachmentsBeyondTheQuota", kAll, Answered(StatusCode::kResourceExhausted),
       [](Peer* peer) {
         for (uint32_t left = 300'000; left != 0; left -= 30'000)
           peer->Send(Part(std::string(30'000, 'a'), left - 30'000));
         peer->Send(AttachRequestFor());
       },
       nullptr, [](ServerOptions* options) { options->max_buffered_bytes_per_connection = 100'000; }},
      {"EveryKindOfBuffer", kUnixOrRing, ClientScript::Nothing(), nullptr, EveryKindOfBuffer},
      with_fd("ABufferSmallerThanItSays", HungUp(),
              [](Peer* peer, int fd) { peer->SendWithFds(BufferFrame(8193, 0, kDescriptor), {fd}); }),
      with_fd("ABufferNumberTooLarge", HungUp(),
              [](Peer* peer, int fd) { peer->SendWithFds(BufferFrame(1, kMaxBuffers, kDescriptor), {fd}); }),
      with_fd("AForgetOfABufferInUse", HungUp(),
              [](Peer* peer, int fd) {
                peer->SendWithFds(BufferFrame(1, 0, kDescriptor), {fd});
                peer->Send(Notice(FrameKind::kForget, 0));
              }),
      // It costs a descriptor while it is looked at, and a mapping once.
      with_fd("OneBufferAThousandTimes", Served(),
              [](Peer* peer, int fd) {
                for (uint32_t i = 1; i <= 1000; ++i) {
                  peer->SendWithFds(BufferFrame(100, 7, kDescriptor, CallId(0, i)), {fd});
                  peer->Send(AttachRequestFor(CallId(0, i)));
                  EXPECT_EQ(peer->AwaitResponse(CallId(0, i)), 0);
                }
              }),
      with_fd("BuffersBeyondTheLimit", Answered(StatusCode::kResourceExhausted),
              [](Peer* peer, int fd) {
                for (uint32_t i = 0; i < 5; ++i) peer->SendWithFds(BufferFrame(100, i, kDescriptor), {fd});
                peer->Send(AttachRequestFor());
              }),
      with_fd("FdsBeyondTheLimit", Answered(StatusCode::kResourceExhausted),
              [](Peer* peer, int fd) {
                for (uint32_t i = 0; i < 20; ++i) peer->SendWithFds(Attachment(kFd, "", 0, kDescriptor), {fd});
                peer->Send(AttachRequestFor());
              }),
      with_fd("NoDescriptorLeft", Served(), NoDescriptorLeft),
      // The handler's thread waits until the call is cancelled; others are served meanwhile.
      {"NeverSaysThatItExpectsTheAnswersFd", kUnix, Served(),
       [](Peer* peer) {
         AttachRequest request;
         request.add_sizes(8192);
         peer->Send(Request("Attach", request.SerializeAsString()));
         EXPECT_TRUE(peer->socket()->ReceiveFrame(FrameKind::kFdPassing));
         peer->Send(FrameOf(FrameKind::kCancel, {.call = kCall}));
       }},
      {"AnFdThatNobodyExpects", kUnix, HungUp(),
       [](Peer* peer) {
         const std::shared_ptr<SharedMemory> memory = GoodMemory();
         peer->SendWithFds(Attachment(kFd, "", 0, kDescriptor), {memory->fd()});
       }},
      with_fd("AnFdWithAPayload", HungUp(),
              [](Peer* peer, int fd) { peer->SendWithFds(Attachment(kFd, "a", 0, kDescriptor), {fd}); }),
      with_fd("BytesWithADescriptor", HungUp(),
              [](Peer* peer, int fd) { peer->SendWithFds(Attachment(kBytes, "a", 0, kDescriptor), {fd}); }),
      // One descriptor is wanted; the kernel closes the others.
      with_fd("AFloodWithEachFd", Served(),
              [](Peer* peer, int fd) {
                for (uint32_t i = 1; i <= 100; ++i) {
                  peer->SendWithFds(Attachment(kFd, "", 0, kDescriptor, CallId(0, i)), std::vector<int>(253, fd));
                  peer->Send(AttachRequestFor(CallId(0, i)));
                  EXPECT_EQ(peer->AwaitResponse(CallId(0, i)), 0);
                }
              }),
  };
  for (ClientScript& script : scripts) {
    if (script.name == "BuffersBeyondTheLimit") {
      script.with = [](ServerOptions* options) { options->max_mapped_bytes_per_connection = 4 * 8192; };
    }
    if (script.name == "FdsBeyondTheLimit") {
      script.with = [](ServerOptions* options) { options->max_attached_fds_per_connection = 8; };
    }
    if (script.name == "NoDescriptorLeft") script.takes_from_process = true;
  }
  return scripts;
}

std::vector<ServerScript> AttachmentServerScripts() {
  const std::vector<StatusCode> broken = {StatusCode::kInternal};
  const auto say = [](std::string name, std::vector<StatusCode> outcomes,
                      std::function<std::vector<std::string>(uint32_t call)> frames) {
    return ServerScript{std::move(name), kAll, std::move(outcomes),
                        [frames = std::move(frames)](Peer* peer, uint32_t call) {
                          for (const std::string& frame : frames(call)) peer->Send(frame);
                          peer->AwaitEnd();
                        }};
  };
  return {
      say("AnAttachmentOfUnknownType", broken,
          [](uint32_t call) { return std::vector<std::string>{Attachment(3, "a", 0, 0, call)}; }),
      say("AnAnswerInTheMiddle", broken,
          [](uint32_t call) {
            return std::vector<std::string>{Part("a", 10, call), Response(0, "", "", call)};
          }),
      say("AttachmentsThatNobodyAskedFor", {StatusCode::kOk},
          [](uint32_t call) {
            return std::vector<std::string>{Part("a", 0, call), Part("b", 0, CallId(5, 9)), Response(0, "", "", call)};
          }),
      say("ABufferThatWasNeverSent", broken,
          [](uint32_t call) { return std::vector<std::string>{BufferFrame(1, 0, 0, call)}; }),
      say("ADescriptorThatDidNotCome", broken,
          [](uint32_t call) { return std::vector<std::string>{BufferFrame(1, 0, kDescriptor, call)}; }),
      say("AReleaseOfNothing", broken,
          [](uint32_t) { return std::vector<std::string>{Notice(FrameKind::kRelease, 3)}; }),
      say("AForgetOfNothing", broken, [](uint32_t) { return std::vector<std::string>{Notice(FrameKind::kForget, 3)}; }),
      say("AnAnswerAboutFdsThatNobodyAskedFor", broken,
          [](uint32_t) { return std::vector<std::string>{Passing(FdPassing::kExpected)}; }),
      say("AskedTwiceWhetherFdsMayCome", broken,
          [](uint32_t) {
            return std::vector<std::string>{Passing(FdPassing::kWanted), Passing(FdPassing::kWanted)};
          }),
      say("TooManyAttachments", broken, [](uint32_t call) { return std::vector<std::string>(65, Part("", 0, call)); }),
      {"AnUnsealedBuffer", kUnixOrRing, broken,
       [](Peer* peer, uint32_t call) {
         const Fd memory = Memory(8192, 0);
         peer->AskToPassFds();
         peer->SendWithFds(BufferFrame(1, 0, kDescriptor, call), {memory.get()});
         peer->AwaitEnd();
       }},
      {"AttachmentsBeyondTheQuota",
       kAll,
       {StatusCode::kResourceExhausted},
       [](Peer* peer, uint32_t call) {
         for (uint32_t left = 300'000; left != 0; left -= 30'000) {
           peer->Send(Part(std::string(30'000, 'a'), left - 30'000, call));
         }
         peer->Send(Response(0, "", "", call));
         peer->AwaitEnd();
       },
       nullptr,
       ServerScript::kUnary,
       [](ChannelOptions* options) { options->max_buffered_bytes = 100'000; }},
  };
}

}  // namespace nearcall::testing
