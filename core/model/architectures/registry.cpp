#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "core/model/architectures/config_source.h"
#include "core/model/architectures/list.h"

namespace retort {

const std::vector<Architecture>& architectures() {
  static const std::vector<Architecture> list = {
      llama_architecture(),
  };
  return list;
}

Result<const Architecture*> find_architecture(const Checkpoint& checkpoint) {
  RETORT_TRY(const ConfigSource source, ConfigSource::open(checkpoint));
  std::vector<std::string> known;
  for (const Architecture& architecture : architectures()) {
    const auto& names = source.gguf() ? architecture.gguf_names : architecture.class_names;
    if (std::find(names.begin(), names.end(), source.architecture()) != names.end()) return &architecture;
    known.insert(known.end(), names.begin(), names.end());
  }
  return Error{.code = ErrorCode::kUnsupported, .file = checkpoint.path.string(), .place = "architecture",
               .expected = fmt::format("one of {}", fmt::join(known, ", ")),
               .found = source.architecture().empty() ? "none stated" : source.architecture().substr(0, 80)};
}

}  // namespace retort
