// The table of the fake plug-in. RETORT_FAKE_DEVICE holds words, each one misbehaviour: wrong-abi, short-table, missing-function,
// no-device, unusable, no-driver, refuses, small (16 kB of memory), upload-fails, open-fails, fail-in-run, no-energy, only-f32,
// no-sampling.
#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>

#include "fake_session.h"
#include "kernels/api/tensor_type.h"

namespace fake {
namespace {
thread_local std::string last_error;
}

bool misbehaves(const char* how) {
  const char* words = std::getenv("RETORT_FAKE_DEVICE");
  return words && std::strstr(words, how);
}

retort_status say(retort_status status, std::string text) {
  last_error = std::move(text);
  return status;
}

namespace {

constexpr std::uint64_t kMemory = std::uint64_t{256} << 20;
std::uint64_t total_memory() { return misbehaves("small") ? 16 << 10 : kMemory; }

template <std::size_t N>
void put(char (&field)[N], const char* text) {
  std::snprintf(field, N, "%s", text);
}

const char* error_text() { return last_error.c_str(); }

retort_status probe(retort_probe* out) {
  if (misbehaves("no-driver")) return say(RETORT_NO_DRIVER, "the driver is older than the plug-in needs");
  out->devices = misbehaves("no-device") ? 0 : 2;
  put(out->plugin, "fake 1");
  put(out->driver, "none");
  put(out->reason, misbehaves("no-device") ? "the driver lists none" : "");
  return RETORT_OK;
}

retort_status device_info(std::int32_t index, retort_device_info* out) {
  if (index < 0 || index > 1) return say(RETORT_NO_DEVICE, "no such device");
  out->index = index;
  put(out->name, index == 0 ? "Processor in disguise" : "Old card");
  out->compute_major = index == 0 ? 9 : 5;
  out->multiprocessors = 1;
  out->usable = index == 0 && !misbehaves("unusable");
  put(out->reason, out->usable ? "" : "compute capability 5.0 is below 7.5");
  out->memory_total = out->memory_free = total_memory();
  return RETORT_OK;
}

retort_status device_open(std::int32_t index, retort_device** out) {
  *out = new retort_device{index, 0};
  return RETORT_OK;
}
void device_close(retort_device* device) { delete device; }

retort_status device_memory(retort_device* device, std::uint64_t* free_bytes, std::uint64_t* total_bytes) {
  *total_bytes = total_memory();
  *free_bytes = *total_bytes - std::min(*total_bytes, device->used);
  return RETORT_OK;
}

retort_status capabilities(retort_device*, retort_capabilities* out) {
  out->steps = (1u << RETORT_STEP_EXPERTS) - 1;   // all but mixtures
  out->element_ops = 0x3f;
  out->activations = 0xff;
  out->kv_types = 3;
  out->pools = 0x1f;
  out->linear_types = std::uint64_t{1} << RETORT_TYPE_F32;
  if (!misbehaves("only-f32"))
    for (const int type : {RETORT_TYPE_F16, RETORT_TYPE_BF16, RETORT_TYPE_Q4_0, RETORT_TYPE_Q8_0, RETORT_TYPE_Q4_K, RETORT_TYPE_Q6_K})
      out->linear_types |= std::uint64_t{1} << type;
  out->row_types = out->linear_types;
  out->largest_head_dim = 256;
  out->largest_top = 64;
  out->largest_sampled = misbehaves("no-sampling") ? 0 : 1 << 20;
  put(out->arithmetic, "sums in f64");
  return RETORT_OK;
}

retort_status energy(retort_device*, retort_energy* out) {
  static double joules = 0;
  out->available = !misbehaves("no-energy");
  put(out->reason, out->available ? "" : "nothing counts it");
  out->joules = joules += 0.5;
  return RETORT_OK;
}

retort_status check(retort_device*, const retort_plan* plan, retort_memory* predicted) {
  if (misbehaves("refuses")) return say(RETORT_UNSUPPORTED, "heads of 16 are refused, on purpose");
  std::uint64_t bytes = 0;
  for (std::int32_t i = 0; i < plan->weight_count; ++i) bytes += plan->weights[i].uses ? plan->weights[i].bytes : 0;
  predicted->weights = bytes;
  predicted->kv_cache = 2 * static_cast<std::uint64_t>(plan->layers * plan->context * plan->kv_heads * plan->head_dim) *
                        (plan->kv_type == RETORT_KV_F16 ? 2 : 4);
  predicted->work_space = 4 * static_cast<std::uint64_t>(plan->arena_floats * plan->batch + 2 * plan->batch * plan->hidden);
  return RETORT_OK;
}

retort_status model_open(retort_device* device, const retort_weight* weights, std::int32_t count, retort_model** out) {
  *out = new retort_model{device, {}, 0};
  for (std::int32_t i = 0; i < count; ++i) (*out)->weights.push_back({weights[i], {}});
  return RETORT_OK;
}

retort_status model_upload(retort_model* model, std::int32_t weight, const void* data, std::uint64_t bytes) {
  if (misbehaves("upload-fails") && weight == 3) return say(RETORT_OUT_OF_MEMORY, "no room for this weight, on purpose");
  Weight& to = model->weights[static_cast<std::size_t>(weight)];
  if (bytes != to.described.bytes || !to.data.empty()) return say(RETORT_BAD_ARGUMENT, "another size than was said, or uploaded twice");
  const std::byte* const from = static_cast<const std::byte*>(data);
  to.data.assign(from, from + bytes);
  model->bytes += bytes;
  model->device->used += bytes;
  return RETORT_OK;
}

void model_close(retort_model* model) {
  model->device->used -= model->bytes;
  delete model;
}

retort_status session_open(retort_model* model, const retort_plan* plan, retort_session** out) {
  if (misbehaves("open-fails")) return say(RETORT_OUT_OF_MEMORY, "no room for the cache, on purpose");
  *out = new retort_session(model, *plan);
  return RETORT_OK;
}
void session_close(retort_session* session) { delete session; }
retort_status session_memory(retort_session* session, retort_memory* out) {
  *out = session->memory();
  return RETORT_OK;
}

retort_status set_rope(retort_session* session, std::int32_t rope, const float* inverse, float attention_factor) {
  const std::size_t i = static_cast<std::size_t>(rope);
  session->frequencies[i] = {std::vector<float>(inverse, inverse + session->ropes[i].half), attention_factor};
  return RETORT_OK;
}

retort_status reserve(retort_session* session, std::int64_t hidden_rows, std::int64_t pooled_rows) {
  session->reserve(hidden_rows, pooled_rows);
  return RETORT_OK;
}

retort_status run(retort_session* session, const retort_pass* pass) { return session->run(*pass); }

retort_status hidden(retort_session* session, std::int64_t first, std::int64_t count, float* out) {
  const std::int64_t n = session->plan.hidden;
  std::memcpy(out, session->hidden.data() + first * n, static_cast<std::size_t>(count * n) * sizeof(float));
  return RETORT_OK;
}

retort_status head(retort_session* session, const float* rows, std::int64_t first, std::int64_t count, float* out) {
  if (!rows) rows = (session->plan.pool >= 0 ? session->pooled : session->hidden).data() + first * session->plan.hidden;
  session->head(rows, count, out);
  return RETORT_OK;
}

retort_status top(retort_session* session, std::int64_t row, std::int32_t count, std::int32_t* ids, float* values, double* log_sum) {
  std::vector<float> logits(static_cast<std::size_t>(session->plan.outputs));
  if (const retort_status done = head(session, nullptr, row, 1, logits.data()); done != RETORT_OK) return done;
  std::vector<std::int32_t> order(logits.size());
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = static_cast<std::int32_t>(i);
  const auto value = [&](std::int32_t i) { return logits[static_cast<std::size_t>(i)]; };
  std::partial_sort(order.begin(), order.begin() + count, order.end(), [&](std::int32_t a, std::int32_t b) {
    return value(a) > value(b) || (value(a) == value(b) && a < b);
  });
  double sum = 0;
  for (const float x : logits) sum += std::exp(static_cast<double>(x) - static_cast<double>(value(order[0])));
  for (std::int32_t i = 0; i < count; ++i) {
    ids[i] = order[static_cast<std::size_t>(i)];
    values[i] = value(ids[i]);
  }
  if (std::isnan(sum)) ids[0] = -1;
  *log_sum = static_cast<double>(values[0]) + std::log(sum);
  return RETORT_OK;
}

// Word by word as the interface says.
retort_status sample(retort_session* session, std::int64_t row, const retort_drawing* how, std::int32_t* id, float* value, double* log_sum) {
  if (how->size != sizeof *how || !(how->temperature > 0) || !(how->uniform >= 0 && how->uniform < 1)) return say(RETORT_BAD_ARGUMENT, "how to draw");
  std::vector<float> logits(static_cast<std::size_t>(session->plan.outputs));
  if (const retort_status done = head(session, nullptr, row, 1, logits.data()); done != RETORT_OK) return done;
  const double greatest = static_cast<double>(*std::max_element(logits.begin(), logits.end()));
  std::vector<std::pair<double, std::size_t>> shares;
  double all = 0, exponentials = 0;
  *id = -1;
  for (std::size_t i = 0; i < logits.size(); ++i) {
    const double below = static_cast<double>(logits[i]) - greatest, share = std::exp(below / how->temperature);
    if (std::isnan(share)) return RETORT_OK;
    all += share;
    exponentials += std::exp(below);
    if (share > 1e-12) shares.emplace_back(-share, i);
  }
  std::sort(shares.begin(), shares.end());
  double kept = 0;
  std::size_t count = 0;
  while (count < shares.size() && (count == 0 || kept < how->top_p * all)) kept -= shares[count++].first;
  double left = how->uniform * kept;
  std::size_t at = 0;
  while (at + 1 < count && (left += shares[at].first) >= 0) ++at;
  *id = static_cast<std::int32_t>(shares[at].second);
  *value = logits[shares[at].second];
  *log_sum = greatest + std::log(exponentials);
  return RETORT_OK;
}

retort_device_plugin make_table() {
  retort_device_plugin table{RETORT_DEVICE_ABI, sizeof(retort_device_plugin), error_text, probe, device_info, device_open, device_close,
                             device_memory, capabilities, energy, check, model_open, model_upload, model_close, session_open,
                             session_close, session_memory, set_rope, reserve, run, hidden, head, top, sample};
  if (misbehaves("wrong-abi")) table.abi = RETORT_DEVICE_ABI + 7;
  if (misbehaves("short-table")) table.size = sizeof table - 8;
  if (misbehaves("missing-function")) table.top = nullptr;
  return table;
}

}  // namespace
}  // namespace fake

extern "C" __attribute__((visibility("default"))) const retort_device_plugin* retort_device_plugin_entry(void);
extern "C" const retort_device_plugin* retort_device_plugin_entry(void) {
  static retort_device_plugin table;
  table = fake::make_table();
  return &table;
}
