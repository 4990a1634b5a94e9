#!/usr/bin/env bash
# A step (runtime/base/step.h) costs nothing: code with steps has the same instructions as without, at most in another
# order, and what the steps leave behind is never loaded, and gone from a stripped program.
# Usage: steps_test.sh LIBRARY_WITH_STEPS LIBRARY_WITHOUT PROGRAM
set -euo pipefail
with=$1 without=$2 program=$3

# Mnemonics and operands, without addresses and where jumps go.
instructions() {
  objdump -d --no-show-raw-insn "$1" | sed -nE 's/^ *[0-9a-f]+:\t//p' |
    sed -E 's/^(j[a-z]+|call) .*/\1/; s/ *[0-9a-f]+ <.*//; s/ *#.*//; s/0x[0-9a-f]+\(%rip\)/(%rip)/' | grep -v '^nop\|^cs nop\|^data16\|^xchg' | sort
}
fail() { echo "FAILED: $*"; exit 1; }

# That the comparison has something to compare.
readelf -SW "$with" | grep -q '\.nearcall_steps' || fail "$with has no steps"
! readelf -SW "$without" | grep -q '\.nearcall_steps' || fail "$without has steps"
instructions "$with" >"$TEST_TMPDIR/with"
instructions "$without" >"$TEST_TMPDIR/without"
count=$(wc -l <"$TEST_TMPDIR/with")
[[ "$count" -gt 100 ]] || fail "only $count instructions"
diff "$TEST_TMPDIR/with" "$TEST_TMPDIR/without" || fail "steps change the code"

# Neither allocated nor written nor executed: the flags in readelf's table lack A, W, X.
flags=$(readelf -SW "$program" | awk '$0 ~ /\.nearcall_steps/ { sub(/.*PROGBITS/, ""); print $5 }')
[[ -n "$flags" ]] || fail "$program has no steps"
[[ "$flags" =~ ^[0-9]+$ ]] || fail "the steps of $program are loaded: flags $flags"
strip -o "$TEST_TMPDIR/stripped" -R .nearcall_steps "$program"
"$TEST_TMPDIR/stripped" --help >/dev/null 2>&1 || [[ $? -lt 126 ]] || fail "the program does not run without them"
echo "$count instructions, the same with steps and without"
