#include "core/export/export_checked.h"

namespace retort {

Result<CheckedExport> export_checked(const Model& model, const ExportRequest& request, const std::filesystem::path& path,
                                     const VerifyOptions& options, const JobContext& job) {
  CheckedExport result;
  RETORT_TRY(result.report, export_gguf(model, request, path, job));
  RETORT_TRY(result.check, verify_file(path, model, options, job));
  return result;
}

}  // namespace retort
