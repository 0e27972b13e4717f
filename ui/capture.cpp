#include "ui/capture.h"

#include <QDir>
#include <QHash>
#include <QPixmap>
#include <QTimer>
#include <algorithm>

#include "ui/main_window.h"
#include "ui/pages/compare/compare_page.h"
#include "ui/pages/try/try_page.h"
#include "ui/services/selection.h"
#include "ui/services/study_service.h"

namespace retort::ui {
namespace {

// Pages fill themselves from workers; this is long enough for a model of a few hundred megabytes.
constexpr int kSettle = 1500;

// The original, the smallest candidate, and what is recommended.
std::vector<std::int64_t> interesting(const StudySnapshot& study) {
  std::vector<std::int64_t> ids;
  const auto add = [&](std::int64_t id) {
    if (std::find(ids.begin(), ids.end(), id) == ids.end()) ids.push_back(id);
  };
  for (const CandidateInfo& candidate : study.candidates)
    if (candidate.is_original) add(candidate.id);
  if (study.recommendation.candidate) add(*study.recommendation.candidate);
  const CandidateInfo* smallest = nullptr;
  for (const CandidateInfo& candidate : study.candidates)
    if (candidate.state == CandidateState::kDone && (!smallest || candidate.bytes < smallest->bytes)) smallest = &candidate;
  if (smallest) add(smallest->id);
  return ids;
}

}  // namespace

Capture::Capture(MainWindow& window, StudyService& study, QObject* parent) : QObject(parent), m_window(window), m_study(study) {}

void Capture::grab(const QString& path) {
  if (!m_window.grab().save(path)) m_problems << path;
}

void Capture::pagesTo(const QString& folder, const QString& suffix, const QString& prompt, bool parts) {
  static const QHash<QString, QStringList> kParts = {
      {QStringLiteral("model"), {QStringLiteral("outliers"), QStringLiteral("tensors"), QStringLiteral("configuration"), QStringLiteral("text")}},
      {QStringLiteral("recipes"), {QStringLiteral("teachers"), QStringLiteral("loss"), QStringLiteral("training"), QStringLiteral("data"), QStringLiteral("stages"), QStringLiteral("json")}},
      {QStringLiteral("compare"), {QStringLiteral("stairs"), QStringLiteral("stages"), QStringLiteral("layers"), QStringLiteral("difficulty"), QStringLiteral("slices"), QStringLiteral("flips")}}};
  QDir().mkpath(folder);
  for (const PageEntry& entry : m_window.pages()) {
    const QString id = entry.id;
    m_steps.push_back({100, [this, id] { m_window.showPage(id); }});
    if (parts && id == QStringLiteral("recipes")) m_steps.push_back({50, [this] { selectStudent(); }});
    if (id == QStringLiteral("try") && !prompt.isEmpty())
      m_steps.push_back({200, [this, id, prompt] {
        auto* page = qobject_cast<TryPage*>(m_window.page(id));
        if (!page || !m_study.snapshot()) return;
        m_waiting = true;
        connect(page, &TryPage::allDone, this, [this] {
          m_waiting = false;
          next();
        }, Qt::SingleShotConnection);
        page->ask(prompt, interesting(*m_study.snapshot()));
      }});
    m_steps.push_back({kSettle, [this, folder, id, suffix] { grab(QDir(folder).filePath(QStringLiteral("%1-%2.png").arg(id, suffix))); }});
    for (const QString& part : parts ? kParts.value(id) : QStringList()) {
      m_steps.push_back({50, [this, id, part] { m_window.page(id)->showPart(part); }});
      m_steps.push_back({kSettle / 3, [this, folder, id, part, suffix] { grab(QDir(folder).filePath(QStringLiteral("%1-%2-%3.png").arg(id, part, suffix))); }});
    }
    if (parts && id == QStringLiteral("compare")) m_steps.push_back({50, [this, id] { m_window.page(id)->showPart(QStringLiteral("table")); }});
  }
}

// The tabs of Recipes are those of a student.
void Capture::selectStudent() {
  if (!m_study.snapshot()) return;
  for (const CandidateInfo& candidate : m_study.snapshot()->candidates)
    if (!candidate.recipe.student.empty()) return m_window.selection().setCandidate(candidate.id);
}

void Capture::graphTo(const QString& folder, const QString& suffix) {
  QDir().mkpath(folder);
  m_needsStudy = false;
  m_steps.push_back({100, [this] { m_window.showPage(QStringLiteral("model")); }});
  for (const char* part : {"map", "outliers", "tensors", "operators", "compare"}) {
    m_steps.push_back({50, [this, part] { m_window.page(QStringLiteral("model"))->showPart(QLatin1String(part)); }});
    m_steps.push_back({kSettle, [this, folder, part, suffix] { grab(QDir(folder).filePath(QStringLiteral("graph-%1-%2.png").arg(QLatin1String(part), suffix))); }});
  }
}

void Capture::chartsTo(const QString& folder) {
  QDir().mkpath(folder);
  m_steps.push_back({100, [this] { m_window.showPage(QStringLiteral("compare")); }});
  m_steps.push_back({kSettle, [this, folder] {
    if (auto* page = qobject_cast<ComparePage*>(m_window.page(QStringLiteral("compare")))) m_problems << page->saveCharts(folder);
    else m_problems << QStringLiteral("compare");
  }});
}

void Capture::start() {
  if (m_study.snapshot() || !m_needsStudy) return next();
  connect(&m_study, &StudyService::snapshotChanged, this, [this] { next(); }, Qt::SingleShotConnection);
  connect(&m_study, &StudyService::failed, this, [this](const Failure& failure) {
    m_problems << failure.sentences();
    emit finished(m_problems);
  });
}

void Capture::next() {
  if (m_waiting) return;
  if (m_next == m_steps.size()) {
    emit finished(m_problems);
    return;
  }
  const Step step = m_steps[m_next++];
  QTimer::singleShot(step.delay, this, [this, step] {
    step.body();
    next();
  });
}

}  // namespace retort::ui
