// How fast an importance matrix is collected; its file can be laid beside llama-imatrix's
// (tests/peers/importance_peer.py).
//   importance_bench MODEL TEXT OUT.gguf [--context 512] [--chunks N] [--threads N]
#include <fmt/format.h>

#include <chrono>
#include <cstdlib>
#include <string>
#include <vector>

#include "core/base/error_text.h"
#include "core/base/files.h"
#include "core/quantize/importance.h"

using namespace retort;

namespace {

struct Options {
  std::vector<std::string> plain;
  std::int64_t context = 512, chunks = 0;
  int threads = 0;
};

Options parse(int count, char** arguments) {
  Options options;
  for (int i = 1; i < count; ++i) {
    const std::string word = arguments[i];
    const bool more = i + 1 < count;
    if (word == "--context" && more)
      options.context = std::atoll(arguments[++i]);
    else if (word == "--chunks" && more)
      options.chunks = std::atoll(arguments[++i]);
    else if (word == "--threads" && more)
      options.threads = std::atoi(arguments[++i]);
    else
      options.plain.push_back(word);
  }
  return options;
}

Result<void> run(const Options& options) {
  RETORT_TRY(auto opened, open_model(options.plain[0]));
  RETORT_TRY(const std::string text, read_text_file(options.plain[1]));
  const auto model = std::make_shared<const Model>(std::move(opened));
  if (!model->tokenizer)
    return Error{.code = ErrorCode::kMissingPart, .file = options.plain[0], .place = "tokenizer"};
  RETORT_TRY(const auto backend, make_backend("cpu", options.threads));
  const std::vector<TokenId> tokens = model->tokenizer->encode(text, true);
  const auto start = std::chrono::steady_clock::now();
  RETORT_TRY(auto matrix,
             collect_importance(model, *backend, tokens, options.context, options.chunks, JobContext{}));
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  matrix.data_name = options.plain[1];
  fmt::print(
      "{{\"tokens\": {}, \"chunks\": {}, \"entries\": {}, \"seconds\": {:.2f}, \"tokens_per_second\": "
      "{:.1f}}}\n",
      matrix.tokens, matrix.chunks, matrix.columns.size(), seconds,
      static_cast<double>(matrix.tokens) / seconds);
  return write_importance(options.plain[2], matrix);
}

}  // namespace

int main(int count, char** arguments) {
  const Options options = parse(count, arguments);
  if (options.plain.size() != 3) {
    fmt::print(stderr, "importance_bench MODEL TEXT OUT.gguf [--context N] [--chunks N] [--threads N]\n");
    return 2;
  }
  const auto done = run(options);
  if (!done.ok()) fmt::print(stderr, "{}\n", error_text(done.error()));
  return done.ok() ? 0 : 1;
}
