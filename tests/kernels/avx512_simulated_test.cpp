// The AVX-512 sources themselves, compiled against SIMDe, so that their arithmetic is checked on processors without
// AVX-512 too. Needs SIMDe's headers when built and AVX2 when run.
#include <QtTest>

#if defined(__x86_64__) && __has_include(<simde/x86/avx512.h>)
#define RETORT_SIMULATE
#endif

#include "linear_fixture.h"

#ifdef RETORT_SIMULATE
#include <cstring>
#pragma GCC push_options
#pragma GCC target("avx2,fma,f16c")
#include "simde/immintrin.h"
// The library holds the compiled sources under their own name.
#define avx512 avx512_simulated
#define avx2 avx2_simulated
#include "kernels/avx512/int8.cpp"
#include "kernels/avx512/linear_dense.cpp"
#include "kernels/avx512/linear_f32.cpp"
#include "kernels/avx512/linear_q8_32.cpp"
#include "kernels/avx512/linear_q8_k.cpp"
#undef avx512
#undef avx2
#pragma GCC pop_options
#endif

using namespace retort::kernels;

Q_DECLARE_METATYPE(retort::kernels::LinearKernel)

namespace {

void add(const std::string& name, TensorType type, WeightLayout layout, Input input, RunTile run) {
  QTest::newRow((std::string(traits(type).name) + name).c_str())
      << LinearKernel{"avx512", Isa::kBaseline, type, layout, input, INT64_MAX, run};
}

#ifdef RETORT_SIMULATE
void add_kernels(const TypeTraits& t) {
  namespace simulated = retort::kernels::avx512_simulated;
  if (t.packed() && q8_layout(t.type) != Q8Layout::kNone) {
    const bool small = q8_layout(t.type) == Q8Layout::kBlocks32;
    add(" integer", t.type, WeightLayout::kInterleaved16, Input::kRounded,
        small ? &simulated::linear_q8_32 : &simulated::linear_q8_k);
    add(" f32", t.type, WeightLayout::kInterleaved16, Input::kFloat, &simulated::linear_f32_interleaved);
  } else if (t.type <= TensorType::kBF16) {
    add(" few", t.type, WeightLayout::kStored, Input::kFloat, &simulated::linear_dense_few);
    add(" many", t.type, WeightLayout::kStored, Input::kFloat, &simulated::linear_dense);
  } else if (t.type == TensorType::kI8) {
    add(" integer", t.type, WeightLayout::kInterleaved16, Input::kRounded, &simulated::linear_int8);
  }
}
const char* const kWhySkip = "SIMDe's code was compiled for AVX2, which this processor lacks";
bool can_run() { return supported(Isa::kAvx2); }
#else
void add_kernels(const TypeTraits& t) { add("", t.type, WeightLayout::kStored, Input::kFloat, nullptr); }
const char* const kWhySkip = "built without SIMDe";
bool can_run() { return false; }
#endif

}  // namespace

class Avx512SimulatedTest : public QObject {
  Q_OBJECT

 private slots:
  void kernels_data() {
    QTest::addColumn<LinearKernel>("kernel");
    for (const TypeTraits& type : tensor_types()) add_kernels(type);
  }
  void kernels() {
    if (!can_run()) QSKIP(kWhySkip);
    QFETCH(LinearKernel, kernel);
    const Q8Layout layout = kernel.input == Input::kRounded ? q8_layout(kernel.type) : Q8Layout::kNone;
    QCOMPARE(test::compare_shapes(kernel, layout), std::string());
    if (kernel.input == Input::kFloat) QCOMPARE(test::compare_one_hot(kernel), std::string());
  }
};

QTEST_APPLESS_MAIN(Avx512SimulatedTest)
#include "avx512_simulated_test.moc"
