// ONNX files: reader, planner, and a run with inputs of ones, within a megabyte of values.
#include "core/onnx/session.h"
#include "fuzz_file.h"

namespace {

using namespace retort::onnx;

// Ones of the declared shape, open sizes as 2.
retort::Result<Session::Values> ones(Session& session) {
  Session::Values out;
  for (const ValueInfo* info : session.plan().input_infos) {
    StoredTensor stored;
    stored.type = info->type;
    for (const std::int64_t size : info->shape) stored.shape.push_back(size < 0 ? 2 : size);
    const auto elements = count_elements(stored.shape);
    if (!elements || *elements > 4096 || traits(info->type).bits % 8 != 0) return retort::Error{};
    std::vector<std::byte> bytes(static_cast<std::size_t>(*elements) * (traits(info->type).bits / 8), std::byte{1});
    stored.data = bytes;
    RETORT_TRY(Tensor tensor, session.copy_in(stored));
    out.emplace(info->name, std::move(tensor));
  }
  return out;
}

}  // namespace

RETORT_FUZZ_TARGET(onnx) {
  const retort::fuzz::MemoryFile memory(data, size);
  const auto file = open_onnx(memory.path());
  if (!file.ok()) return 0;
  static_cast<void>(problems_of(**file).size());
  for (const char* backend : {"cpu", "reference"}) {
    const auto session = Session::make(*file, {.backend = backend, .threads = 1, .memory = 1 << 20});
    if (!session.ok()) return 0;
    const auto inputs = ones(**session);
    if (inputs.ok()) static_cast<void>((*session)->run(*inputs, {}).ok());
  }
  return 0;
}
