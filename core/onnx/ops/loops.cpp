#include "core/onnx/ops/loops.h"

namespace retort::onnx {

Result<Shape> broadcast_shape(std::span<const Shape* const> shapes) {
  std::size_t rank = 0;
  for (const Shape* shape : shapes) rank = std::max(rank, shape->size());
  Shape out(rank, 1);
  for (const Shape* shape : shapes) {
    for (std::size_t i = 0; i < shape->size(); ++i) {
      std::int64_t& size = out[rank - shape->size() + i];
      const std::int64_t here = (*shape)[i];
      if (here != 1 && size != 1 && here != size) return bad_input("shapes that broadcast", shape_text(*shapes.front()) + " and " + shape_text(*shape));
      if (here != 1) size = here;
    }
  }
  return out;
}

Result<Shape> broadcast_shape(const Shape& a, const Shape& b) {
  const std::array<const Shape*, 2> shapes = {&a, &b};
  return broadcast_shape(shapes);
}

Shape strides_of(const Shape& shape) {
  Shape strides(shape.size());
  std::int64_t step = 1;
  for (std::size_t i = shape.size(); i-- > 0;) {
    strides[i] = step;
    step *= std::max<std::int64_t>(shape[i], 1);
  }
  return strides;
}

Shape strides_as(const Shape& shape, const Shape& to) {
  const Shape own = strides_of(shape);
  Shape strides(to.size(), 0);
  for (std::size_t i = 0; i < shape.size(); ++i) strides[to.size() - shape.size() + i] = shape[i] == 1 ? 0 : own[i];
  return strides;
}

namespace {

template <class Word>
void copy_words(const Device& device, const Walk<1>& walk, const Word* from, Word* out) {
  walk.run(device, [&](std::int64_t at, const Walk<1>::Strides& offset, std::int64_t n) {
    const Word* source = from + offset[0];
    const std::int64_t step = walk.step()[0];
    Word* target = out + at;
    if (step == 1) std::memcpy(target, source, static_cast<std::size_t>(n) * sizeof(Word));
    else for (std::int64_t i = 0; i < n; ++i) target[i] = source[i * step];
  });
}

}  // namespace

void copy_strided(const Device& device, std::size_t width, const Shape& shape, const std::byte* from, std::int64_t first,
                  const Shape& strides, std::byte* out) {
  for (const std::int64_t size : shape)
    if (size == 0) return;
  Walk<1> walk;
  for (std::size_t i = 0; i < shape.size(); ++i) walk.add(shape[i], {strides[i]});
  from += first * static_cast<std::int64_t>(width);
  if (width == 1) copy_words(device, walk, reinterpret_cast<const std::uint8_t*>(from), reinterpret_cast<std::uint8_t*>(out));
  else if (width == 2) copy_words(device, walk, reinterpret_cast<const std::uint16_t*>(from), reinterpret_cast<std::uint16_t*>(out));
  else if (width == 4) copy_words(device, walk, reinterpret_cast<const std::uint32_t*>(from), reinterpret_cast<std::uint32_t*>(out));
  else copy_words(device, walk, reinterpret_cast<const std::uint64_t*>(from), reinterpret_cast<std::uint64_t*>(out));
}

AroundAxis around(const Shape& shape, std::size_t axis) noexcept {
  AroundAxis out;
  for (std::size_t i = 0; i < shape.size(); ++i) (i < axis ? out.outer : i == axis ? out.size : out.inner) *= shape[i];
  return out;
}

}  // namespace retort::onnx
