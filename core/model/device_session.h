// A session on a device: passes of the plan through a plug-in's interface. Hidden states stay on the device until they are
// asked for.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "core/model/aligned_buffer.h"
#include "core/model/backend.h"
#include "core/model/device_library.h"
#include "core/model/device_plan.h"
#include "core/model/draws_tokens.h"

namespace retort {

// A structure of the interface with its size set.
template <class T>
T sized() noexcept {
  T out{};
  out.size = sizeof(T);
  return out;
}

// An opened device; what was opened on it is closed before.
struct OpenedDevice {
  std::shared_ptr<const DeviceLibrary> library;
  retort_device* handle = nullptr;
  int index = 0;
  std::string name;             // "cuda:0"
  OpenedDevice(std::shared_ptr<const DeviceLibrary> from, retort_device* device, int number, std::string called)
      : library(std::move(from)), handle(device), index(number), name(std::move(called)) {}
  OpenedDevice(const OpenedDevice&) = delete;
  OpenedDevice& operator=(const OpenedDevice&) = delete;
  ~OpenedDevice() { library->table().device_close(handle); }
};

class DeviceSession final : public Session, public DrawsTokens {
 public:
  // Uploads the weights one after the other. Errors: those of the plug-in.
  static Result<std::unique_ptr<Session>> create(std::shared_ptr<const OpenedDevice> device, std::shared_ptr<const Model> model,
                                                 const RunOptions& options, const DevicePlan& plan);
  DeviceSession(const DeviceSession&) = delete;
  DeviceSession& operator=(const DeviceSession&) = delete;
  ~DeviceSession() override;

  Result<void> run(std::span<const TokenId> tokens, const JobContext& job) override;
  Result<void> encode(const EncoderBatch& batch, const JobContext& job) override;
  // Fetched by the first call after a run; empty when the device failed meanwhile, as the next call will say.
  std::span<const float> hidden() const override;
  Result<std::span<const float>> logits(std::int64_t first, std::int64_t count) override;
  Result<Likeliest> likeliest(std::int64_t row) override;
  Result<void> can_draw() const override;
  Result<Likeliest> draw(std::int64_t row, const Drawing& how) override;
  Result<void> head(std::span<const float> hidden_rows, std::span<float> out) override;
  std::int64_t position() const noexcept override { return position_; }
  void rewind(std::int64_t position) override;
  MemoryByPart memory() const noexcept override;
  void set_tap(Tap) override {}                   // such sessions are refused: there is nothing to tap

 private:
  DeviceSession(std::shared_ptr<const OpenedDevice> device, std::shared_ptr<const Model> model, const RunOptions& options,
                std::int64_t rows, bool pools);
  const retort_device_plugin& table() const noexcept { return device_->library->table(); }
  Result<void> check(retort_status status, const char* what);
  Result<void> usable() const;
  Result<void> read_memory();
  Result<void> upload(const DevicePlan& plan);
  Result<void> forget_last(std::int64_t hidden_rows, std::int64_t pooled_rows);
  Result<void> use_frequencies(std::int64_t length, const JobContext& job);
  Result<void> run_blocks(std::span<const TokenId> tokens, const JobContext& job);

  std::shared_ptr<const OpenedDevice> device_;
  std::shared_ptr<const Model> model_;
  RunOptions options_;
  std::int64_t rows_ = 0;                         // of one pass
  bool pools_ = false;
  retort_model* weights_ = nullptr;
  retort_session* session_ = nullptr;
  bool failed_ = false;                           // the device did: only closing is left
  std::int64_t position_ = 0;
  std::int64_t hidden_rows_ = 0, head_rows_ = 0, room_ = 0, pooled_room_ = 0;
  std::vector<std::int64_t> rope_keys_;           // of the lengths that the device's frequencies are for
  bool recomputes_ = false;
  std::int64_t most_drawn_from_ = 0;              // outputs
  std::vector<TokenId> history_;                  // of the cache, then
  mutable std::vector<float> hidden_;
  mutable bool fetched_ = false;
  AlignedBuffer logits_;
  MemoryByPart memory_;
};

}  // namespace retort
