#!/usr/bin/env bash
# Runs the benchmark for a moment, and checks what it writes.
set -eu
here=$(dirname "$0")
measure() {
  "$here/compare" --rounds=1 --round_ms=5 --json="$TEST_TMPDIR/rows.json" --plot="$TEST_TMPDIR/plot.svg" --case="$1"
  python3 "$here/compare_test.py" "$TEST_TMPDIR/rows.json" "$TEST_TMPDIR/plot.svg" "$2"
}
# Short, because addresses of Unix sockets are.
export TMPDIR=/tmp
measure unary/64 14
measure stream/64 6
