#!/bin/bash
# Compares generated code with the goldens, or (--update) makes it the goldens.
#
# Usage: goldens.sh [--update] GOLDENS_DIRECTORY GENERATED_FILE...
set -euo pipefail

update=false
if [[ "$1" == --update ]]; then
  update=true
  shift
fi
goldens="$1"
shift

if $update; then
  goldens="${BUILD_WORKSPACE_DIRECTORY:?run this with bazel run}/$goldens"
  mkdir -p "$goldens"
  rm -f "$goldens"/*.golden
  for file in "$@"; do
    install -m 644 "$file" "$goldens/$(basename "$file").golden"
  done
  echo "updated $# files in $goldens"
  exit 0
fi

failed=false
for file in "$@"; do
  golden="$goldens/$(basename "$file").golden"
  [[ -e "$golden" ]] || golden=/dev/null
  diff -u --label "$goldens/$(basename "$file").golden" --label "generated $(basename "$file")" "$golden" "$file" ||
    failed=true
done
for golden in "$goldens"/*.golden; do
  name="$(basename "$golden" .golden)"
  if ! printf '%s\n' "$@" | grep -q "/$name\$"; then
    echo "$golden: nothing generates this any more"
    failed=true
  fi
done
if $failed; then
  echo
  echo "The generated code has changed. If that is right: ./bazelw run //tests/codegen:update_goldens"
  exit 1
fi
echo "$# files are as expected"
