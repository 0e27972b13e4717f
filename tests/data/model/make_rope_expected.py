"""Writes rope_expected.json: inverse frequencies and attention factors by transformers' own formulae.

Runs the functions of transformers' modeling_rope_utils.py (made with 5.23.0; any version of 5 does) on numpy in place
of torch, so that nothing but numpy and the unpacked wheel is needed:
    pip download --no-deps transformers && unzip transformers-*.whl 'transformers/modeling_rope_utils.py'
    python3 make_rope_expected.py transformers/modeling_rope_utils.py > rope_expected.json
"""

import json
import sys
import types

import numpy as np


class Array(np.ndarray):
    """A float32 array with the few tensor methods that the formulae call."""

    def to(self, *_, dtype=None, **__):
        return self.astype(dtype) if dtype is not None else self

    def float(self):
        return self.astype(np.float32)

    def __rpow__(self, base):  # torch raises in the dtype of the tensor
        return np.power(np.float32(base), self, dtype=np.float32).view(Array)


def array(values, dtype=np.float32):
    return np.asarray(values, dtype=dtype).view(Array)


torch = types.SimpleNamespace(
    float=np.float32, float32=np.float32, int64=np.int64, Tensor=Array,
    arange=lambda *a, dtype=np.int64, device=None: np.arange(*a, dtype=dtype).view(Array),
    tensor=lambda v, dtype=np.float32, device=None: array(v, dtype),
    where=lambda c, a, b: np.where(c, a, b).view(Array),
    clamp=lambda x, low, high: np.clip(x, low, high).view(Array),
)


class Config:
    """What the formulae read of a configuration."""

    def __init__(self, rope_type, **kw):
        self.head_dim = kw.pop("head_dim", 64)
        self.max_position_embeddings = kw.pop("max_position_embeddings", 4096)
        self.hidden_size, self.num_attention_heads = 4 * self.head_dim, 4
        self.rope_parameters = {"rope_type": rope_type, "rope_theta": 10000.0, **kw}

    def standardize_rope_params(self):
        if self.rope_parameters["rope_type"] in ("llama3", "yarn", "longrope"):
            self.rope_parameters.setdefault("original_max_position_embeddings", self.max_position_embeddings)


def load(path):
    source = open(path, encoding="utf-8").read()
    source = source.replace("from .utils import is_torch_available, logging",
                            "import logging\nlogging.get_logger = logging.getLogger\nis_torch_available = lambda: False")
    module = types.ModuleType("modeling_rope_utils")
    module.torch = torch
    exec(compile(source, path, "exec"), module.__dict__)
    return module


CASES = [
    ("linear", dict(factor=4.0), 100),
    ("dynamic within", "dynamic", dict(factor=2.0, max_position_embeddings=2048), 2000),
    ("dynamic beyond", "dynamic", dict(factor=2.0, max_position_embeddings=2048), 5000),
    ("llama3", dict(factor=32.0, low_freq_factor=1.0, high_freq_factor=4.0, rope_theta=500000.0,
                    original_max_position_embeddings=8192, max_position_embeddings=131072), 100),
    ("llama3 small", "llama3", dict(factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0, rope_theta=500.0, head_dim=16,
                                    original_max_position_embeddings=64, max_position_embeddings=512), 100),
    ("yarn", dict(factor=4.0, original_max_position_embeddings=4096, max_position_embeddings=16384), 100),
    ("yarn mscale", "yarn", dict(factor=40.0, mscale=0.707, mscale_all_dim=1.0, beta_fast=32, beta_slow=1,
                                 original_max_position_embeddings=4096, max_position_embeddings=163840), 100),
    ("yarn exact", "yarn", dict(factor=16.0, truncate=False, attention_factor=1.25, beta_fast=24.0, beta_slow=2.0,
                                rope_theta=150000.0, original_max_position_embeddings=4096,
                                max_position_embeddings=65536), 100),
    ("yarn no factor", "yarn", dict(factor=None, original_max_position_embeddings=2048, max_position_embeddings=16384), 100),
    ("longrope short", "longrope", dict(head_dim=16, short_factor=[1 + 0.05 * i for i in range(8)],
                                        long_factor=[1 + 1.7 * i for i in range(8)],
                                        original_max_position_embeddings=4096, max_position_embeddings=131072), 4096),
    ("longrope long", "longrope", dict(head_dim=16, short_factor=[1 + 0.05 * i for i in range(8)],
                                       long_factor=[1 + 1.7 * i for i in range(8)],
                                       original_max_position_embeddings=4096, max_position_embeddings=131072), 4097),
    ("longrope factor", "longrope", dict(head_dim=16, short_factor=[1.0] * 8, long_factor=[2.0] * 8, factor=8.0,
                                         original_max_position_embeddings=4096, max_position_embeddings=131072), 10),
    ("partial", "linear", dict(factor=2.0, partial_rotary_factor=0.25, head_dim=80), 10),
]


def main():
    module = load(sys.argv[1])
    out = []
    for case in CASES:
        name, kind, parameters, length = case if len(case) == 4 else (case[0], *case)
        config = Config(kind, **parameters)
        inverse, attention = module.ROPE_INIT_FUNCTIONS[kind](config, seq_len=length)
        out.append({
            "name": name, "length": length,
            "config": {"head_dim": config.head_dim, "max_position_embeddings": config.max_position_embeddings,
                       "rope_parameters": config.rope_parameters},
            "inverse": [float(x) for x in np.asarray(inverse, dtype=np.float32)],
            "attention_factor": float(attention),
        })
    print(json.dumps(out, indent=1))


main()
