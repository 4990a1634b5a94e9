#!/usr/bin/env bash
# gRPC's code over nearcall: the program that is changed by a line, and the service that is served both ways.
# Usage: adapter_test.sh, in the workspace's root or its runfiles.
set -euo pipefail
cd examples/grpc

die() { echo "FAILED: $*" >&2; exit 1; }

# What changed in the program, beside its comment: an include, and the line that makes the stub.
changes=$(diff grpc_client.cc grpc_client_over_nearcall.cc | grep '^>' | grep -v '^> //' || true)
[[ $(wc -l <<<"$changes") == 2 ]] || die "more than that has changed: $changes"
grep -q 'GreeterClient greeter(helloworld::nearcall_grpc::Greeter::NewStub(nearcall::CreateChannel(target)));' \
  <<<"$changes" || die "$changes"

directory=$(mktemp -d /tmp/nearcall-adapter-test-XXXXXX)
server=
trap '[[ -z $server ]] || kill -KILL $server 2>/dev/null; rm -rf "$directory"' EXIT
coproc SERVER { exec ./grpc_service 127.0.0.1:0 "local:$directory/x"; }
server=$SERVER_PID
read -r line <&"${SERVER[0]}"
port=$(sed -nE "s|^gRPC's port is ([1-9][0-9]*), nearcall listens on local:$directory/x\$|\1|p" <<<"$line")
[[ -n $port ]] || die "the service says: $line"

[[ $(./grpc_client "127.0.0.1:$port" you) == "gRPC greets you" ]] || die "over gRPC"
for address in "shm:$directory/x" "unix:$directory/x" "local:$directory/x"; do
  [[ $(./grpc_client_over_nearcall "$address" you) == "gRPC greets you" ]] || die "over $address"
done
if ./grpc_client_over_nearcall "shm:$directory/x" '' 2>"$directory/error"; then die "an empty name is an error"; fi
grep -q '^3: whom shall I greet?$' "$directory/error" || die "$(cat "$directory/error")"

kill -TERM $server
wait $server || die "the service ended with $?"
server=
if ./grpc_client_over_nearcall "shm:$directory/x" you 2>"$directory/error"; then die "nobody listens"; fi
grep -q '^14: ' "$directory/error" || die "$(cat "$directory/error")"
echo PASSED
