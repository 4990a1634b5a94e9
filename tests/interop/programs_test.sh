#!/usr/bin/env bash
# Server and client as programs: every case passes, and a case that fails shows.
# Usage: programs_test.sh, in the workspace's root or its runfiles.
set -euo pipefail
cd tests/interop

die() { echo "FAILED: $*" >&2; exit 1; }

directory=$(mktemp -d /tmp/nearcall-interop-test-XXXXXX)
server=
trap '[[ -z $server ]] || kill -KILL $server 2>/dev/null; rm -rf "$directory"' EXIT
coproc SERVER { exec ./server --listen="local:$directory/x,tcp:127.0.0.1:0"; }
server=$SERVER_PID
read -r line <&"${SERVER[0]}"
[[ $line == "listening on local:$directory/x" ]] || die "the server says: $line"
read -r line <&"${SERVER[0]}"
tcp=${line#listening on }

# The full numbers are interop_test's.
few="--concurrent_calls=20 --rpc_soak_calls=20 --channel_soak_channels=20"
cases=$(./client --case=list)
[[ $(wc -l <<<"$cases") -ge 20 ]] || die "only these cases: $cases"
for address in "local:$directory/x" "$tcp"; do
  output=$(./client --address="$address" $few) || die "$output"
  [[ $output == "$(sed 's/$/: passed/' <<<"$cases")" ]] || die "$address: $output"
done
[[ $(./client --address="$tcp" --case=ping_pong) == "ping_pong: passed" ]] || die "--case=ping_pong"

code=0
./client --address="$tcp" --case=no_such_case 2>/dev/null || code=$?
[[ $code == 2 ]] || die "a case that does not exist: exit code $code"

kill -TERM $server
wait $server || die "the server ended with $?"
server=
code=0
output=$(./client --address="$tcp" --case=empty_unary) || code=$?
[[ $code == 1 ]] || die "without a server: exit code $code"
[[ $output == "empty_unary: INTERNAL: EmptyCall: expected OK, got UNAVAILABLE: "* ]] || die "without a server: $output"
echo PASSED
