// What is opened on the fake device. Its memory is the host's.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "kernels/api/device_plugin.h"
#include "kernels/api/thread_pool.h"
#include "kernels/dispatch/linear.h"
#include "kernels/dispatch/ops.h"

namespace fake {

// RETORT_FAKE_DEVICE, read when the library is asked something: words that name one misbehaviour each.
bool misbehaves(const char* how);
// Keeps the sentence for error_text().
retort_status say(retort_status status, std::string text);

struct Weight {
  retort_weight described{};
  std::vector<std::byte> data;
};

}  // namespace fake

struct retort_device {
  std::int32_t index = 0;
  std::uint64_t used = 0;          // bytes
};

struct retort_model {
  retort_device* device = nullptr;
  std::vector<fake::Weight> weights;
  std::uint64_t bytes = 0;
};

struct retort_session {
  retort_session(retort_model* from, const retort_plan& given);
  ~retort_session() { model->device->used -= memory().kv_cache + memory().work_space; }
  retort_session(const retort_session&) = delete;
  retort_session& operator=(const retort_session&) = delete;

  retort_memory memory() const;
  void reserve(std::int64_t hidden_rows, std::int64_t pooled_rows);
  retort_status run(const retort_pass& pass);
  void head(const float* rows, std::int64_t count, float* out);

  struct Rope {
    std::vector<float> inverse;
    float attention_factor = 1;
  };
  // The pass at work.
  struct Frame {
    std::int64_t rows = 0;
    float* hidden = nullptr;
    float* out = nullptr;
    const retort_pass* pass = nullptr;
  };

  float* at(const retort_value& value, const Frame& frame);
  const float* vector(std::int32_t weight) const;
  void execute(const retort_step& step, const Frame& frame);
  void embed(const retort_step& step, const Frame& frame);
  void normalize(const retort_step& step, const float* x, float* y, std::int64_t rows);
  void linears(const retort_step& step, const Frame& frame);
  void attend(const retort_step& step, const Frame& frame);
  void rotate(std::int32_t rope, float* x, std::int64_t position, std::int64_t heads, std::int64_t head_dim);
  void store(const retort_step& step, std::int64_t row, std::int64_t position);
  void element(const retort_step& step, const Frame& frame);
  std::byte* cache(bool values, std::int32_t layer);

  retort_model* model;
  retort_plan plan;
  std::vector<retort_step> steps, head_steps;
  std::vector<retort_linear> linear_list;
  std::vector<retort_rope> ropes;
  std::vector<Rope> frequencies;
  std::vector<std::string> names;
  std::vector<retort::kernels::BoundLinear> bound;      // by weight
  retort::kernels::ThreadPool pool{1};
  std::vector<float> arena, hidden, pooled, relative, scratch;
  std::vector<std::byte> kv, linear_scratch;
  int passes = 0;
};
