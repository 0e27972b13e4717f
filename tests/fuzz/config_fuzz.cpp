// config.json: architecture, configuration and graph. The checkpoint has tensors enough for the count of layers to pass, and
// none of the right name, so that every size comes from the configuration.
#include <string>

#include "core/model/model.h"
#include "fuzz_target.h"

RETORT_FUZZ_TARGET(config) {
  retort::Checkpoint checkpoint;
  checkpoint.format = retort::CheckpointFormat::kSafetensors;
  checkpoint.config_json.assign(reinterpret_cast<const char*>(data), size);
  checkpoint.tensors.resize(64);
  for (std::size_t i = 0; i < checkpoint.tensors.size(); ++i) checkpoint.tensors[i].name = "t" + std::to_string(i);
  const auto architecture = retort::find_architecture(checkpoint);
  if (!architecture.ok()) return 0;
  const auto config = (*architecture)->configure(checkpoint);
  if (config.ok()) static_cast<void>((*architecture)->build(*config, checkpoint).ok());
  return 0;
}
