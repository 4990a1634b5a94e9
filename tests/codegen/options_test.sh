#!/bin/bash
# What the plugin says to good and bad options.
#
# Usage: options_test.sh PROTOC PLUGIN
set -uo pipefail

protoc="$1"
plugin="$2"
work="$TEST_TMPDIR"
failures=0

cat > "$work/service.proto" << 'EOF'
syntax = "proto3";
package options;
message M {}
service S {
  rpc Call(M) returns (M);
}
EOF

# Runs protoc with the given option string; its output goes to $out, what it prints to $log.
generate() {
  out="$work/out"
  log="$work/log"
  rm -rf "$out"
  mkdir "$out"
  "$protoc" -I"$work" --plugin=protoc-gen-nearcall="$plugin" --nearcall_out="$1:$out" service.proto > "$log" 2>&1
}

fail() {
  echo "FAILED: $1"
  [[ ! -s "$log" ]] || sed 's/^/  protoc: /' "$log"
  failures=$((failures + 1))
}

# accepts OPTIONS FILES: the files are what is generated.
accepts() {
  generate "$1" || fail "\"$1\" is refused"
  [[ "$(ls "$out" | tr '\n' ' ')" == "$2 " ]] || fail "\"$1\" generates $(ls "$out" | tr '\n' ' ')instead of $2"
}

# refuses OPTIONS TEXT: the error contains the text and the list of options.
refuses() {
  if generate "$1"; then
    fail "\"$1\" is accepted"
    return
  fi
  [[ -z "$(ls "$out")" ]] || fail "\"$1\" generates files all the same"
  grep -qF -- "$2" "$log" || fail "the error for \"$1\" does not say: $2"
  grep -qF 'valid options: generate_mock_code=true|false, generate_grpc_adapter=true|false, services_namespace=' "$log" ||
    fail "the error for \"$1\" does not list the valid options"
}

accepts '' 'service.nearcall.cc service.nearcall.h'
accepts 'generate_mock_code=false' 'service.nearcall.cc service.nearcall.h'
accepts 'generate_mock_code=true' 'service.nearcall.cc service.nearcall.h service_mock.nearcall.h'
accepts 'generate_grpc_adapter=true' \
  'service.nearcall.cc service.nearcall.h service_grpc.nearcall.cc service_grpc.nearcall.h'
accepts 'generate_mock_code=true,services_namespace=rpc' \
  'service.nearcall.cc service.nearcall.h service_mock.nearcall.h'
for file in "$out"/*; do
  grep -q '^namespace rpc {$' "$file" || fail "$file has no namespace rpc"
done
accepts 'services_namespace=a.b_1' 'service.nearcall.cc service.nearcall.h'
grep -A1 '^namespace a {$' "$out/service.nearcall.h" | grep -q '^namespace b_1 {$' || fail 'no namespace a.b_1'

refuses 'generate_mock_code' '"generate_mock_code" must be true or false'
refuses 'generate_mock_code=' '"generate_mock_code" must be true or false'
refuses 'generate_mock_code=yes' '"generate_mock_code" = "yes" must be true or false'
refuses 'services_namespace' '"services_namespace" must be a C++ namespace'
refuses 'services_namespace=' '"services_namespace" must be a C++ namespace'
refuses 'services_namespace=1st' '"services_namespace" = "1st" must be a C++ namespace'
refuses 'services_namespace=a-b' '"services_namespace" = "a-b" must be a C++ namespace'
refuses 'services_namespace=a.' '"services_namespace" = "a." must be a C++ namespace'
refuses 'services_namespace=a..b' '"services_namespace" = "a..b" must be a C++ namespace'
refuses 'services_namespace=delete' '"services_namespace" = "delete" must be a C++ namespace'
refuses 'services_namespace=é' '"services_namespace" = "é" must be a C++ namespace'
refuses 'generate_mocks=true' '"generate_mocks" = "true" is not an option'
refuses 'generate_mock_code=true,verbose' '"verbose" is not an option'
refuses '=true' '"" = "true" is not an option'
refuses 'GENERATE_MOCK_CODE=true' '"GENERATE_MOCK_CODE" = "true" is not an option'

# protoc's own services have the names of ours.
sed -i 's/^package/option cc_generic_services = true;\npackage/' "$work/service.proto"
accepts 'services_namespace=rpc' 'service.nearcall.cc service.nearcall.h'
generate '' && fail 'cc_generic_services is accepted'
grep -q 'service.proto: cc_generic_services makes protoc' "$log" || fail 'no word about cc_generic_services'

if [[ $failures != 0 ]]; then
  exit 1
fi
echo 'all options behave'
