// What the device's benchmarks share: limits measured in the same run, figures beside them, room on the device.
#pragma once

#include <fmt/core.h>

#include <algorithm>
#include <deque>
#include <functional>
#include <random>
#include <string>
#include <vector>

#include "kernels/cuda/limits.h"

namespace retort::cuda::bench {

// A model of seven billion weights, as Mistral 7B is shaped; small() is for a device that isn't one.
struct Shape {
  std::int32_t hidden = 4096, inner = 14336, heads = 32, kv_heads = 8, head_dim = 128, layers = 32, vocabulary = 32000;
  std::int32_t many = 2048;               // rows of a pass over a prompt
  std::int32_t context = 8192;            // of the model's cache
  std::int32_t long_context = 32768;      // of the attention by itself
  std::int32_t outputs = 128256;          // of a large vocabulary
  std::uint64_t copied = std::uint64_t{1} << 30;
  std::int32_t rounds = 4096;             // of products
  std::int32_t ring = 8;                  // matrices that take turns, so that no cache holds them
  int launches = 16, repeats = 11;        // of a graph; medians of so many graphs
  static Shape small() {
    return {.hidden = 256, .inner = 256, .heads = 4, .kv_heads = 2, .head_dim = 64, .layers = 2, .vocabulary = 130, .many = 12, .context = 96,
            .long_context = 300, .outputs = 1000, .copied = 1 << 16, .rounds = 2, .ring = 2, .launches = 1, .repeats = 1};
  }
};

struct Figure {
  std::string name;
  double seconds = 0;
  double bytes = 0, operations = 0;       // that have to be moved and done; 0: not what it is about
  double goal = 0;                        // the share of the limit that it should reach; 0: none
};

inline bool ok(retort_status status) {
  if (status != RETORT_OK) fmt::print("{}\n", last_failure());
  return status == RETORT_OK;
}

inline double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

// Random bits that are finite as f16, bf16 and f32, none above 1.
inline std::vector<std::uint16_t> random_bits(std::size_t count) {
  std::mt19937 generator(1);
  std::vector<std::uint16_t> bits(count);
  for (std::uint16_t& v : bits) v = static_cast<std::uint16_t>(generator() & 0x3bffu);
  return bits;
}

class Bench {
 public:
  explicit Bench(const Shape& with) : shape(with) {}
  // Uses the device and measures what it can do at most: bytes copied (read and written), products of registers.
  bool open(int index) {
    if (!ok(describe_device(index, info)) || !ok(use_device(index)) || !ok(stream.open())) return false;
    Memory from, to;
    if (!ok(from.allocate(shape.copied, "copying")) || !ok(to.allocate(shape.copied, "copying")) || !ok(stream.clear(from.data(), shape.copied))) return false;
    const std::int64_t pieces = static_cast<std::int64_t>(shape.copied / 16);
    const double copy = seconds([&](int) { launch_copy_limit(stream, {from.as<Bytes16>(), to.as<Bytes16>(), pieces}, info.multiprocessors * 16); }, 1);
    const int blocks = info.multiprocessors * 4;
    const double product = seconds([&](int) { launch_product_limit(stream, {to.as<float>(), shape.rounds}, blocks); }, 1);
    if (failed) return false;
    copy_limit = 2.0 * static_cast<double>(shape.copied) / copy;
    product_limit = ProductLimit::kOperations * shape.rounds * blocks / product;
    fmt::print("{}: copies {:.0f} GB/s, products {:.1f} TFLOP/s\n", info.name, copy_limit * 1e-9, product_limit * 1e-12);
    return true;
  }

  // The median time of one launch. They are recorded, so that the host's own speed doesn't matter.
  double seconds(const std::function<void(int)>& launch, int launches) {
    launch(0);   // loads the kernels
    std::unique_ptr<Stream::Graph> graph;
    if (!ok(stream.wait()) || !ok(stream.record())) return fail_with(0);
    for (int i = 0; i < launches; ++i) launch(i);
    if (!ok(stream.finish_record(graph))) return fail_with(0);
    std::vector<double> times;
    for (int i = 0; i < shape.repeats && !failed; ++i) {
      timer.start(stream);
      failed = !ok(stream.play(*graph));
      times.push_back(timer.stop_seconds(stream) / launches);
    }
    failed = !ok(stream.wait()) || failed;
    return median(times);
  }

  // figure.seconds is measured here.
  void measure(Figure figure, const std::function<void(int)>& launch) {
    if (failed) return;
    figure.seconds = seconds(launch, shape.launches);
    if (!failed) show(std::move(figure));
  }

  void show(Figure f) {
    std::string line = fmt::format("{:52} {:10.1f} us", f.name, f.seconds * 1e6);
    const double moved = f.bytes / f.seconds, done = f.operations / f.seconds;
    if (f.bytes > 0) line += fmt::format("  {:7.0f} GB/s {:4.0f} %", moved * 1e-9, 100 * moved / copy_limit);
    if (f.operations > 0) line += fmt::format("  {:8.2f} TFLOP/s {:4.0f} %", done * 1e-12, 100 * done / product_limit);
    if (f.goal > 0) {
      const double share = f.operations > 0 ? done / product_limit : moved / copy_limit;
      line += fmt::format("  goal {:.0f} %: {}", 100 * f.goal, share >= f.goal ? "reached" : "missed");
    }
    fmt::print("{}\n", line);
    figures.push_back(std::move(f));
  }

  double fail_with(double value) {
    failed = true;
    return value;
  }

  Shape shape;
  Stream stream;
  Timer timer;
  retort_device_info info{};
  double copy_limit = 0;      // bytes per second
  double product_limit = 0;   // operations per second
  bool failed = false;
  std::vector<Figure> figures;
};

// Memory for the rows of one benchmark, given back together.
class Room {
 public:
  explicit Room(Bench& bench) : bench_(bench) {}
  // Zeros.
  template <class T>
  T* zeros(std::int64_t count) {
    Memory& memory = memories_.emplace_back();
    const std::uint64_t bytes = static_cast<std::uint64_t>(count) * sizeof(T);
    if (!bench_.failed && (!ok(memory.allocate(bytes, "a benchmark")) || !ok(bench_.stream.clear(memory.data(), bytes)))) bench_.failed = true;
    return memory.as<T>();
  }
  template <class T>
  T* copied(const std::vector<T>& values) {
    T* const to = zeros<T>(static_cast<std::int64_t>(values.size()));
    if (!bench_.failed && !ok(bench_.stream.copy_in(to, values.data(), values.size() * sizeof(T)))) bench_.failed = true;
    return to;
  }
  // Of [-1, 1].
  float* numbers(std::int64_t count) {
    std::mt19937 generator(2);
    std::vector<float> values(static_cast<std::size_t>(count));
    for (float& v : values) v = static_cast<float>(generator() % 2001) * 1e-3f - 1;
    return copied(values);
  }

 private:
  Bench& bench_;
  std::deque<Memory> memories_;
};

struct NamedType { Type type; const char* name; };
inline constexpr NamedType kNamedTypes[] = {{Type::kF32, "F32"},   {Type::kF16, "F16"},   {Type::kBF16, "BF16"}, {Type::kQ8_0, "Q8_0"},
                                            {Type::kQ4_0, "Q4_0"}, {Type::kQ4_K, "Q4_K"}, {Type::kQ6_K, "Q6_K"}};

}  // namespace retort::cuda::bench
