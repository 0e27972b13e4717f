// The CPU session on tiny models: against an f64 implementation, and its promises about blocks, threads, cache, memory.
#include <QTest>

#include "core/model/backend.h"
#include "core/model/generate.h"
#include "core/model/sampling.h"
#include "tiny_model.h"

using namespace retort;

namespace {

std::shared_ptr<const Model> bound_model(const std::shared_ptr<tiny::Owner>& owner) {
  auto model = bind_model(owner);
  if (!model.ok()) qFatal("%s: %s", model.error().place.c_str(), model.error().found.c_str());
  return std::make_shared<const Model>(std::move(model).value());
}

RunOptions exact(std::int64_t context = 64, std::int64_t batch = 64) {
  RunOptions options;
  options.activations = kernels::Activations::kF32;
  options.context = context;
  options.batch = batch;
  options.cache_f16 = false;
  return options;
}

std::unique_ptr<Session> session(const std::shared_ptr<const Model>& model, const RunOptions& options,
                                 std::string_view backend = "cpu", int threads = 2) {
  auto made = make_backend(backend, threads);
  if (!made.ok()) qFatal("no backend");
  auto compiled = (*made)->compile(model, options);
  if (!compiled.ok()) qFatal("%s", compiled.error().place.c_str());
  return std::move(compiled).value();
}

std::vector<TokenId> some_tokens(std::size_t n, std::int64_t vocabulary, unsigned seed = 7) {
  std::mt19937 random(seed);
  std::vector<TokenId> out(n);
  for (TokenId& t : out) t = static_cast<TokenId>(random() % static_cast<unsigned>(vocabulary));
  return out;
}

std::vector<float> all_logits(Session& s, const std::vector<TokenId>& tokens) {
  if (!s.run(tokens, {}).ok()) qFatal("run failed");
  const auto logits = s.logits(0, static_cast<std::int64_t>(tokens.size()));
  if (!logits.ok()) qFatal("logits failed");
  return {logits->begin(), logits->end()};
}

// Greatest difference, relative to the greatest expected value.
double difference(std::span<const float> found, const std::vector<tiny::Vector>& expected) {
  double worst = 0, greatest = 0;
  std::size_t i = 0;
  for (const tiny::Vector& row : expected)
    for (const double e : row) {
      worst = std::max(worst, std::abs(static_cast<double>(found[i++]) - e));
      greatest = std::max(greatest, std::abs(e));
    }
  return i == found.size() ? worst / greatest : 1e9;
}
double difference(std::span<const float> a, std::span<const float> b) {
  double worst = 0, greatest = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    worst = std::max(worst, std::abs(static_cast<double>(a[i]) - static_cast<double>(b[i])));
    greatest = std::max(greatest, std::abs(static_cast<double>(b[i])));
  }
  return a.size() == b.size() ? worst / greatest : 1e9;
}

}  // namespace

class CpuSessionTest : public QObject {
  Q_OBJECT

 private slots:
  void agrees_with_f64_data() {
    QTest::addColumn<bool>("gguf");
    QTest::addColumn<bool>("tied");
    QTest::addColumn<bool>("bias");
    QTest::addColumn<int>("kv_heads");
    QTest::addColumn<int>("type");
    const auto row = [](const char* name, bool gguf, bool tied, bool bias, int kv, TensorType type) {
      QTest::newRow(name) << gguf << tied << bias << kv << static_cast<int>(type);
    };
    row("folder", false, false, false, 2, TensorType::kF32);
    row("folder, tied", false, true, false, 2, TensorType::kF32);
    row("folder, biases", false, false, true, 1, TensorType::kF32);
    row("folder, bf16", false, false, false, 4, TensorType::kBF16);
    row("gguf", true, false, false, 2, TensorType::kF32);
    row("gguf, f16, tied", true, true, false, 4, TensorType::kF16);
    row("gguf, q8_0, tied", true, true, false, 2, TensorType::kQ8_0);
    row("gguf, q8_0, biases", true, false, true, 2, TensorType::kQ8_0);
  }
  void agrees_with_f64() {
    QFETCH(bool, gguf);
    QFETCH(bool, tied);
    QFETCH(bool, bias);
    QFETCH(int, kv_heads);
    QFETCH(int, type);
    tiny::Spec spec;
    spec.gguf = gguf;
    spec.tied = tied;
    spec.bias = bias;
    spec.kv_heads = kv_heads;
    spec.type = static_cast<TensorType>(type);
    const auto owner = tiny::make(spec);
    const auto model = bound_model(owner);
    QCOMPARE(model->config.tied_head, tied);
    const std::vector<TokenId> tokens = some_tokens(45, spec.vocabulary);
    const auto expected = tiny::Expected(spec, *owner).run(tokens);
    for (const char* backend : {"cpu", "reference"}) {
      const auto s = session(model, exact(), backend);
      const std::vector<float> logits = all_logits(*s, tokens);
      // Sums of at most 96 products in f32 through two layers; a wrong rotation or norm gives more than 1e-2.
      QVERIFY2(difference(logits, expected.logits) < 1e-5, backend);
      QVERIFY(difference(s->hidden(), expected.hidden) < 1e-5);
    }
  }

  void blocks_and_single_steps_agree_with_one_run() {
    tiny::Spec spec;
    const auto model = bound_model(tiny::make(spec));
    const std::vector<TokenId> tokens = some_tokens(41, spec.vocabulary);
    const std::vector<float> whole = all_logits(*session(model, exact()), tokens);

    const auto blocks = session(model, exact(64, 7));
    QVERIFY(difference(all_logits(*blocks, tokens), whole) < 1e-5);

    const auto steps = session(model, exact());
    std::vector<float> one_by_one;
    for (const TokenId& token : tokens) {
      const std::vector<float> row = all_logits(*steps, {token});
      one_by_one.insert(one_by_one.end(), row.begin(), row.end());
    }
    QCOMPARE(steps->position(), std::int64_t{41});
    QVERIFY(difference(one_by_one, whole) < 1e-5);

    // Going back and on again gives the same as never having been further.
    steps->rewind(20);
    const std::vector<float> again = all_logits(*steps, {tokens.begin() + 20, tokens.end()});
    QVERIFY(difference(again, std::span(whole).last(again.size())) < 1e-5);
  }

  void f16_cache_is_close_and_half_as_large() {
    tiny::Spec spec;
    const auto model = bound_model(tiny::make(spec));
    const std::vector<TokenId> tokens = some_tokens(41, spec.vocabulary);
    const auto full = session(model, exact());
    RunOptions options = exact();
    options.cache_f16 = true;
    const auto half = session(model, options);
    const double apart = difference(all_logits(*half, tokens), all_logits(*full, tokens));
    // f16 keeps 11 bits: keys and values are off by up to 2^-11 of themselves.
    QVERIFY(apart > 0 && apart < 2e-3);
    QCOMPARE(half->memory().kv_cache * 2, full->memory().kv_cache);
  }

  void threads_give_the_same_bytes() {
    tiny::Spec spec;
    spec.gguf = true;
    spec.type = TensorType::kQ8_0;
    const auto model = bound_model(tiny::make(spec));
    const std::vector<TokenId> tokens = some_tokens(60, spec.vocabulary);
    for (const auto activations : {kernels::Activations::kF32, kernels::Activations::kQ8}) {
      RunOptions options = exact();
      options.activations = activations;
      options.cache_f16 = true;
      const std::vector<float> one = all_logits(*session(model, options, "cpu", 1), tokens);
      for (const int threads : {2, 3, 5}) QVERIFY(all_logits(*session(model, options, "cpu", threads), tokens) == one);
    }
  }

  void q8_activations_stay_near() {
    tiny::Spec spec;
    spec.gguf = true;
    spec.type = TensorType::kQ8_0;
    const auto model = bound_model(tiny::make(spec));
    const std::vector<TokenId> tokens = some_tokens(30, spec.vocabulary);
    RunOptions options = exact();
    const std::vector<float> f32 = all_logits(*session(model, options), tokens);
    options.activations = kernels::Activations::kQ8;
    for (const char* backend : {"cpu", "reference"}) {
      const double apart = difference(all_logits(*session(model, options, backend), tokens), f32);
      QVERIFY2(apart > 0 && apart < 5e-2, fmt::format("{}", apart).c_str());
    }
  }

  void head_of_foreign_rows_and_part_of_the_logits() {
    tiny::Spec spec;
    const auto model = bound_model(tiny::make(spec));
    const std::vector<TokenId> tokens = some_tokens(12, spec.vocabulary);
    const auto s = session(model, exact(64, 5));
    const std::vector<float> whole = all_logits(*s, tokens);
    const auto some = s->logits(3, 4);
    QVERIFY(some.ok());
    const std::size_t v = static_cast<std::size_t>(spec.vocabulary);
    QVERIFY(difference(*some, std::span(whole).subspan(3 * v, 4 * v)) < 1e-6);
    const std::vector<float> states(s->hidden().begin(), s->hidden().end());
    std::vector<float> out(whole.size());
    QVERIFY(s->head(states, out).ok());
    QVERIFY(difference(out, whole) < 1e-6);
    QCOMPARE(s->head(states, std::span(out).first(3)).error().code, ErrorCode::kBadArgument);
    QCOMPARE(s->logits(10, 3).error().code, ErrorCode::kBadArgument);
    QCOMPARE(s->logits(-1, 1).error().code, ErrorCode::kBadArgument);
  }

  void the_tap_sees_what_every_linear_reads() {
    tiny::Spec spec;
    spec.tied = true;
    const auto owner = tiny::make(spec);
    const auto model = bound_model(owner);
    RunOptions options = exact(64, 8);
    options.plan = PlanKind::kTap;
    const auto s = session(model, options);
    std::map<std::string, std::vector<float>> seen;
    s->set_tap([&seen](const Node& node, std::span<const float> rows, std::int64_t tokens) {
      QCOMPARE(rows.size() % static_cast<std::size_t>(tokens), std::size_t{0});
      seen[node.name].insert(seen[node.name].end(), rows.begin(), rows.end());
    });
    const std::vector<TokenId> tokens = some_tokens(20, spec.vocabulary);
    all_logits(*s, tokens);
    QCOMPARE(seen.size(), std::size_t{7 * 2 + 1});
    QVERIFY(seen["blk.0.attn_q"] == seen["blk.0.attn_v"]);
    QCOMPARE(seen["blk.1.ffn_down"].size(), static_cast<std::size_t>(20 * spec.feed_forward));
    QVERIFY(seen["output"] == std::vector<float>(s->hidden().begin(), s->hidden().end()));
    // The first norm of the first layer, by hand.
    const float* embedding = reinterpret_cast<const float*>(owner->bytes["model.embed_tokens.weight"].data());
    const float* weight = reinterpret_cast<const float*>(owner->bytes["model.layers.0.input_layernorm.weight"].data());
    double squares = 0;
    const float* x = embedding + tokens[0] * spec.hidden;
    for (std::int64_t i = 0; i < spec.hidden; ++i) squares += static_cast<double>(x[i]) * static_cast<double>(x[i]);
    const double expected = static_cast<double>(x[5] * weight[5]) / std::sqrt(squares / static_cast<double>(spec.hidden) + 1e-5);
    QVERIFY(std::abs(static_cast<double>(seen["blk.0.attn_q"][5]) - expected) < 1e-5);
  }

  void memory_is_what_was_predicted() {
    tiny::Spec spec;
    spec.gguf = true;
    for (const TensorType type : {TensorType::kF32, TensorType::kF16, TensorType::kQ8_0}) {
      spec.type = type;
      const auto model = bound_model(tiny::make(spec));
      for (const auto activations : {kernels::Activations::kF32, kernels::Activations::kQ8}) {
        RunOptions options = exact(100, 16);
        options.activations = activations;
        const auto backend = make_backend("cpu", 2);
        const MemoryByPart predicted = (*backend)->predict_memory(*model, options);
        const auto s = (*backend)->compile(model, options);
        QVERIFY(s.ok());
        const MemoryByPart actual = (*s)->memory();
        QCOMPARE(actual.weights, predicted.weights);
        QCOMPARE(actual.kv_cache, predicted.kv_cache);
        QCOMPARE(actual.work_space, predicted.work_space);
        QVERIFY((*s)->run(some_tokens(16, spec.vocabulary), {}).ok());
        QCOMPARE((*s)->memory().work_space, predicted.work_space);
      }
    }
  }

  void stops_between_layers_and_leaves_the_cache_as_it_was() {
    tiny::Spec spec;
    const auto model = bound_model(tiny::make(spec));
    const std::vector<TokenId> tokens = some_tokens(20, spec.vocabulary);
    const std::vector<float> whole = all_logits(*session(model, exact()), tokens);
    const auto s = session(model, exact(64, 4));
    QVERIFY(s->run(std::span(tokens).first(10), {}).ok());
    JobContext stopped;
    stopped.stop();
    QCOMPARE(s->run(std::span(tokens).subspan(10), stopped).error().code, ErrorCode::kCanceled);
    QCOMPARE(s->position(), std::int64_t{10});
    QVERIFY(s->hidden().empty());
    const std::vector<float> rest = all_logits(*s, {tokens.begin() + 10, tokens.end()});
    QVERIFY(difference(rest, std::span(whole).last(rest.size())) < 1e-5);
  }

  void refuses_what_makes_no_sense() {
    tiny::Spec spec;
    const auto model = bound_model(tiny::make(spec));
    const auto s = session(model, exact(8));
    QCOMPARE(s->run(std::vector<TokenId>{1, 50}, {}).error().code, ErrorCode::kBadArgument);
    QCOMPARE(s->run(std::vector<TokenId>{-1}, {}).error().code, ErrorCode::kBadArgument);
    QCOMPARE(s->run(std::vector<TokenId>(9, 1), {}).error().code, ErrorCode::kBadArgument);
    QVERIFY(s->run(std::vector<TokenId>(8, 1), {}).ok());
    QCOMPARE(s->run(std::vector<TokenId>(1, 1), {}).error().code, ErrorCode::kBadArgument);
    QVERIFY(s->run({}, {}).ok());
    QVERIFY(s->hidden().empty());
    QCOMPARE(make_backend("tpu", 1).error().code, ErrorCode::kUnsupported);
    QCOMPARE(make_backend("cpu", -1).error().code, ErrorCode::kBadArgument);
    const auto backend = make_backend("cpu", 1);
    QCOMPARE((*backend)->compile(model, exact(0)).error().code, ErrorCode::kBadArgument);
    QCOMPARE((*backend)->compile(model, exact(std::int64_t{1} << 62)).error().code, ErrorCode::kBadArgument);
    QCOMPARE((*backend)->compile(model, exact(64, 0)).error().code, ErrorCode::kBadArgument);
    // 16 M positions of a wide model: refused before anything is allocated.
    tiny::Spec wide;
    wide.kv_heads = wide.heads = 256;
    wide.head_dim = 64;
    const auto large = (*backend)->compile(bound_model(tiny::make(wide)), exact(1 << 24, 16));
    QCOMPARE(large.error().code, ErrorCode::kOutOfMemory);
  }

  void longrope_recomputes_the_cache_when_it_switches() {
    tiny::Spec spec;
    spec.head_dim = 16;
    spec.rope_json = R"({"type":"longrope","original_max_position_embeddings":16,)"
                     R"("short_factor":[1,1,1,1,1,1,1,1],"long_factor":[1,2,3,4,5,6,7,8]})";
    const auto model = bound_model(tiny::make(spec));
    const std::vector<TokenId> tokens = some_tokens(30, spec.vocabulary);
    const std::vector<float> whole = all_logits(*session(model, exact()), tokens);
    const auto s = session(model, exact(64, 6));
    std::vector<float> row;
    for (std::size_t i = 0; i < 30; i += 5)
      row = all_logits(*s, {tokens.begin() + static_cast<std::ptrdiff_t>(i), tokens.begin() + static_cast<std::ptrdiff_t>(i + 5)});
    QCOMPARE(s->position(), std::int64_t{30});
    QVERIFY(difference(row, std::span(whole).last(row.size())) < 1e-5);
    // And back under the switch: the short factors again.
    const std::vector<float> brief = all_logits(*session(model, exact()), {tokens.begin(), tokens.begin() + 12});
    s->rewind(7);
    row = all_logits(*s, {tokens.begin() + 7, tokens.begin() + 12});
    QVERIFY(difference(row, std::span(brief).last(row.size())) < 1e-5);
  }

  void int8_weights_with_row_scales() {
    tiny::Spec spec;
    const auto owner = tiny::make(spec);
    auto model = bind_model(owner);
    QVERIFY(model.ok());
    const WeightId id = model->find_weight("blk.0.ffn_down.weight");
    QVERIFY(id != kNoWeight);
    WeightHandle& handle = model->weights[static_cast<std::size_t>(id)];
    const float* w = reinterpret_cast<const float*>(handle.data.data());
    auto codes = std::make_shared<std::vector<std::int8_t>>();
    auto scales = std::make_shared<std::vector<float>>();
    for (std::int64_t r = 0; r < spec.hidden; ++r) {
      float greatest = 0;
      for (std::int64_t c = 0; c < spec.feed_forward; ++c) greatest = std::max(greatest, std::abs(w[r * spec.feed_forward + c]));
      scales->push_back(greatest / 127);
      for (std::int64_t c = 0; c < spec.feed_forward; ++c)
        codes->push_back(static_cast<std::int8_t>(std::round(w[r * spec.feed_forward + c] / scales->back())));
    }
    handle.type = TensorType::kI8;
    handle.data = std::as_bytes(std::span(*codes));
    handle.row_scales = *scales;
    handle.keep_alive = codes;
    ++handle.version;
    const std::vector<TokenId> tokens = some_tokens(20, spec.vocabulary);
    const auto expected = tiny::Expected(spec, *owner).run(tokens);
    const auto s = session(std::make_shared<const Model>(std::move(model).value()), exact());
    const double apart = difference(all_logits(*s, tokens), expected.logits);
    QVERIFY2(apart > 0 && apart < 2e-2, fmt::format("{}", apart).c_str());
  }

  void sampling() {
    std::vector<float> logits = {1, 3, 2, 3, -1};
    QCOMPARE(greedy_token(logits), TokenId{1});
    double sum = 0;
    for (const float l : logits) sum += std::exp(static_cast<double>(l));
    QVERIFY(std::abs(log_sum_exp(logits) - std::log(sum)) < 1e-6);
    std::mt19937 random(3);
    std::vector<float> many(5003);
    for (float& l : many) l = static_cast<float>(random() % 4000) * 0.01f - 20;
    sum = 0;
    for (const float l : many) sum += std::exp(static_cast<double>(l));
    QVERIFY(std::abs(log_sum_exp(many) - std::log(sum)) < 1e-6);
    // A seed gives the same again; shares follow the probabilities; top_p leaves out the tail.
    std::map<TokenId, int> counts;
    Sampler a(5), b(5), narrow(6);
    for (int i = 0; i < 20000; ++i) {
      const TokenId t = a.sample(logits, 1, 1);
      QCOMPARE(b.sample(logits, 1, 1), t);
      ++counts[t];
      const TokenId n = narrow.sample(logits, 1, 0.7);
      QVERIFY(n == 1 || n == 3);
    }
    const double share = std::exp(3 - log_sum_exp(logits));
    QVERIFY(std::abs(counts[1] / 20000.0 - share) < 0.015);
    logits[2] = std::nanf("");
    QCOMPARE(a.sample(logits, 1, 1), TokenId{-1});
  }
};

QTEST_APPLESS_MAIN(CpuSessionTest)
#include "cpu_session_test.moc"
