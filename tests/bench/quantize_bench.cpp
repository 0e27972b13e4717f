// How fast weights are packed, in millions of weights a second, one thread and all. With a model: one level from file to
// file, to lay beside llama-quantize (tests/peers/quantize_peer.py does).
//   quantize_bench
//   quantize_bench MODEL OUT.gguf LEVEL [--imatrix FILE] [--threads N]
#include <fmt/format.h>

#include <chrono>
#include <cmath>
#include <cstring>
#include <string>
#include <vector>

#include "core/base/error_text.h"
#include "core/export/gguf_export.h"
#include "core/quantize/importance.h"
#include "core/quantize/levels.h"
#include "core/quantize/quantizer.h"

using namespace retort;

namespace {

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

int fail(const Error& error) {
  fmt::print(stderr, "{}\n", error_text(error));
  return 1;
}

// Best of three, source in f32.
double weights_per_second(const std::vector<float>& values, std::int64_t columns, TensorType type,
                          std::span<const float> importance, kernels::ThreadPool& pool) {
  QuantizeRequest request;
  request.source_type = TensorType::kF32;
  request.source = std::as_bytes(std::span(values));
  request.columns = columns;
  request.rows = static_cast<std::int64_t>(values.size()) / columns;
  request.importance = importance;
  request.target_type = type;
  double best = 0;
  for (int i = 0; i < 3; ++i) {
    const auto start = std::chrono::steady_clock::now();
    const auto out = quantize_tensor(request, "bench", pool, JobContext{});
    if (out.ok()) best = std::max(best, static_cast<double>(values.size()) / seconds_since(start));
  }
  return best;
}

int bench_types() {
  constexpr std::int64_t kColumns = 2048, kRows = 2048;
  std::vector<float> values(kColumns * kRows), importance(kColumns);
  std::uint64_t state = 1;
  const auto unit = [&state] {
    state = state * 6364136223846793005ull + 1442695040888963407ull;
    return static_cast<float>(state >> 40) * 0x1p-24f;
  };
  for (float& value : values) value = (unit() + unit() + unit() + unit() - 2.0f) * 0.05f;
  for (float& value : importance) value = 0.01f + unit();
  kernels::ThreadPool one(1), all(0);
  fmt::print("million weights a second    plain: 1 thread  {:2} threads   importance: 1 thread  {:2} threads\n", all.threads(),
             all.threads());
  for (const Quantizer* quantizer : quantizers()) {
    const TensorType type = quantizer->type();
    fmt::print("{:<26} {:>16.0f} {:>11.0f} {:>23.0f} {:>11.0f}\n", kernels::traits(type).name,
               weights_per_second(values, kColumns, type, {}, one) / 1e6, weights_per_second(values, kColumns, type, {}, all) / 1e6,
               weights_per_second(values, kColumns, type, importance, one) / 1e6,
               weights_per_second(values, kColumns, type, importance, all) / 1e6);
  }
  return 0;
}

struct LevelRun {
  const Model& model;
  const ImportanceMatrix& matrix;
  kernels::ThreadPool& pool;
  double packing = 0;   // seconds

  Result<WeightHandle> make(const TensorPlan& tensor) {
    const WeightHandle& held = model.weights[static_cast<std::size_t>(tensor.weight)];
    const auto start = std::chrono::steady_clock::now();
    QuantizeRequest request{.source_type = held.type, .source = held.data, .importance = {}, .target_type = tensor.type};
    request.columns = held.shape.back();
    request.rows = 1;
    for (std::size_t i = 0; i + 1 < held.shape.size(); ++i) request.rows *= held.shape[i];
    if (const auto found = matrix.columns.find(tensor.name); found != matrix.columns.end()) request.importance = found->second;
    RETORT_TRY(auto packed, quantize_tensor(request, tensor.name, pool, JobContext{}));
    packing += seconds_since(start);
    const auto owner = std::make_shared<const QuantizedTensor>(std::move(packed));
    return WeightHandle{.type = tensor.type, .shape = held.shape, .data = owner->data, .row_scales = {}, .keep_alive = owner};
  }
};

int bench_level(const std::string& source, const std::string& target, const std::string& level_id, const std::string& imatrix,
                int threads) {
  const auto start = std::chrono::steady_clock::now();
  const auto model = open_model(source);
  if (!model.ok()) return fail(model.error());
  ImportanceMatrix matrix;
  ExportImportance note;
  if (!imatrix.empty()) {
    auto read = read_importance(imatrix);
    if (!read.ok()) return fail(read.error());
    matrix = std::move(*read);
    note = {imatrix, matrix.data_name, static_cast<std::int64_t>(matrix.columns.size()), matrix.chunks};
  }
  const auto plan = plan_level(*model, level_id, !imatrix.empty(), {}, imatrix.empty() ? nullptr : &note);
  if (!plan.ok()) return fail(plan.error());
  kernels::ThreadPool pool(threads);
  LevelRun run{*model, matrix, pool};
  ExportRequest request;
  request.file_type = find_level(level_id)->gguf_file_type;
  if (!imatrix.empty()) request.importance = note;
  for (const TensorPlan& tensor : plan->tensors) {
    if (tensor.type == model->weights[static_cast<std::size_t>(tensor.weight)].type) continue;
    request.weights[tensor.name] = {tensor.type, [&run, &tensor] { return run.make(tensor); }};
  }
  const auto report = export_gguf(*model, request, target, JobContext{});
  if (!report.ok()) return fail(report.error());
  fmt::print("{{\"level\": \"{}\", \"seconds\": {:.3f}, \"packing_seconds\": {:.3f}, \"bytes\": {}, \"planned_bytes\": {}}}\n", level_id,
             seconds_since(start), run.packing, report->bytes, plan->file_bytes);
  return 0;
}

}  // namespace

int main(int count, char** arguments) {
  const std::vector<std::string> given(arguments + 1, arguments + count);
  if (given.empty()) return bench_types();
  std::vector<std::string> plain;
  std::string imatrix;
  int threads = 0;
  for (std::size_t i = 0; i < given.size(); ++i) {
    if (given[i] == "--imatrix" && i + 1 < given.size()) imatrix = given[++i];
    else if (given[i] == "--threads" && i + 1 < given.size()) threads = std::atoi(given[++i].c_str());
    else plain.push_back(given[i]);
  }
  if (plain.size() == 3) return bench_level(plain[0], plain[1], plain[2], imatrix, threads);
  fmt::print(stderr, "quantize_bench [MODEL OUT.gguf LEVEL [--imatrix FILE] [--threads N]]\n");
  return 2;
}
