#include "core/model/tensor_statistics.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <span>

#include "core/formats/sampled_reads.h"

namespace retort {
namespace {

constexpr std::int64_t kPiece = 1024;         // values of a piece at least, where rows are short
constexpr std::int64_t kWideRow = 16384;      // longer rows are cut
constexpr std::int64_t kCut = 4096;           // whole blocks of every packed type

// The tensor's values in pieces of equal size, the last one shorter: whole rows, or parts of wide ones.
class Pieces {
 public:
  explicit Pieces(const TensorEntry& tensor) : tensor_(tensor), elements_(tensor.elements()), columns_(tensor.columns()) {
    if (elements_ == 0) return;
    size_ = columns_ > kWideRow && !tensor.coded ? kCut : columns_ * std::max<std::int64_t>(1, kPiece / columns_);
    size_ = std::min(size_, elements_);
  }
  std::int64_t count() const noexcept { return elements_ == 0 ? 0 : (elements_ + size_ - 1) / size_; }
  std::int64_t size() const noexcept { return size_; }
  std::int64_t first(std::int64_t piece) const noexcept { return piece * size_; }

  std::span<const float> read(std::int64_t piece, std::vector<float>& values) const {
    const std::int64_t from = first(piece), n = std::min(size_, elements_ - from);
    values.resize(static_cast<std::size_t>(n));
    if (tensor_.coded) {
      tensor_.decode_rows(from / columns_, n / columns_, values.data());
    } else {
      const auto& type = kernels::traits(tensor_.type);
      const auto block = static_cast<std::size_t>(from) / type.block_size;
      type.decode(tensor_.data.data() + block * type.block_bytes, values.data(), values.size());
    }
    return values;
  }

 private:
  const TensorEntry& tensor_;
  std::int64_t elements_, columns_, size_ = 1;
};

// Largest magnitudes by row and by column.
class Peaks {
 public:
  explicit Peaks(const TensorEntry& tensor) : columns_(std::max<std::int64_t>(tensor.columns(), 1)), rows_(std::max<std::int64_t>(tensor.rows(), 1)) {
    constexpr auto kMost = static_cast<std::int64_t>(TensorStatistics::kMostPeaks);
    by_row_.assign(static_cast<std::size_t>(std::min(rows_, kMost)), -1.0f);
    by_column_.assign(static_cast<std::size_t>(std::min(columns_, kMost)), -1.0f);
  }
  void add(std::int64_t first, std::span<const float> values) {
    const auto groups = static_cast<std::int64_t>(by_column_.size());
    while (!values.empty()) {
      const std::int64_t row = first / columns_, end = first % columns_ + std::min(columns_ - first % columns_, static_cast<std::int64_t>(values.size()));
      float& of_row = by_row_[static_cast<std::size_t>(row * static_cast<std::int64_t>(by_row_.size()) / rows_)];
      for (std::int64_t column = first % columns_; column < end;) {
        const std::int64_t group = column * groups / columns_, next = std::min(end, ((group + 1) * columns_ + groups - 1) / groups);
        const float largest = largest_of(values.first(static_cast<std::size_t>(next - column)));
        float& of_column = by_column_[static_cast<std::size_t>(group)];
        of_column = std::max(of_column, largest);
        of_row = std::max(of_row, largest);
        values = values.subspan(static_cast<std::size_t>(next - column));
        first += next - column;
        column = next;
      }
    }
  }
  void move_to(TensorStatistics& out) {
    out.row_peaks = std::move(by_row_);
    out.column_peaks = std::move(by_column_);
  }

 private:
  static float largest_of(std::span<const float> values) noexcept {
    float largest = 0;
    for (const float x : values) {
      const float size = std::abs(x);
      if (std::isfinite(size)) largest = std::max(largest, size);
    }
    return largest;
  }
  std::int64_t columns_, rows_;
  std::vector<float> by_row_, by_column_;
};

// Sums of finite values about a shift near their mean, so that squares don't cancel.
struct Sums {
  double shift = 0, sum = 0, squares = 0, minimum = INFINITY, maximum = -INFINITY;
  std::int64_t finite = 0, non_finite = 0, zeros = 0;

  void add(std::span<const float> values) noexcept {
    for (const float value : values) {
      if (!std::isfinite(value)) {
        ++non_finite;
        continue;
      }
      const double x = static_cast<double>(value), d = x - shift;
      sum += d;
      squares += d * d;
      minimum = std::min(minimum, x);
      maximum = std::max(maximum, x);
      zeros += value == 0;
      ++finite;
    }
  }
  double mean() const noexcept { return shift + sum / static_cast<double>(finite); }
  double variance() const noexcept {
    const double n = static_cast<double>(finite), m = sum / n;
    return std::max(0.0, squares / n - m * m);
  }
  void put(TensorStatistics& out) const noexcept {
    out.non_finite = non_finite;
    if (finite == 0) return;
    out.minimum = minimum;
    out.maximum = maximum;
    out.mean = mean();
    out.deviation = std::sqrt(variance());
    out.zeros = static_cast<double>(zeros) / static_cast<double>(finite);
  }
};

// What needs the range and the spread first. Returns the number of outliers among the values.
std::int64_t count_bins(std::span<const float> values, TensorStatistics& out) noexcept {
  const double width = out.maximum - out.minimum, scale = width > 0 ? static_cast<double>(TensorStatistics::kBins) / width : 0;
  const double far = TensorStatistics::kFar * out.deviation;
  std::int64_t outliers = 0;
  for (const float value : values) {
    if (!std::isfinite(value)) continue;
    const double x = static_cast<double>(value);
    ++out.histogram[std::min(TensorStatistics::kBins - 1, static_cast<std::size_t>((x - out.minimum) * scale))];
    outliers += std::abs(x - out.mean) > far;
  }
  return outliers;
}

// Half of the 95 % interval of a mean over pieces, given each piece's mean; 0 for fewer than two.
double half_width(const std::vector<double>& means) noexcept {
  const double n = static_cast<double>(means.size());
  if (means.size() < 2) return 0;
  double mean = 0, squares = 0;
  for (const double x : means) mean += x / n;
  for (const double x : means) squares += (x - mean) * (x - mean);
  return 1.96 * std::sqrt(squares / (n - 1) / n);
}

// A fixed shuffle of 64 bits (splitmix64): samples are the same in every run.
std::uint64_t mixed(std::uint64_t x) noexcept {
  x += 0x9e3779b97f4a7c15;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
  x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
  return x ^ (x >> 31);
}

}  // namespace

double TensorStatistics::farthest() const noexcept {
  return deviation > 0 ? std::max(maximum - mean, mean - minimum) / deviation : 0;
}

TensorStatistics sample_statistics(const TensorEntry& tensor, std::int64_t most) {
  TensorStatistics out;
  out.name = tensor.name;
  out.elements = tensor.elements();
  const Pieces pieces(tensor);
  const std::int64_t all = pieces.count(), chosen = out.elements <= most ? all : std::clamp<std::int64_t>(most / pieces.size(), std::min<std::int64_t>(all, 4), all);
  std::optional<formats::SampledReads> sampled;
  if (chosen < all) sampled.emplace(tensor.data);
  Peaks peaks(tensor);
  Sums sums;
  std::vector<float> buffer, values;
  std::vector<std::size_t> ends;
  for (std::int64_t i = 0; i < chosen; ++i) {
    // One piece out of each of `chosen` equal parts, so that none is taken twice and all of the tensor is seen.
    const std::int64_t low = all * i / chosen, high = all * (i + 1) / chosen;
    const std::int64_t piece = low + static_cast<std::int64_t>(mixed(static_cast<std::uint64_t>(i)) % static_cast<std::uint64_t>(high - low));
    const auto read = pieces.read(piece, buffer);
    if (i == 0 && std::isfinite(read.front())) sums.shift = static_cast<double>(read.front());
    sums.add(read);
    peaks.add(pieces.first(piece), read);
    values.insert(values.end(), read.begin(), read.end());
    ends.push_back(values.size());
  }
  out.read = static_cast<std::int64_t>(values.size());
  sums.put(out);
  peaks.move_to(out);
  if (sums.finite == 0) return out;
  std::vector<double> means, squares, shares;
  std::int64_t outliers = 0;
  for (std::size_t i = 0, first = 0; i < ends.size(); first = ends[i++]) {
    const auto piece = std::span(values).subspan(first, ends[i] - first);
    const std::int64_t here = count_bins(piece, out);
    outliers += here;
    Sums own{.shift = out.mean};
    own.add(piece);
    if (own.finite == 0) continue;
    const double n = static_cast<double>(own.finite);
    means.push_back(own.mean());
    squares.push_back(own.squares / n);
    shares.push_back(static_cast<double>(here) / n);
  }
  out.outliers = static_cast<double>(outliers) / static_cast<double>(sums.finite);
  if (!out.is_sample()) return out;
  out.mean_error = half_width(means);
  // The variance's interval, carried over to its root.
  out.deviation_error = out.deviation > 0 ? half_width(squares) / (2 * out.deviation) : 0;
  // None seen: the 95 % bound of a share is 3 / n.
  out.outliers_error = outliers > 0 ? half_width(shares) : 3.0 / static_cast<double>(sums.finite);
  return out;
}

Result<TensorStatistics> tensor_statistics(const TensorEntry& tensor, const JobContext& job) {
  constexpr std::int64_t kBetweenReports = 1 << 22;
  RETORT_CHECK(job.check(tensor.name));
  TensorStatistics out = sample_statistics(tensor);
  if (!out.is_sample()) return out;
  const Pieces pieces(tensor);
  Peaks peaks(tensor);
  Sums sums{.shift = out.mean};
  std::vector<float> buffer;
  std::int64_t done = 0, reported = 0;
  const auto each = [&](const auto& use) -> Result<void> {
    for (std::int64_t i = 0; i < pieces.count(); ++i) {
      RETORT_CHECK(job.check(tensor.name));
      const auto values = pieces.read(i, buffer);
      use(pieces.first(i), values);
      done += static_cast<std::int64_t>(values.size());
      if (done - reported < kBetweenReports) continue;
      reported = done;
      job.report({static_cast<double>(done), 2 * static_cast<double>(out.elements), "values", tensor.name});
    }
    return {};
  };
  RETORT_CHECK(each([&](std::int64_t first, std::span<const float> values) {
    sums.add(values);
    peaks.add(first, values);
  }));
  out = {};
  out.name = tensor.name;
  out.elements = out.read = tensor.elements();
  sums.put(out);
  peaks.move_to(out);
  if (sums.finite == 0) return out;
  std::int64_t outliers = 0;
  RETORT_CHECK(each([&](std::int64_t, std::span<const float> values) { outliers += count_bins(values, out); }));
  out.outliers = static_cast<double>(outliers) / static_cast<double>(sums.finite);
  return out;
}

}  // namespace retort
