#!/usr/bin/env python3
"""Makes the files of this folder: one small graph per operator and variant (cases/NAME.onnx), what onnxruntime computes with it
(cases.safetensors: NAME/in/INPUT, NAME/out/OUTPUT), and files that must be refused (bad/). Our own data, from seeded numbers.
Usage: make_onnx.py [FOLDER]; packages onnx, onnxruntime, numpy, safetensors."""
import pathlib
import shutil
import sys

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import save_file

rng = np.random.default_rng(20)
KINDS = {np.dtype(np.float32): TensorProto.FLOAT, np.dtype(np.float64): TensorProto.DOUBLE, np.dtype(np.int64): TensorProto.INT64,
         np.dtype(np.int32): TensorProto.INT32, np.dtype(np.int8): TensorProto.INT8, np.dtype(np.uint8): TensorProto.UINT8,
         np.dtype(bool): TensorProto.BOOL, np.dtype(np.float16): TensorProto.FLOAT16}


def f(*shape):
    return rng.normal(size=shape).astype(np.float32)


def i64(*values):
    return np.array(values, np.int64)


class W:
    """A weight: an initializer instead of an input."""

    def __init__(self, array):
        self.array = np.asarray(array)


def graph_of(nodes, inputs, outputs, weights, opset, ir=8):
    values = [helper.make_tensor_value_info(k, KINDS[v.dtype], [None] * v.ndim) for k, v in inputs.items()]
    graph = helper.make_graph(nodes, "case", values, [helper.make_empty_tensor_value_info(o) for o in outputs],
                              [numpy_helper.from_array(v, k) for k, v in weights.items()])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])
    model.ir_version = ir
    return model


class Maker:
    def __init__(self, root):
        self.root, self.tensors = root, {}
        (root / "cases").mkdir(parents=True)

    def finish(self, name, model, inputs):
        # Types of outputs come from inference, as onnxruntime wants them.
        inferred = onnx.shape_inference.infer_shapes(model)
        kinds = {v.name: v.type.tensor_type.elem_type for v in [*inferred.graph.value_info, *inferred.graph.output]}
        for output in model.graph.output:
            output.CopyFrom(helper.make_tensor_value_info(output.name, kinds.get(output.name) or TensorProto.FLOAT, None))
        path = self.root / "cases" / f"{name}.onnx"
        onnx.save(model, path)
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        for key, value in inputs.items():
            self.tensors[f"{name}/in/{key}"] = np.array(value, order="C")
        for output, value in zip(session.get_outputs(), session.run(None, inputs)):
            # Retort gives half precision out as f32.
            self.tensors[f"{name}/out/{output.name}"] = np.array(value, np.float32 if value.dtype == np.float16 else None, order="C")

    def one(self, name, op, *arguments, opset=17, outputs=1, **attributes):
        """One node; arrays are inputs, W(array) weights, None is left out."""
        names, inputs, weights = [], {}, {}
        for k, argument in enumerate(arguments):
            names.append("" if argument is None else f"x{k}")
            if isinstance(argument, W):
                weights[f"x{k}"] = argument.array
            elif argument is not None:
                inputs[f"x{k}"] = np.asarray(argument)
        made = [f"y{k}" for k in range(outputs)]
        self.finish(name, graph_of([helper.make_node(op, names, made, **attributes)], inputs, made, weights, opset), inputs)


def elementwise(m):
    a, b = f(2, 3, 4), f(3, 1)
    for op in ("Add", "Sub", "Mul", "Div"):
        m.one(op.lower(), op, a, b)
        m.one(op.lower() + "-int", op, i64(7, -9, 4), i64(2, 2, -3))
    m.one("mod", "Mod", i64(7, -7, 7, -7), i64(3, 3, -3, -3))
    m.one("fmod", "Mod", f(5), f(5), fmod=1)
    m.one("pow", "Pow", np.abs(f(4, 3)), f(3))
    m.one("pow-square", "Pow", f(4, 3), W(np.float32(2)))
    m.one("pow-int", "Pow", f(4), i64(3))
    m.one("prelu", "PRelu", f(2, 3, 4), f(3, 1))
    for op in ("Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual"):
        m.one(op.lower(), op, np.round(f(3, 4)), np.round(f(4)))
    for op in ("And", "Or", "Xor"):
        m.one(op.lower(), op, f(3, 4) > 0, f(4) > 0)
    m.one("not", "Not", f(3) > 0)
    for op in ("Neg", "Abs", "Sign", "Relu", "Exp", "Erf", "Tanh", "Sin", "Cos", "Floor", "Ceil", "Round", "Reciprocal", "Sigmoid", "Softplus", "Softsign",
               "HardSwish", "Mish", "LeakyRelu", "Elu", "Selu", "HardSigmoid"):
        m.one(op.lower(), op, 2 * f(3, 11), opset=18)
    m.one("sqrt", "Sqrt", np.abs(f(7)))
    m.one("log", "Log", np.abs(f(7)))
    m.one("gelu", "Gelu", f(9), opset=20)
    m.one("gelu-tanh", "Gelu", f(9), opset=20, approximate="tanh")
    m.one("leaky", "LeakyRelu", f(9), alpha=0.3)
    m.one("hard-sigmoid-attributes", "HardSigmoid", 3 * f(9), alpha=0.5, beta=0.6)
    m.one("clip", "Clip", f(9), W(np.float32(-0.5)), W(np.float32(0.4)))
    m.one("clip-low", "Clip", f(9), W(np.float32(-0.5)))
    m.one("clip-6", "Clip", f(9), opset=10, min=-0.3, max=0.2)
    m.one("where", "Where", f(3, 1) > 0, f(3, 4), f(4))
    m.one("isnan", "IsNaN", np.array([1, np.nan, np.inf], np.float32))
    m.one("max", "Max", f(3, 4), f(4), f(1))
    m.one("min", "Min", f(3, 4), f(4))
    m.one("sum", "Sum", f(3, 4), f(4), f(3, 1))
    m.one("mean", "Mean", f(3, 4), f(4))
    m.one("cast-int", "Cast", 3 * f(6), to=TensorProto.INT64)
    m.one("cast-bool", "Cast", i64(0, 5, -1), to=TensorProto.BOOL)
    m.one("cast-float", "Cast", i64(3, -4), to=TensorProto.FLOAT)
    m.one("cast-from-bool", "Cast", f(5) > 0, to=TensorProto.INT32)


def shapes(m):
    x = f(2, 3, 4)
    m.one("shape", "Shape", x)
    m.one("shape-part", "Shape", x, start=1, end=-1)
    m.one("size", "Size", x)
    m.one("reshape", "Reshape", x, W(i64(0, -1)))
    m.one("reshape-zero", "Reshape", np.zeros((0, 3), np.float32), W(i64(3, 0)), allowzero=1)
    m.one("flatten", "Flatten", x, axis=2)
    m.one("squeeze", "Squeeze", f(1, 3, 1), W(i64(0)))
    m.one("squeeze-all", "Squeeze", f(1, 3, 1))
    m.one("squeeze-11", "Squeeze", f(1, 3, 1), opset=11, axes=[-1])
    m.one("unsqueeze", "Unsqueeze", x, W(i64(0, -1)))
    m.one("unsqueeze-11", "Unsqueeze", x, opset=11, axes=[1])
    m.one("transpose", "Transpose", f(2, 3, 4, 5), perm=[0, 2, 3, 1])
    m.one("transpose-all", "Transpose", f(2, 3, 4))
    m.one("transpose-bytes", "Transpose", rng.integers(0, 200, (3, 5)).astype(np.uint8))
    m.one("expand", "Expand", f(3, 1), W(i64(2, 1, 4)))
    m.one("tile", "Tile", x, W(i64(2, 1, 3)))
    m.one("slice", "Slice", f(5, 6), W(i64(1, 5)), W(i64(4, 0)), W(i64(0, 1)), W(i64(2, -2)))
    m.one("slice-ends", "Slice", f(5, 6), W(i64(-3)), W(i64(2**62)), W(i64(1)))
    m.one("slice-back", "Slice", f(7), W(i64(-1)), W(i64(-2**63)), W(i64(0)), W(i64(-1)))
    m.one("slice-empty", "Slice", f(7), W(i64(5)), W(i64(2)))
    m.one("slice-9", "Slice", f(5, 6), opset=9, starts=[1, 0], ends=[3, -1], axes=[0, 1])
    m.one("concat", "Concat", f(2, 1, 3), f(2, 4, 3), axis=1)
    m.one("concat-last", "Concat", i64(1, 2), i64(3), axis=-1)
    m.one("split", "Split", f(7, 2), W(i64(3, 4)), outputs=2)
    m.one("split-equal", "Split", f(2, 6), outputs=3, axis=1)
    m.one("split-18", "Split", f(2, 7), outputs=3, axis=1, opset=18, num_outputs=3)
    m.one("split-11", "Split", f(2, 6), outputs=2, axis=1, opset=11, split=[2, 4])
    m.one("range", "Range", np.int64(3), np.int64(12), np.int64(4))
    m.one("range-float", "Range", np.float32(1), np.float32(-0.5), np.float32(-0.25))
    m.one("constant-of-shape", "ConstantOfShape", W(i64(2, 3)), value=helper.make_tensor("v", TensorProto.INT64, [1], [7]))
    m.one("constant-of-shape-zero", "ConstantOfShape", W(i64(3)))
    m.one("identity", "Identity", x)
    m.one("dropout", "Dropout", x)
    for mode in ("constant", "reflect", "edge"):
        m.one("pad-" + mode, "Pad", f(4, 5), W(i64(1, 2, 0, 3)), opset=18, mode=mode)
    m.one("pad-wrap", "Pad", f(4, 5), W(i64(1, 2, 0, 3)), opset=19, mode="wrap")
    m.one("pad-value-axes", "Pad", f(4, 5), W(i64(2, 1)), W(np.float32(0.7)), W(i64(1)), opset=18)
    m.one("pad-cut", "Pad", f(4, 5), W(i64(-1, 0, 1, -2)))
    m.one("pad-10", "Pad", f(2, 3), opset=10, pads=[0, 1, 1, 0], value=0.25)


def choices(m):
    x = f(4, 3, 5)
    m.one("gather", "Gather", x, W(np.array([[0, -1], [2, 1]], np.int64)), axis=1)
    m.one("gather-0", "Gather", x, W(np.int64(2)))
    m.one("gather-elements", "GatherElements", f(3, 4), W(np.array([[0, -1], [2, 1]], np.int64)), axis=1)
    m.one("gather-nd", "GatherND", x, W(np.array([[0, 1], [3, -1]], np.int64)))
    m.one("scatter-nd", "ScatterND", f(4, 3), W(np.array([[1], [3]], np.int64)), f(2, 3))
    m.one("argmax", "ArgMax", np.round(f(3, 5)), axis=1)
    m.one("argmax-last", "ArgMax", np.round(f(3, 5)), axis=0, keepdims=0, select_last_index=1)
    m.one("argmin", "ArgMin", f(3, 5), axis=-1)
    m.one("topk", "TopK", f(3, 7), W(i64(3)), outputs=2)
    m.one("topk-smallest", "TopK", np.round(f(7, 3)), W(i64(4)), outputs=2, axis=0, largest=0)
    m.one("nonzero", "NonZero", np.round(f(3, 4)))
    m.one("cumsum", "CumSum", f(3, 4), W(np.int64(1)))
    m.one("cumsum-back", "CumSum", f(3, 4), W(np.int64(0)), exclusive=1, reverse=1)
    m.one("trilu", "Trilu", f(4, 5), W(np.int64(1)))
    m.one("trilu-lower", "Trilu", f(2, 4, 4), upper=0)


def reductions(m):
    x = f(3, 4, 5)
    for op in ("ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin", "ReduceProd", "ReduceL1", "ReduceL2", "ReduceSumSquare"):
        m.one(op.lower(), op, x, W(i64(0, -1)), opset=18)
    m.one("reduce-log-sum", "ReduceLogSum", np.abs(x), W(i64(1)), opset=18)
    m.one("reduce-all", "ReduceMean", x, opset=17)
    m.one("reduce-13", "ReduceMean", x, opset=13, axes=[1], keepdims=0)
    m.one("reduce-middle", "ReduceMax", x, opset=13, axes=[1])
    m.one("reduce-int", "ReduceSum", rng.integers(-9, 9, (3, 4)), W(i64(1)), keepdims=0)
    m.one("reduce-nothing", "ReduceSum", x, None, noop_with_empty_axes=1)
    m.one("softmax", "Softmax", x, axis=1)
    m.one("softmax-last", "Softmax", 5 * x)
    m.one("softmax-11", "Softmax", x, opset=11, axis=1)
    m.one("log-softmax", "LogSoftmax", x)
    m.one("layer-norm", "LayerNormalization", x, f(5), f(5), axis=-1, epsilon=1e-3)
    m.one("layer-norm-plain", "LayerNormalization", x, f(4, 5), axis=1)
    m.one("batch-norm", "BatchNormalization", f(2, 3, 4), W(f(3)), W(f(3)), W(f(3)), W(np.abs(f(3))), epsilon=1e-3)
    m.one("instance-norm", "InstanceNormalization", f(2, 3, 4, 2), W(f(3)), W(f(3)))


def products(m):
    m.one("matmul", "MatMul", f(5, 7), f(7, 3))
    m.one("matmul-batch", "MatMul", f(2, 1, 5, 7), f(3, 7, 4))
    m.one("matmul-tall", "MatMul", f(2, 5, 7), W(f(7, 4)))
    m.one("matmul-vector", "MatMul", f(7), f(3, 7, 4))
    m.one("matmul-dot", "MatMul", f(7), f(7))
    m.one("gemm", "Gemm", f(5, 7), f(7, 3), f(3), alpha=0.5, beta=2.0)
    m.one("gemm-turned", "Gemm", f(7, 5), f(3, 7), f(5, 1), transA=1, transB=1)
    m.one("gemm-plain", "Gemm", f(5, 7), f(7, 3))
    # Small weights: on some processors onnxruntime adds pairs of products in 16 bits, which saturate.
    m.one("matmul-integer", "MatMulInteger", rng.integers(0, 255, (4, 9)).astype(np.uint8), W(rng.integers(-60, 60, (9, 3)).astype(np.int8)), W(np.uint8(130)), W(np.int8(3)))
    m.one("conv", "Conv", f(2, 3, 9, 8), W(f(4, 3, 3, 3)), W(f(4)), pads=[1, 1, 1, 1])
    m.one("conv-stride", "Conv", f(1, 4, 11, 10), W(f(6, 4, 3, 2)), strides=[2, 3], pads=[1, 0, 2, 1])
    m.one("conv-dilated", "Conv", f(1, 2, 12, 13), W(f(3, 2, 3, 3)), dilations=[2, 3], pads=[2, 2, 2, 2])
    m.one("conv-groups", "Conv", f(2, 6, 7, 7), W(f(4, 3, 3, 3)), W(f(4)), group=2)
    m.one("conv-depthwise", "Conv", f(2, 5, 9, 7), W(f(5, 1, 3, 5)), W(f(5)), group=5, pads=[1, 2, 1, 2], strides=[2, 1])
    m.one("conv-depthwise-two", "Conv", f(1, 3, 6, 7), W(f(6, 1, 3, 3)), group=3, strides=[1, 2], pads=[1, 1, 1, 1])
    m.one("conv-pointwise", "Conv", f(2, 8, 5, 6), W(f(7, 8, 1, 1)), W(f(7)))
    m.one("conv-large", "Conv", f(1, 3, 40, 52), W(f(5, 3, 5, 3)), W(f(5)), pads=[2, 1, 2, 1])
    for mode in ("SAME_UPPER", "SAME_LOWER", "VALID"):
        m.one("conv-" + mode.lower().replace("_", "-"), "Conv", f(1, 2, 8, 9), W(f(3, 2, 4, 3)), auto_pad=mode, strides=[2, 2])
    m.one("conv-1d", "Conv", f(2, 3, 14), W(f(4, 3, 5)), W(f(4)), pads=[2, 2])
    m.one("conv-3d", "Conv", f(1, 2, 4, 5, 6), W(f(3, 2, 2, 3, 3)), pads=[1, 0, 1, 0, 1, 1])
    m.one("conv-integer", "ConvInteger", rng.integers(0, 255, (1, 2, 6, 6)).astype(np.uint8), W(rng.integers(0, 255, (3, 2, 3, 3)).astype(np.uint8)), W(np.uint8(128)), W(np.uint8(120)), pads=[1, 1, 1, 1])
    m.one("conv-transpose", "ConvTranspose", f(2, 3, 4, 5), W(f(3, 4, 3, 3)), W(f(4)), strides=[2, 2], pads=[1, 1, 1, 1])
    m.one("conv-transpose-2x2", "ConvTranspose", f(1, 4, 6, 5), W(f(4, 2, 2, 2)), W(f(2)), strides=[2, 2])
    m.one("conv-transpose-groups", "ConvTranspose", f(1, 4, 3, 4), W(f(4, 2, 3, 2)), group=2, output_padding=[1, 0], strides=[2, 1], dilations=[1, 2])
    m.one("conv-transpose-shape", "ConvTranspose", f(1, 2, 3, 3), W(f(2, 2, 3, 3)), output_shape=[7, 6], strides=[2, 2], auto_pad="SAME_UPPER")


def pools(m):
    x = f(2, 3, 9, 10)
    m.one("max-pool", "MaxPool", x, kernel_shape=[3, 2], strides=[2, 2], pads=[1, 0, 1, 1])
    m.one("max-pool-ceil", "MaxPool", x, kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1)
    m.one("max-pool-dilated", "MaxPool", x, kernel_shape=[2, 2], dilations=[2, 3])
    m.one("max-pool-same", "MaxPool", x, kernel_shape=[3, 3], strides=[2, 2], auto_pad="SAME_UPPER")
    m.one("average-pool", "AveragePool", x, kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])
    m.one("average-pool-padding", "AveragePool", x, kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1], count_include_pad=1)
    m.one("average-pool-ceil", "AveragePool", x, kernel_shape=[3, 3], strides=[2, 3], ceil_mode=1, opset=19)
    m.one("average-pool-1d", "AveragePool", f(1, 2, 9), kernel_shape=[4], strides=[3])
    m.one("global-average-pool", "GlobalAveragePool", x)
    m.one("global-max-pool", "GlobalMaxPool", x)


def resizes(m):
    x, none = f(1, 2, 5, 7), W(np.zeros(0, np.float32))
    up = W(np.array([1, 1, 2, 2], np.float32))
    for mode in ("asymmetric", "half_pixel", "pytorch_half_pixel", "align_corners"):
        m.one("resize-linear-" + mode, "Resize", x, none, W(np.array([1, 1, 2, 0.6], np.float32)), mode="linear", coordinate_transformation_mode=mode)
    for mode in ("floor", "ceil", "round_prefer_floor", "round_prefer_ceil"):
        m.one("resize-nearest-" + mode, "Resize", x, none, W(np.array([1, 1, 1.7, 0.6], np.float32)), nearest_mode=mode)
    m.one("resize-nearest-paddle", "Resize", x, none, up, opset=12, coordinate_transformation_mode="asymmetric", nearest_mode="floor")
    m.one("resize-cubic", "Resize", x, none, W(np.array([1, 1, 1.6, 2], np.float32)), mode="cubic")
    m.one("resize-cubic-outside", "Resize", x, none, W(np.array([1, 1, 1.6, 2], np.float32)), mode="cubic", exclude_outside=1, cubic_coeff_a=-0.5)
    m.one("resize-sizes", "Resize", x, None, None, W(i64(1, 2, 8, 3)), mode="linear")
    m.one("resize-axes", "Resize", x, None, None, W(i64(8, 3)), opset=18, mode="linear", axes=[2, 3])
    m.one("resize-10", "Resize", x, up, opset=10)
    m.one("upsample", "Upsample", x, up, opset=9, mode="nearest")


def quantized(m):
    x = 3 * f(2, 3, 4)
    m.one("quantize", "QuantizeLinear", x, W(np.float32(0.03)), W(np.uint8(120)))
    m.one("quantize-signed", "QuantizeLinear", x, W(np.float32(0.03)), W(np.int8(-4)))
    m.one("quantize-axis", "QuantizeLinear", x, W(np.abs(f(3)) / 20), W(np.array([1, 2, 3], np.uint8)), axis=1)
    m.one("quantize-default", "QuantizeLinear", x, W(np.float32(0.03)))
    m.one("dequantize", "DequantizeLinear", rng.integers(0, 255, (3, 4)).astype(np.uint8), W(np.float32(0.03)), W(np.uint8(120)))
    m.one("dequantize-axis", "DequantizeLinear", rng.integers(-99, 99, (3, 4)).astype(np.int8), W(np.abs(f(3))), W(np.array([1, -2, 3], np.int8)), axis=0)
    m.one("dequantize-int32", "DequantizeLinear", rng.integers(-999, 999, (4,)).astype(np.int32), W(np.float32(0.01)))
    m.one("dynamic-quantize", "DynamicQuantizeLinear", x, outputs=3)


def nets(m):
    """A convolutional classifier and an attention layer, written as exporters write them."""
    n = helper.make_node
    weights = {"w1": f(8, 3, 3, 3) * 0.3, "b1": f(8), "dw": f(8, 1, 3, 3), "w2": f(16, 8, 1, 1) * 0.5, "scale": f(16), "bias": f(16), "mean": f(16), "var": np.abs(f(16)),
               "low": np.float32(0), "high": np.float32(6), "fc": f(16, 5), "fb": f(5)}
    nodes = [n("Conv", ["x", "w1", "b1"], ["c1"], name="stem", strides=[2, 2], pads=[1, 1, 1, 1]), n("HardSwish", ["c1"], ["h1"]),
             n("Conv", ["h1", "dw"], ["c2"], name="depthwise", group=8, pads=[1, 1, 1, 1]), n("Clip", ["c2", "low", "high"], ["h2"]),
             n("Conv", ["h2", "w2"], ["c3"], name="pointwise"), n("BatchNormalization", ["c3", "scale", "bias", "mean", "var"], ["n3"]), n("Relu", ["n3"], ["h3"]),
             n("GlobalAveragePool", ["h3"], ["p"]), n("Flatten", ["p"], ["flat"]), n("Gemm", ["flat", "fc", "fb"], ["logits"], name="head"), n("Softmax", ["logits"], ["y"], axis=1)]
    x = f(2, 3, 16, 12)
    m.finish("net-cnn", graph_of(nodes, {"x": x}, ["y"], weights, 14), {"x": x})

    weights = {"embed": f(20, 16), "wq": f(16, 16) * 0.3, "wk": f(16, 16) * 0.3, "wv": f(16, 16) * 0.3, "wo": f(16, 16), "bq": f(16), "heads": i64(0, 0, 2, 8), "joined": i64(0, 0, 16),
               "root": np.float32(8 ** 0.5), "far": np.float32(-1e9), "one": np.float32(1), "axes": i64(1, 2), "two": np.float32(2), "epsilon": np.float32(1e-5), "gamma": f(16), "beta": f(16)}
    nodes = [n("Gather", ["embed", "ids"], ["e"])]
    for part in "qkv":
        nodes.append(n("MatMul", ["e", "w" + part], [part + "0"]))
        source = part + "0"
        if part == "q":
            nodes.append(n("Add", ["q0", "bq"], ["q1"]))
            source = "q1"
        nodes += [n("Reshape", [source, "heads"], [part + "2"]), n("Transpose", [part + "2"], [part], perm=[0, 2, 3, 1] if part == "k" else [0, 2, 1, 3])]
    nodes += [n("MatMul", ["q", "k"], ["s0"]), n("Div", ["s0", "root"], ["s1"]), n("Cast", ["mask"], ["m0"], to=TensorProto.FLOAT), n("Unsqueeze", ["m0", "axes"], ["m1"]),
              n("Sub", ["one", "m1"], ["m2"]), n("Mul", ["m2", "far"], ["m3"]), n("Add", ["s1", "m3"], ["s2"]), n("Softmax", ["s2"], ["p"], axis=-1), n("MatMul", ["p", "v"], ["o0"]),
              n("Transpose", ["o0"], ["o1"], perm=[0, 2, 1, 3]), n("Reshape", ["o1", "joined"], ["o2"]), n("MatMul", ["o2", "wo"], ["o3"]), n("Add", ["o3", "e"], ["r"]),
              n("ReduceMean", ["r"], ["mu"], axes=[-1]), n("Sub", ["r", "mu"], ["d"]), n("Pow", ["d", "two"], ["d2"]), n("ReduceMean", ["d2"], ["variance"], axes=[-1]),
              n("Add", ["variance", "epsilon"], ["steady"]), n("Sqrt", ["steady"], ["sd"]), n("Div", ["d", "sd"], ["z"]), n("Mul", ["z", "gamma"], ["z1"]), n("Add", ["z1", "beta"], ["y"])]
    inputs = {"ids": rng.integers(0, 20, (2, 6)), "mask": np.array([[1, 1, 1, 1, 1, 1], [1, 1, 1, 1, 0, 0]], np.int64)}
    m.finish("net-attention", graph_of(nodes, inputs, ["y"], weights, 13), inputs)


def layouts(m):
    """What stands between convolutions: taken into them, computed with their channels innermost, or put back in order first."""
    n = helper.make_node
    c = f(6, 6, 3, 3) * 0.3
    weights = {"w1": f(6, 3, 3, 3) * 0.4, "w2": c, "w3": f(6, 6, 1, 1) * 0.5, "dw": f(6, 1, 5, 5) * 0.4, "scale": f(6), "bias": f(6), "mean": f(6), "var": np.abs(f(6)) + 0.1,
               "shift": f(1, 6, 1, 1), "times": f(6, 1, 1), "half": np.float32(0.5), "zero": np.float32(0), "three": np.float32(3), "six": np.float32(6), "sixth": np.float32(1 / 6),
               "b2": f(6), "squeeze": f(2, 6, 1, 1), "excite": f(6, 2, 1, 1), "b4": f(6), "roi": np.zeros(0, np.float32), "twice": np.float32([1, 1, 2, 2])}
    nodes = [n("Conv", ["x", "w1"], ["a0"], pads=[1, 1, 1, 1], strides=[2, 2]), n("BatchNormalization", ["a0", "scale", "bias", "mean", "var"], ["a1"]),
             n("Add", ["a1", "shift"], ["a2"]), n("Mul", ["times", "a2"], ["a3"]), n("Sub", ["a3", "half"], ["a4"]), n("Clip", ["a4", "zero", "six"], ["a"]),
             n("Conv", ["a", "w2", "b2"], ["b0"], pads=[1, 1, 1, 1]), n("Add", ["b0", "three"], ["b1"]), n("Clip", ["b1", "zero", "six"], ["b2c"]), n("Mul", ["b0", "b2c"], ["b3"]), n("Div", ["b3", "six"], ["b"]),
             n("Conv", ["b", "dw"], ["d0"], group=6, pads=[2, 2, 2, 2]), n("Add", ["three", "d0"], ["d1"]), n("Clip", ["d1", "zero", "six"], ["d2"]), n("Mul", ["d2", "sixth"], ["d3"]), n("Mul", ["d3", "d0"], ["d"]),
             n("Add", ["d", "a"], ["r"]), n("GlobalAveragePool", ["r"], ["g"]), n("Conv", ["g", "squeeze"], ["g1"]), n("Relu", ["g1"], ["g2"]), n("Conv", ["g2", "excite", "b4"], ["g3"]),
             n("HardSigmoid", ["g3"], ["g4"], alpha=0.2, beta=0.5), n("Mul", ["r", "g4"], ["se"]), n("MaxPool", ["se"], ["p1"], kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1]),
             n("AveragePool", ["se"], ["p2"], kernel_shape=[3, 2], strides=[2, 2], pads=[1, 0, 1, 1], count_include_pad=1), n("Concat", ["p1", "p2"], ["cat"], axis=1),
             n("Resize", ["cat", "roi", "twice"], ["up"], mode="nearest", coordinate_transformation_mode="asymmetric", nearest_mode="floor"), n("Resize", ["cat", "roi", "twice"], ["soft"], mode="linear"),
             n("Concat", ["up", "soft"], ["wide"], axis=-2), n("GlobalMaxPool", ["wide"], ["most"]), n("Conv", ["se", "w3"], ["last"]), n("Transpose", ["last"], ["y"], perm=[0, 2, 3, 1])]
    x = f(2, 3, 14, 18)
    m.finish("net-layouts", graph_of(nodes, {"x": x}, ["y", "wide", "most", "r"], weights, 13), {"x": x})

    functions = {"silu": [n("Sigmoid", ["c"], ["s"]), n("Mul", ["c", "s"], ["y"])], "hard": [n("HardSigmoid", ["c"], ["s"], alpha=1 / 6, beta=0.5), n("Mul", ["s", "c"], ["y"])],
                 "leaky": [n("LeakyRelu", ["c"], ["y"], alpha=0.3)], "sigmoid": [n("Sigmoid", ["c"], ["y"])], "not-hard": [n("HardSigmoid", ["c"], ["s"]), n("Mul", ["s", "c"], ["y"])],
                 "relu-used-twice": [n("Relu", ["c"], ["s"]), n("Add", ["c", "s"], ["y"])], "full": [n("Add", ["c", "other"], ["s"]), n("Softmax", ["s"], ["y"], axis=1)],
                 "by-column": [n("Mul", ["c", "columns"], ["y"])], "prelu": [n("PRelu", ["c", "slopes"], ["y"])], "cast": [n("Greater", ["c", "slopes"], ["s"]), n("Where", ["s", "c", "columns"], ["y"])]}
    for name, after in functions.items():
        weights = {"w": f(5, 3, 3, 3) * 0.5, "b": f(5), "columns": f(7), "slopes": f(5, 1, 1), "other": f(2, 5, 6, 7)}
        used = {i for node in after for i in node.input} | {"w", "b"}
        x = f(2, 3, 6, 7)
        m.finish(f"net-after-{name}", graph_of([n("Conv", ["x", "w", "b"], ["c"], pads=[1, 1, 1, 1]), *after], {"x": x}, ["y"], {k: v for k, v in weights.items() if k in used}, 16), {"x": x})

    weights = {"w1": rng.integers(-127, 127, (6, 4, 5)).astype(np.int8), "s1": np.abs(f(6)) * 0.02 + 0.01, "w2": f(3, 6, 3), "slope": np.abs(f(6, 1)), "s": np.float32(0.05), "z": np.uint8(120)}
    nodes = [n("DequantizeLinear", ["w1", "s1"], ["w"], axis=0), n("Conv", ["x", "w"], ["c"], pads=[2, 2]), n("PRelu", ["c", "slope"], ["p"]), n("QuantizeLinear", ["p", "s", "z"], ["q"]),
             n("DequantizeLinear", ["q", "s", "z"], ["d"]), n("Conv", ["d", "w2"], ["y"], strides=[2])]
    x = f(3, 4, 21)
    m.finish("net-rounded", graph_of(nodes, {"x": x}, ["y"], weights, 16), {"x": x})


def halves(m):
    """Half precision, which Retort computes in f32: weights, constants and casts; compared within what f16 can say."""
    n, h = helper.make_node, np.float16
    m.one("half-cast", "Cast", 100 * f(40), to=TensorProto.FLOAT16)
    weights = {"w": f(6, 3, 3, 3).astype(h), "b": f(6).astype(h), "fc": f(6, 4).astype(h), "two": h(2)}
    nodes = [n("Cast", ["x"], ["x16"], to=TensorProto.FLOAT16), n("Conv", ["x16", "w", "b"], ["c"], pads=[1, 1, 1, 1]), n("Relu", ["c"], ["r"]), n("GlobalAveragePool", ["r"], ["p"]), n("Flatten", ["p"], ["l"]),
             n("MatMul", ["l", "fc"], ["s"]), n("Constant", [], ["k"], value=numpy_helper.from_array(np.array([0.5], h))), n("Mul", ["s", "k"], ["t"]), n("Div", ["t", "two"], ["u"]), n("Cast", ["u"], ["y"], to=TensorProto.FLOAT)]
    x = f(2, 3, 9, 8)
    m.finish("half-net", graph_of(nodes, {"x": x}, ["y"], weights, 14), {"x": x})


def recurrent(m):
    def weights(gates, hidden, inputs, directions, biased=True):
        return W(0.5 * f(directions, gates * hidden, inputs)), W(0.5 * f(directions, gates * hidden, hidden)), W(f(directions, 2 * gates * hidden)) if biased else None

    x = f(7, 3, 5)
    m.one("lstm", "LSTM", x, *weights(4, 6, 5, 1), hidden_size=6, outputs=3)
    m.one("lstm-both", "LSTM", x, *weights(4, 6, 5, 2), None, f(2, 3, 6), f(2, 3, 6), hidden_size=6, direction="bidirectional", outputs=3)
    m.one("lstm-plain", "LSTM", x, *weights(4, 4, 5, 1, False), hidden_size=4, direction="reverse")
    m.one("gru", "GRU", x, *weights(3, 6, 5, 1), hidden_size=6, outputs=2)
    m.one("gru-linear", "GRU", x, *weights(3, 6, 5, 2), None, f(2, 3, 6), hidden_size=6, direction="bidirectional", linear_before_reset=1, outputs=2)
    m.one("rnn", "RNN", x, *weights(1, 6, 5, 1), W(np.full(3, 7, np.int32)), hidden_size=6, outputs=2)
    m.one("rnn-relu", "RNN", x, *weights(1, 6, 5, 2), hidden_size=6, direction="bidirectional", activations=["Relu", "Relu"], outputs=2)


def joined(m):
    """Products with what follows them: bias, scale, GELU in both writings, SiLU; and what must not be taken in."""
    n = helper.make_node
    root, half, one = np.float32(2 ** 0.5), np.float32(0.5), np.float32(1)
    weights = {"w": f(6, 40), "b": f(40), "root": root, "rooted": np.float32(0.5 ** 0.5), "half": half, "one": one, "v": f(40, 9), "c": f(9), "u": f(7, 9), "d": f(7), "wide": f(3, 1, 7)}
    nodes = [n("MatMul", ["x", "w"], ["a0"]), n("Add", ["b", "a0"], ["a"]), n("Div", ["a", "root"], ["e0"]), n("Erf", ["e0"], ["e1"]), n("Add", ["e1", "one"], ["e2"]), n("Mul", ["a", "e2"], ["e3"]), n("Mul", ["e3", "half"], ["e"]),
             n("MatMul", ["e", "v"], ["g0"]), n("Add", ["g0", "c"], ["g"]), n("Mul", ["g", "rooted"], ["h0"]), n("Erf", ["h0"], ["h1"]), n("Add", ["one", "h1"], ["h2"]), n("Mul", ["h2", "g"], ["h3"]), n("Mul", ["half", "h3"], ["h"]),
             n("Reshape", ["h", "flat"], ["h4"]), n("Gemm", ["h4", "u", "d"], ["s0"], transB=1), n("Sigmoid", ["s0"], ["s1"]), n("Mul", ["s0", "s1"], ["s"]), n("Add", ["s", "wide"], ["y"])]
    weights["flat"] = i64(-1, 9)
    x = f(2, 5, 6)
    m.finish("net-joined", graph_of(nodes, {"x": x}, ["y", "g"], weights, 14), {"x": x})
    weights = {"w": f(6, 7), "wide": f(3, 1, 7), "scale": np.float32(0.3)}
    nodes = [n("MatMul", ["x", "w"], ["a"]), n("Add", ["a", "wide"], ["b"]), n("MatMul", ["b", "v"], ["c"]), n("Div", ["c", "scale"], ["d"]), n("Gelu", ["d"], ["y"])]
    weights["v"] = f(7, 4)
    x = f(5, 6)
    m.finish("net-joined-wide", graph_of(nodes, {"x": x}, ["y"], weights, 20), {"x": x})
    m.finish("net-joined-vector", graph_of([n("MatMul", ["x", "w"], ["a"]), n("Relu", ["a"], ["y"])], {"x": x[0]}, ["y"], {"w": f(6, 7)}, 14), {"x": x[0]})


def bad(root):
    """Files that must be refused, by name of what is wrong."""
    folder = root / "bad"
    folder.mkdir()
    n, x = helper.make_node, {"x": f(2, 3)}

    def save(name, nodes, outputs=("y",), weights=None, opset=17, inputs=None):
        onnx.save(graph_of(nodes, inputs or x, list(outputs), weights or {}, opset), folder / f"{name}.onnx")

    save("cycle", [n("Add", ["x", "b"], ["a"], name="first"), n("Relu", ["a"], ["b"]), n("Relu", ["b"], ["y"])])
    save("unknown-input", [n("Add", ["x", "nobody"], ["y"], name="lonely")])
    save("twice", [n("Relu", ["x"], ["y"]), n("Tanh", ["x"], ["y"], name="again")])
    save("unknown-operator", [n("Einsum", ["x"], ["y"], name="sum", equation="ij->j")])
    save("other-domain", [n("FusedThing", ["x"], ["y"], name="fused", domain="com.example")])
    save("unknown-attribute", [n("Relu", ["x"], ["y"], name="odd", slope=1.0)])
    save("wrong-type", [n("And", ["x", "x"], ["y"], name="logic")])
    save("two-types", [n("Add", ["x", "w"], ["y"], name="mixed")], weights={"w": i64(1)})
    save("sixteen", [n("Cast", ["x"], ["y"], name="sixteen", to=TensorProto.UINT16)])
    save("indices", [n("MaxPool", ["x"], ["y", "at"], name="pool", kernel_shape=[1])])
    save("no-output", [n("Relu", ["x"], ["y"])], outputs=("z",))
    save("operator-set", [n("Relu", ["x"], ["y"])], opset=6)
    save("too-few", [n("Where", ["x"], ["y"], name="where")])
    onnx.save(helper.make_model(helper.make_graph([n("Add", ["x", "w"], ["y"])], "g", [helper.make_tensor_value_info("x", 1, [2])], [helper.make_tensor_value_info("y", 1, [2])],
                                                  [helper.make_tensor("w", 1, [2], np.zeros(1, np.float32).tobytes() + b"\0" * 4, raw=True)])), folder / "external.onnx")
    for name, location in (("external-outside", "../cases.safetensors"), ("external-absolute", "/etc/hostname"), ("external-missing", "nowhere.bin")):
        model = onnx.load(folder / "external.onnx", load_external_data=False)
        tensor = model.graph.initializer[0]
        tensor.ClearField("raw_data")
        tensor.data_location = TensorProto.EXTERNAL
        for key, value in (("location", location), ("offset", "0"), ("length", "8")):
            entry = tensor.external_data.add()
            entry.key, entry.value = key, value
        (folder / f"{name}.onnx").write_bytes(model.SerializeToString())
    (folder / "external.onnx").unlink()


def external(m):
    """Weights in a file beside the graph, at an offset."""
    weights = {"w": f(4, 3), "v": f(3)}
    model = graph_of([helper.make_node("Gemm", ["x", "w", "v"], ["y"])], {"x": f(2, 4)}, ["y"], weights, 17)
    blob = b"\0" * 16
    for tensor in model.graph.initializer:
        entries = (("location", "external.bin"), ("offset", str(len(blob))), ("length", str(len(tensor.raw_data))))
        blob += tensor.raw_data
        tensor.ClearField("raw_data")
        tensor.data_location = TensorProto.EXTERNAL
        for key, value in entries:
            entry = tensor.external_data.add()
            entry.key, entry.value = key, value
    (m.root / "cases" / "external.bin").write_bytes(blob)
    path, x = m.root / "cases" / "external.onnx", f(2, 4)
    model.graph.output[0].CopyFrom(helper.make_tensor_value_info("y", 1, [None, None]))
    path.write_bytes(model.SerializeToString())
    m.tensors["external/in/x"] = x
    m.tensors["external/out/y"] = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"]).run(None, {"x": x})[0]


def main():
    root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parent)
    for part in ("cases", "bad"):
        shutil.rmtree(root / part, ignore_errors=True)
    maker = Maker(root)
    for group in (elementwise, shapes, choices, reductions, products, pools, resizes, quantized, nets, external, layouts, halves, recurrent, joined):
        group(maker)
    bad(root)
    save_file(maker.tensors, root / "cases.safetensors")
    print(len(list((root / "cases").glob("*.onnx"))), "cases")


main()
