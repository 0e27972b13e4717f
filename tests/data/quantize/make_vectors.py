#!/usr/bin/env python3
"""Makes the vectors of this folder: random and awkward blocks, packed by the `gguf` package (0.19, numpy).

input.f32: 24 blocks of 32 f32, as 4 rows of 192. TYPE.packed: their blocks.
"""
import pathlib

import gguf
import numpy

FOLDER = pathlib.Path(__file__).parent


def blocks() -> numpy.ndarray:
    random = numpy.random.default_rng(20260101)
    out = random.standard_normal((24, 32)).astype(numpy.float32)
    out[0] = 0
    out[1] = 0.75                                          # constant
    out[2] = -3.5
    out[3] = numpy.arange(32) - 15.5                       # exact halves
    out[4] = numpy.abs(out[4])                             # one sign
    out[5] = -numpy.abs(out[5])
    out[6, 7] = 90                                         # one outlier
    out[7] = numpy.where(numpy.arange(32) % 2, 1.25, -1.25)  # the largest magnitude twice, first negative
    out[8] *= numpy.float32(1e-6)
    out[9] *= numpy.float32(2e3)
    out[10, :16] = 0
    out[11] = numpy.float32(1e-30)
    out[12] = -out[7]
    out[13, 3] = -0.0
    out[13] = numpy.abs(out[13])
    out[13, 3] = -0.0                                      # the least value is a negative zero
    out[14:] *= numpy.float32(0.02)                        # as weights are
    return out


def main() -> None:
    values = blocks()
    values.tofile(FOLDER / "input.f32")
    for name in ("Q8_0", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "BF16"):
        packed = gguf.quants.quantize(values, gguf.GGMLQuantizationType[name])
        packed.tofile(FOLDER / f"{name}.packed")


main()
