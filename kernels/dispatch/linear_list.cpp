#include "kernels/dispatch/linear_list.h"

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

#include "kernels/avx2/avx2.h"
#include "kernels/avx512/avx512.h"
#include "kernels/onednn/onednn.h"
#include "kernels/reference/reference.h"

namespace retort::kernels {
namespace {

constexpr std::int64_t kAny = INT64_MAX;

constexpr Rounding kRoundings[] = {
    {"avx2", Isa::kAvx2, &avx2::round_row, &avx2::expand_row},
    {"reference", Isa::kBaseline, &reference::round_row, &reference::expand_row},
};

using List = std::vector<LinearKernel>;
using enum TensorType;

// oneDNN chooses its own instructions: it runs wherever it was built in and its test product is right.
LinearKernel onednn_f32(TensorType type) {
  return {"onednn", Isa::kBaseline, type, WeightLayout::kStored, Input::kFloat, kAny, &onednn::linear_f32,
          &onednn::why_no_f32, true};
}

// Any stored type, or a weight in several parts: decoded piece by piece, multiplied in f32.
void add_decoded(List& list, TensorType type) {
  list.push_back({"avx512", Isa::kAvx512, type, WeightLayout::kStored, Input::kFloat, kAny, &avx2::linear_decoded,
                  nullptr, true});
  list.push_back({"avx2", Isa::kAvx2, type, WeightLayout::kStored, Input::kFloat, kAny, &avx2::linear_decoded, nullptr,
                  true});
  list.push_back(onednn_f32(type));
}

void add_dense(List& list, TensorType type) {
  list.push_back({"avx512", Isa::kAvx512, type, WeightLayout::kStored, Input::kFloat, 4, &avx512::linear_dense_few});
  list.push_back({"avx512", Isa::kAvx512, type, WeightLayout::kStored, Input::kFloat, kAny, &avx512::linear_dense});
  list.push_back({"avx2", Isa::kAvx2, type, WeightLayout::kStored, Input::kFloat, 4, &avx2::linear_dense_few});
  list.push_back({"avx2", Isa::kAvx2, type, WeightLayout::kStored, Input::kFloat, kAny, &avx2::linear_dense});
  if (type != kF32) list.push_back(onednn_f32(type));   // F32 gets it with add_decoded()
}

void add_packed(List& list, TensorType type) {
  const bool small = q8_layout(type) == Q8Layout::kBlocks32;
  list.push_back({"avx512", Isa::kAvx512, type, WeightLayout::kInterleaved16, Input::kRounded, kAny,
                  small ? &avx512::linear_q8_32 : &avx512::linear_q8_k});
  list.push_back({"avx512", Isa::kAvx512, type, WeightLayout::kInterleaved16, Input::kFloat, kAny,
                  &avx512::linear_f32_interleaved});
  list.push_back({"avx2", Isa::kAvx2, type, WeightLayout::kInterleaved8, Input::kRounded, kAny,
                  small ? &avx2::linear_q8_32 : &avx2::linear_q8_k});
  list.push_back({"avx2", Isa::kAvx2, type, WeightLayout::kInterleaved8, Input::kFloat, kAny,
                  &avx2::linear_f32_interleaved});
  list.push_back(onednn_f32(type));
}

// Few tokens by our own kernels; many by oneDNN where VNNI makes its product exact, else by our own.
void add_int8(List& list) {
  const auto add = [&list](const char* name, Isa needs, WeightLayout layout, std::int64_t most, RunTile run) {
    const bool own = std::string_view(name) != "onednn";
    list.push_back({name, needs, kI8, layout, Input::kRounded, most, run, own ? nullptr : &onednn::why_no_int8});
  };
  constexpr std::int64_t kFew = 8;
  add("avx512", Isa::kAvx512, WeightLayout::kInterleaved16, kFew, &avx512::linear_int8);
  add("onednn", Isa::kAvx512, WeightLayout::kInterleaved16, kAny, &onednn::linear_int8_from16);
  add("avx512", Isa::kAvx512, WeightLayout::kInterleaved16, kAny, &avx512::linear_int8);
  add("avx2", Isa::kAvx2, WeightLayout::kInterleaved8, kFew, &avx2::linear_int8);
  add("onednn", Isa::kAvx2, WeightLayout::kInterleaved8, kAny, &onednn::linear_int8_from8);
  add("avx2", Isa::kAvx2, WeightLayout::kInterleaved8, kAny, &avx2::linear_int8);
  add("onednn", Isa::kBaseline, WeightLayout::kStored, kAny, &onednn::linear_int8);
}

List make_list() {
  List list;
  for (const TensorType type : {kF32, kF16, kBF16}) add_dense(list, type);
  for (const TypeTraits& type : tensor_types()) {
    if (!type.packed()) continue;
    if (q8_layout(type.type) != Q8Layout::kNone) add_packed(list, type.type);
    else add_decoded(list, type.type);
  }
  for (const TensorType type : {kF32, kF8_E4M3, kF8_E5M2}) add_decoded(list, type);
  add_int8(list);
  for (const TypeTraits& type : tensor_types()) {
    const bool int8 = type.type == kI8;
    list.push_back({"reference", Isa::kBaseline, type.type, WeightLayout::kStored,
                    int8 ? Input::kRounded : Input::kFloat, kAny, int8 ? &reference::int8_tile : &reference::linear_tile,
                    nullptr, !int8});
  }
  return list;
}

}  // namespace

std::span<const LinearKernel> linear_kernels() noexcept {
  static const List list = make_list();
  return list;
}

std::span<const Rounding> roundings() noexcept { return kRoundings; }

const Rounding& rounding(std::string_view forced) noexcept {
  for (const Rounding& candidate : kRoundings)
    if (supported(candidate.needs) && forced == candidate.name) return candidate;
  for (const Rounding& candidate : kRoundings)
    if (supported(candidate.needs)) return candidate;
  return kRoundings[0];
}

}  // namespace retort::kernels
