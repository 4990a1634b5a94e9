#include "benchmarks/report.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace nearcall::benchmarks {
namespace {

// Three digits or so.
std::string Short(double value) {
  const double magnitude = std::abs(value);
  if (magnitude >= 100 || magnitude == 0) return absl::StrFormat("%.0f", value);
  if (magnitude >= 10) return absl::StrFormat("%.1f", value);
  return absl::StrFormat("%.2f", value);
}

std::string Cell(const std::optional<double>& value, const char* unit = "") {
  return value ? absl::StrCat(Short(*value), unit) : "-";
}

// A rate with thousands apart.
std::string Rate(const std::optional<double>& value) {
  if (!value) return "-";
  std::string digits = absl::StrFormat("%.0f", *value);
  for (int at = static_cast<int>(digits.size()) - 3; at > 0; at -= 3) digits.insert(static_cast<size_t>(at), 1, ',');
  return digits;
}

const char* NameOf(Placement placement) {
  return placement == APART ? "apart" : placement == ONE_CPU ? "one-cpu" : "free";
}
const char* NameOf(SpinPolicy spin) { return spin == ADAPTIVE ? "adaptive" : spin == NEVER ? "never" : "always"; }

// Rows that tell the same things follow each other, below a line of names.
std::string CostTable(const std::vector<Row>& rows) {
  std::string table;
  std::string last;
  for (const Row& row : rows) {
    if (row.cost.empty()) continue;
    std::string names = absl::StrFormat("%-6s %-9s", "case", "of");
    std::string values = absl::StrFormat("%-6s %-9s", row.label, row.contestant);
    for (const auto& [name, value] : row.cost) {
      absl::StrAppend(&names, " ", name);
      absl::StrAppendFormat(&values, " %*s", static_cast<int>(name.size()), Short(value));
    }
    absl::StrAppend(&table, names == last ? "" : absl::StrCat(last.empty() ? "" : "\n", names, "\n"), values, "\n");
    last = names;
  }
  return table;
}

void AppendNumber(const char* name, const std::optional<double>& value, std::string* json) {
  absl::StrAppend(json, ", \"", name, "\": ");
  absl::StrAppend(json, value && std::isfinite(*value) ? absl::StrFormat("%.6g", *value) : "null");
}

}  // namespace

std::string Table(const std::vector<Row>& rows) {
  std::string table;
  std::string last;
  for (const Row& row : rows) {
    if (!row.cost.empty()) continue;
    if (last.empty()) {
      absl::StrAppendFormat(&table, "%-25s %-18s %8s %8s %8s %11s %8s %8s %8s %8s\n", "case", "contestant", "p50 us",
                            "p99 us", "p99.9 us", "per second", "CPU us", "x floor", "x gRPC", "max/min");
    } else if (row.label != last) {
      absl::StrAppend(&table, "\n");
    }
    last = row.label;
    absl::StrAppendFormat(&table, "%-25s %-18s %8s %8s %8s %11s %8s %8s %8s %8s%s\n", row.label, row.contestant,
                          Cell(row.p50), Cell(row.p99), Cell(row.p999), Rate(row.calls_per_s), Cell(row.cpu_per_call),
                          Cell(row.floor_ratio), Cell(row.grpc_ratio), Cell(row.fairness),
                          row.others_cpu > kBusy ? absl::StrFormat("  BUSY %.2f", row.others_cpu) : "");
  }
  const std::string cost = CostTable(rows);
  return absl::StrCat(table, cost.empty() ? "" : "\n", cost);
}

// All strings in it are names of this program's: none needs quoting.
std::string Json(const std::vector<Row>& rows) {
  std::string json = "[";
  for (const Row& row : rows) {
    const Round& round = row.measured.round;
    absl::StrAppend(&json, json.size() == 1 ? "\n" : ",\n", "  {\"case\": \"", row.label, "\", \"transport\": \"",
                    row.contestant, "\", \"size\": ", round.size(), ", \"clients\": ", round.clients(),
                    ", \"placement\": \"", NameOf(row.measured.placement), "\", \"spin\": \"",
                    NameOf(row.measured.spin), "\"");
    AppendNumber("p50_us", row.p50, &json);
    AppendNumber("p99_us", row.p99, &json);
    AppendNumber("p999_us", row.p999, &json);
    AppendNumber("calls_per_s", row.calls_per_s, &json);
    std::optional<double> bytes_per_s;
    if (row.calls_per_s) bytes_per_s = *row.calls_per_s * round.size();
    AppendNumber("bytes_per_s", bytes_per_s, &json);
    AppendNumber("cpu_us_per_call", row.cpu_per_call, &json);
    absl::StrAppend(&json, ", \"floor\": \"", row.floor, "\"");
    AppendNumber("floor_ratio", row.floor_ratio, &json);
    absl::StrAppend(&json, ", \"grpc\": \"", row.grpc, "\"");
    AppendNumber("grpc_ratio", row.grpc_ratio, &json);
    AppendNumber("fairness", row.fairness, &json);
    AppendNumber("others_cpu", row.others_cpu, &json);
    for (const auto& [name, value] : row.cost) AppendNumber(name.c_str(), value, &json);
    absl::StrAppend(&json, "}");
  }
  return absl::StrCat(json, "\n]\n");
}

}  // namespace nearcall::benchmarks
