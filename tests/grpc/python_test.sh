#!/usr/bin/env bash
# Runs python_test.py on the programs of examples/grpc.
set -eu
export PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION=python
exec python3 tests/grpc/python_test.py examples/grpc/server examples/grpc/client "$(command -v protoc)" \
  "$(command -v grpc_python_plugin)"
