// Writes a study's candidate as a GGUF file; tensors that the store lost are made again.
#pragma once

#include "core/export/gguf_export.h"
#include "core/study/study.h"

namespace retort {

// Errors: those of export_gguf (INT8 has no GGUF type: kUnsupported, offers Q8_0), kNotFound, kCanceled.
Result<ExportReport> export_study_candidate(Study& study, std::int64_t id, const std::filesystem::path& path,
                                            const JobContext& job);

}  // namespace retort
