// Clients that never get beyond the handshake, or send descriptors where none belong.

#include <fcntl.h>
#include <linux/memfd.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "tests/hostile/script.h"

#ifndef F_SEAL_FUTURE_WRITE
#define F_SEAL_FUTURE_WRITE 0x0010
#endif

namespace nearcall::testing {
namespace {

constexpr int kRequiredSeals = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE;
constexpr off_t kSegmentSize = 4096 + 65536;

Fd Memfd(off_t size, int seals) {
  Fd fd(memfd_create("hostile", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  EXPECT_EQ(ftruncate(fd.get(), size), 0);
  EXPECT_EQ(fcntl(fd.get(), F_ADD_SEALS, seals), 0);
  return fd;
}

Fd WritingEnd(Fd* reading_end) {
  int ends[2];
  EXPECT_EQ(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
  reading_end->reset(ends[0]);
  return Fd(ends[1]);
}

std::vector<int> Many(int fd, int count) { return std::vector<int>(static_cast<size_t>(count), fd); }

// The code of the server's answer to a HELLO for the ring with these descriptors; -1: it hung up.
int CodeFor(const std::string& address, const std::vector<int>& fds) {
  RawSocket socket = RawSocket::ConnectTo(address);
  socket.SendWithFds(HelloFor(protocol::RING), fds);
  std::vector<Fd> received;
  protocol::Welcome welcome;
  if (!ReceiveHandshake(socket.fd(), FrameKind::kWelcome, &received, &welcome)) return -1;
  return static_cast<int>(welcome.code());
}

constexpr int kInvalid = static_cast<int>(absl::StatusCode::kInvalidArgument);

void EverySetOfSeals(const std::string& address) {
  Fd reading_end;
  const Fd bell = WritingEnd(&reading_end);
  const int seals[] = {F_SEAL_SEAL, F_SEAL_SHRINK, F_SEAL_GROW, F_SEAL_FUTURE_WRITE, F_SEAL_WRITE};
  int accepted = 0;
  for (int bits = 0; bits < 32; ++bits) {
    int set = 0;
    for (int i = 0; i < 5; ++i) set |= (bits >> i & 1) != 0 ? seals[i] : 0;
    const Fd memory = Memfd(kSegmentSize, set);
    const int code = CodeFor(address, {memory.get(), bell.get()});
    const bool all = (set & kRequiredSeals) == kRequiredSeals;
    EXPECT_EQ(code, all ? 0 : kInvalid) << "seals " << set;
    accepted += code == 0 ? 1 : 0;
  }
  EXPECT_EQ(accepted, 2) << "all that are required, and F_SEAL_WRITE does no harm";
}

void EverySize(const std::string& address) {
  Fd reading_end;
  const Fd bell = WritingEnd(&reading_end);
  for (const off_t size : {off_t{0}, off_t{1}, off_t{4095}, off_t{4096}, kSegmentSize - 1, kSegmentSize + 1,
                           off_t{4096 + 8192}, off_t{4096} + (off_t{128} << 20), off_t{1} << 40, off_t{1} << 62}) {
    const Fd memory = Memfd(size, kRequiredSeals);
    EXPECT_EQ(CodeFor(address, {memory.get(), bell.get()}), kInvalid) << size << " bytes";
  }
}

void EveryKindOfMemory(const std::string& address) {
  Fd reading_end;
  const Fd bell = WritingEnd(&reading_end);
  const Fd file(open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
  if (file.valid()) {
    EXPECT_EQ(ftruncate(file.get(), kSegmentSize), 0);
  }
  const Fd directory(open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  const Fd zero(open("/dev/zero", O_RDWR | O_CLOEXEC));
  const Fd event(eventfd(0, EFD_CLOEXEC));
  const Fd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const Fd unsealable(memfd_create("hostile", MFD_CLOEXEC));
  EXPECT_EQ(ftruncate(unsealable.get(), kSegmentSize), 0);
  for (const Fd* fd :
       {&bell, const_cast<const Fd*>(&reading_end), &file, &directory, &zero, &event, &socket, &unsealable}) {
    if (!fd->valid()) continue;
    EXPECT_EQ(CodeFor(address, {fd->get(), bell.get()}), kInvalid) << "descriptor " << fd->get();
  }
}

void EveryKindOfDoorbell(const std::string& address) {
  const Fd memory = Memfd(kSegmentSize, kRequiredSeals);
  const Fd file(open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
  const Fd directory(open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  const Fd zero(open("/dev/zero", O_RDWR | O_CLOEXEC));
  const Fd event(eventfd(0, EFD_CLOEXEC));
  const Fd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  for (const Fd* fd : {&memory, &file, &directory, &zero, &event, &socket}) {
    if (!fd->valid()) continue;
    EXPECT_EQ(CodeFor(address, {memory.get(), fd->get()}), kInvalid) << "descriptor " << fd->get();
  }
}

void TooFewAndTooMany(const std::string& address) {
  Fd reading_end;
  const Fd bell = WritingEnd(&reading_end);
  const Fd memory = Memfd(kSegmentSize, kRequiredSeals);
  EXPECT_EQ(CodeFor(address, {memory.get()}), kInvalid);
  EXPECT_EQ(CodeFor(address, {memory.get(), bell.get(), bell.get()}), kInvalid);
  EXPECT_EQ(CodeFor(address, {memory.get(), bell.get(), bell.get(), bell.get()}), kInvalid);
  for (const int count : {5, 6, 100, 253}) {
    EXPECT_EQ(CodeFor(address, Many(memory.get(), count)), -1) << count << " descriptors";
  }
}

// Four with each byte of the HELLO: fewer than too many at a time, and too many together.
void OneByteAtATime(const std::string& address) {
  const Fd null(open("/dev/null", O_RDONLY | O_CLOEXEC));
  RawSocket socket = RawSocket::ConnectTo(address);
  for (const char byte : HelloFor(protocol::SOCKET)) socket.SendWithFds(std::string(1, byte), Many(null.get(), 4));
  socket.AwaitEnd();
}

// The process has room for two more descriptors: of the four that are sent some arrive (MSG_CTRUNC), and are closed.
void AtTheLimit(const std::string& address) {
  const Fd null(open("/dev/null", O_RDONLY | O_CLOEXEC));
  RawSocket socket = RawSocket::ConnectTo(address);
  const std::string hello = HelloFor(protocol::RING);
  socket.Send(hello.substr(0, 8));
  // A second connection that was welcomed behind it: the first has been accepted by then.
  ASSERT_NE(ConnectPeer("unix:" + address.substr(address.find(':') + 1)), nullptr);
  rlimit before;
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
  rlimit low = before;
  // The limit is on numbers: all below the one that is given next are taken.
  const int next = fcntl(0, F_DUPFD_CLOEXEC, 0);
  close(next);
  low.rlim_cur = static_cast<rlim_t>(next + 2);
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &low), 0);
  socket.SendWithFds(hello.substr(8), Many(null.get(), 4));
  EXPECT_FALSE(socket.ReceiveFrame(FrameKind::kWelcome)) << "not even a refusal";
  EXPECT_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
}

}  // namespace

std::vector<ClientScript> HandshakeScripts() {
  constexpr auto Nothing = ClientScript::Nothing;
  const auto patience = [](ServerOptions* options) { options->handshake_timeout = absl::Milliseconds(100); };
  return {
      {"SaysNothing", kSockets, Nothing(), nullptr,
       [](const std::string& address) { RawSocket::ConnectTo(address).AwaitEnd(); }, patience},
      // However often a byte comes: the time counts from the beginning.
      {"DribblesItsHello", kSockets, Nothing(), nullptr,
       [](const std::string& address) {
         RawSocket socket = RawSocket::ConnectTo(address);
         const std::string hello = HelloFor(protocol::SOCKET);
         for (size_t i = 0; i + 1 < hello.size(); ++i) {
           usleep(10'000);  // how a dribbler is, not how a test waits
           socket.Send(hello.substr(i, 1));
         }
         socket.AwaitEnd();
       },
       patience},
      // With more than there may be the oldest goes, and goes at once.
      {"ComesInCrowds", kSockets, Nothing(), nullptr,
       [](const std::string& address) {
         std::vector<RawSocket> crowd;
         for (int i = 0; i < 200; ++i) {
           crowd.push_back(RawSocket::ConnectTo(address));
           crowd.back().Send(HelloFor(protocol::SOCKET).substr(0, 10));
         }
         for (int i = 0; i < 200 - 64; ++i) crowd[static_cast<size_t>(i)].AwaitEnd();
       }},
      {"HelloOf4GiB", kSockets, Nothing(), nullptr,
       [](const std::string& address) {
         RawSocket socket = RawSocket::ConnectTo(address);
         socket.Send(FrameOf(FrameKind::kHello, {.extra = kMagic, .size = 0xffffffff}));
         socket.AwaitEnd();
       }},
      {"HelloFromAnyBytes", kSockets, Nothing(), nullptr,
       [](const std::string& address) {
         protocol::Hello hello;
         hello.set_min_version(kProtocolVersion);
         hello.set_max_version(kProtocolVersion);
         hello.add_carriers(protocol::SOCKET);
         hello.set_agent("\xff\xfe");
         RawSocket socket = RawSocket::ConnectTo(address);
         socket.Send(FrameOf(FrameKind::kHello, {.extra = kMagic}, hello.SerializeAsString()));
         EXPECT_TRUE(socket.ReceiveFrame(FrameKind::kWelcome));
       }},
      {"HelloNestedTooDeep", kSockets, Nothing(), nullptr,
       [](const std::string& address) {
         RawSocket socket = RawSocket::ConnectTo(address);
         socket.Send(FrameOf(FrameKind::kHello, {.extra = kMagic}, Nested(1000)));
         socket.AwaitEnd();
       }},
  };
}

std::vector<ClientScript> DescriptorScripts() {
  constexpr auto Nothing = ClientScript::Nothing;
  return {
      {"EverySetOfSeals", kRing, Nothing(), nullptr, EverySetOfSeals},
      {"MemoryOfEverySize", kRing, Nothing(), nullptr, EverySize},
      {"EveryKindOfMemory", kRing, Nothing(), nullptr, EveryKindOfMemory},
      {"EveryKindOfDoorbell", kRing, Nothing(), nullptr, EveryKindOfDoorbell},
      {"TooFewDescriptorsAndTooMany", kRing, Nothing(), nullptr, TooFewAndTooMany},
      {"DescriptorsWithEachByte", kUnixOrRing, Nothing(), nullptr, OneByteAtATime},
      {"DescriptorsAtTheLimit", kUnix, Nothing(), nullptr, AtTheLimit, nullptr, /*takes_from_process=*/true},
      // For a carrier that needs none: not a reason to refuse, but closed.
      {"DescriptorsThatNobodyNeeds", kUnix, Nothing(), nullptr,
       [](const std::string& address) {
         const Fd null(open("/dev/null", O_RDONLY | O_CLOEXEC));
         RawSocket socket = RawSocket::ConnectTo(address);
         socket.SendWithFds(HelloFor(protocol::SOCKET), Many(null.get(), 4));
         EXPECT_TRUE(socket.ReceiveFrame(FrameKind::kWelcome));
         socket.Send(Request("Echo", ""));
         EXPECT_TRUE(socket.ReceiveFrame(FrameKind::kResponse));
       }},
      {"DescriptorsThatNoFrameAsksFor", kUnix, ClientScript::HungUp(),
       [](Peer* peer) {
         const Fd null(open("/dev/null", O_RDONLY | O_CLOEXEC));
         peer->AskToPassFds();
         for (uint32_t i = 1; i <= 20; ++i) {
           peer->SendWithFds(Request("Echo", "", CallId(0, i)), Many(null.get(), 253));
         }
       }},
      // The kernel closes them: nobody has asked whether they may come.
      {"DescriptorsThatNobodyExpects", kUnix, ClientScript::Served(),
       [](Peer* peer) {
         const Fd null(open("/dev/null", O_RDONLY | O_CLOEXEC));
         for (uint32_t i = 1; i <= 20; ++i) {
           peer->SendWithFds(Request("Echo", "", CallId(0, i)), Many(null.get(), 253));
           EXPECT_EQ(peer->AwaitResponse(CallId(0, i)), 0);
         }
       }},
      // They wait in the kernel, at their sender's expense, for frames that ask for them.
      {"DescriptorsOnTheSocketOfARing", kRing, ClientScript::Served(),
       [](Peer* peer) {
         const Fd null(open("/dev/null", O_RDONLY | O_CLOEXEC));
         for (int i = 0; i < 10; ++i) peer->socket()->SendWithFds("x", Many(null.get(), 20));
         peer->socket()->Send(std::string(1000, 'x'));
       }},
  };
}

}  // namespace nearcall::testing
