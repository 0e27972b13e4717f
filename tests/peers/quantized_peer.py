#!/usr/bin/env python3
"""Makes the small folders of tests/data/quantized: one linear each, packed here by the formats' definitions and decoded by the
libraries where they can (compressed-tensors, bitsandbytes), else by the definition. Needs torch, compressed-tensors,
bitsandbytes, safetensors. Usage: quantized_peer.py tests/data/quantized"""
import json
import pathlib
import sys

import numpy as np
import torch
from compressed_tensors.compressors.nvfp4.helpers import unpack_fp4_from_uint8
from compressed_tensors.compressors.pack_quantized.helpers import pack_to_int32, unpack_from_int32
from safetensors.torch import save_file

OUT, IN = 32, 96
NAME = "model.layers.0.mlp.up_proj"
random = np.random.default_rng(5)
torch.manual_seed(5)


def write(root, folder, config, tensors, reference):
    path = pathlib.Path(root) / folder
    path.mkdir(parents=True, exist_ok=True)
    (path / "config.json").write_text(json.dumps({"model_type": "llama", "quantization_config": config}) + "\n")
    save_file({f"{NAME}.{k}": v.contiguous() for k, v in tensors.items()}, path / "model.safetensors")
    save_file({f"{NAME}.weight": reference.float().contiguous()}, path / "reference.safetensors")


def stream(values, bits):
    """Each row of `values` as a dense little-endian bit stream of int32 words."""
    rows, count = values.shape
    flat = ((values[:, :, None] >> np.arange(bits)) & 1).astype(np.uint8).reshape(rows, count * bits)
    return torch.from_numpy(np.packbits(flat, axis=1, bitorder="little").view(np.int32).copy())


def gptq(root, bits, group, act_order):
    groups = IN // group
    q = random.integers(0, 1 << bits, (OUT, IN))
    z = random.integers(1, 1 << bits, (groups, OUT))
    scale = (random.random((groups, OUT)).astype(np.float32) * 0.02 + 0.001).astype(np.float16)
    index = random.permutation(IN) // group if act_order else np.arange(IN) // group
    reference = scale.astype(np.float32)[index].T * (q - z[index].T).astype(np.float32)
    write(root, f"gptq-{bits}bit-{group}{'-act' if act_order else ''}",
          {"quant_method": "gptq", "bits": bits, "group_size": group, "desc_act": act_order, "sym": False},
          {"qweight": stream(q, bits).T, "qzeros": stream(z - 1, bits), "scales": torch.from_numpy(scale),
           "g_idx": torch.from_numpy(index.astype(np.int32))}, torch.from_numpy(reference))


def compressed(root, folder, bits, group, zeros, act_order, padded=False):
    groups = IN // group
    low, high = -(1 << (bits - 1)), (1 << (bits - 1)) - 1
    q = torch.randint(low, high + 1, (OUT, IN), dtype=torch.int8)
    z = torch.randint(low, high + 1, (OUT, groups), dtype=torch.int8)
    scale = (torch.rand(OUT, groups) * 0.02 + 0.001).to(torch.bfloat16)
    index = torch.randperm(IN) // group if act_order else torch.arange(IN) // group
    if padded:  # versions before 0.13: 32 // bits values a word
        n = 32 // bits
        words = -(-IN // n)
        codes = np.zeros((OUT, words * n), dtype=np.uint32)
        codes[:, :IN] = q.numpy().astype(np.int32) - low
        packed = (codes.reshape(OUT, words, n) << (bits * np.arange(n, dtype=np.uint32))).sum(axis=2, dtype=np.uint32)
        packed = torch.from_numpy(packed.view(np.int32).copy())
    else:
        packed = pack_to_int32(q, bits)
        assert (unpack_from_int32(packed, bits, q.shape) == q).all()
    tensors = {"weight_packed": packed, "weight_scale": scale, "weight_shape": torch.tensor([OUT, IN])}
    offset = z.float()[:, index] if zeros else torch.zeros(OUT, IN)
    if zeros:
        tensors["weight_zero_point"] = pack_to_int32(z, bits, packed_dim=0)
    if act_order:
        tensors["weight_g_idx"] = index.to(torch.int32)
    weights = {"num_bits": bits, "type": "int", "symmetric": not zeros, "strategy": "group", "group_size": group}
    write(root, folder, {"quant_method": "compressed-tensors", "format": "pack-quantized",
                         "config_groups": {"group_0": {"targets": ["Linear"], "weights": weights}}},
          tensors, scale.float()[:, index] * (q.float() - offset))


def float4(root, kind):
    packed = torch.randint(0, 256, (OUT, IN // 2), dtype=torch.uint8)
    values = unpack_fp4_from_uint8(packed, OUT, IN, dtype=torch.float32)
    group = 16 if kind == "nvfp4" else 32
    tensors = {"weight_packed": packed}
    if kind == "nvfp4":
        scale = (torch.rand(OUT, IN // group) * 400 + 1).to(torch.float8_e4m3fn)
        tensors |= {"weight_scale": scale, "weight_global_scale": torch.tensor([3217.0])}
        factor = scale.float() / torch.tensor([3217.0])
    else:
        scale = torch.randint(100, 140, (OUT, IN // group), dtype=torch.uint8)
        tensors |= {"weight_scale": scale}
        factor = torch.exp2(scale.float() - 127)
    weights = {"num_bits": 4, "type": "float", "symmetric": True, "strategy": "group", "group_size": group}
    write(root, f"compressed-{kind}", {"quant_method": "compressed-tensors", "format": f"{kind}-pack-quantized",
                                       "config_groups": {"group_0": {"targets": ["Linear"], "weights": weights}}},
          tensors, values * factor.repeat_interleave(group, dim=1))


def fp8(root):
    weight = (torch.randn(OUT, IN) * 40).to(torch.float8_e4m3fn)
    # Blocks that do not divide the sizes: the last ones are smaller.
    scale = torch.rand(1, 2) * 0.01
    factor = scale.repeat_interleave(64, 0)[:OUT].repeat_interleave(64, 1)[:, :IN]
    write(root, "fp8-odd-blocks", {"quant_method": "fp8", "weight_block_size": [64, 64]},
          {"weight": weight, "weight_scale_inv": scale}, weight.float() * factor)
    one = torch.tensor(0.0123)
    write(root, "fp8-tensor", {"quant_method": "fp8", "activation_scheme": "static"},
          {"weight": weight, "weight_scale": one, "input_scale": torch.tensor(0.5)}, weight.float() * one)
    group = torch.rand(OUT, IN // 32).to(torch.bfloat16)
    codes = torch.randint(-128, 128, (OUT, IN), dtype=torch.int8)
    zero = torch.randint(-128, 128, (OUT, IN // 32), dtype=torch.int8)
    weights = {"num_bits": 8, "type": "int", "symmetric": False, "strategy": "group", "group_size": 32}
    write(root, "compressed-int8-groups", {"quant_method": "compressed-tensors", "format": "int-quantized",
                                           "config_groups": {"group_0": {"targets": ["Linear"], "weights": weights}}},
          {"weight": codes, "weight_scale": group, "weight_zero_point": zero},
          group.float().repeat_interleave(32, 1) * (codes.float() - zero.float().repeat_interleave(32, 1)))


def bitsandbytes(root):
    import bitsandbytes.functional as F
    weight = torch.randn(OUT, IN) * 0.05
    for kind, nested in (("fp4", False), ("nf4", True)):
        packed, state = F.quantize_4bit(weight, blocksize=64, quant_type=kind, compress_statistics=nested)
        tensors = {"weight": packed} | {f"weight.{k}": v for k, v in state.as_dict(packed=True).items()}
        write(root, f"bnb-{kind}{'-nested' if nested else ''}", {"quant_method": "bitsandbytes", "load_in_4bit": True}, tensors,
              F.dequantize_4bit(packed, state))
    codes = torch.randint(-127, 128, (OUT, IN), dtype=torch.int8)
    scale = torch.rand(OUT)
    write(root, "bnb-int8", {"quant_method": "bitsandbytes", "load_in_8bit": True},
          {"weight": codes, "SCB": scale, "weight_format": torch.tensor(0, dtype=torch.uint8)},
          F.int8_vectorwise_dequant(codes, scale))


def main():
    root = sys.argv[1]
    for bits, group, act in ((2, 32, False), (3, 32, True), (3, 96, False), (8, 32, True)):
        gptq(root, bits, group, act)
    for folder, bits, group, zeros, act, padded in (
            ("compressed-3bit", 3, 32, True, False, False), ("compressed-3bit-padded", 3, 32, False, False, True),
            ("compressed-8bit", 8, 96, True, False, False), ("compressed-4bit-act", 4, 32, True, True, False)):
        compressed(root, folder, bits, group, zeros, act, padded)
    float4(root, "nvfp4")
    float4(root, "mxfp4")
    fp8(root)
    bitsandbytes(root)


main()
