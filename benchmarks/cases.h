#ifndef NEARCALL_BENCHMARKS_CASES_H_
#define NEARCALL_BENCHMARKS_CASES_H_

#include <string>
#include <vector>

#include "benchmarks/control.pb.h"

namespace nearcall::benchmarks {

// One thing that is measured, of all contestants in turn.
struct Case {
  std::string name;   // of the kind of case: unary, in-flight, ...
  std::string label;  // the name and what sets it apart from its kind: unary/64
  // Cases of one series follow each other, have as many rounds, and are compared with each other. Empty: a series of its
  // own.
  std::string series;
  Round round;
  Placement placement = APART;
  SpinPolicy spin = ADAPTIVE;
  std::vector<std::string> contestants;  // floors first
  int rounds = 1;
  bool cost = false;  // what an idle connection costs, and system calls
};

// How long everything takes.
struct Effort {
  int rounds = 9;
  int64_t measure_us = 100'000;
  bool quick = false;
};

// All cases whose name or label matches one of `globs`, in the order in which they are best measured.
std::vector<Case> Cases(const Effort& effort, const std::vector<std::string>& globs);

// The floor that a contestant is compared with in a case, and the gRPC. Empty where there is none.
std::string FloorOf(const Case& one, const std::string& contestant);
std::string GrpcOf(const Case& one, const std::string& contestant);

bool IsFloor(const std::string& contestant);
bool IsGrpc(const std::string& contestant);
// Whether what counts is how much was done, not how long a call took.
bool IsThroughput(Work work);

std::string SizeName(uint32_t bytes);

}  // namespace nearcall::benchmarks

#endif  // NEARCALL_BENCHMARKS_CASES_H_
