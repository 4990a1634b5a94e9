#!/usr/bin/env bash
# Finds the source tree behind the runfiles, and checks its includes.
set -eu
here=$(dirname "$(readlink -f "$0")")
exec python3 "$here/layering_test.py" "$here/../.."
