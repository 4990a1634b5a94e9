#include "tests/testing/fault.h"

#include <cinttypes>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <string>

namespace nearcall::testing {
namespace {

Fault ReadEnvironment() {
  const char* const value = getenv("NEARCALL_FAULT");
  const std::string name = value != nullptr ? value : "";
  if (name.empty()) return Fault::kNone;
  if (name == "one_byte") return Fault::kOneByte;
  if (name == "few_bytes") return Fault::kFewBytes;
  if (name == "delays") return Fault::kDelays;
  if (name == "tiny_credit") return Fault::kTinyCredit;
  fprintf(stderr, "NEARCALL_FAULT=%s: there is no such fault\n", name.c_str());
  abort();
}

template <class Options>
Options WithWindow(Options options, int bytes) {
  if (FaultInForce() == Fault::kTinyCredit && options.stream_window_bytes == Options().stream_window_bytes) {
    options.stream_window_bytes = bytes;
  }
  return options;
}

uint64_t ChooseSeed() {
  if (const char* const text = getenv("NEARCALL_FAULT_SEED")) return strtoull(text, nullptr, 10);
  const uint64_t seed = std::random_device()();
  const std::string text = std::to_string(seed);
  setenv("NEARCALL_FAULT_SEED", text.c_str(), 1);  // for children
  fprintf(stderr, "NEARCALL_FAULT_SEED=%s\n", text.c_str());
  return seed;
}

}  // namespace

Fault FaultInForce() {
  static const Fault fault = ReadEnvironment();
  return fault;
}

ChannelOptions UnderFault(ChannelOptions options) { return WithWindow(std::move(options), 100); }
ServerOptions UnderFault(ServerOptions options) { return WithWindow(std::move(options), 1); }

int Fewer(int count) {
  const Fault fault = FaultInForce();
  return fault == Fault::kNone || fault == Fault::kTinyCredit ? count : count / 10;
}

uint64_t FaultSeed() {
  static const uint64_t seed = ChooseSeed();
  return seed;
}

}  // namespace nearcall::testing
