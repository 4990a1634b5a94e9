#!/bin/bash
# No symbol of ours has the name of one of gRPC's for the same service. A linker would say nothing: it takes either of
# two inline functions, vtables or type infos.
#
# Usage: symbols_test.sh SERVICE -- OUR_ARCHIVES -- GRPC_ARCHIVES
set -euo pipefail

service="$1"
shift 2
ours=()
while [[ "$1" != -- ]]; do
  ours+=("$1")
  shift
done
shift
grpcs=("$@")

# Symbols that other objects see, mangled; archive member titles and blank lines left out.
symbols() {
  nm --defined-only --extern-only "$@" | awk 'NF == 3 { print $3 }' | sort -u
}

# What both define for the service. (Both also define, alike, what they inline of the messages and of libraries.)
collisions() {
  comm -12 "$1" "$2" | c++filt | grep -w "$service" || true
}

symbols "${ours[@]}" > "$TEST_TMPDIR/ours"
symbols "${grpcs[@]}" > "$TEST_TMPDIR/grpc"

# That the comparison can fail: each side collides with itself, in the vtable and in functions.
for side in ours grpc; do
  for kind in "vtable for .*$service::Service" "$service::Stub::Stub"; do
    if ! collisions "$TEST_TMPDIR/$side" "$TEST_TMPDIR/$side" | grep -q "$kind"; then
      echo "FAILED: $side has no symbol $kind; the comparison would not see a collision"
      exit 1
    fi
  done
done

found="$(collisions "$TEST_TMPDIR/ours" "$TEST_TMPDIR/grpc")"
if [[ -n "$found" ]]; then
  echo "FAILED: both define"
  echo "$found"
  exit 1
fi
outside="$(c++filt < "$TEST_TMPDIR/ours" | grep -w "$service" | grep -v nearcall_stubs || true)"
if [[ -n "$outside" ]]; then
  echo "FAILED: outside nearcall_stubs"
  echo "$outside"
  exit 1
fi
echo "$(wc -l < "$TEST_TMPDIR/ours") symbols of ours, $(wc -l < "$TEST_TMPDIR/grpc") of gRPC's, no collision"
