#ifndef NEARCALL_BENCHMARKS_BINARY_SIZE_H_
#define NEARCALL_BENCHMARKS_BINARY_SIZE_H_

#include <string>
#include <utility>
#include <vector>

namespace nearcall::benchmarks {

// The size of benchmarks/size:`program`, a server that does nothing: `file_kb`, what of the file is loaded, and
// `libraries_kb`, the shared libraries that it needs beyond those of every C++ program. Nothing where it is not beside
// this program.
std::vector<std::pair<std::string, double>> SizeOf(const std::string& program);

}  // namespace nearcall::benchmarks

#endif  // NEARCALL_BENCHMARKS_BINARY_SIZE_H_
