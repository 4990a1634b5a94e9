#ifndef NEARCALL_BENCHMARKS_REPORT_H_
#define NEARCALL_BENCHMARKS_REPORT_H_

#include <string>
#include <vector>

#include "benchmarks/row.h"

namespace nearcall::benchmarks {

// From how many CPUs' worth of other processes on a row is marked.
inline constexpr double kBusy = 0.15;

// What was measured, for people and for programs.
std::string Table(const std::vector<Row>& rows);
std::string Json(const std::vector<Row>& rows);

// What is aimed at, each with what was measured. Those that need rows that are not there are left out.
std::string Targets(const std::vector<Row>& rows);

// Latency over size, and the distribution of latencies, as one picture.
std::string Svg(const std::vector<Row>& rows);

}  // namespace nearcall::benchmarks

#endif  // NEARCALL_BENCHMARKS_REPORT_H_
