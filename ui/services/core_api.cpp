#include "ui/services/core_api.h"

#include "core/measure/worker.h"

namespace retort::ui {

CoreApi coreApi() {
  CoreApi api;
  api.createStudy = &Study::create;
  api.openStudy = &Study::open;
  api.estimateRun = &estimate_run;
  api.runStudy = &run_study;
  api.openModel = &open_model;
  api.planLevel = [](const Model& model, std::string_view level, bool importance, std::span<const TypeOverride> overrides) {
    return plan_level(model, level, importance, overrides);
  };
  api.levels = &levels;
  api.predictMemory = [](const Model& model, const RunOptions& options, int threads) -> Result<MemoryByPart> {
    RETORT_TRY(const auto backend, make_backend("cpu", threads));
    return backend->predict_memory(model, options);
  };
  api.readData = [](const std::filesystem::path& path, const Columns& columns) { return read_data(path, columns); };
  api.renderChat = &render_chat;
  api.recipeToJson = &recipe_to_json;
  api.recipeFromJson = &recipe_from_json;
  api.presetRecipes = &preset_recipes;
  api.studentPresets = &student_presets;
  api.predictStudent = &distill::predict_student;
  api.proposeStudents = &distill::propose_students;
  api.describeHardware = &describe_hardware;
  api.listDevices = [] { return ask_for_devices(worker_program(), {}); };
  api.measureLimits = &measure_limits;
  api.reportKernels = [] {
    std::vector<kernels::KernelReport> reports;
    kernels::report_kernels(
        [](void* context, const kernels::KernelReport& report) {
          static_cast<std::vector<kernels::KernelReport>*>(context)->push_back(report);
        },
        &reports);
    return reports;
  };
  return api;
}

}  // namespace retort::ui
