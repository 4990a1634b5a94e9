#!/usr/bin/env bash
# Nothing in the framework waits by the wall clock, which may jump: neither abseil's timed waits do for it, nor the
# standard library's, nor sleeping. (gRPC's own transport has gRPC's clocks.) Finds the source tree behind the runfiles.
set -u
root=$(dirname "$(readlink -f "$0")")/../..
pattern='(Await|Wait|LockWhen|ReaderLockWhen)With(Timeout|Deadline)|wait_for\(|wait_until\(|SleepFor|sleep_for|sleep_until|CLOCK_REALTIME|gettimeofday|system_clock'
waits() { grep -rnE --include=*.h --include=*.cc "$pattern" "$1" | grep -v '/transports/grpc/' | grep -vE ':\s*//'; }

# That it would be found.
mkdir "$TEST_TMPDIR/bad" && echo 'mu_.AwaitWithTimeout(condition, patience);' >"$TEST_TMPDIR/bad/bad.cc"
waits "$TEST_TMPDIR/bad" >/dev/null || { echo "FAILED: the check finds nothing"; exit 1; }
if found=$(waits "$root/runtime"); then
  echo "FAILED: waits by the wall clock; see Waiters in runtime/base/parker.h"
  echo "$found"
  exit 1
fi
