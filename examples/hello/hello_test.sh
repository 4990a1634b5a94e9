#!/usr/bin/env bash
# Runs the examples as a user would. Usage: hello_test.sh, in the workspace's root or its runfiles.
set -euo pipefail
cd examples/hello

die() { echo "FAILED: $*" >&2; exit 1; }

# --- hello: one line for each transport, and nothing left behind -------------------------------------------------------
output=$(./hello)
echo "$output"
for line in 'local:.* shm ' 'shm:.* shm ' 'unix:.* unix ' 'tcp:127.0.0.1:[1-9].* tcp ' 'inproc:.* inproc '; do
  grep -qE "^$line.*Hello, world! +[0-9.]+ us$" <<<"$output" || die "no line like $line"
done
directory=$(sed -nE 's|^unix:([^ ]*)/hello .*|\1|p' <<<"$output")
[[ -n $directory && ! -e $directory ]] || die "$directory is still there"

# --- server and client by themselves ----------------------------------------------------------------------------------
directory=$(mktemp -d /tmp/nearcall-hello-test-XXXXXX)
server=
trap '[[ -z $server ]] || kill -KILL $server 2>/dev/null; rm -rf "$directory"' EXIT
coproc SERVER { exec ./server --listen="local:$directory/x,tcp:127.0.0.1:0"; }
server=$SERVER_PID
read -r line <&"${SERVER[0]}"
[[ $line == "listening on local:$directory/x" ]] || die "the server says: $line"
read -r line <&"${SERVER[0]}"
tcp=${line#listening on }
[[ $(./client --address="local:$directory/x" --name=you) == "Hello, you! (shm:$directory/x)" ]] || die "local:"
[[ $(./client --address="$tcp" --name=you) == "Hello, you! ($tcp)" ]] || die "$tcp"
[[ $(./client --address="unix:$directory/x" --name=you) == "Hello, you! (unix:$directory/x)" ]] || die "unix:"
./client --address="local:$directory/x" --calls=100 | grep -q 'median round trip of 100 calls' || die "--calls"
if ./client --address="local:$directory/x" --name= 2>"$directory/error"; then die "an empty name is an error"; fi
grep -q 'INVALID_ARGUMENT: whom shall I greet' "$directory/error" || die "the status does not reach the client"

kill -TERM $server
wait $server || die "the server ended with $?"
server=
[[ ! -e $directory/x && ! -e $directory/x.lock ]] || die "the socket is still there"
if ./client --address="local:$directory/x" 2>"$directory/error"; then die "nobody listens"; fi
grep -q '^UNAVAILABLE' "$directory/error" || die "no UNAVAILABLE"
echo PASSED
