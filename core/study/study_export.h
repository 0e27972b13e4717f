// Writes a study's candidate as a file; tensors that the store lost are made again.
#pragma once

#include "core/export/gguf_export.h"
#include "core/study/study.h"

namespace retort {

// A path that ends in .gguf: a GGUF file; any other: a folder, of a source in a folder. A student is copied as it was trained.
// Errors: those of export_gguf (INT8 has no GGUF type: kUnsupported, offers Q8_0) and export_folder, kBadArgument (a student of
// the other form), kConflict (the folder exists), kNotFound, kCanceled.
Result<ExportReport> export_study_candidate(Study& study, std::int64_t id, const std::filesystem::path& path,
                                            const JobContext& job);

}  // namespace retort
