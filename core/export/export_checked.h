// Export with its check: what the window and the command line offer. The file is written beside its target, renamed, read
// again and compared; both reports come back.
#pragma once

#include "core/export/gguf_export.h"
#include "core/export/verify.h"

namespace retort {

struct CheckedExport {
  ExportReport report;
  VerifyReport check;
};

// Errors: those of export_gguf and verify_file. A failed check is no error: see CheckedExport::check.
Result<CheckedExport> export_checked(const Model& model, const ExportRequest& request, const std::filesystem::path& path,
                                     const VerifyOptions& options, const JobContext& job);

}  // namespace retort
