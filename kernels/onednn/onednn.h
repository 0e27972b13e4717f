// Adapters to oneDNN, which is called from our pool on one tile at a time with one thread each.
#pragma once

#include "kernels/api/linear_kernel.h"

namespace retort::kernels::onednn {

// "" when f32 (or s8) products can be had; else why not: built without oneDNN, or its answer to a test product is wrong.
// Static strings; the test runs once.
const char* why_no_f32() noexcept;
const char* why_no_int8() noexcept;

// f32 activations times stored weights of any type, decoded 256 columns at a time.
void linear_f32(const LinearTile& tile);
// I8 weights times rounded rows: s8 · s8 → s32. As stored, or in the groups of 8 or 16 rows that our own kernels for few
// tokens want (api/interleaved.h), which are put in rows again tile by tile.
void linear_int8(const LinearTile& tile);
void linear_int8_from8(const LinearTile& tile);
void linear_int8_from16(const LinearTile& tile);

}  // namespace retort::kernels::onednn
