#!/usr/bin/env python3
"""Makes tests/data/ggml_blocks.json: two blocks of random bytes of every ggml type that the PyPI package `gguf` decodes, and
the SHA-256 of their values as f32. Usage: ggml_blocks_peer.py > tests/data/ggml_blocks.json"""
import hashlib
import json

import numpy as np
import gguf
from gguf.quants import dequantize

# Byte offsets of f16 fields, which must be finite: a scale of 0.0123 and its like. IQ1_M and the float types: see below.
HALVES = {"Q4_1": (0, 2), "Q5_1": (0, 2), "Q4_K": (0, 2), "Q5_K": (0, 2), "Q2_K": (80, 82), "Q3_K": (108,), "Q6_K": (208,),
          "TQ1_0": (52,), "TQ2_0": (64,), "IQ1_M": (), "MXFP4": (), "NVFP4": ()}
TYPES = ("Q4_0 Q4_1 Q5_0 Q5_1 Q8_0 Q2_K Q3_K Q4_K Q5_K Q6_K IQ4_NL IQ4_XS IQ3_S IQ3_XXS IQ2_S IQ2_XS IQ2_XXS IQ1_M IQ1_S "
         "TQ1_0 TQ2_0 MXFP4 NVFP4").split()


def main():
    random = np.random.default_rng(20)
    out = {}
    for name in TYPES:
        kind = gguf.GGMLQuantizationType[name]
        size = gguf.GGML_QUANT_SIZES[kind][1]
        blocks = random.integers(0, 256, (2, size), dtype=np.uint8)
        for at in HALVES.get(name, (0,)):
            blocks[:, at:at + 2] = np.array([0.0123, -0.0456], dtype=np.float16).reshape(2, 1).view(np.uint8)
        if name == "IQ1_M":
            blocks[:, 55] = blocks[:, 55] & 15 | 0x20
        if name == "MXFP4":
            blocks[:, 0] = (1, 130)
        values = dequantize(blocks.reshape(1, -1), kind).astype("<f4")
        out[name] = {"packed": blocks.tobytes().hex(), "sha256": hashlib.sha256(values.tobytes()).hexdigest()}
    print(json.dumps(out, indent=1))


main()
