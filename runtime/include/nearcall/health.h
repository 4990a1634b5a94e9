#ifndef NEARCALL_HEALTH_H_
#define NEARCALL_HEALTH_H_

#include <string>

namespace nearcall {

// What a server says of its health to those who ask it by gRPC's health protocol (grpc/health/v1/health.proto): whether
// each of its services, and the server as a whole (the name ""), is serving. Shape and names are gRPC's.
//
// ServerBuilder::EnableHealthCheckService() switches it on and Server::GetHealthCheckService() leads to it. Whatever is
// registered starts as serving, "" too. When the server begins to shut down, everything is not serving, and the calls
// that watch are told and ended.
//
// Threads: thread-safe. Lifetime: the server's.
class HealthCheckService {
 public:
  virtual ~HealthCheckService() = default;

  // Says it of one service. A name that is not known is from now on.
  virtual void SetServingStatus(const std::string& service_name, bool serving) = 0;
  // Says it of every name that is known, "" too.
  virtual void SetServingStatus(bool serving) = 0;
  // Nothing is serving any more, for good: what is said later does not count.
  virtual void Shutdown() = 0;
};

}  // namespace nearcall

#endif  // NEARCALL_HEALTH_H_
