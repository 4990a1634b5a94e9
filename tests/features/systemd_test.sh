#!/usr/bin/env bash
# Runs systemd_test.py on the programs of examples/hello.
set -eu
exec python3 tests/features/systemd_test.py examples/hello/server examples/hello/client
