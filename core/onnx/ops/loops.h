// Loops that many operators share: broadcasting, strided copies, tiles over flat ranges. Tiles depend on shapes only, so
// results don't depend on the number of threads.
#pragma once

#include <algorithm>
#include <array>
#include <cstring>
#include <vector>

#include "core/onnx/operator.h"

namespace retort::onnx {

inline constexpr std::int64_t kTile = 16384;   // elements of one piece of elementwise work

// f(from, count) over [0, n), in parallel where n is large.
template <class F>
void for_tiles(const Device& device, std::int64_t n, const F& f) {
  if (n <= kTile) {
    if (n > 0) f(std::int64_t{0}, n);
    return;
  }
  device.pool->parallel_for(static_cast<std::size_t>((n + kTile - 1) / kTile), [&](std::size_t tile, int) {
    const std::int64_t from = static_cast<std::int64_t>(tile) * kTile;
    f(from, std::min(kTile, n - from));
  });
}

// f(i) for i in [0, n), in parallel; `cost` is the work of one in elements.
template <class F>
void for_each(const Device& device, std::int64_t n, std::int64_t cost, const F& f) {
  const std::int64_t step = std::max<std::int64_t>(1, kTile / std::max<std::int64_t>(1, cost));
  if (n <= step) {
    for (std::int64_t i = 0; i < n; ++i) f(i);
    return;
  }
  device.pool->parallel_for(static_cast<std::size_t>((n + step - 1) / step), [&](std::size_t tile, int) {
    const std::int64_t last = std::min(n, static_cast<std::int64_t>(tile + 1) * step);
    for (std::int64_t i = static_cast<std::int64_t>(tile) * step; i < last; ++i) f(i);
  });
}

// Walks `shape` with one stride per dimension for each of N arrays; neighbours that lie back to back are merged.
template <std::size_t N>
class Walk {
 public:
  using Strides = std::array<std::int64_t, N>;

  void add(std::int64_t size, const Strides& strides) {   // outermost first
    if (size == 1 && !sizes_.empty()) return;
    if (!sizes_.empty()) {
      bool joins = true;
      for (std::size_t k = 0; k < N; ++k) joins = joins && strides_.back()[k] == strides[k] * size;
      if (joins || sizes_.back() == 1) {
        sizes_.back() = sizes_.back() == 1 ? size : sizes_.back() * size;
        strides_.back() = strides;
        return;
      }
    }
    sizes_.push_back(size);
    strides_.push_back(strides);
  }
  // The innermost dimension.
  std::int64_t inner() const noexcept { return sizes_.empty() ? 1 : sizes_.back(); }
  Strides step() const noexcept { return sizes_.empty() ? Strides{} : strides_.back(); }
  std::int64_t rows() const noexcept {
    std::int64_t n = 1;
    for (std::size_t i = 0; i + 1 < sizes_.size(); ++i) n *= sizes_[i];
    return n;
  }
  Strides offsets(std::int64_t row) const noexcept {
    Strides at{};
    for (std::size_t i = sizes_.size(); i-- > 1;) {
      const std::int64_t here = row % sizes_[i - 1];
      row /= sizes_[i - 1];
      for (std::size_t k = 0; k < N; ++k) at[k] += here * strides_[i - 1][k];
    }
    return at;
  }
  // f(first output element, offsets, count): pieces of one row each, at most kTile long.
  template <class F>
  void run(const Device& device, const F& f) const {
    const std::int64_t n = inner(), pieces = n <= kTile ? 1 : (n + kTile - 1) / kTile;
    if (n == 0) return;
    for_each(device, rows() * pieces, std::min(n, kTile), [&](std::int64_t i) {
      const std::int64_t row = i / pieces, from = i % pieces * kTile;
      Strides at = offsets(row);
      const Strides by = step();
      for (std::size_t k = 0; k < N; ++k) at[k] += from * by[k];
      f(row * n + from, at, std::min(kTile, n - from));
    });
  }

 private:
  std::vector<std::int64_t> sizes_;
  std::vector<Strides> strides_;
};

// The shape that these broadcast to (numpy's rule). Errors: kBadShape.
Result<Shape> broadcast_shape(std::span<const Shape* const> shapes);
Result<Shape> broadcast_shape(const Shape& a, const Shape& b);
// Strides, in elements, of a row-major tensor; with sizes of 1 as 0 when it is seen as `to`.
Shape strides_of(const Shape& shape);
Shape strides_as(const Shape& shape, const Shape& to);

template <std::size_t N>
Walk<N> walk_of(const Shape& out, const std::array<const Shape*, N>& shapes) {
  std::array<Shape, N> strides;
  for (std::size_t k = 0; k < N; ++k) strides[k] = strides_as(*shapes[k], out);
  Walk<N> walk;
  for (std::size_t i = 0; i < out.size(); ++i) {
    typename Walk<N>::Strides here{};
    for (std::size_t k = 0; k < N; ++k) here[k] = strides[k][i];
    walk.add(out[i], here);
  }
  return walk;
}

// out (row-major, `shape`) ← from[first + Σ index · stride]; width: bytes of an element. Strides may be 0 or negative.
void copy_strided(const Device& device, std::size_t width, const Shape& shape, const std::byte* from, std::int64_t first,
                  const Shape& strides, std::byte* out);

// Sizes before, at and behind an axis.
struct AroundAxis {
  std::int64_t outer = 1, size = 1, inner = 1;
};
AroundAxis around(const Shape& shape, std::size_t axis) noexcept;

}  // namespace retort::onnx
