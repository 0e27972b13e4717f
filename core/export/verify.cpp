#include "core/export/verify.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <set>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "core/export/gguf_weights.h"
#include "core/model/backend.h"
#include "core/model/rope.h"

namespace retort {
namespace {

constexpr std::size_t kMaxTokens = 64;           // of the text that logits are compared on
constexpr double kLogitTolerance = 1e-4;         // of the largest logit: f32 sums in another order
constexpr double kMaxWeightError = 0.6;          // relative; 2 bits without calibration reach about 0.35
constexpr double kMaxDivergence = 2.0;           // nats; a wrong row order or scale gives far more

constexpr std::string_view kText =
    "The history of measuring begins with the body: a foot, a hand, a day's walk. In 1799 the metre was fixed as a bar "
    "of platinum, and since 1983 it follows from the speed of light, 299,792,458 metres in one second.";

// How the file's weight was made of the expected one: for each of its rows (or elements of a vector) the expected one's, and what
// was added. One of the two may be a folder and the other a GGUF file, whichever way round.
struct Mapping {
  std::vector<std::int64_t> rows;   // empty: as they are
  double added = 0;
};

class Mappings {
 public:
  Mappings(const Model& file, const Model& expected)
      : made_(file.checkpoint->format == CheckpointFormat::kGguf), folder_(made_ ? expected : file) {
    const bool both = made_ == (expected.checkpoint->format == CheckpointFormat::kGguf);
    if (!both && file.architecture->decoder && expected.architecture->decoder)
      changes_ = gguf_weight_changes(folder_, *(made_ ? file : expected).architecture->decoder);
  }

  Mapping of(std::size_t file_weight, std::size_t expected_weight) const {
    if (changes_.empty()) return {};
    const std::size_t weight = made_ ? expected_weight : file_weight;
    const WeightChange& change = changes_[weight];
    Mapping mapping{.rows = {}, .added = static_cast<double>(made_ ? change.added : -change.added)};
    if (change.order == RowOrder::kSame) return mapping;
    const std::int64_t rows = folder_.graph.weights[weight].shape.front();
    mapping.rows.resize(static_cast<std::size_t>(rows));
    for (std::int64_t row = 0; row < rows; ++row) {
      const std::int64_t from = source_row(folder_.config, change.order, row);
      mapping.rows[static_cast<std::size_t>(made_ ? row : from)] = made_ ? from : row;
    }
    return mapping;
  }

 private:
  bool made_;                            // the file is the GGUF one, made of a folder; else the other way round
  const Model& folder_;
  std::vector<WeightChange> changes_;    // by the folder's weights; empty when both are of one kind
};

class Verifier {
 public:
  Verifier(Model file, const Model* expected, VerifyOptions options)
      : file_(std::make_shared<const Model>(std::move(file))), expected_(expected), options_(std::move(options)) {}

  Result<VerifyReport> run(const JobContext& job) {
    if (expected_) {
      const bool comparable = check_tensors();
      RETORT_CHECK(job.check("verify"));
      if (comparable) RETORT_CHECK(check_weights(job));
      check_tokens();
      check_template();
      if (comparable) RETORT_CHECK(check_logits(job));
    } else {
      add("tensors", true, fmt::format("{} weights of the {} architecture, all of the right shape", file_->weights.size(), file_->config.architecture));
      check_own_tokens();
      RETORT_CHECK(check_own_logits(job));
    }
    return std::move(report_);
  }

 private:
  void add(std::string name, bool passed, std::string detail) { report_.checks.push_back({std::move(name), passed, std::move(detail)}); }

  // Names and shapes of what the graph uses; a file of another model ends the comparison.
  bool check_tensors() {
    std::vector<std::string> missing, extra, reshaped;
    for (const WeightSpec& spec : expected_->graph.weights) {
      const WeightId id = file_->find_weight(spec.name);
      if (id == kNoWeight) missing.push_back(spec.name);
      else if (file_->graph.weights[static_cast<std::size_t>(id)].shape != spec.shape) reshaped.push_back(spec.name);
    }
    for (const WeightSpec& spec : file_->graph.weights)
      if (expected_->find_weight(spec.name) == kNoWeight) extra.push_back(spec.name);
    std::string detail;
    const auto tell = [&](const char* what, const std::vector<std::string>& names) {
      if (!names.empty()) detail += fmt::format("{}{} {}: {}{}", detail.empty() ? "" : "; ", names.size(), what, names.front(), names.size() > 1 ? " …" : "");
    };
    tell("missing", missing);
    tell("too many", extra);
    tell("of another shape", reshaped);
    const bool passed = detail.empty();
    add("tensors", passed, passed ? fmt::format("{} weights, same names and shapes", file_->weights.size()) : detail);
    return passed;
  }

  Result<void> check_weights(const JobContext& job) {
    const Mappings mappings(*file_, *expected_);
    std::size_t equal = 0, smaller = 0;
    double worst = 0;
    std::string worst_name, different;
    for (std::size_t i = 0; i < expected_->weights.size(); ++i) {
      const std::string& name = expected_->graph.weights[i].name;
      RETORT_CHECK(job.check(name));
      job.report({static_cast<double>(i), static_cast<double>(expected_->weights.size()), "tensors", "comparing " + name});
      const auto place = static_cast<std::size_t>(file_->find_weight(name));
      const WeightHandle& written = file_->weights[place];
      const double error = compare(written, expected_->weights[i], mappings.of(place, i));
      const bool same_kind = written.type == expected_->weights[i].type || lossless(expected_->weights[i].type, written.type);
      if (error == 0) ++equal;
      else if (same_kind) different = name;
      else ++smaller;
      if (!(error <= worst)) {
        worst = error;
        worst_name = name;
      }
    }
    another_level_ = smaller > 0;
    const bool passed = different.empty() && worst <= kMaxWeightError;
    std::string detail = fmt::format("{} equal", equal);
    if (smaller > 0) detail += fmt::format(", {} of another type; the largest relative error is {:.4f} ({})", smaller, worst, worst_name);
    if (!different.empty()) detail = fmt::format("{} has the same type but other values", different);
    add("weights", passed, detail);
    return {};
  }

  // Whether every value of `from` is a value of `to`.
  static bool lossless(TensorType from, TensorType to) noexcept {
    return to == TensorType::kF32 && (from == TensorType::kF16 || from == TensorType::kBF16);
  }

  // 0 when all rows hold the same values; else sqrt(Σ(w-ŵ)² / Σw²). NaN counts as a difference.
  static double compare(const WeightHandle& written, const WeightHandle& wanted, const Mapping& mapping) {
    const auto columns = static_cast<std::size_t>(wanted.shape.back());
    const bool vector = wanted.shape.size() == 1;
    const std::int64_t rows = vector ? 1 : wanted.shape.front();
    const auto left_whole = in_one_piece(written), right_whole = in_one_piece(wanted);
    if (!left_whole.ok() || !right_whole.ok()) return NAN;
    const bool plain = written.type == wanted.type && wanted.row_scales.empty() && mapping.added == 0 && (!vector || mapping.rows.empty());
    std::vector<float> a(columns), b(columns);
    double difference = 0, sum = 0;
    for (std::int64_t row = 0; row < rows; ++row) {
      const std::int64_t from = vector || mapping.rows.empty() ? row : mapping.rows[static_cast<std::size_t>(row)];
      const std::byte* left = left_whole->data.data() + static_cast<std::size_t>(row) * kernels::row_bytes(left_whole->type, columns);
      const std::byte* right = right_whole->data.data() + static_cast<std::size_t>(from) * kernels::row_bytes(right_whole->type, columns);
      if (plain && std::memcmp(left, right, kernels::row_bytes(wanted.type, columns)) == 0) continue;
      kernels::traits(left_whole->type).decode(left, a.data(), columns);
      kernels::traits(right_whole->type).decode(right, b.data(), columns);
      const float scale = wanted.row_scales.empty() ? 1.0f : wanted.row_scales[static_cast<std::size_t>(from)];
      for (std::size_t i = 0; i < columns; ++i) {
        // A bias is a vector whose elements are turned like rows.
        const std::size_t at = vector && !mapping.rows.empty() ? static_cast<std::size_t>(mapping.rows[i]) : i;
        // As it is written: added in f32.
        const double x = static_cast<double>(b[at] * scale + static_cast<float>(mapping.added)), delta = static_cast<double>(a[i]) - x;
        difference += delta * delta;
        sum += x * x;
      }
    }
    return difference == 0 ? 0 : std::sqrt(difference / std::max(sum, 1e-300));
  }

  void check_tokens() {
    if (!expected_->tokenizer && !file_->tokenizer) return add("tokens", true, "neither has a tokenizer");
    if (!expected_->tokenizer || !file_->tokenizer)
      return add("tokens", false, expected_->tokenizer ? "the file has no tokenizer that works" : "the source has no tokenizer that works");
    for (const std::string& text : hard_strings())
      for (const bool special : {false, true}) {
        const auto wanted = expected_->tokenizer->encode(text, special), found = file_->tokenizer->encode(text, special);
        if (wanted != found)
          return add("tokens", false, fmt::format("\"{}\" becomes [{}] instead of [{}]", text, fmt::join(found, " "), fmt::join(wanted, " ")));
        if (expected_->tokenizer->decode(wanted, true) != file_->tokenizer->decode(found, true))
          return add("tokens", false, fmt::format("the tokens of \"{}\" become another text", text));
      }
    if (expected_->tokenizer->bos != file_->tokenizer->bos || expected_->tokenizer->eos != file_->tokenizer->eos)
      return add("tokens", false, "begin or end tokens differ");
    add("tokens", true, fmt::format("{} hard texts give the same ids, with and without special tokens", hard_strings().size()));
  }

  void check_own_tokens() {
    if (!file_->tokenizer) {
      const auto loaded = load_tokenizer(*file_->checkpoint);
      return add("tokens", false, "no tokenizer: " + (loaded.ok() ? std::string() : loaded.error().place + " " + loaded.error().found));
    }
    std::size_t lost = 0;
    for (const std::string& text : hard_strings()) {
      const auto ids = file_->tokenizer->encode(text, false);
      if (std::any_of(ids.begin(), ids.end(), [&](TokenId id) { return id < 0 || id >= file_->config.vocabulary; })) ++lost;
    }
    add("tokens", lost == 0, lost == 0 ? fmt::format("{} hard texts give ids of the vocabulary", hard_strings().size())
                                       : fmt::format("{} texts give ids outside the vocabulary", lost));
  }

  void check_template() {
    const bool same = expected_->chat_template == file_->chat_template;
    add("template", same, same ? (file_->chat_template.empty() ? "neither has one" : fmt::format("equal, {} bytes", file_->chat_template.size()))
                               : fmt::format("{} bytes instead of {}", file_->chat_template.size(), expected_->chat_template.size()));
  }

  std::vector<TokenId> probe() const {
    std::vector<TokenId> ids;
    if (file_->tokenizer) ids = file_->tokenizer->encode(kText, true);
    const std::int64_t vocabulary = file_->config.vocabulary;
    if (ids.empty() || std::any_of(ids.begin(), ids.end(), [&](TokenId id) { return id < 0 || id >= vocabulary; })) {
      ids.clear();
      for (std::size_t i = 0; i < kMaxTokens; ++i) ids.push_back(static_cast<TokenId>(i * 7919 % static_cast<std::size_t>(vocabulary)));
    }
    const auto most = std::min<std::size_t>(kMaxTokens, static_cast<std::size_t>(std::max<std::int64_t>(1, file_->config.context)));
    ids.resize(std::min(ids.size(), most));
    return ids;
  }

  // Logits of every position, f32 activations and cache: [tokens, vocabulary].
  Result<std::vector<float>> logits(Backend& backend, std::shared_ptr<const Model> model, const std::vector<TokenId>& ids, const JobContext& job) const {
    RunOptions run;
    run.activations = kernels::Activations::kF32;
    run.context = run.batch = static_cast<std::int64_t>(ids.size());
    run.cache_f16 = false;
    RETORT_TRY(const auto session, backend.compile(std::move(model), run));
    RETORT_CHECK(session->run(ids, job));
    RETORT_TRY(const auto all, session->logits(0, static_cast<std::int64_t>(ids.size())));
    return std::vector<float>(all.begin(), all.end());
  }

  Result<void> check_logits(const JobContext& job) {
    const std::vector<TokenId> ids = probe();
    RETORT_TRY(const auto backend, make_backend(options_.backend, options_.threads));
    RETORT_TRY(const auto found, logits(*backend, file_, ids, job));
    // The caller's model outlives this call; the session is gone when it returns.
    const std::shared_ptr<const Model> borrowed(expected_, [](const Model*) {});
    RETORT_TRY(const auto wanted, logits(*backend, borrowed, ids, job));
    double largest = 0, difference = 0;
    for (std::size_t i = 0; i < wanted.size(); ++i) {
      largest = std::max(largest, std::abs(static_cast<double>(wanted[i])));
      const double delta = std::abs(static_cast<double>(found[i]) - static_cast<double>(wanted[i]));
      difference = std::isfinite(delta) ? std::max(difference, delta) : INFINITY;
    }
    if (!another_level_) {
      add("logits", difference <= kLogitTolerance * largest,
          fmt::format("{} positions differ by at most {:.2g}, of {:.4g} the largest", ids.size(), difference, largest));
      return {};
    }
    const double divergence = mean_divergence(wanted, found, ids.size());
    add("logits", divergence <= kMaxDivergence,
        fmt::format("weights of other types: mean KL divergence {:.4f} over {} positions", divergence, ids.size()));
    return {};
  }

  static double mean_divergence(const std::vector<float>& wanted, const std::vector<float>& found, std::size_t positions) {
    const std::size_t width = wanted.size() / positions;
    double sum = 0;
    for (std::size_t p = 0; p < positions; ++p) {
      const std::span<const float> a(wanted.data() + p * width, width), b(found.data() + p * width, width);
      const double norm_a = log_sum(a), norm_b = log_sum(b);
      for (std::size_t i = 0; i < width; ++i) {
        const double log_a = static_cast<double>(a[i]) - norm_a, log_b = static_cast<double>(b[i]) - norm_b;
        sum += std::exp(log_a) * (log_a - log_b);
      }
    }
    return std::isfinite(sum) ? sum / static_cast<double>(positions) : INFINITY;
  }

  static double log_sum(std::span<const float> values) {
    const double most = static_cast<double>(*std::max_element(values.begin(), values.end()));
    double sum = 0;
    for (const float value : values) sum += std::exp(static_cast<double>(value) - most);
    return most + std::log(sum);
  }

  Result<void> check_own_logits(const JobContext& job) {
    const std::vector<TokenId> ids = probe();
    RETORT_TRY(const auto backend, make_backend(options_.backend, options_.threads));
    RETORT_TRY(const auto found, logits(*backend, file_, ids, job));
    const bool finite = std::all_of(found.begin(), found.end(), [](float x) { return std::isfinite(x); });
    add("logits", finite, finite ? fmt::format("finite at {} positions", ids.size()) : "some are not finite");
    return {};
  }

  std::shared_ptr<const Model> file_;
  const Model* expected_;
  VerifyOptions options_;
  VerifyReport report_;
  bool another_level_ = false;   // some weights are of a smaller type than the expected ones
};

}  // namespace

Result<VerifyReport> verify_file(const std::filesystem::path& path, const Model& expected, const VerifyOptions& options,
                                 const JobContext& job) {
  RETORT_TRY(Model file, open_model(path));
  return Verifier(std::move(file), &expected, options).run(job);
}

Result<VerifyReport> verify_alone(const std::filesystem::path& path, const VerifyOptions& options, const JobContext& job) {
  RETORT_TRY(Model file, open_model(path));
  return Verifier(std::move(file), nullptr, options).run(job);
}

}  // namespace retort
