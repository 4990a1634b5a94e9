// The three kinds of streaming calls, both ends of each. Names and meanings are gRPC's.
//
// Server and client are in one process, to have them side by side; over another address nothing would differ.

#include <iostream>
#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "examples/streaming/numbers.nearcall.h"
#include "nearcall/nearcall.h"

namespace {

using numbers::Number;
using numbers::Numbers;

class NumbersImpl final : public Numbers::Service {
  absl::Status CountTo(nearcall::ServerContext*, const Number* last, nearcall::ServerWriter<Number>* writer) override {
    Number number;
    for (int64_t i = 1; i <= last->value(); ++i) {
      number.set_value(i);
      if (!writer->Write(number)) break;  // nobody reads any more
    }
    return absl::OkStatus();
  }

  absl::Status Sum(nearcall::ServerContext*, nearcall::ServerReader<Number>* reader, Number* sum) override {
    Number number;
    while (reader->Read(&number)) sum->set_value(sum->value() + number.value());
    return absl::OkStatus();
  }

  absl::Status Double(nearcall::ServerContext*, nearcall::ServerReaderWriter<Number, Number>* stream) override {
    Number number;
    while (stream->Read(&number)) {
      number.set_value(2 * number.value());
      if (!stream->Write(number)) break;
    }
    return absl::OkStatus();
  }
};

// Reads to the end, then asks how the call ended: that is what Read's false does not say.
absl::StatusOr<int64_t> CountTo(Numbers::Stub* stub, int64_t last) {
  nearcall::ClientContext context;
  Number number;
  number.set_value(last);
  std::unique_ptr<nearcall::ClientReader<Number>> reader = stub->CountTo(&context, number);
  int64_t read = 0;
  while (reader->Read(&number)) ++read;
  const absl::Status status = reader->Finish();
  if (!status.ok()) return status;
  return read;
}

// Write blocks while the server is behind; false: the call is over, and Finish says why.
absl::StatusOr<int64_t> SumTo(Numbers::Stub* stub, int64_t last) {
  nearcall::ClientContext context;
  Number number, sum;
  std::unique_ptr<nearcall::ClientWriter<Number>> writer = stub->Sum(&context, &sum);
  for (int64_t i = 1; i <= last; ++i) {
    number.set_value(i);
    if (!writer->Write(number)) break;
  }
  writer->WritesDone();
  const absl::Status status = writer->Finish();
  if (!status.ok()) return status;
  return sum.value();
}

// A conversation: one thread may also write while another reads.
absl::StatusOr<int64_t> DoubleRepeatedly(Numbers::Stub* stub, int times) {
  nearcall::ClientContext context;
  Number number;
  number.set_value(1);
  std::unique_ptr<nearcall::ClientReaderWriter<Number, Number>> stream = stub->Double(&context);
  for (int i = 0; i < times; ++i) {
    if (!stream->Write(number) || !stream->Read(&number)) break;
  }
  stream->WritesDone();
  const absl::Status status = stream->Finish();
  if (!status.ok()) return status;
  return number.value();
}

bool Report(const char* what, const absl::StatusOr<int64_t>& result, int64_t expected) {
  std::cout << what << ": ";
  if (result.ok()) {
    std::cout << *result << std::endl;
  } else {
    std::cout << result.status() << std::endl;
  }
  return result.ok() && *result == expected;
}

}  // namespace

int main() {
  NumbersImpl service;
  nearcall::ServerBuilder builder;
  builder.AddListeningPort("inproc:streaming");
  builder.RegisterService(&service);
  absl::StatusOr<std::unique_ptr<nearcall::Server>> server = builder.BuildAndStart();
  if (!server.ok()) {
    std::cerr << server.status() << std::endl;
    return 1;
  }
  std::unique_ptr<Numbers::Stub> stub = Numbers::NewStub(nearcall::CreateChannel("inproc:streaming"));

  bool ok = Report("numbers up to 1000", CountTo(stub.get(), 1000), 1000);
  ok = Report("their sum", SumTo(stub.get(), 1000), 500500) && ok;
  ok = Report("1 doubled ten times", DoubleRepeatedly(stub.get(), 10), 1024) && ok;
  return ok ? 0 : 1;
}
