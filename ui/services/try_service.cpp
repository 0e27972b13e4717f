#include "ui/services/try_service.h"

namespace retort::ui {
namespace {

Result<std::vector<TokenId>> encodePrompt(const Model& model, const TryRequest& request) {
  if (!model.tokenizer) return Error{.code = ErrorCode::kMissingPart, .expected = "a tokenizer", .next_step = "put tokenizer.json beside the weights"};
  if (!request.chat) return model.tokenizer->encode(request.prompt, true);
  const auto text = [&](std::optional<TokenId> id) { return id ? model.tokenizer->piece(*id) : std::string(); };
  const ChatMessage message{"user", request.prompt};
  RETORT_TRY(const std::string rendered, render_chat(model.chat_template, std::span(&message, 1), true, text(model.tokenizer->bos), text(model.tokenizer->eos)));
  return model.tokenizer->encode(rendered, false);   // the template writes the beginning token itself
}

Result<GenerateResult> answer(const TryRequest& request, std::int64_t id, const JobContext& job, const std::function<bool(const GeneratedToken&)>& onToken) {
  RETORT_TRY(const auto model, request.study->candidate_model(id));
  RETORT_TRY(const auto prompt, encodePrompt(*model, request));
  RETORT_TRY(const auto backend, make_backend("cpu", request.threads));
  RunOptions run;
  run.context = static_cast<std::int64_t>(prompt.size()) + request.options.max_tokens + 1;
  RETORT_TRY(const auto session, backend->compile(model, run));
  return generate(*session, *model->tokenizer, prompt, request.options, job, onToken);
}

}  // namespace

TryService::TryService(QObject* parent) : QObject(parent) { m_pool.setMaxThreadCount(1); }

TryService::~TryService() {
  stop();
  m_pool.waitForDone();
}

void TryService::stop() {
  if (m_job) m_job->stop();
}

void TryService::start(const TryRequest& request) {
  stop();
  const quint64 number = ++*m_newest;
  m_job = std::make_shared<JobContext>();
  m_pool.start([this, request, number, newest = m_newest, job = *m_job] {
    // The pool is waited for before this object goes, so posting to it is safe; stale results are dropped.
    const auto post = [&](auto body) {
      QMetaObject::invokeMethod(this, [newest, number, body] { if (*newest == number) body(); }, Qt::QueuedConnection);
    };
    for (std::size_t i = 0; i < request.candidates.size() && !job.stopped(); ++i) {
      const int column = static_cast<int>(i);
      post([this, column] { emit started(column); });
      auto result = answer(request, request.candidates[i], job, [&](const GeneratedToken& next) {
        post([this, column, next] { emit token(column, next); });
        return !job.stopped();
      });
      if (result.ok()) post([this, column, value = *result] { emit finished(column, value); });
      else post([this, column, failure = failureOf(result.error())] { emit columnFailed(column, failure); });
    }
    post([this] {
      m_job.reset();
      emit allDone();
    });
  });
}

}  // namespace retort::ui
