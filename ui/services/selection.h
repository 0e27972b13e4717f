// Selection: what the person looks at, the same on every page. Choosing a candidate, tensor or example anywhere
// chooses it everywhere; the inspector shows what was chosen last. Window thread only.
#pragma once

#include <QList>
#include <QObject>
#include <QString>
#include <cstdint>
#include <optional>

namespace retort::ui {

struct ExampleRef {
  QString dataSet;
  std::int64_t index = -1;
  bool operator==(const ExampleRef&) const = default;
};

class Selection : public QObject {
  Q_OBJECT
 public:
  enum class Kind { Nothing, Candidate, Tensor, Example, Data };
  Q_ENUM(Kind)

  explicit Selection(QObject* parent = nullptr) : QObject(parent) {}

  Kind kind() const { return m_kind; }   // what was chosen last
  std::optional<std::int64_t> candidate() const { return m_candidate; }
  QString tensor() const { return m_tensor; }
  std::optional<ExampleRef> example() const { return m_example; }
  QString data() const { return m_data; }   // name of a data set
  // Pinned candidates stay in comparisons and columns, in the order of pinning.
  QList<std::int64_t> pinned() const { return m_pinned; }

 public slots:
  void setCandidate(std::int64_t id);
  void setTensor(const QString& canonicalName);
  void setExample(const ExampleRef& example);
  void setData(const QString& name);
  void togglePin(std::int64_t id);
  void clear();
  // Forgets candidates that the study no longer has.
  void keepCandidates(const QList<std::int64_t>& existing);

 signals:
  void candidateChanged(std::int64_t id);
  void tensorChanged(const QString& canonicalName);
  void exampleChanged(const ExampleRef& example);
  void dataChanged(const QString& name);
  void pinsChanged();
  void changed();   // any of them, and clear()

 private:
  Kind m_kind = Kind::Nothing;
  std::optional<std::int64_t> m_candidate;
  QString m_tensor, m_data;
  std::optional<ExampleRef> m_example;
  QList<std::int64_t> m_pinned;
};

}  // namespace retort::ui
