// Two charts beside each other, written as SVG by hand: they need axes, lines and a legend, and nothing else.

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "benchmarks/report.h"

namespace nearcall::benchmarks {
namespace {

struct Line {
  std::string name;
  std::vector<std::pair<double, double>> points;  // where on its axis each is, already as a logarithm
};

struct Tick {
  double at;
  std::string label;
};

constexpr double kWidth = 560;
constexpr double kHeight = 420;
constexpr double kLeft = 70;
constexpr double kRight = 20;
constexpr double kTop = 40;
constexpr double kBottom = 150;  // of which the legend takes most

// Each contestant has its colour, the same in both charts; floors and gRPC are dashed.
std::string StrokeOf(const std::string& contestant) {
  const std::pair<const char*, const char*> colours[] = {
      {"shm", "#d62728"},          {"unix", "#1f77b4"},       {"tcp", "#2ca02c"},         {"inproc", "#9467bd"},
      {"grpc-unix", "#8c564b"},    {"grpc-tcp", "#e377c2"},   {"cache-line", "#ff9896"},  {"raw-unix-spin", "#aec7e8"},
      {"raw-tcp-spin", "#98df8a"}, {"eventfd", "#ffbb78"},    {"raw-unix", "#17becf"},    {"raw-tcp", "#bcbd22"},
      {"shm-adapter", "#f7b6d2"},  {"shm-buffer", "#393b79"}, {"unix-buffer", "#637939"}, {"raw-message", "#e7969c"}};
  std::string colour = "#7f7f7f";
  for (const auto& [name, value] : colours) {
    if (contestant == name) colour = value;
  }
  const char* const dashes = IsFloor(contestant)  ? " stroke-dasharray=\"2 3\""
                             : IsGrpc(contestant) ? " stroke-dasharray=\"7 4\""
                                                  : "";
  return absl::StrCat("stroke=\"", colour, "\" stroke-width=\"2\" fill=\"none\"", dashes);
}

// One chart, from the logarithms on its axes to what is drawn.
class Chart {
 public:
  Chart(double x, std::string title, std::vector<Tick> x_ticks, std::vector<Tick> y_ticks)
      : left_(x + kLeft), title_(std::move(title)), x_ticks_(std::move(x_ticks)), y_ticks_(std::move(y_ticks)) {}

  std::string Draw(const std::vector<Line>& lines, const char* x_name) const {
    std::string svg;
    Text(left_, kTop - 16, "start", 15, title_, &svg);
    const double floor = kHeight - kBottom;
    for (const Tick& tick : x_ticks_) {
      Segment(X(tick.at), kTop, X(tick.at), floor, &svg);
      Text(X(tick.at), floor + 16, "middle", 11, tick.label, &svg);
    }
    for (const Tick& tick : y_ticks_) {
      Segment(left_, Y(tick.at), left_ + kWidth - kLeft - kRight, Y(tick.at), &svg);
      Text(left_ - 6, Y(tick.at) + 4, "end", 11, tick.label, &svg);
    }
    Text(left_ + (kWidth - kLeft - kRight) / 2, floor + 34, "middle", 12, x_name, &svg);
    for (size_t i = 0; i < lines.size(); ++i) DrawLine(lines[i], i, &svg);
    return svg;
  }

 private:
  static void Text(double x, double y, const char* anchor, int size, const std::string& text, std::string* svg) {
    absl::StrAppendFormat(svg, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\" font-size=\"%d\">%s</text>\n", x, y,
                          anchor, size, text);
  }
  static void Segment(double x1, double y1, double x2, double y2, std::string* svg) {
    absl::StrAppendFormat(svg, "<path d=\"M%.1f %.1fL%.1f %.1f\" stroke=\"#ddd\" fill=\"none\"/>\n", x1, y1, x2, y2);
  }

  void DrawLine(const Line& line, size_t index, std::string* svg) const {
    const std::string stroke = StrokeOf(line.name);
    absl::StrAppend(svg, "<path ", stroke, " d=\"");
    for (size_t i = 0; i < line.points.size(); ++i) {
      absl::StrAppendFormat(svg, "%s%.1f %.1f", i == 0 ? "M" : "L", X(line.points[i].first), Y(line.points[i].second));
    }
    absl::StrAppend(svg, "\"/>\n");
    const double x = left_ + static_cast<double>(index % 4) * 122;
    const double y = kHeight - kBottom + 60 + static_cast<double>(index / 4) * 20;
    absl::StrAppendFormat(svg, "<path %s d=\"M%.1f %.1fL%.1f %.1f\"/>\n", stroke, x, y, x + 24, y);
    Text(x + 29, y + 4, "start", 12, line.name, svg);
  }

  static double Share(const std::vector<Tick>& ticks, double at) {
    const double first = ticks.front().at;
    return std::clamp((at - first) / (ticks.back().at - first), 0.0, 1.0);
  }
  double X(double at) const { return left_ + Share(x_ticks_, at) * (kWidth - kLeft - kRight); }
  double Y(double at) const { return kHeight - kBottom - Share(y_ticks_, at) * (kHeight - kBottom - kTop); }

  const double left_;
  const std::string title_;
  const std::vector<Tick> x_ticks_;
  const std::vector<Tick> y_ticks_;
};

// Powers of ten that hold all values, which are logarithms of microseconds.
std::vector<Tick> TimeTicks(const std::vector<Line>& lines) {
  double least = 0;
  double most = 1;
  for (const Line& line : lines) {
    for (const auto& point : line.points) {
      least = std::min(least, point.second);
      most = std::max(most, point.second);
    }
  }
  const char* const names[] = {"10 ns", "100 ns", "1 us", "10 us", "100 us", "1 ms", "10 ms", "100 ms", "1 s", "10 s"};
  std::vector<Tick> ticks;
  for (int power = std::max(-2, static_cast<int>(std::floor(least)));
       power <= std::min(7, static_cast<int>(std::ceil(most))); ++power) {
    ticks.push_back({static_cast<double>(power), names[power + 2]});
  }
  return ticks;
}

Line& LineOf(const std::string& name, std::vector<Line>* lines) {
  for (Line& line : *lines) {
    if (line.name == name) return line;
  }
  lines->push_back({name, {}});
  return lines->back();
}

std::string LatencyOverSize(const std::vector<Row>& rows) {
  std::vector<Line> lines;
  std::vector<Tick> sizes;
  for (const Row& row : rows) {
    if (row.measured.name != "unary" || !row.p50) continue;
    if (row.contestant == "eventfd" || row.contestant == "raw-unix" || row.contestant == "raw-tcp") continue;
    // No bytes are drawn where one byte is.
    const double at = std::log2(std::max(1u, row.measured.round.size()));
    if (sizes.empty() || sizes.back().at != at) sizes.push_back({at, SizeName(row.measured.round.size())});
    LineOf(row.contestant, &lines).points.emplace_back(at, std::log10(*row.p50));
  }
  if (sizes.size() < 2) return "";
  return Chart(0, "Median of a round trip over the size of its payload", sizes, TimeTicks(lines))
      .Draw(lines, "bytes each way");
}

// How long the slowest tenth, hundredth, ... take: the axis is the logarithm of the share that is slower.
std::string Distribution(const std::vector<Row>& rows, double x) {
  std::vector<Line> lines;
  std::string label;
  for (const Row& row : rows) {
    if (row.measured.round.work() != UNARY || row.latency.count() == 0) continue;
    if (row.label != "unary/64" && !label.empty() && row.label != label) continue;
    if (row.label == "unary/64" && label != row.label) lines.clear();
    label = row.label;
    Line& line = LineOf(row.contestant, &lines);
    for (const auto& [fraction, nanos] : row.latency.Distribution()) {
      const double slower = -std::log10(std::max(1 - fraction, 1e-4));
      // A line needs no more points than can be seen.
      if (!line.points.empty() && slower - line.points.back().first < 0.01) continue;
      line.points.emplace_back(slower, std::log10(std::max(nanos, 10.0) / 1e3));
    }
  }
  if (lines.empty()) return "";
  const std::vector<Tick> percentiles = {{0, "0%"},  {0.30103, "50%"}, {1, "90%"},
                                         {2, "99%"}, {3, "99.9%"},     {4, "99.99%"}};
  return Chart(x, absl::StrCat("Distribution of round trips, ", label), percentiles, TimeTicks(lines))
      .Draw(lines, "share of calls that are as fast");
}

}  // namespace

std::string Svg(const std::vector<Row>& rows) {
  const std::string left = LatencyOverSize(rows);
  const std::string right = Distribution(rows, left.empty() ? 0 : kWidth);
  const double width = kWidth * (left.empty() || right.empty() ? 1 : 2);
  return absl::StrFormat(
             "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %.0f %.0f\" font-family=\"sans-serif\">\n"
             "<rect width=\"100%%\" height=\"100%%\" fill=\"white\"/>\n",
             width, kHeight) +
         left + right + "</svg>\n";
}

}  // namespace nearcall::benchmarks
