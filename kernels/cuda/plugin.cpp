// The table of kernels/api/device_plugin.h: each entry guards against what C++ might throw and against a device that has
// failed, then hands on.
#include <algorithm>
#include <cstring>
#include <exception>
#include <new>

#include "kernels/cuda/energy.h"
#include "kernels/cuda/session.h"

struct retort_device : retort::cuda::Device {};
struct retort_model : retort::cuda::Model {};
struct retort_session : retort::cuda::Session {
  using Session::Session;
  retort::cuda::Device* device = nullptr;
};

namespace retort::cuda {
namespace {

// Nothing is thrown across the boundary.
template <class F>
retort_status guarded(F&& f) noexcept {
  try {
    return f();
  } catch (const std::bad_alloc&) {
    return fail(RETORT_FAILED, "out of the host's memory");
  } catch (const std::exception& e) {
    return fail(RETORT_FAILED, e.what());
  }
}

// Work on a device: it is the thread's from here on, and a failure of it stays, that of the host's memory too: a recording may
// have been left half done.
template <class F>
retort_status on_device(Device* device, F&& f) noexcept {
  return guarded([&]() -> retort_status {
    if (!device) return fail(RETORT_BAD_ARGUMENT, "no device");
    if (device->failed) return fail(RETORT_FAILED, "the device has failed before: " + device->why);
    if (const retort_status s = use_device(device->index)) return s;
    const retort_status status = guarded(f);
    if (status == RETORT_FAILED) {
      device->failed = true;
      device->why = last_failure();
    }
    return status;
  });
}

template <std::size_t kSize>
void put(char (&to)[kSize], const std::string& text) {
  const std::size_t length = std::min(text.size(), kSize - 1);
  std::memcpy(to, text.data(), length);
  to[length] = '\0';
}

const char* error_text() { return last_failure().c_str(); }

retort_status probe(retort_probe* out) {
  return guarded([&] {
    const std::uint32_t size = out->size;
    *out = {};
    out->size = size;
    int count = 0;
    std::string driver, reason;
    const retort_status status = count_devices(count, driver, reason);
    out->devices = count;
    put(out->plugin, plugin_description());
    put(out->driver, driver);
    put(out->reason, reason);
    return status;
  });
}

retort_status device_info(std::int32_t index, retort_device_info* out) {
  return guarded([&] {
    const std::uint32_t size = out->size;
    *out = {};
    out->size = size;
    return describe_device(index, *out);
  });
}

retort_status device_open(std::int32_t index, retort_device** out) {
  return guarded([&]() -> retort_status {
    *out = nullptr;
    retort_device_info info{};
    if (const retort_status s = describe_device(index, info)) return s;
    if (!info.usable) return fail(RETORT_UNSUPPORTED, std::string(info.name) + ": " + info.reason);
    if (const retort_status s = use_device(index)) return s;
    if (const retort_status s = find_code()) return s;
    auto device = std::make_unique<retort_device>();
    device->index = index;
    device->multiprocessors = info.multiprocessors;
    if (const retort_status s = device->stream.open()) return s;
    *out = device.release();
    return RETORT_OK;
  });
}

void device_close(retort_device* device) {
  if (device) static_cast<void>(use_device(device->index));
  delete device;
}

retort_status device_memory(retort_device* device, std::uint64_t* free_bytes, std::uint64_t* total_bytes) {
  return on_device(device, [&] { return memory_of_device(*free_bytes, *total_bytes); });
}

retort_status capabilities(retort_device*, retort_capabilities* out) {
  fill_capabilities(*out);
  return RETORT_OK;
}

retort_status energy(retort_device* device, retort_energy* out) {
  return guarded([&]() -> retort_status {
    read_energy(pci_bus_id(device->index), *out);
    return RETORT_OK;
  });
}

retort_status check(retort_device*, const retort_plan* plan, retort_memory* predicted) {
  return guarded([&]() -> retort_status {
    if (const retort_status s = check_plan(*plan)) return s;
    const SessionSizes sizes = session_sizes(*plan);
    predicted->weights = 0;
    for (std::int32_t i = 0; i < plan->weight_count; ++i) predicted->weights += weight_bytes(plan->weights[i]);
    predicted->kv_cache = 2 * sizes.cache;
    predicted->work_space = sizes.work();
    return RETORT_OK;
  });
}

retort_status model_open(retort_device* device, const retort_weight* weights, std::int32_t count, retort_model** out) {
  return on_device(device, [&]() -> retort_status {
    *out = nullptr;
    if (const retort_status s = check_weights(weights, count)) return s;
    auto model = std::make_unique<retort_model>();
    model->device = device;
    model->weights.resize(static_cast<std::size_t>(count));
    for (std::int32_t i = 0; i < count; ++i) {
      DeviceWeight& weight = model->weights[static_cast<std::size_t>(i)];
      weight.info = weights[i];
      weight.name = weights[i].name ? weights[i].name : "";
      weight.info.name = nullptr;   // the host's
    }
    *out = model.release();
    return RETORT_OK;
  });
}

retort_status model_upload(retort_model* model, std::int32_t weight, const void* data, std::uint64_t bytes) {
  return on_device(model->device, [&] { return model->upload(weight, data, bytes); });
}

void model_close(retort_model* model) {
  if (model) static_cast<void>(use_device(model->device->index));
  delete model;
}

retort_status session_open(retort_model* model, const retort_plan* plan, retort_session** out) {
  return on_device(model->device, [&]() -> retort_status {
    *out = nullptr;
    if (const retort_status s = check_plan(*plan)) return s;
    if (static_cast<std::size_t>(plan->weight_count) != model->weights.size()) return fail(RETORT_BAD_ARGUMENT, "a plan of another model");
    for (std::int32_t i = 0; i < plan->weight_count; ++i) {
      const retort_weight &a = plan->weights[i], &b = model->weights[static_cast<std::size_t>(i)].info;
      if (a.type != b.type || a.uses != b.uses || a.rows != b.rows || a.columns != b.columns) return fail(RETORT_BAD_ARGUMENT, "a plan of another model");
    }
    auto session = std::make_unique<retort_session>(*model, *plan);
    session->device = model->device;
    if (const retort_status s = session->open()) return s;
    *out = session.release();
    return RETORT_OK;
  });
}

void session_close(retort_session* session) {
  if (session) static_cast<void>(use_device(session->device->index));
  delete session;
}

retort_status session_memory(retort_session* session, retort_memory* out) {
  session->memory(*out);
  return RETORT_OK;
}
retort_status set_rope(retort_session* session, std::int32_t rope, const float* inverse, float factor) {
  return on_device(session->device, [&] { return session->set_rope(rope, inverse, factor); });
}
retort_status reserve(retort_session* session, std::int64_t hidden_rows, std::int64_t pooled_rows) {
  return on_device(session->device, [&] { return session->reserve(hidden_rows, pooled_rows); });
}
retort_status run(retort_session* session, const retort_pass* pass) {
  return on_device(session->device, [&] { return session->run(*pass); });
}
retort_status hidden(retort_session* session, std::int64_t first, std::int64_t count, float* out) {
  return on_device(session->device, [&] { return session->hidden(first, count, out); });
}
retort_status head(retort_session* session, const float* rows, std::int64_t first, std::int64_t count, float* out) {
  return on_device(session->device, [&] { return session->head(rows, first, count, out); });
}
retort_status top(retort_session* session, std::int64_t row, std::int32_t count, std::int32_t* ids, float* values, double* log_sum) {
  return on_device(session->device, [&] { return session->top(row, count, ids, values, log_sum); });
}
retort_status sample(retort_session* session, std::int64_t row, const retort_drawing* how, std::int32_t* id, float* value, double* log_sum) {
  return on_device(session->device, [&] { return session->sample(row, *how, id, value, log_sum); });
}

constexpr retort_device_plugin kPlugin = {
    RETORT_DEVICE_ABI, sizeof(retort_device_plugin), error_text, probe, device_info, device_open, device_close, device_memory,
    capabilities, energy, check, model_open, model_upload, model_close, session_open, session_close, session_memory, set_rope,
    reserve, run, hidden, head, top, sample};

}  // namespace
}  // namespace retort::cuda

extern "C" {
__attribute__((visibility("default"))) const retort_device_plugin* retort_device_plugin_entry(void);
const retort_device_plugin* retort_device_plugin_entry(void) { return &retort::cuda::kPlugin; }
}
