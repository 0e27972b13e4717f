// Keys of candidates and measurements: digests of everything that they depend on, so that a candidate which comes back
// finds its figures again, and a figure never outlives what it was measured on.
#include <algorithm>

#include "core/measure/hardware.h"
#include "core/quantize/quantizer.h"
#include "core/study/study_impl.h"

namespace retort {
namespace {

// Raised when evaluations or benchmarks of the same thing would give other figures.
constexpr std::uint64_t kEvaluationVersion = 1, kBenchVersion = 1;

const std::string& processor() {
  static const std::string name = describe_hardware().processor;
  return name;
}

Digest quantizer_versions() {
  DigestBuilder builder;
  for (const Quantizer* quantizer : quantizers())
    builder.text(kernels::traits(quantizer->type()).name).number(quantizer->version());
  return builder.finish();
}

Digest source_digest(const StudyDocument& document) { return document.source ? document.source->digest : Digest{}; }

}  // namespace

Digest importance_key(const StudyDocument& document) {
  DigestBuilder builder;
  builder.text("importance 1").digest(source_digest(document));
  builder.number(static_cast<std::uint64_t>(document.context)).number(static_cast<std::uint64_t>(kCalibrationChunks));
  for (const DataRecord& data : document.data)
    if (data.info.role == DataRole::kCalibration && data.info.kind == DataKind::kText) builder.digest(data.digest);
  return builder.finish();
}

Digest candidate_digest(const StudyDocument& document, const CandidateRecord& candidate) {
  static const Digest versions = quantizer_versions();
  DigestBuilder builder;
  if (is_student(candidate.recipe)) {
    builder.text("student candidate 1").digest(student_digest(document, candidate.recipe)).digest(versions).text(candidate.recipe.activations);
    return builder.finish();
  }
  builder.text("candidate 1").digest(source_digest(document)).digest(recipe_digest(candidate.recipe));
  if (!candidate.recipe.stages.empty()) builder.digest(versions);
  if (uses_importance(candidate.recipe)) builder.digest(importance_key(document));
  return builder.finish();
}

Digest StudyImpl::evaluation_key(const StudyDocument& document, const CandidateRecord& candidate, const DataRecord& data) const {
  DigestBuilder builder;
  builder.text("evaluation").number(kEvaluationVersion).digest(candidate_digest(document, candidate)).digest(data.digest);
  for (const std::string* column : {&data.columns.text, &data.columns.label, &data.columns.choices, &data.columns.answer, &data.columns.target})
    builder.text(*column);
  builder.number(static_cast<std::uint64_t>(document.context));
  // Text and classes are compared with the original; other answers stand for themselves.
  const CandidateRecord* original = document.original();
  if ((data.info.kind == DataKind::kText || data.info.kind == DataKind::kLabelled) && original) builder.digest(candidate_digest(document, *original));
  return builder.finish();
}

BenchOptions bench_options(const StudyDocument& document, const Recipe& recipe, const std::string& device) {
  BenchOptions options;
  if (!device.empty()) options.backend = device;
  options.threads = document.threads;
  options.activations = recipe.activations == "f32" ? kernels::Activations::kF32 : kernels::Activations::kQ8;
  if (document.source && document.source->kind != SourceKind::kLanguageModel) options.prompt = kEncoderExample;
  return options;
}

Digest StudyImpl::bench_key(const StudyDocument& document, const CandidateRecord& candidate, const std::string& device) const {
  const BenchOptions options = bench_options(document, candidate.recipe);
  DigestBuilder builder;
  builder.text("bench").number(kBenchVersion).digest(candidate_digest(document, candidate)).text(processor());
  builder.number(static_cast<std::uint64_t>(document.threads)).number(static_cast<std::uint64_t>(options.prompt));
  builder.number(static_cast<std::uint64_t>(options.generate)).text(candidate.recipe.activations);
  if (!device.empty()) builder.text(device);   // keys of the processor are as they were before there were devices
  return builder.finish();
}

std::string plain_name(const CandidateRecord& candidate) {
  if (candidate.is_original)
    return candidate.recipe.stages.empty() ? "the model as it is" : "the source expanded to 16 bits";
  if (is_student(candidate.recipe)) {
    std::string plain;
    for (const std::string& stage : student_stages(candidate.recipe)) plain += (plain.empty() ? "" : ", then ") + stage;
    return "a student: " + plain;
  }
  if (candidate.recipe.stages.empty()) return "the file as it is";
  const Stage& stage = candidate.recipe.stages.front();
  const Level* level = find_level(stage.level);
  std::string plain = level ? std::string(level->plain) : stage.level;
  if (stage.importance) plain += ", weighed by importance";
  if (!stage.overrides.empty()) plain += ", with exceptions";
  return plain;
}

std::string command_line(const StudyDocument& document, const CandidateRecord& candidate, const std::filesystem::path& study) {
  if (!document.source) return {};
  const auto quoted = [](const std::string& text) {
    if (text.find_first_of(" '\"$&;()*\\·+") == std::string::npos) return text;
    std::string out = "'";
    for (const char c : text) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
    return out + "'";
  };
  const Stage* stage = candidate.recipe.stages.empty() ? nullptr : &candidate.recipe.stages.front();
  const Level* level = stage ? find_level(stage->level) : nullptr;
  if (is_student(candidate.recipe)) return "retort study run " + quoted(study.string());
  if (!stage) return "retort inspect " + quoted(document.source->path.string());
  if (!level || level->gguf_file_type == kNoGgufFileType || !stage->overrides.empty())
    return "retort study run " + quoted(study.string());
  std::string line = "retort quantize " + quoted(document.source->path.string()) + " --type " + stage->level;
  if (stage->importance)
    for (const DataRecord& data : document.data)
      if (data.info.role == DataRole::kCalibration && data.info.kind == DataKind::kText) {
        line += " --calibration " + quoted(data.info.path.string());
        break;
      }
  return line + " -o " + quoted(stage->level + ".gguf");
}

}  // namespace retort
