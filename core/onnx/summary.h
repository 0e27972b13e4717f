// What an ONNX graph is made of, without running it: weights, operators by kind, inputs and outputs, what stands in the way.
// `retort inspect` and the Model page show it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/formats/checkpoint.h"
#include "core/onnx/plan.h"

namespace retort::onnx {

struct OperatorCount {
  std::string domain, name;
  int count = 0;
  bool supported = false;              // Retort has the operator; a single node may still be refused, see problems
  std::uint64_t bytes = 0;             // of the weights whose first reader it is
};

struct Weight {
  StoredTensor tensor;
  std::string op;                      // kind of the first node that reads it; "" when none does
  std::string node;                    // that node's label
};

struct Summary {
  std::vector<Weight> weights;         // initializers, then Constant nodes, which other exporters write instead
  std::vector<OperatorCount> operators;   // most frequent first; those of graphs in attributes too
  std::vector<Problem> problems;
  std::vector<const ValueInfo*> inputs;   // without those that are weights; they lie in the file
  std::uint64_t bytes = 0, parameters = 0;
  bool quantized = false;
};

Summary summarise(const OnnxFile& file);

// "3 × height × ?": sizes, symbols and "?" for open ones.
std::string dimensions(const ValueInfo& value);

// The weight as an entry that statistics can read, with a row for each place of its first dimension; nullopt for element types without values (strings, 4 bits, complex).
// Lives as long as the file.
std::optional<TensorEntry> entry_of(const StoredTensor& tensor);

}  // namespace retort::onnx
