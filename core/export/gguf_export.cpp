#include "core/export/gguf_export.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <cstring>
#include <mutex>

#include <fmt/format.h>

#include "core/export/gguf_metadata.h"
#include "core/export/gguf_weights.h"
#include "core/formats/writers.h"
#include "core/model/architectures/decoder.h"

namespace retort {
namespace {

constexpr std::uint32_t kQuantizationVersion = 2;   // of ggml's block layouts

// general.file_type when the caller names none: that of the type which holds most of the bytes.
struct FileType {
  TensorType type;
  std::uint32_t number;
};
constexpr std::array kFileTypes = {
    FileType{TensorType::kF32, 0},   FileType{TensorType::kF16, 1},   FileType{TensorType::kQ4_0, 2},
    FileType{TensorType::kQ4_1, 3},  FileType{TensorType::kQ8_0, 7},  FileType{TensorType::kQ5_0, 8},
    FileType{TensorType::kQ5_1, 9},  FileType{TensorType::kQ2_K, 10}, FileType{TensorType::kQ3_K, 12},
    FileType{TensorType::kQ4_K, 15}, FileType{TensorType::kQ5_K, 17}, FileType{TensorType::kQ6_K, 18},
    FileType{TensorType::kBF16, 32},
};

// llama.cpp's order: by layer, then by name; what belongs to no layer comes first.
std::pair<int, std::string_view> order_of(std::string_view name) noexcept {
  int layer = -1;
  constexpr std::string_view kPrefix = "blk.";
  if (name.starts_with(kPrefix)) {
    const char* begin = name.data() + kPrefix.size();
    int number = 0;
    if (const auto parsed = std::from_chars(begin, name.data() + name.size(), number); parsed.ec == std::errc()) layer = number;
  }
  return {layer, name};
}

// tokenizer.ggml.* of a folder, and what there is to say about it. Predicting the size of every level asks for it again and
// again, and a large tokenizer.json takes a tenth of a second: that of the checkpoint asked for last is kept while it is open.
struct TokenizerMetadata {
  Metadata metadata;
  std::vector<std::string> notes;
  std::optional<Error> refused;   // llama.cpp has no such tokenizer
};

Result<std::shared_ptr<const TokenizerMetadata>> tokenizer_metadata(const Model& model) {
  static std::mutex mutex;
  static std::weak_ptr<const Checkpoint> checkpoint;
  static std::shared_ptr<const TokenizerMetadata> kept;
  static std::int64_t vocabulary = 0;   // the metadata pads the pieces to the embedding's rows
  static std::string chat_template;
  const std::lock_guard lock(mutex);
  if (kept && checkpoint.lock() == model.checkpoint && vocabulary == model.config.vocabulary &&
      chat_template == model.chat_template) {
    if (kept->refused) return Error(*kept->refused);
    return kept;
  }
  auto made = std::make_shared<TokenizerMetadata>();
  if (auto added = add_tokenizer_metadata(model, made->metadata, made->notes); !added.ok()) made->refused = std::move(added).error();
  checkpoint = model.checkpoint;
  vocabulary = model.config.vocabulary;
  chat_template = model.chat_template;
  kept = made;
  if (kept->refused) return Error(*kept->refused);
  return kept;
}

class GgufExporter {
 public:
  GgufExporter(const Model& model, const ExportRequest& request, std::filesystem::path path)
      : model_(model), request_(request), path_(std::move(path)),
        folder_(model.checkpoint->format != CheckpointFormat::kGguf) {}

  Result<void> prepare() {
    for (const auto& [name, weight] : request_.weights)
      if (model_.find_weight(name) == kNoWeight)
        return Error{.code = ErrorCode::kBadArgument, .file = model_.checkpoint->path.string(), .place = name,
                     .expected = "a weight of the model", .found = "another name"};
    changes_.resize(model_.graph.weights.size());
    if (folder_) {
      RETORT_TRY(target_, gguf_target(model_));
      changes_ = gguf_weight_changes(model_, *target_.architecture->decoder);
      factors_ = rope_tensors(model_.config);
    }
    for (FileTensor& tensor : gguf_tensors(model_)) RETORT_CHECK(add_tensor(std::move(tensor)));
    add_others();
    std::sort(tensors_.begin(), tensors_.end(), [](const TensorToWrite& a, const TensorToWrite& b) {
      return order_of(a.name) < order_of(b.name);
    });
    return make_metadata();
  }

  Result<std::uint64_t> predict() const { return gguf_file_bytes(metadata_, tensors_); }

  Result<ExportReport> write(const JobContext& job) {
    const auto start = std::chrono::steady_clock::now();
    RETORT_TRY(const std::uint64_t bytes, predict());
    RETORT_CHECK(write_gguf(path_, metadata_, tensors_, job));
    ExportReport report{.output = path_, .bytes = bytes, .tensor_bytes = tensor_bytes_, .notes = notes_};
    report.bits_per_weight = 8.0 * static_cast<double>(tensor_bytes_) / static_cast<double>(std::max<std::int64_t>(1, model_.parameters()));
    report.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    return report;
  }

 private:
  Error refuse_type(const std::string& name, TensorType type) const {
    Error error{.code = ErrorCode::kUnsupported, .file = path_.string(), .place = name,
                .expected = "a type that GGUF has", .found = std::string(kernels::traits(type).name)};
    if (type == TensorType::kI8) {
      error.found = "INT8 with a scale per row";
      error.next_step = "export Q8_0, which keeps 8 bits per weight and every program reads";
    }
    return error;
  }

  TensorType type_of(WeightId weight) const {
    const auto wish = request_.weights.find(model_.graph.weights[static_cast<std::size_t>(weight)].name);
    return wish == request_.weights.end() ? model_.weights[static_cast<std::size_t>(weight)].type : wish->second.type;
  }

  Result<void> add_tensor(FileTensor tensor) {
    const auto first = static_cast<std::size_t>(tensor.weights.front());
    const TensorType type = type_of(tensor.weights.front());
    if (type == TensorType::kI8 || kernels::traits(type).ggml_id < 0) return refuse_type(model_.graph.weights[first].name, type);
    for (const WeightId weight : tensor.weights)
      if (type_of(weight) != type)
        return Error{.code = ErrorCode::kBadArgument, .file = path_.string(), .place = tensor.name,
                     .expected = "one type for all experts of a layer, which are one tensor in GGUF",
                     .found = fmt::format("{} and {}", kernels::traits(type).name, kernels::traits(type_of(weight)).name)};
    const TensorType written = changes_[first].floats ? TensorType::kF32 : type;
    count(written, tensor.shape);
    TensorToWrite out{tensor.name, tensor.shape, written, [this, weights = tensor.weights, written] { return data(weights, written); }};
    const auto wish = request_.weights.find(model_.graph.weights[first].name);
    const WeightChange& change = changes_[first];
    if (wish != request_.weights.end() && wish->second.make_rows && tensor.weights.size() == 1 && written == type &&
        change.order == RowOrder::kSame && change.added == 0)
      out.rows = wish->second.make_rows;
    tensors_.push_back(std::move(out));
    return {};
  }

  void count(TensorType type, const std::vector<std::int64_t>& shape) {
    std::uint64_t rows = 1;
    for (std::size_t i = 0; i + 1 < shape.size(); ++i) rows *= static_cast<std::uint64_t>(shape[i]);
    const std::uint64_t bytes = rows * kernels::row_bytes(type, static_cast<std::size_t>(shape.back()));
    tensor_bytes_ += bytes;
    bytes_by_type_[static_cast<std::size_t>(type)] += bytes;
  }

  // The bytes to write. Valid until the next call.
  Result<std::span<const std::byte>> data(const std::vector<WeightId>& weights, TensorType written) {
    if (weights.size() == 1) return one(weights.front(), written);
    stack_.clear();
    for (const WeightId weight : weights) {
      RETORT_TRY(const auto bytes, one(weight, written));
      stack_.insert(stack_.end(), bytes.begin(), bytes.end());
    }
    return std::span<const std::byte>(stack_);
  }

  // Of one weight: made or held, then turned into the order and type of the file.
  Result<std::span<const std::byte>> one(WeightId weight, TensorType written) {
    const auto index = static_cast<std::size_t>(weight);
    const WeightSpec& spec = model_.graph.weights[index];
    const TensorType type = type_of(weight);
    const auto wish = request_.weights.find(spec.name);
    if (wish != request_.weights.end() && wish->second.make) {
      RETORT_TRY(current_, wish->second.make());
    } else {
      current_ = model_.weights[index];
    }
    if (current_.type != type || current_.shape != spec.shape)
      return Error{.code = ErrorCode::kBadShape, .file = path_.string(), .place = spec.name,
                   .expected = std::string(kernels::traits(type).name) + " of the model's shape", .found = "other data"};
    RETORT_TRY(whole_, in_one_piece(current_));
    std::span<const std::byte> bytes = whole_.data;
    const WeightChange& change = changes_[index];
    if (change.order != RowOrder::kSame) bytes = reorder(bytes, change.order, spec.shape.front());
    if (written != type || change.added != 0) bytes = to_f32(bytes, type, change.added);
    return bytes;
  }

  // Rows are packed each for itself, so whole rows move, whatever their type.
  std::span<const std::byte> reorder(std::span<const std::byte> bytes, RowOrder order, std::int64_t rows) {
    const std::size_t row_bytes = bytes.size() / static_cast<std::size_t>(rows);
    reordered_.resize(bytes.size());
    for (std::int64_t row = 0; row < rows; ++row)
      std::memcpy(reordered_.data() + static_cast<std::size_t>(row) * row_bytes,
                  bytes.data() + static_cast<std::size_t>(source_row(model_.config, order, row)) * row_bytes, row_bytes);
    return reordered_;
  }

  std::span<const std::byte> to_f32(std::span<const std::byte> bytes, TensorType type, float added) {
    const kernels::TypeTraits& traits = kernels::traits(type);
    floats_.resize(bytes.size() / traits.block_bytes * traits.block_size);
    traits.decode(bytes.data(), floats_.data(), floats_.size());
    for (float& value : floats_) value += added;
    return std::as_bytes(std::span(floats_));
  }

  // What the graph doesn't use: rotary factors above all. A folder states those in its configuration.
  void add_others() {
    for (const RopeTensor& factors : factors_)
      tensors_.push_back({factors.name, {static_cast<std::int64_t>(factors.values.size())}, TensorType::kF32,
                          [&factors]() -> Result<std::span<const std::byte>> { return std::as_bytes(std::span(factors.values)); }});
    if (folder_) return;
    for (const TensorEntry& tensor : model_.checkpoint->tensors) {
      const bool used = std::any_of(model_.graph.weights.begin(), model_.graph.weights.end(),
                                    [&](const WeightSpec& spec) { return spec.source_name == tensor.name; });
      if (!used)
        tensors_.push_back({tensor.name, tensor.shape, tensor.type,
                            [&tensor]() -> Result<std::span<const std::byte>> { return tensor.data; }});
    }
  }

  Result<void> make_metadata() {
    if (folder_) {
      RETORT_TRY(metadata_, gguf_metadata(model_, target_, notes_));
      RETORT_CHECK(check_gguf_metadata(model_, target_, described()));
      RETORT_TRY(const auto tokenizer, tokenizer_metadata(model_));
      for (const auto& [key, value] : tokenizer->metadata.entries()) metadata_.append(key, value);
      notes_.insert(notes_.end(), tokenizer->notes.begin(), tokenizer->notes.end());
    } else {
      metadata_ = model_.checkpoint->metadata;
    }
    const bool as_it_was = request_.weights.empty() && !request_.file_type && metadata_.find("general.file_type");
    const std::uint64_t kept = metadata_.unsigned_at("general.file_type").value_or(0);
    for (const char* key : {"general.quantization_version", "general.file_type", "split.no", "split.count", "split.tensors.count"})
      metadata_.erase(key);
    metadata_.append("general.quantization_version", kQuantizationVersion);
    metadata_.append("general.file_type", as_it_was ? static_cast<std::uint32_t>(kept) : request_.file_type.value_or(main_file_type()));
    if (request_.importance) {
      metadata_.set("quantize.imatrix.file", request_.importance->file);
      metadata_.set("quantize.imatrix.dataset", request_.importance->dataset);
      metadata_.set("quantize.imatrix.entries_count", static_cast<std::uint32_t>(request_.importance->entries));
      metadata_.set("quantize.imatrix.chunks_count", static_cast<std::uint32_t>(request_.importance->chunks));
    }
    return {};
  }

  // The file as its reader's configuration sees it: metadata, names, shapes and rotary factors.
  Checkpoint described() const {
    Checkpoint file;
    file.path = path_;
    file.metadata = metadata_;
    for (const TensorToWrite& tensor : tensors_) {
      TensorEntry& entry = file.tensors.emplace_back();
      entry.name = tensor.name;
      entry.shape = tensor.shape;
      entry.type = tensor.type;
      for (const RopeTensor& factors : factors_)
        if (factors.name == tensor.name) entry.data = std::as_bytes(std::span(factors.values));
    }
    return file;
  }

  std::uint32_t main_file_type() const noexcept {
    const auto most = std::max_element(bytes_by_type_.begin(), bytes_by_type_.end()) - bytes_by_type_.begin();
    for (const FileType& row : kFileTypes)
      if (row.type == static_cast<TensorType>(most)) return row.number;
    return 0;
  }

  const Model& model_;
  const ExportRequest& request_;
  std::filesystem::path path_;
  bool folder_;
  GgufTarget target_;                    // of a folder
  std::vector<WeightChange> changes_;
  std::vector<RopeTensor> factors_;
  Metadata metadata_;
  std::vector<TensorToWrite> tensors_;
  std::vector<std::string> notes_;
  std::uint64_t tensor_bytes_ = 0;
  std::array<std::uint64_t, static_cast<std::size_t>(TensorType::kCount)> bytes_by_type_{};
  // Of the tensor in work.
  WeightHandle current_;
  WeightData whole_;
  std::vector<std::byte> reordered_, stack_;
  std::vector<float> floats_;
};

}  // namespace

ExportRequest export_handles(const std::map<std::string, WeightHandle>& handles) {
  ExportRequest request;
  for (const auto& [name, handle] : handles)
    request.weights[name] = {handle.type, [handle]() -> Result<WeightHandle> { return handle; }};
  return request;
}

Result<ExportReport> export_gguf(const Model& model, const ExportRequest& request, const std::filesystem::path& path,
                                 const JobContext& job) {
  GgufExporter exporter(model, request, path);
  RETORT_CHECK(exporter.prepare());
  return exporter.write(job);
}

Result<std::uint64_t> predict_gguf_bytes(const Model& model, const ExportRequest& request) {
  GgufExporter exporter(model, request, {});
  RETORT_CHECK(exporter.prepare());
  return exporter.predict();
}

}  // namespace retort
