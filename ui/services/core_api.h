// CoreApi: every call of the window into core that is more than reading a value. A plain struct of functions, so that
// tests put their own in. Members that are not set answer kUnsupported. All are called from workers only.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/distill/propose.h"
#include "core/evaluate/data_set.h"
#include "core/measure/device_list.h"
#include "core/measure/hardware.h"
#include "core/model/backend.h"
#include "core/quantize/levels.h"
#include "core/study/presets.h"
#include "core/study/study.h"
#include "kernels/dispatch/ops.h"

namespace retort::ui {

struct CoreApi {
  using Path = std::filesystem::path;

  std::function<Result<std::shared_ptr<Study>>(const Path&)> createStudy;
  std::function<Result<std::shared_ptr<Study>>(const Path&)> openStudy;
  std::function<RunEstimate(const Study&)> estimateRun;
  std::function<Result<void>(std::shared_ptr<Study>, const JobContext&, const std::function<void()>&)> runStudy;

  std::function<Result<Model>(const Path&)> openModel;
  std::function<Result<LevelPlan>(const Model&, std::string_view level, bool importance, std::span<const TypeOverride>)>
      planLevel;
  std::function<std::span<const Level>()> levels;
  // Memory at a context on this machine.
  std::function<Result<MemoryByPart>(const Model&, const RunOptions&, int threads)> predictMemory;
  std::function<Result<std::vector<DataSet>>(const Path&, const Columns&)> readData;
  std::function<Result<std::string>(std::string_view chatTemplate, std::span<const ChatMessage>, bool addPrompt,
                                    std::string_view bos, std::string_view eos)>
      renderChat;

  std::function<std::string(const Recipe&)> recipeToJson;
  std::function<Result<Recipe>(std::string_view)> recipeFromJson;
  std::function<std::vector<Recipe>()> presetRecipes;

  std::function<std::vector<Preset>(const SourceInfo&, const std::vector<DataInfo>&)> studentPresets;
  // Size, speed, memory and training time of a student, by arithmetic: no weight is touched.
  std::function<Result<distill::StudentPrediction>(const Model& teacher, const distill::DistillRecipe&, int threads)> predictStudent;
  std::function<Result<std::vector<distill::StudentProposal>>(const Model& teacher, const distill::DistillRecipe&, const distill::StudentTarget&, int threads, std::size_t most)> proposeStudents;

  std::function<Hardware()> describeHardware;
  // GPUs, asked of the worker: no driver is ever loaded into the window.
  std::function<DeviceList()> listDevices;
  std::function<MachineLimits(int threads)> measureLimits;
  std::function<std::vector<kernels::KernelReport>()> reportKernels;
};

// The real ones.
CoreApi coreApi();

}  // namespace retort::ui
