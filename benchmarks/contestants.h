#ifndef NEARCALL_BENCHMARKS_CONTESTANTS_H_
#define NEARCALL_BENCHMARKS_CONTESTANTS_H_

#include <memory>

#include "benchmarks/contestant.h"

namespace nearcall::benchmarks {

// Contestants: shm, unix, tcp, inproc, shm-buffer, unix-buffer. inproc's server is in the client's process.
std::unique_ptr<RpcServer> NewNearcallServer(const Setup& setup);
std::unique_ptr<RpcClient> NewNearcallClient(const Setup& setup);

// Contestants: grpc-unix, grpc-tcp.
std::unique_ptr<RpcServer> NewGrpcServer(const Setup& setup);
std::unique_ptr<RpcClient> NewGrpcClient(const Setup& setup);

// Contestants: shm-adapter.
std::unique_ptr<RpcServer> NewAdapterServer(const Setup& setup);
std::unique_ptr<RpcClient> NewAdapterClient(const Setup& setup);

// Contestants: cache-line, raw-message, eventfd, eventfd-epoll, memcpy, raw-unix, raw-tcp, raw-unix-spin, raw-tcp-spin.
// Null for any other. Both processes inherit what the descriptors of floors/floors.h say.
std::unique_ptr<Floor> NewFloor(const Setup& setup, bool server);

}  // namespace nearcall::benchmarks

#endif  // NEARCALL_BENCHMARKS_CONTESTANTS_H_
