// The inspector: what the selection is, its figures, its recipe, its command line, its provenance. On every page the
// same. Shown in a dock.
#pragma once

#include <QScrollArea>

#include "ui/page.h"
#include "ui/services/model_service.h"

class QVBoxLayout;

namespace retort::ui {

class Inspector : public QScrollArea {
  Q_OBJECT
 public:
  explicit Inspector(Services& services, QWidget* parent = nullptr);
  void setSnapshot(const SnapshotPtr& snapshot);

 private:
  void refresh();
  void showNothing();
  void showCandidate(const CandidateInfo& candidate);
  void showTensor(const QString& name);
  void showExample();
  void addTitle(const QString& kind, const QString& title, const QString& plain);
  void addHeading(const QString& text);
  void addText(const QString& text, bool muted = true);

  Services& m_services;
  SnapshotPtr m_snapshot;
  std::shared_ptr<const TensorStatistics> m_statistics;
  QString m_shown;         // what the widgets show, so that equal snapshots rebuild nothing
  QVBoxLayout* m_column;
};

}  // namespace retort::ui
