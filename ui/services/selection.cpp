#include "ui/services/selection.h"

namespace retort::ui {

void Selection::setCandidate(std::int64_t id) {
  const bool same = m_candidate == id;
  if (same && m_kind == Kind::Candidate) return;
  m_candidate = id;
  m_kind = Kind::Candidate;
  if (!same) emit candidateChanged(id);
  emit changed();
}

void Selection::setTensor(const QString& canonicalName) {
  const bool same = m_tensor == canonicalName;
  if (same && m_kind == Kind::Tensor) return;
  m_tensor = canonicalName;
  m_kind = Kind::Tensor;
  if (!same) emit tensorChanged(canonicalName);
  emit changed();
}

void Selection::setExample(const ExampleRef& example) {
  const bool same = m_example == example;
  if (same && m_kind == Kind::Example) return;
  m_example = example;
  m_kind = Kind::Example;
  if (!same) emit exampleChanged(example);
  emit changed();
}

void Selection::setData(const QString& name) {
  const bool same = m_data == name;
  if (same && m_kind == Kind::Data) return;
  m_data = name;
  m_kind = Kind::Data;
  if (!same) emit dataChanged(name);
  emit changed();
}

void Selection::togglePin(std::int64_t id) {
  if (!m_pinned.removeOne(id)) m_pinned.append(id);
  emit pinsChanged();
}

void Selection::clear() {
  m_kind = Kind::Nothing;
  m_candidate.reset();
  m_tensor.clear();
  m_data.clear();
  m_example.reset();
  const bool hadPins = !m_pinned.isEmpty();
  m_pinned.clear();
  if (hadPins) emit pinsChanged();
  emit changed();
}

void Selection::keepCandidates(const QList<std::int64_t>& existing) {
  if (m_candidate && !existing.contains(*m_candidate)) {
    m_candidate.reset();
    if (m_kind == Kind::Candidate) m_kind = Kind::Nothing;
    emit changed();
  }
  if (m_pinned.removeIf([&](std::int64_t id) { return !existing.contains(id); }) > 0) emit pinsChanged();
}

}  // namespace retort::ui
