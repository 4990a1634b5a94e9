#include "tests/fuzz/sessions.h"

#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "nearcall/nearcall.h"
#include "protos/testing/test_service.nearcall.h"
#include "tests/fuzz/fuzz.h"
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

// What the peer does, on either side.
void Play(Peer* peer, const std::vector<std::string>& frames) {
  const bool is_stream = dynamic_cast<SocketPeer*>(peer) != nullptr;
  for (const std::string& frame : frames) {
    // What lies in a ring is a frame at least by its size; what it says of that is another matter.
    if (is_stream || (frame.size() >= kHeaderSize && frame.size() < 30'000)) peer->Send(frame);
  }
  peer->socket()->DoneSending();
  peer->AwaitEnd();
}

// Never destroyed: threads of its own run as long as the program.
class FuzzServer {
 public:
  explicit FuzzServer(const std::string& scheme) {
    ServerOptions options;
    options.spin = Spin::kNever;
    options.max_receive_message_bytes = 100'000;
    options.max_concurrent_calls_per_connection = 16;
    options.max_buffered_bytes_per_connection = 1 << 20;
    ServerBuilder builder;
    builder.SetOptions(options).RegisterService(&service_).AddListeningPort(AddressFor(scheme, "server"));
    absl::StatusOr<std::unique_ptr<Server>> server = builder.BuildAndStart();
    FUZZ_CHECK(server.ok());
    server_ = *std::move(server);
  }
  const std::string& address() const { return server_->addresses().front(); }

 private:
  TestServiceImpl service_;
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
            if (peer != nullptr) Play(peer.get(), frames);
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

void Call(TestService::Stub* stub) {
  Payload request, response;
  request.set_data("fuzz");
  {
    ClientContext context;
    Limit(&context);
    stub->Echo(&context, request, &response).IgnoreError();
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
  Play(peer.get(), FramesOf(data, size));
}

void PlayToClient(const std::string& scheme, const uint8_t* data, size_t size) {
  static auto* const listener = new FuzzListener(scheme);
  listener->Set(FramesOf(data, size));
  ChannelOptions options;
  options.spin = Spin::kNever;
  options.max_receive_message_bytes = 100'000;
  options.max_buffered_bytes = 1 << 20;
  options.initial_backoff = absl::Microseconds(1);
  options.max_backoff = absl::Microseconds(1);
  const auto stub = TestService::NewStub(CreateChannel(listener->address(), options));
  Call(stub.get());
}

}  // namespace nearcall::testing
