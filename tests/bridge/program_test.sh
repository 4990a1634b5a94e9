#!/usr/bin/env bash
# Runs program_test.py on nearcall_grpc_bridge and the interoperability programs.
set -eu
export PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION=python
exec python3 tests/bridge/program_test.py tools/grpc_bridge/nearcall_grpc_bridge tests/interop/server \
  tests/interop/client "$(command -v protoc)" "$(command -v grpc_python_plugin)"
