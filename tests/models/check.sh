#!/usr/bin/env bash
# Checks a Promela model with Spin: it must hold as it is, and fail with each of the macros WITHOUT_... that it names.
# Usage: check.sh MODEL
set -uo pipefail
model=$(realpath "$1")
cd "${TEST_TMPDIR:-$(mktemp -d)}" || exit

# run MACRO...: prints "ERRORS STATES MILLISECONDS WHAT".
run() {
  rm -f pan* ./*.trail
  local began errors
  spin -a "${@/#/-D}" "$model" >spin.log 2>&1 || { cat spin.log >&2; exit 1; }
  # What fails does so soon: then compiling takes longer than running.
  gcc "$([[ $# == 0 ]] && echo -O2 || echo -O0)" -w -DSAFETY -o pan pan.c || exit 1
  began=$(date +%s%N)
  timeout 300 ./pan -m200000 -w24 >pan.log 2>&1
  local took=$((($(date +%s%N) - began) / 1000000))
  errors=$(grep -o 'errors: [0-9]*' pan.log | cut -d' ' -f2)
  if [[ -z "$errors" ]] || grep -q 'max search depth too small\|out of memory' pan.log; then
    cat pan.log >&2
    echo "FAILED: the search of $model $* is not complete" >&2
    exit 1
  fi
  local what
  what=$(sed -n 's/^pan:1: \(.*\) (at depth.*/\1/p' pan.log | cut -c1-60)
  echo "$errors $(awk '/states, stored/ { print $1 }' pan.log) $took $what"
}

failures=0
printf '%-36s %10s %8s  %s\n' "$(basename "$model")" states ms result
report() {  # NAME EXPECTED ERRORS STATES MILLISECONDS WHAT...
  local name=$1 expected=$2 errors=$3 states=$4 millis=$5
  shift 5
  printf '%-36s %10s %8s  %s\n' "$name" "$states" "$millis" "${*:-holds}"
  if [[ "$expected" == holds && "$errors" != 0 || "$expected" == fails && "$errors" == 0 ]]; then
    echo "FAILED: $name was expected to be one that $expected"
    failures=1
  fi
}

result=$(run) || exit 1
report "(as it is)" holds $result
[[ "$failures" == 0 ]] || { spin -t -p -g "$model" | tail -80; exit 1; }
macros=$(grep -o 'WITHOUT_[A-Z_]*[A-Z]' "$model" | sort -u)
[[ -n "$macros" ]] || { echo "FAILED: the model names no step that can be left out"; exit 1; }
for macro in $macros; do
  result=$(run "$macro") || exit 1
  report "$macro" fails $result
done
exit "$failures"
