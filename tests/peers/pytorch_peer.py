#!/usr/bin/env python3
"""Makes tests/data/pytorch with torch.save: files that must open, with the same tensors as safetensors, and files that must be
refused because they hold more than tensors. Usage: pytorch_peer.py tests/data/pytorch"""
import collections
import json
import pathlib
import sys

import torch
from safetensors.torch import save_file


class Malicious:
    def __reduce__(self):
        import os
        return (os.system, ("echo never run",))


def main():
    root = pathlib.Path(sys.argv[1])
    root.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(3)
    base = torch.randn(6, 4)
    state = collections.OrderedDict(
        {"f32": base, "row": base[2], "tied": base, "f16": torch.randn(3, 5).half(), "bf16": torch.randn(2, 2).bfloat16(),
         "f64": torch.randn(3).double(), "i8": torch.arange(-4, 4, dtype=torch.int8), "i16": torch.arange(5, dtype=torch.int16),
         "i32": torch.arange(5, dtype=torch.int32), "i64": torch.arange(5), "u8": torch.arange(5, dtype=torch.uint8),
         "flag": torch.tensor([True, False]), "scalar": torch.tensor(2.5), "empty": torch.zeros(0, 3),
         "f8": torch.randn(4).to(torch.float8_e4m3fn), "parameter": torch.nn.Parameter(torch.randn(2, 3))})
    torch.save(state, root / "state.bin")
    save_file({k: v.detach().clone().contiguous() for k, v in state.items()}, root / "state.safetensors")
    linear = torch.nn.Linear(3, 2)
    torch.save(linear.state_dict(), root / "module.bin")
    torch.save({"state_dict": linear.state_dict(), "epoch": 3, "note": "text"}, root / "training.ckpt")
    torch.save({"a": torch.ones(2), "b": Malicious()}, root / "refuse-call.bin")
    torch.save({"a": torch.ones(2), "lr": 0.1}, root / "refuse-number.bin")
    torch.save(linear, root / "refuse-module.bin")
    torch.save({"a": torch.arange(6.0).reshape(2, 3).T}, root / "refuse-strided.bin")
    torch.save(linear.state_dict(), root / "refuse-legacy.bin", _use_new_zipfile_serialization=False)
    torch.jit.save(torch.jit.script(linear), str(root / "refuse-program.bin"))
    shards = root / "shards"
    shards.mkdir(exist_ok=True)
    (shards / "config.json").write_text("{}\n")
    names = {}
    for i, part in enumerate(("weight", "bias")):
        file = f"pytorch_model-0000{i + 1}-of-00002.bin"
        torch.save({part: linear.state_dict()[part]}, shards / file)
        names[part] = file
    (shards / "pytorch_model.bin.index.json").write_text(json.dumps({"metadata": {}, "weight_map": names}) + "\n")


main()
