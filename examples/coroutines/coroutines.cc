// Coroutines of C++20 on both sides: code that reads like blocking calls, and no thread waits.
//
// Server and client are in one process, to have them side by side; over another address nothing would differ.

#include <iostream>
#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "examples/streaming/numbers.nearcall.h"
#include "nearcall/coroutine.h"
#include "nearcall/nearcall.h"

namespace {

using nearcall::Task;
using numbers::Number;
using numbers::Numbers;

// Each method returns at once; its coroutine goes on whenever a message has come or gone.
class NumbersImpl final : public Numbers::CallbackService {
  nearcall::ServerWriteReactor<Number>* CountTo(nearcall::CallbackServerContext* context, const Number* last) override {
    return nearcall::CoServe(context, [last](nearcall::CoServerWriter<Number>* writer) -> Task<absl::Status> {
      Number number;
      for (int64_t i = 1; i <= last->value(); ++i) {
        number.set_value(i);
        if (!co_await writer->Write(number)) break;  // nobody reads any more
      }
      co_return absl::OkStatus();
    });
  }

  nearcall::ServerReadReactor<Number>* Sum(nearcall::CallbackServerContext* context, Number* sum) override {
    return nearcall::CoServe(context, [sum](nearcall::CoServerReader<Number>* reader) -> Task<absl::Status> {
      Number number;
      while (co_await reader->Read(&number)) sum->set_value(sum->value() + number.value());
      co_return absl::OkStatus();
    });
  }
};

// Reads to the end, then asks how the call ended: that is what Read's false does not say.
Task<absl::StatusOr<int64_t>> LastTo(Numbers::Stub* stub, int64_t last) {
  nearcall::ClientContext context;
  Number number;
  number.set_value(last);
  nearcall::CoClientReader<Number> reader;
  stub->async()->CountTo(&context, &number, &reader);
  reader.StartCall();
  Number read;
  while (co_await reader.Read(&read)) {
  }
  const absl::Status status = co_await reader.Finish();
  if (!status.ok()) co_return status;
  co_return read.value();
}

// A task may await others; each begins when it is awaited.
Task<absl::StatusOr<int64_t>> SumTo(Numbers::Stub* stub, int64_t last) {
  const absl::StatusOr<int64_t> end = co_await LastTo(stub, last);
  if (!end.ok()) co_return end.status();
  nearcall::ClientContext context;
  Number number, sum;
  nearcall::CoClientWriter<Number> writer;
  stub->async()->Sum(&context, &sum, &writer);
  writer.StartCall();
  for (int64_t i = 1; i <= *end; ++i) {
    number.set_value(i);
    if (!co_await writer.Write(number)) break;
  }
  co_await writer.WritesDone();
  const absl::Status status = co_await writer.Finish();
  if (!status.ok()) co_return status;
  co_return sum.value();
}

}  // namespace

int main() {
  NumbersImpl numbers;
  nearcall::ServerBuilder builder;
  builder.AddListeningPort("inproc:coroutines");
  builder.RegisterService(&numbers);
  absl::StatusOr<std::unique_ptr<nearcall::Server>> server = builder.BuildAndStart();
  if (!server.ok()) {
    std::cerr << server.status() << std::endl;
    return 1;
  }
  std::unique_ptr<Numbers::Stub> stub = Numbers::NewStub(nearcall::CreateChannel("inproc:coroutines"));

  // The one place that blocks. (Spawn begins a task that nobody waits for.)
  const absl::StatusOr<int64_t> sum = nearcall::BlockOn(SumTo(stub.get(), 100));
  if (!sum.ok()) {
    std::cerr << sum.status() << std::endl;
    return 1;
  }
  std::cout << "The numbers to 100 add up to " << *sum << std::endl;
  return *sum == 5050 ? 0 : 1;
}
