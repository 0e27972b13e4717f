// ONNX files (github.com/onnx/onnx, onnx.proto3): a graph of operators over named tensors. What the file says, name by name;
// core/onnx decides what of it runs. Weights are views into mapped files, so opening reads structure only.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/files.h"
#include "core/base/result.h"
#include "core/formats/shape.h"
#include "kernels/api/tensor_type.h"

namespace retort::onnx {

// TensorProto.DataType: numbers of the format.
enum class ElementType : std::uint8_t {
  kUndefined, kFloat, kUint8, kInt8, kUint16, kInt16, kInt32, kInt64, kString, kBool, kFloat16, kDouble, kUint32, kUint64,
  kComplex64, kComplex128, kBfloat16, kFloat8E4M3FN, kFloat8E4M3FNUZ, kFloat8E5M2, kFloat8E5M2FNUZ, kUint4, kInt4,
  kFloat4E2M1, kCount
};
struct ElementTraits {
  ElementType type;
  std::string_view name;        // "FLOAT", as the format writes it
  std::uint32_t bits;           // 0: of no fixed size
  std::string_view plain;       // "F32": as Retort writes it elsewhere; the format's name where it has no other
};
const ElementTraits& traits(ElementType type) noexcept;
// Bytes of n elements, 4-bit ones packed by two; nullopt on overflow or for strings.
std::optional<std::uint64_t> element_bytes(ElementType type, std::uint64_t n) noexcept;

struct StoredTensor {
  std::string name;
  ElementType type = ElementType::kUndefined;
  std::vector<std::int64_t> shape;              // all ≥ 0, the product fits std::int64_t
  std::span<const std::byte> data;              // little-endian, row-major; no alignment is promised
  std::shared_ptr<const std::vector<std::byte>> owned;   // holds `data` when the file writes numbers in another way
  bool external = false;                        // in a file beside the graph

  std::int64_t elements() const noexcept { return shape_elements(shape); }
};

struct Graph;

// AttributeProto.AttributeType: numbers of the format.
enum class AttributeKind : std::uint8_t {
  kNone, kFloat, kInt, kString, kTensor, kGraph, kFloats, kInts, kStrings, kTensors, kGraphs, kSparse, kSparses, kType, kTypes
};
struct Attribute {
  std::string name;
  AttributeKind kind = AttributeKind::kNone;
  float real = 0;
  std::int64_t whole = 0;
  std::string text;
  std::vector<float> reals;
  std::vector<std::int64_t> wholes;
  std::vector<std::string> texts;
  std::shared_ptr<const StoredTensor> tensor;
  std::vector<std::shared_ptr<const Graph>> graphs;      // kGraph: one
};

struct Node {
  std::string name, op, domain;                 // domain "" is ONNX's own ("ai.onnx" is read as "")
  std::vector<std::string> inputs, outputs;     // "": left out
  std::vector<Attribute> attributes;
  std::size_t index = 0;                        // in its graph

  const Attribute* find(std::string_view attribute) const noexcept;
  // "node 3 conv1 (Conv)", for messages.
  std::string label() const;
};

// An input or output as declared. Sizes below 0 are open; `symbols` has their names or "".
struct ValueInfo {
  std::string name;
  ElementType type = ElementType::kUndefined;   // kUndefined: a sequence, map or nothing stated
  bool has_shape = false;
  std::vector<std::int64_t> shape;
  std::vector<std::string> symbols;
};

struct Graph {
  std::string name;
  std::vector<Node> nodes;
  std::vector<StoredTensor> tensors;            // initializers
  std::vector<ValueInfo> inputs, outputs, values;
  bool sparse = false;                          // has sparse initializers, which are not read
};

struct OperatorSet {
  std::string domain;
  std::int64_t version = 0;
};

struct OnnxFile {
  std::filesystem::path path;
  std::int64_t ir_version = 0;
  std::string producer;                         // name and version
  std::vector<OperatorSet> operator_sets;
  Graph graph;
  std::size_t functions = 0;                    // model-local functions, which are not read
  std::vector<std::shared_ptr<const MappedFile>> files;    // the graph's own first

  // Version of an operator set ("" for ONNX's own); 0 when the file imports none.
  std::int64_t version_of(std::string_view domain) const noexcept;
};

bool looks_like_onnx(std::span<const std::byte> bytes) noexcept;

// Errors: kNotFound, kForeign, kTruncated, kCorrupt, kUnsupported (sparse or segmented tensors), kMissingPart (external
// data), kPermission (external data outside the file's folder).
Result<std::shared_ptr<const OnnxFile>> open_onnx(const std::filesystem::path& path);

}  // namespace retort::onnx
