#!/usr/bin/env python3
"""Writes kernels/reference/iq_grids.h: the codebooks of ggml's IQ types, which are format data (their origin: ggml, MIT).

Needs the PyPI package `gguf`, whose quants.py holds the same numbers. Usage: make_iq_grids.py > kernels/reference/iq_grids.h
An entry packs the level numbers of its elements from the lowest bits up: 2 bits each (IQ1, IQ2) or 3 bits (IQ3).
"""
import numpy as np
from gguf import quants

HEAD = """// The codebooks of ggml's IQ types: format data, made by scripts/make_iq_grids.py from the PyPI package gguf {version}.
// An entry holds the level numbers of its elements (8 of 2 bits, or 4 of 3 bits), element 0 in the lowest bits.
#pragma once

#include <array>
#include <cstdint>

namespace retort::kernels::reference {{
"""


def table(name, cls, bits):
    cls.init_grid()
    grid = cls.grid.reshape(cls.grid_shape)
    levels = np.array(cls.grid_map, dtype=np.float32)
    numbers = np.argmin(np.abs(grid[..., None] - levels), axis=-1)
    assert (levels[numbers] == grid).all()
    entries = (numbers << (bits * np.arange(numbers.shape[1]))).sum(axis=1)
    assert entries.max() < 1 << 16
    lines = [f"inline constexpr std::array<std::uint16_t, {len(entries)}> {name} = {{"]
    for at in range(0, len(entries), 14):
        lines.append("    " + " ".join(f"0x{e:04x}," for e in entries[at:at + 14]))
    return "\n".join(lines) + "};\n"


def main():
    import importlib.metadata
    print(HEAD.format(version=importlib.metadata.version("gguf")))
    for name, cls, bits in (("kIq1Grid", quants.IQ1_S, 2), ("kIq2XxsGrid", quants.IQ2_XXS, 2),
                            ("kIq2XsGrid", quants.IQ2_XS, 2), ("kIq2SGrid", quants.IQ2_S, 2),
                            ("kIq3XxsGrid", quants.IQ3_XXS, 3), ("kIq3SGrid", quants.IQ3_S, 3)):
        print(table(name, cls, bits))
    print("}  // namespace retort::kernels::reference")


main()
