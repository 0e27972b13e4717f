// What is opened on a device: weights in its memory, and sessions that run a plan over them.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "kernels/cuda/launches.h"
#include "kernels/cuda/plan_check.h"
#include "kernels/cuda/runtime.h"

namespace retort::cuda {

struct Device {
  int index = 0;
  std::int32_t multiprocessors = 1;
  bool failed = false;           // everything opened on it can only be closed
  std::string why;
  Stream stream;
};

struct DeviceWeight {
  retort_weight info{};            // its name is null: `name`
  std::string name;
  Memory memory;
  Matrix matrix;                 // LINEAR, ROWS
  const float* vector = nullptr; // VECTOR
};

struct Model {
  Device* device = nullptr;
  std::vector<DeviceWeight> weights;
  std::uint64_t bytes = 0;
  retort_status upload(std::int32_t weight, const void* data, std::uint64_t bytes_given);
};

class Session {
 public:
  Session(Model& model, const retort_plan& plan);
  retort_status open();
  retort_status set_rope(std::int32_t rope, const float* inverse, float factor);
  retort_status reserve(std::int64_t hidden_rows, std::int64_t pooled_rows);
  retort_status run(const retort_pass& pass);
  retort_status hidden(std::int64_t first, std::int64_t count, float* out);
  retort_status head(const float* rows, std::int64_t first, std::int64_t count, float* out);
  retort_status top(std::int64_t row, std::int32_t count, std::int32_t* ids, float* values, double* log_sum);
  retort_status sample(std::int64_t row, const retort_drawing& how, std::int32_t* id, float* value, double* log_sum);
  void memory(retort_memory& out) const;

 private:
  // One pass over some rows: where values outside the arena lie.
  struct Frame {
    std::int32_t rows = 0;
    float* hidden = nullptr;
    float* output = nullptr;
    bool encoder = false;
  };
  // The state that kernels read: 32-bit numbers, one after the other.
  struct State {
    std::int32_t *start, *tokens, *types, *positions, *begins, *ends, *sequences;
  };

  // Work that is the same every time: the first is launched plainly, which loads its kernels; the second is recorded.
  struct Replay {
    bool warm = false;
    std::unique_ptr<Stream::Graph> graph;
  };

  Device& device() const { return *model_.device; }
  Stream& stream() const { return model_.device->stream; }
  float* at(const retort_value& value, const Frame& frame) const;
  const float* vector(std::int32_t weight) const { return weight < 0 ? nullptr : model_.weights[static_cast<std::size_t>(weight)].vector; }
  const Matrix& matrix(std::int32_t weight) const { return model_.weights[static_cast<std::size_t>(weight)].matrix; }

  retort_status check_pass(const retort_pass& pass) const;
  retort_status check_rows(std::int64_t first, std::int64_t count) const;
  retort_status put_state(const retort_pass& pass);
  void run_body(const Frame& frame);
  template <class Work>
  retort_status play(Replay& replay, bool same, Work&& work);
  bool decodes(std::int64_t row) const { return plan_.causal && plan_.pool < 0 && row == 0; }
  void head_pass(const float* rows, std::int32_t count);
  const float* head_row(std::int64_t row) const { return (plan_.pool >= 0 ? pooled_ : hidden_).as<float>() + row * plan_.hidden; }
  void execute(const retort_step& step, const Frame& frame);
  void embed(const retort_step& step, const Frame& frame);
  void normalize(const retort_step& step, const Frame& frame, bool add);
  void linears(const retort_step& step, const Frame& frame);
  void attend(const retort_step& step, const Frame& frame);
  void element(const retort_step& step, const Frame& frame);
  RotaryTable rotary(std::int32_t rope) const;

  Model& model_;
  retort_plan plan_;
  std::vector<retort_step> steps_, head_steps_;
  std::vector<retort_linear> linears_;
  std::vector<retort_rope> ropes_;
  SessionSizes sizes_;
  Memory keys_, values_, arena_, hidden_, pooled_, output_, head_input_, rounded_, partial_, state_memory_, rope_memory_, top_memory_, sample_memory_;
  State state_{};
  std::vector<std::uint64_t> rope_offsets_;      // in floats: [half] inverse frequencies, then the factor
  std::vector<std::int32_t> staged_;
  std::int64_t hidden_rows_ = 0, pooled_rows_ = 0;
  std::int64_t written_rows_ = 0;                // of what the head reads, in the last passes
  bool typed_ = false;                           // the last pass had types
  Replay decode_step_, greedy_choice_, drawing_; // of the row that one token makes
};

}  // namespace retort::cuda
