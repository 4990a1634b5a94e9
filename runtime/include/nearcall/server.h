#ifndef NEARCALL_SERVER_H_
#define NEARCALL_SERVER_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "nearcall/generic.h"
#include "nearcall/health.h"
#include "nearcall/internal/server_call.h"
#include "nearcall/internal/server_extension.h"
#include "nearcall/internal/transport_options.h"
#include "nearcall/peer.h"
#include "nearcall/service.h"
#include "nearcall/spin.h"

namespace nearcall {

class Metrics;
class ServerInterceptor;

struct ServerOptions {
  // The largest request that a call accepts, in bytes; RESOURCE_EXHAUSTED for that call beyond it. -1: no limit.
  int max_receive_message_bytes = 4 << 20;
  // The largest response that a call sends, in bytes. -1: no limit but the caller's.
  int max_send_message_bytes = -1;
  // Bytes of messages that a caller may have under way to one stream whose handler does not read. At least 1.
  int stream_window_bytes = 64 << 10;
  // Whether a `tcp:` address may be other than loopback. Nothing is encrypted or authenticated: for trusted networks
  // only.
  bool allow_remote = false;
  // Whether `local:` and `shm:` listeners grant the shared-memory ring; without it `local:` stays on the socket and a
  // caller that insists on `shm:` is refused.
  bool allow_shared_memory = true;
  // Whether processes of other users may connect over Unix sockets and shared memory. Root always may.
  bool allow_other_users = false;
  // Connections that may be open at once; whoever comes next is refused with RESOURCE_EXHAUSTED. -1: no limit.
  int max_connections = -1;
  // Of one user, where the kernel says who that is (Unix sockets, shared memory). 0: 256 where allow_other_users is
  // set, otherwise no limit. -1: no limit.
  int max_connections_per_user = 0;
  // Connections that have not said yet what they want, for each listening socket: with more, the oldest is closed. At
  // least 1. And how long each may take.
  int max_handshakes = 64;
  absl::Duration handshake_timeout = absl::Seconds(5);
  // Asked before a connection is accepted, after allow_other_users; a status other than OK refuses it, and every call
  // of that client fails with it. Runs on the thread that polls: must not block. (Who may call which method is a
  // ServerInterceptor's to say.)
  std::function<absl::Status(const Peer&)> authorize_connection;
  // Calls that the server may serve at once, over all connections; RESOURCE_EXHAUSTED for the next. -1: no limit.
  int max_concurrent_calls = -1;
  // Of one user; 0: 8192 where allow_other_users is set, otherwise no limit. -1: no limit.
  int max_concurrent_calls_per_user = 0;
  // Bytes of messages that have come and that no handler has taken yet: of one connection, of one user, in all.
  // RESOURCE_EXHAUSTED for the call whose message would go beyond. -1: no limit. They bound what a message may have
  // that does not come in one piece (from 32 KiB on), whatever max_receive_message_bytes says.
  int64_t max_buffered_bytes_per_connection = 256 << 20;
  int64_t max_buffered_bytes_per_user = 512 << 20;
  int64_t max_buffered_bytes = 1 << 30;
  // Bytes of a connection's buffers (nearcall/buffer.h) that we map; RESOURCE_EXHAUSTED for the call whose attachment
  // would go beyond. -1: no limit. Attachments that are copied count for max_buffered_bytes instead.
  int64_t max_mapped_bytes_per_connection = 1 << 30;
  // File descriptors that have come with calls and that no handler has taken: of one connection, of one user, in all.
  // RESOURCE_EXHAUSTED for the call whose descriptor would go beyond. -1: no limit.
  int max_attached_fds_per_connection = 64;
  int max_attached_fds_per_user = 256;
  int max_attached_fds = 512;
  // Bytes of our answers out of turn (to pings, to calls that were refused, credit) that wait for a client who does not
  // read; with more, its connection is closed.
  int max_backlog_bytes = 1 << 20;
  // Threads that may run handlers at once; further calls wait for one. -1: no limit. Streams of handlers that block
  // hold one each; a callback service (server_reactor.h) does with few.
  int max_handler_threads = -1;
  // Calls that one connection may have open at once; RESOURCE_EXHAUSTED for the next.
  int max_concurrent_calls_per_connection = 1024;
  // How idle server threads wait for the next request.
  Spin spin = Spin::kAdaptive;
  // What only one transport understands; its own header sets it (nearcall/grpc.h).
  std::shared_ptr<const internal::TransportOptions> transport;
};

// A running server.
//
// Threads: thread-safe. Lifetime: the destructor shuts it down and waits for its handlers.
class Server {
 public:
  virtual ~Server() = default;

  // The addresses that it listens on, ports filled in, in the order in which they were added.
  virtual const std::vector<std::string>& addresses() const = 0;

  // Blocks until the server has shut down (someone else calls Shutdown).
  virtual void Wait() = 0;
  // Stops listening, lets the calls in progress finish, and blocks until they have: new calls fail with UNAVAILABLE.
  // With a deadline, calls that still run then are cancelled; their handlers are waited for.
  virtual void Shutdown() = 0;
  virtual void Shutdown(absl::Time deadline) = 0;
  // Shuts down when this process receives one of `signals`: calls in progress have `grace`, then they are cancelled; a
  // second signal cancels them at once. As long as the server lives the signals do nothing else. The program's own
  // thread goes on in Wait. INVALID_ARGUMENT for a signal that cannot be caught. To be called once.
  virtual absl::Status ShutdownOnSignals(const std::vector<int>& signals,
                                         absl::Duration grace = absl::InfiniteDuration()) = 0;

  // What the server says of its health; nullptr unless EnableHealthCheckService() was called. The server owns it.
  virtual HealthCheckService* GetHealthCheckService() { return nullptr; }
};

// Collects what a server is made of. Shape and names are gRPC's.
//
// Threads: thread-compatible.
class ServerBuilder {
 public:
  ServerBuilder();
  ~ServerBuilder();
  ServerBuilder(const ServerBuilder&) = delete;
  ServerBuilder& operator=(const ServerBuilder&) = delete;

  // Listens on `address` (see the address table in the README); may be called many times. `selected_port`, where given,
  // is set by BuildAndStart to the port that a `tcp:` address got (0 for other schemes).
  ServerBuilder& AddListeningPort(const std::string& address, int* selected_port = nullptr);
  // Serves `service`, which the caller owns and which must outlive the server.
  ServerBuilder& RegisterService(Service* service);
  // Serves the methods that no registered service has; the last one registered does. The caller owns it, and it must
  // outlive the server.
  ServerBuilder& RegisterGenericService(GenericService* service);
  ServerBuilder& RegisterCallbackGenericService(CallbackGenericService* service);
  ServerBuilder& SetOptions(const ServerOptions& options);
  ServerBuilder& SetMaxReceiveMessageSize(int bytes);
  // Has `interceptor` look on at every call (nearcall/interceptor.h), after those that were added before.
  ServerBuilder& AddInterceptor(std::shared_ptr<ServerInterceptor> interceptor);

  // Services of the framework's own, which come with //runtime:nearcall.
  //
  // Health, as gRPC's probers ask for it (nearcall/health.h).
  ServerBuilder& EnableHealthCheckService();
  // Reflection, gRPC's: tells clients what is served, and describes every message that is linked into this program.
  ServerBuilder& EnableReflection();
  // Counts every call into `metrics` (nearcall/metrics.h), or into one of the server's own, and serves the figures
  // (nearcall/admin.proto) to whoever may call this server.
  ServerBuilder& EnableMetrics(std::shared_ptr<Metrics> metrics = nullptr);

  // For services of the framework's own.
  ServerBuilder& AddExtension(std::unique_ptr<internal::ServerExtension> extension);

  // Starts the server, or says what stands in the way: a malformed address (INVALID_ARGUMENT), one that a live server
  // holds (ALREADY_EXISTS), one service twice (ALREADY_EXISTS), no right to the path (PERMISSION_DENIED).
  // To be called once.
  absl::StatusOr<std::unique_ptr<Server>> BuildAndStart();

 private:
  struct Port {
    std::string address;
    int* selected_port;
  };
  std::vector<Port> ports_;
  std::vector<Service*> services_;
  std::vector<std::shared_ptr<ServerInterceptor>> interceptors_;
  std::vector<std::unique_ptr<internal::ServerExtension>> extensions_;
  HealthCheckService* health_ = nullptr;  // one of extensions_
  bool reflection_ = false;
  bool metrics_ = false;
  std::unique_ptr<internal::MethodHandler> generic_;
  ServerOptions options_;
};

}  // namespace nearcall

#endif  // NEARCALL_SERVER_H_
