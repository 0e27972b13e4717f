// The operators that Retort runs: one row each, by name. To add one: its function, its row, a case in
// tests/data/onnx/make_onnx.py.
#include <array>

#include "core/onnx/ops/ops.h"

namespace retort::onnx {
namespace {

Error cannot(std::string expected, std::string found) {
  return Error{.code = ErrorCode::kUnsupported, .expected = std::move(expected), .found = std::move(found)};
}

Result<void> one_of(const Attributes& attributes, std::string_view name, std::string_view otherwise, std::initializer_list<std::string_view> known) {
  const std::string_view value = attributes.text(name, otherwise);
  std::string names;
  for (const std::string_view one : known) {
    if (one == value) return {};
    names += (names.empty() ? "" : ", ") + std::string(one);
  }
  return cannot(std::string(name) + " of " + names, std::string(value.substr(0, 40)));
}

Result<void> zero(const Attributes& attributes, std::string_view name) {
  const std::int64_t value = attributes.whole(name, 0);
  if (value == 0) return {};
  return cannot(std::string(name) + " 0", std::to_string(value));
}

Result<void> check_auto_pad(const Attributes& attributes, std::int64_t) {
  RETORT_CHECK(zero(attributes, "storage_order"));
  return one_of(attributes, "auto_pad", "NOTSET", {"NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID"});
}

Result<void> check_batch_normalization(const Attributes& attributes, std::int64_t) {
  if (attributes.whole("spatial", 1) != 1) return cannot("spatial 1", "0");
  return zero(attributes, "training_mode");
}

Result<void> check_quantize(const Attributes& attributes, std::int64_t) {
  const std::int64_t type = attributes.whole("output_dtype", 0);
  const bool right = attributes.node().op == "QuantizeLinear" ? type == 2 || (type == 3 && attributes.node().inputs.size() > 2) : type == 1;
  if (type != 0 && !right) return cannot("an output of the usual type", std::to_string(type));
  return zero(attributes, "block_size");
}

Result<void> check_plain(const Attributes& attributes, std::int64_t) {
  RETORT_CHECK(zero(attributes, "batch_dims"));
  return one_of(attributes, "reduction", "none", {"none"});
}

// The usual functions only, the same for both directions; outputs as [steps, directions, batch, hidden].
Result<void> check_recurrent(const Attributes& attributes, std::int64_t) {
  RETORT_CHECK(zero(attributes, "layout"));
  RETORT_CHECK(zero(attributes, "input_forget"));
  RETORT_CHECK(one_of(attributes, "direction", "forward", {"forward", "reverse", "bidirectional"}));
  const Attribute* functions = attributes.node().find("activations");
  if (!functions) return {};
  const std::string& op = attributes.node().op;
  const std::vector<std::string> usual = op == "LSTM" ? std::vector<std::string>{"Sigmoid", "Tanh", "Tanh"} : op == "GRU" ? std::vector<std::string>{"Sigmoid", "Tanh"} : std::vector<std::string>{"Tanh"};
  for (std::size_t i = 0; i < functions->texts.size(); ++i) {
    const bool all_relu = op == "RNN" && functions->texts.front() == "Relu" && functions->texts[i] == "Relu";
    if (!all_relu && functions->texts[i] != usual[i % usual.size()]) return cannot("activations as the standard has them", functions->texts[i].substr(0, 40));
  }
  return {};
}

Result<void> check_pad(const Attributes& attributes, std::int64_t) {
  return one_of(attributes, "mode", "constant", {"constant", "reflect", "edge", "wrap"});
}

Result<void> check_slice(const Attributes& attributes, std::int64_t opset) {
  const bool wants_inputs = opset >= 10;
  if (wants_inputs != (attributes.node().inputs.size() > 2)) return cannot("starts and ends as operator set " + std::to_string(opset) + " has them", "others");
  return {};
}

Result<void> check_resize(const Attributes& attributes, std::int64_t opset) {
  RETORT_CHECK(zero(attributes, "antialias"));
  RETORT_CHECK(one_of(attributes, "keep_aspect_ratio_policy", "stretch", {"stretch"}));
  if (opset < 11) return one_of(attributes, "mode", "nearest", {"nearest", "linear"});
  RETORT_CHECK(one_of(attributes, "mode", "nearest", {"nearest", "linear", "cubic"}));
  RETORT_CHECK(one_of(attributes, "nearest_mode", "round_prefer_floor", {"round_prefer_floor", "round_prefer_ceil", "floor", "ceil"}));
  return one_of(attributes, "coordinate_transformation_mode", "half_pixel",
                {"half_pixel", "half_pixel_symmetric", "pytorch_half_pixel", "align_corners", "asymmetric"});
}

constexpr auto kOperators = std::to_array<Operator>({
    Operator{"Abs", "T", "T", kNumbers, "", &run_abs},
    Operator{"Add", "TT", "T", kNumbers, "", &run_add},
    Operator{"And", "BB", "B", kAll, "", &run_and},
    Operator{"ArgMax", "T", "L", kNumbers, "axis/i keepdims/i select_last_index/i", &run_arg_max},
    Operator{"ArgMin", "T", "L", kNumbers, "axis/i keepdims/i select_last_index/i", &run_arg_min},
    Operator{"AveragePool", "F", "F", kAll,
             "auto_pad/s ceil_mode/i count_include_pad/i dilations/I kernel_shape/I pads/I strides/I", &run_average_pool, kAll, &check_auto_pad},
    Operator{"BatchNormalization", "FFFFF", "F", kAll,
             "epsilon/f momentum/f training_mode/i spatial/i", &run_batch_normalization, kAll, &check_batch_normalization},
    Operator{"Cast", "T", "A", kAll, "to/i saturate/i", &run_cast, kAll},
    Operator{"Ceil", "T", "T", kFloats, "", &run_ceil},
    Operator{"Clip", "T?TT", "T", kNumbers, "min/f max/f", &run_clip},
    Operator{"Concat", "T*", "T", kAll, "axis/i", &run_concat},
    Operator{"Constant", "", "V", kAll, "value/t value_float/f value_floats/F value_int/i value_ints/I", &run_identity, kAll},
    Operator{"ConstantOfShape", "L", "V", kAll, "value/t", &run_constant_of_shape, kAll},
    Operator{"Conv", "FF?F", "F", kAll, "auto_pad/s dilations/I group/i kernel_shape/I pads/I strides/I", &run_conv, kAll, &check_auto_pad},
    Operator{"ConvInteger", "TU?TU", "J", kSmall,
             "auto_pad/s dilations/I group/i kernel_shape/I pads/I strides/I", &run_conv_integer, kSmall, &check_auto_pad},
    Operator{"ConvTranspose", "FF?F", "F", kAll,
             "auto_pad/s dilations/I group/i kernel_shape/I output_padding/I output_shape/I pads/I strides/I", &run_conv_transpose, kAll, &check_auto_pad},
    Operator{"Cos", "T", "T", kFloats, "", &run_cos},
    Operator{"CumSum", "TI", "T", kNumbers, "exclusive/i reverse/i", &run_cum_sum},
    Operator{"DequantizeLinear", "UF?U", "F", kAll,
             "axis/i block_size/i output_dtype/i", &run_dequantize_linear, kSmall | kIndex, &check_quantize},
    Operator{"Div", "TT", "T", kNumbers, "", &run_div},
    Operator{"Dropout", "T?FB", "T?B", kAll, "ratio/f seed/i", &run_dropout},
    Operator{"DynamicQuantizeLinear", "F", "YFY", kAll, "", &run_dynamic_quantize_linear},
    Operator{"Elu", "T", "T", kFloats, "alpha/f", &run_elu},
    Operator{"Equal", "TT", "B", kAll, "", &run_equal},
    Operator{"Erf", "T", "T", kFloats, "", &run_erf},
    Operator{"Exp", "T", "T", kFloats, "", &run_exp},
    Operator{"Expand", "TI", "T", kAll, "", &run_expand},
    Operator{"Flatten", "T", "T", kAll, "axis/i", &run_flatten},
    Operator{"Floor", "T", "T", kFloats, "", &run_floor},
    Operator{"GRU", "FFF?FJF", "F?F", kAll, "activations/S direction/s hidden_size/i layout/i linear_before_reset/i", &run_gru, kAll, &check_recurrent},
    Operator{"Gather", "TI", "T", kAll, "axis/i", &run_gather},
    Operator{"GatherElements", "TI", "T", kAll, "axis/i", &run_gather_elements},
    Operator{"GatherND", "TL", "T", kAll, "batch_dims/i", &run_gather_nd, kAll, &check_plain},
    Operator{"Gelu", "T", "T", kFloats, "approximate/s", &run_gelu},
    Operator{"Gemm", "FF?F", "F", kAll, "alpha/f beta/f transA/i transB/i", &run_gemm},
    Operator{"GlobalAveragePool", "F", "F", kAll, "", &run_global_average_pool},
    Operator{"GlobalMaxPool", "F", "F", kAll, "", &run_global_max_pool},
    Operator{"Greater", "TT", "B", kNumbers, "", &run_greater},
    Operator{"GreaterOrEqual", "TT", "B", kNumbers, "", &run_greater_or_equal},
    Operator{"HardSigmoid", "T", "T", kFloats, "alpha/f beta/f", &run_hard_sigmoid},
    Operator{"HardSwish", "T", "T", kFloats, "", &run_hard_swish},
    Operator{"Identity", "T", "T", kAll, "", &run_identity},
    Operator{"InstanceNormalization", "FFF", "F", kAll, "epsilon/f", &run_instance_normalization},
    Operator{"IsNaN", "T", "B", kFloats, "", &run_is_nan},
    Operator{"LSTM", "FFF?FJFF", "F?FF", kAll, "activations/S direction/s hidden_size/i input_forget/i layout/i", &run_lstm, kAll, &check_recurrent},
    Operator{"LayerNormalization", "FF?F", "F", kAll, "axis/i epsilon/f stash_type/i", &run_layer_normalization},
    Operator{"LeakyRelu", "T", "T", kFloats, "alpha/f", &run_leaky_relu},
    Operator{"Less", "TT", "B", kNumbers, "", &run_less},
    Operator{"LessOrEqual", "TT", "B", kNumbers, "", &run_less_or_equal},
    Operator{"Log", "T", "T", kFloats, "", &run_log},
    Operator{"LogSoftmax", "T", "T", kFloats, "axis/i", &run_log_softmax},
    Operator{"MatMul", "FF", "F", kAll, "", &run_mat_mul},
    Operator{"MatMulInteger", "TU?TU", "J", kSmall, "", &run_mat_mul_integer, kSmall},
    Operator{"Max", "T*", "T", kNumbers, "", &run_max},
    Operator{"MaxPool", "F", "F", kAll,
             "auto_pad/s ceil_mode/i dilations/I kernel_shape/I pads/I storage_order/i strides/I", &run_max_pool, kAll, &check_auto_pad},
    Operator{"Mean", "T*", "T", kFloats, "", &run_mean},
    Operator{"Min", "T*", "T", kNumbers, "", &run_min},
    Operator{"Mish", "T", "T", kFloats, "", &run_mish},
    Operator{"Mod", "TT", "T", kNumbers, "fmod/i", &run_mod},
    Operator{"Mul", "TT", "T", kNumbers, "", &run_mul},
    Operator{"Neg", "T", "T", kNumbers, "", &run_neg},
    Operator{"NonZero", "T", "L", kAll, "", &run_non_zero},
    Operator{"Not", "B", "B", kAll, "", &run_not},
    Operator{"Or", "BB", "B", kAll, "", &run_or},
    Operator{"PRelu", "TT", "T", kNumbers, "", &run_prelu},
    Operator{"Pad", "T?LTI", "T", kAll, "mode/s pads/I value/f", &run_pad, kAll, &check_pad},
    Operator{"Pow", "TU", "T", kNumbers, "", &run_pow, kNumbers},
    Operator{"QuantizeLinear", "FF?U", "Q", kAll,
             "axis/i block_size/i output_dtype/i saturate/i precision/i", &run_quantize_linear, kSmall, &check_quantize},
    Operator{"RNN", "FFF?FJF", "F?F", kAll, "activations/S direction/s hidden_size/i layout/i", &run_rnn, kAll, &check_recurrent},
    Operator{"Range", "TTT", "T", kNumbers, "", &run_range},
    Operator{"Reciprocal", "T", "T", kFloats, "", &run_reciprocal},
    Operator{"ReduceL1", "T?I", "T", kNumbers, "axes/I keepdims/i noop_with_empty_axes/i", &run_reduce_l1},
    Operator{"ReduceL2", "T?I", "T", kNumbers, "axes/I keepdims/i noop_with_empty_axes/i", &run_reduce_l2},
    Operator{"ReduceLogSum", "T?I", "T", kFloats, "axes/I keepdims/i noop_with_empty_axes/i", &run_reduce_log_sum},
    Operator{"ReduceMax", "T?I", "T", kNumbers, "axes/I keepdims/i noop_with_empty_axes/i", &run_reduce_max},
    Operator{"ReduceMean", "T?I", "T", kNumbers, "axes/I keepdims/i noop_with_empty_axes/i", &run_reduce_mean},
    Operator{"ReduceMin", "T?I", "T", kNumbers, "axes/I keepdims/i noop_with_empty_axes/i", &run_reduce_min},
    Operator{"ReduceProd", "T?I", "T", kNumbers, "axes/I keepdims/i noop_with_empty_axes/i", &run_reduce_prod},
    Operator{"ReduceSum", "T?I", "T", kNumbers, "axes/I keepdims/i noop_with_empty_axes/i", &run_reduce_sum},
    Operator{"ReduceSumSquare", "T?I", "T", kNumbers, "axes/I keepdims/i noop_with_empty_axes/i", &run_reduce_sum_square},
    Operator{"Relu", "T", "T", kNumbers, "", &run_relu},
    Operator{"Reshape", "TL", "T", kAll, "allowzero/i", &run_reshape},
    Operator{"Resize", "F?FFI", "F", kAll,
             "antialias/i axes/I coordinate_transformation_mode/s cubic_coeff_a/f exclude_outside/i extrapolation_value/f keep_aspect_ratio_policy/s mode/s nearest_mode/s", &run_resize, kAll, &check_resize},
    Operator{"Round", "T", "T", kFloats, "", &run_round},
    Operator{"ScatterND", "TLT", "T", kAll, "reduction/s", &run_scatter_nd, kAll, &check_plain},
    Operator{"Selu", "T", "T", kFloats, "alpha/f gamma/f", &run_selu},
    Operator{"Shape", "T", "L", kAll, "start/i end/i", &run_shape},
    Operator{"Sigmoid", "T", "T", kFloats, "", &run_sigmoid},
    Operator{"Sign", "T", "T", kNumbers, "", &run_sign},
    Operator{"Sin", "T", "T", kFloats, "", &run_sin},
    Operator{"Size", "T", "L", kAll, "", &run_size},
    Operator{"Slice", "T?IIII", "T", kAll, "axes/I ends/I starts/I", &run_slice, kAll, &check_slice},
    Operator{"Softmax", "T", "T", kFloats, "axis/i", &run_softmax},
    Operator{"Softplus", "T", "T", kFloats, "", &run_softplus},
    Operator{"Softsign", "T", "T", kFloats, "", &run_softsign},
    Operator{"Split", "T?L", "T*", kAll, "axis/i num_outputs/i split/I", &run_split},
    Operator{"Sqrt", "T", "T", kFloats, "", &run_sqrt},
    Operator{"Squeeze", "T?L", "T", kAll, "axes/I", &run_squeeze},
    Operator{"Sub", "TT", "T", kNumbers, "", &run_sub},
    Operator{"Sum", "T*", "T", kNumbers, "", &run_sum},
    Operator{"Tanh", "T", "T", kFloats, "", &run_tanh},
    Operator{"Tile", "TL", "T", kAll, "", &run_tile},
    Operator{"TopK", "T?L", "TL", kNumbers, "axis/i k/i largest/i sorted/i", &run_top_k},
    Operator{"Transpose", "T", "T", kAll, "perm/I", &run_transpose},
    Operator{"Trilu", "T?L", "T", kAll, "upper/i", &run_trilu},
    Operator{"Unsqueeze", "T?L", "T", kAll, "axes/I", &run_unsqueeze},
    Operator{"Upsample", "F?F", "F", kAll, "mode/s", &run_resize, kAll, &check_resize},
    Operator{"Where", "BTT", "T", kAll, "", &run_where},
    Operator{"Xor", "BB", "B", kAll, "", &run_xor},
});

}  // namespace

std::span<const Operator> operators() noexcept { return kOperators; }

}  // namespace retort::onnx
