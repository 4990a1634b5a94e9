#include "tests/fuzz/sessions.h"

#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <initializer_list>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "nearcall/nearcall.h"
#include "protos/testing/test_service.nearcall.h"
#include "runtime/base/shared_memory.h"
#include "tests/fuzz/fuzz.h"
#include "tests/hostile/frames.h"
#include "tests/hostile/peer.h"
#include "tests/testing/test_service.h"

namespace nearcall::testing {
namespace {

// A directory of this process alone: two in sandboxes of their own may have the same number.
class Directory {
 public:
  Directory() {
    if (mkdtemp(path_) == nullptr) abort();
  }
  ~Directory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  const char* path() const { return path_; }

 private:
  char path_[32] = "/tmp/nearcall-fuzz.XXXXXX";
};

std::string AddressFor(const std::string& scheme, const std::string& side) {
  static Directory directory;
  return absl::StrCat(scheme, ":", directory.path(), "/", side, ".sock");
}

// --- The peer ---

constexpr size_t kBufferSize = 8192;
constexpr uint32_t kSlots = 16;

bool IsOneOf(const std::string& frame, std::initializer_list<FrameKind> kinds) {
  if (frame.size() < kHeaderSize) return false;
  const auto kind = static_cast<FrameKind>(LoadHeader(frame.data()).kind);
  return std::find(kinds.begin(), kinds.end(), kind) != kinds.end();
}

bool HasOneOf(const std::vector<std::string>& frames, std::initializer_list<FrameKind> kinds) {
  return std::any_of(frames.begin(), frames.end(), [&](const std::string& frame) { return IsOneOf(frame, kinds); });
}

std::vector<int> DescriptorsFor(const std::string& frame) {
  static auto* const buffer = new std::shared_ptr<SharedMemory>(*SharedMemory::Create(kBufferSize));
  static const int unsealed = [] {
    Fd fd = MakeMemfd();
    FUZZ_CHECK(ftruncate(fd.get(), kBufferSize) == 0);
    return fd.release();
  }();
  if (!IsOneOf(frame, {FrameKind::kAttachment})) return {};
  const FrameHeader header = LoadHeader(frame.data());
  if ((header.flags & frame_flags::kDescriptor) == 0 || header.extra % 256 >= 192) return {};
  return {header.extra % 256 < 128 ? (*buffer)->fd() : unsealed};
}

// What it does, on either side.
void Play(Peer* peer, const std::vector<std::string>& frames) {
  const bool is_stream = dynamic_cast<SocketPeer*>(peer) != nullptr;
  const auto brings_fds = [](const std::string& frame) { return !DescriptorsFor(frame).empty(); };
  if (std::any_of(frames.begin(), frames.end(), brings_fds)) peer->AskToPassFds();
  for (const std::string& frame : frames) {
    // What lies in a ring is a frame at least by its size; what it says of that is another matter.
    if (!is_stream && (frame.size() < kHeaderSize || frame.size() >= 30'000)) continue;
    const std::vector<int> fds = DescriptorsFor(frame);
    if (fds.empty()) {
      peer->Send(frame);
    } else {
      peer->SendWithFds(frame, fds);
    }
  }
  peer->socket()->DoneSending();
  peer->AwaitEnd();
}

// Has the server lend its buffer 0.
void Borrow(Peer* peer) {
  constexpr uint32_t call = CallId(kSlots - 1);
  AttachRequest request;
  request.add_sizes(kBufferSize);
  peer->Send(Request("Attach", request.SerializeAsString(), call));
  FUZZ_CHECK(peer->AwaitResponse(call) == 0);
}

void AwaitRequest(Peer* peer) {
  FrameHeader header{};
  std::string payload;
  while (peer->Receive(&header, &payload) && header.kind != static_cast<uint8_t>(FrameKind::kRequest)) {
  }
}

// --- The other side ---

// Gives what is asked for as far as a machine has it.
class FuzzService final : public TestServiceImpl {
 public:
  absl::Status Produce(ServerContext* context, const Payload* request, Payload* response) override {
    if (request->number() > kMost) return TooMuch();
    return TestServiceImpl::Produce(context, request, response);
  }
  absl::Status Down(ServerContext* context, const DownRequest* request, ServerWriter<Payload>* writer) override {
    if (request->size() > kMost) return TooMuch();
    return TestServiceImpl::Down(context, request, writer);
  }
  absl::Status Attach(ServerContext* context, const AttachRequest* request, AttachReply* response) override {
    int64_t left = kMost;
    for (const int64_t size : request->sizes()) left -= std::clamp<int64_t>(size, 0, kMost);
    if (left < 0 || request->files() > 100) return TooMuch();
    return TestServiceImpl::Attach(context, request, response);
  }

 private:
  static constexpr int64_t kMost = 1 << 20;
  static absl::Status TooMuch() { return absl::ResourceExhaustedError("more than a fuzzed server gives"); }
};

// Never destroyed: threads of its own run as long as the program.
class FuzzServer {
 public:
  explicit FuzzServer(const std::string& scheme) {
    ServerOptions options;
    options.spin = Spin::kNever;
    options.max_receive_message_bytes = 100'000;
    options.max_concurrent_calls_per_connection = kSlots;
    options.max_buffered_bytes_per_connection = 1 << 20;
    options.max_mapped_bytes_per_connection = 4 * kBufferSize;
    options.max_attached_fds_per_connection = 8;
    ServerBuilder builder;
    builder.SetOptions(options).RegisterService(&service_).AddListeningPort(AddressFor(scheme, "server"));
    absl::StatusOr<std::unique_ptr<Server>> server = builder.BuildAndStart();
    FUZZ_CHECK(server.ok());
    server_ = *std::move(server);
  }
  const std::string& address() const { return server_->addresses().front(); }

 private:
  FuzzService service_;
  std::unique_ptr<Server> server_;
};

// Listens, and plays the input of the moment to everyone who comes.
class FuzzListener {
 public:
  explicit FuzzListener(const std::string& scheme)
      : listener_(RawSocket::ListenAt(AddressFor(scheme, "client"))), thread_([this] {
          for (;;) {
            const std::unique_ptr<Peer> peer = WelcomePeer(listener_.Accept());
            std::vector<std::string> frames;
            {
              absl::MutexLock lock(&mu_);
              frames = frames_;
            }
            if (peer == nullptr) continue;
            if (HasOneOf(frames, {FrameKind::kAttachment, FrameKind::kRelease, FrameKind::kForget})) {
              AwaitRequest(peer.get());
            }
            Play(peer.get(), frames);
          }
        }) {
    thread_.detach();
  }
  void Set(std::vector<std::string> frames) {
    absl::MutexLock lock(&mu_);
    frames_ = std::move(frames);
  }
  const std::string& address() const { return listener_.address(); }

 private:
  RawSocket listener_;
  absl::Mutex mu_;
  std::vector<std::string> frames_ ABSL_GUARDED_BY(mu_);
  std::thread thread_;
};

void Limit(ClientContext* context) { context->set_timeout(absl::Seconds(10)); }

// Touches all that has come.
void LookAtAttachments(ClientContext* context) {
  for (const Buffer& buffer : context->attachments()) {
    volatile uint64_t sum = 0;
    for (const char byte : buffer.view()) sum = sum + static_cast<uint8_t>(byte);
  }
  for (size_t i = 0; i < context->attached_fd_count(); ++i) FUZZ_CHECK(Fd(context->TakeAttachedFd(i)).valid());
}

void Call(Channel* channel, TestService::Stub* stub) {
  Payload request, response;
  request.set_data("fuzz");
  {
    ClientContext context;
    Limit(&context);
    absl::StatusOr<Buffer> buffer = channel->AllocateBuffer(kBufferSize);
    FUZZ_CHECK(buffer.ok());
    context.Attach(*std::move(buffer));
    stub->Echo(&context, request, &response).IgnoreError();
    LookAtAttachments(&context);
  }
  {
    ClientContext context;
    Limit(&context);
    const auto stream = stub->Chat(&context);
    stream->Write(request);
    for (int i = 0; i < 100 && stream->Read(&response); ++i) {
    }
    stream->WritesDone();
    while (stream->Read(&response)) {
    }
    stream->Finish().IgnoreError();
  }
}

}  // namespace

void PlayToServer(const std::string& scheme, const uint8_t* data, size_t size) {
  static auto* const server = new FuzzServer(scheme);
  const std::unique_ptr<Peer> peer = ConnectPeer(server->address());
  FUZZ_CHECK(peer != nullptr);
  const std::vector<std::string> frames = FramesOf(data, size);
  if (HasOneOf(frames, {FrameKind::kRelease})) Borrow(peer.get());
  Play(peer.get(), frames);
}

void PlayToClient(const std::string& scheme, const uint8_t* data, size_t size) {
  static auto* const listener = new FuzzListener(scheme);
  listener->Set(FramesOf(data, size));
  ChannelOptions options;
  options.spin = Spin::kNever;
  options.max_receive_message_bytes = 100'000;
  options.max_buffered_bytes = 1 << 20;
  options.max_mapped_bytes = 4 * kBufferSize;
  options.initial_backoff = absl::Microseconds(1);
  options.max_backoff = absl::Microseconds(1);
  const std::shared_ptr<Channel> channel = CreateChannel(listener->address(), options);
  const auto stub = TestService::NewStub(channel);
  Call(channel.get(), stub.get());
}

}  // namespace nearcall::testing
