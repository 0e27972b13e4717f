#include "kernels/api/isa.h"

#include <cstdlib>
#include <string>

#if defined(__x86_64__)
#include <cpuid.h>
#endif

#include "kernels/dispatch/ops.h"

namespace retort::kernels {
namespace {

struct Feature {
  const char* name;
  const char* lacking;
  bool (*present)() noexcept;
};

// __builtin_cpu_supports also asks the operating system (XGETBV) whether it saves the wide registers.
#if defined(__x86_64__)
// Clang 14's builtin knows no "f16c": bit 29 of leaf 1. Whoever asks has asked for AVX2 already, so its registers are saved.
bool has_f16c() noexcept {
  unsigned a = 0, b = 0, c = 0, d = 0;
  return __get_cpuid(1, &a, &b, &c, &d) != 0 && (c >> 29 & 1) != 0;
}
#define RETORT_FEATURE(text, id) \
  Feature { text, "needs " text ", which this processor lacks", []() noexcept { return __builtin_cpu_supports(id) != 0; } }
#else
bool has_f16c() noexcept { return false; }
#define RETORT_FEATURE(text, id) \
  Feature { text, "needs " text ", which this processor lacks", []() noexcept { return false; } }
#endif

const Feature kAvx2Needs[] = {RETORT_FEATURE("AVX2", "avx2"), RETORT_FEATURE("FMA", "fma"),
                              Feature{"F16C", "needs F16C, which this processor lacks", &has_f16c}};
const Feature kAvx512Needs[] = {RETORT_FEATURE("AVX512F", "avx512f"), RETORT_FEATURE("AVX512BW", "avx512bw"),
                                RETORT_FEATURE("AVX512DQ", "avx512dq"), RETORT_FEATURE("AVX512VL", "avx512vl"),
                                RETORT_FEATURE("AVX512-VNNI", "avx512vnni")};

const char* find_lacking(Isa isa) noexcept {
  if (isa == Isa::kBaseline) return "";
  for (const Feature& feature : kAvx2Needs)
    if (!feature.present()) return feature.lacking;
  if (isa == Isa::kAvx2) return "";
  for (const Feature& feature : kAvx512Needs)
    if (!feature.present()) return feature.lacking;
  return "";
}

}  // namespace

const char* why_unsupported(Isa isa) noexcept {
  static const char* const lacking[] = {find_lacking(Isa::kBaseline), find_lacking(Isa::kAvx2),
                                        find_lacking(Isa::kAvx512)};
  return lacking[static_cast<int>(isa)];
}

bool supported(Isa isa) noexcept { return *why_unsupported(isa) == '\0'; }

std::string cpu_features() {
  std::string text;
  const auto add = [&text](const Feature& feature) {
    if (!feature.present()) return;
    if (!text.empty()) text += ' ';
    text += feature.name;
  };
  for (const Feature& feature : kAvx2Needs) add(feature);
  for (const Feature& feature : kAvx512Needs) add(feature);
  return text;
}

std::string_view forced_by_environment() noexcept {
  const char* const value = std::getenv("RETORT_KERNEL");
  return value != nullptr ? std::string_view(value) : std::string_view();
}

}  // namespace retort::kernels
