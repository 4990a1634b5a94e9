#!/usr/bin/env bash
# Runs what belongs to PROTOCOL.md against examples/hello's server; in the workspace's root or its runfiles.
set -euo pipefail

directory=$(mktemp -d /tmp/nearcall-protocol-XXXXXX)
server=
trap '[[ -z $server ]] || kill -KILL $server 2>/dev/null; rm -rf "$directory"' EXIT

coproc SERVER { exec examples/hello/server --listen="unix:$directory/sock"; }
server=$SERVER_PID
read -r line <&"${SERVER[0]}"
echo "$line"

# The page leaves nothing out and adds nothing: the block after the marker is the example's whole output.
python3 -B docs/protocol_example.py "$directory/sock" >"$directory/output"
sed -n '/^<!-- output of protocol_example.py -->$/,/^```$/p' docs/PROTOCOL.md | sed '1,2d;$d' >"$directory/page"
diff -u "$directory/page" "$directory/output"

python3 -B docs/protocol_rules.py "$directory/sock"

kill -TERM $server
wait $server
server=
