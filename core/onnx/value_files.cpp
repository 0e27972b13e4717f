#include "core/onnx/value_files.h"

#include <cstring>

namespace retort::onnx {
namespace {

ElementType element_of(TensorType type) noexcept {
  switch (type) {
    case TensorType::kF32: return ElementType::kFloat;
    case TensorType::kF16: return ElementType::kFloat16;
    case TensorType::kBF16: return ElementType::kBfloat16;
    case TensorType::kF64: return ElementType::kDouble;
    case TensorType::kI64: return ElementType::kInt64;
    case TensorType::kI32: return ElementType::kInt32;
    case TensorType::kI8: return ElementType::kInt8;
    case TensorType::kU8: return ElementType::kUint8;
    default: return ElementType::kUndefined;
  }
}

}  // namespace

TensorType stored_type(ElementType type) noexcept {
  for (const TensorType candidate : {TensorType::kF64, TensorType::kI64, TensorType::kI32, TensorType::kI8, TensorType::kU8})
    if (element_of(candidate) == type) return candidate;
  return type == ElementType::kBool ? TensorType::kU8 : TensorType::kF32;
}

Result<Session::Values> read_values(Session& session, const Checkpoint& file, const std::string& prefix) {
  Session::Values out;
  for (const ValueInfo* info : session.plan().input_infos) {
    const TensorEntry* entry = file.find(prefix + info->name);
    if (entry == nullptr) continue;
    StoredTensor stored;
    stored.name = entry->name;
    stored.type = element_of(entry->type);
    if (info->type == ElementType::kBool && stored.type == ElementType::kUint8) stored.type = ElementType::kBool;
    stored.shape = entry->shape;
    stored.data = entry->data;
    if (stored.type == ElementType::kUndefined)
      return Error{.code = ErrorCode::kBadShape, .file = file.path.string(), .place = entry->name, .expected = std::string(traits(info->type).plain),
                   .found = std::string(kernels::traits(entry->type).name)};
    RETORT_TRY(Tensor tensor, session.copy_in(stored));   // half precision comes in as f32
    out.emplace(info->name, std::move(tensor));
  }
  return out;
}

Result<std::vector<Session::Values>> read_value_sets(Session& session, const std::filesystem::path& path) {
  RETORT_TRY(const std::shared_ptr<const Checkpoint> file, open_safetensors(path));
  std::vector<Session::Values> out;
  for (;;) {
    RETORT_TRY(auto values, read_values(session, *file, std::to_string(out.size()) + "/"));
    if (values.empty()) break;
    out.push_back(std::move(values));
  }
  if (!out.empty()) return out;
  RETORT_TRY(auto values, read_values(session, *file));
  out.push_back(std::move(values));
  return out;
}

Result<std::vector<std::vector<std::int64_t>>> read_labels(const std::filesystem::path& path, std::size_t sets) {
  RETORT_TRY(const std::shared_ptr<const Checkpoint> file, open_safetensors(path));
  std::vector<std::vector<std::int64_t>> out;
  for (std::size_t set = 0; set < sets; ++set) {
    const TensorEntry* entry = file->find(std::to_string(set) + "/label");
    if (entry == nullptr && sets == 1) entry = file->find("label");
    if (entry == nullptr) return std::vector<std::vector<std::int64_t>>();
    if (entry->type != TensorType::kI64 && entry->type != TensorType::kI32)
      return Error{.code = ErrorCode::kBadShape, .file = path.string(), .place = entry->name, .expected = "I64 or I32", .found = std::string(kernels::traits(entry->type).name)};
    const std::size_t size = entry->type == TensorType::kI64 ? sizeof(std::int64_t) : sizeof(std::int32_t);
    std::vector<std::int64_t>& labels = out.emplace_back(entry->data.size() / size);
    for (std::size_t i = 0; i < labels.size(); ++i) {
      std::int32_t narrow = 0;
      if (size == sizeof narrow) {
        std::memcpy(&narrow, entry->data.data() + i * size, size);
        labels[i] = narrow;
      } else {
        std::memcpy(&labels[i], entry->data.data() + i * size, size);
      }
    }
  }
  return out;
}

}  // namespace retort::onnx
