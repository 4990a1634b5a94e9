#!/usr/bin/env bash
# Finds the source tree behind the runfiles, and checks its includes and its names.
set -eu
here=$(dirname "$(readlink -f "$0")")
python3 "$here/layering_test.py" "$here/../.."
python3 "$here/names_test.py" "$here/../.."
