// Below the table of data sets: what the selected set covers, and its first examples.
#pragma once

#include <QThreadPool>
#include <QWidget>

#include "ui/page.h"
#include "ui/pages/data/data_coverage.h"

class QLabel;
class QTableWidget;

namespace retort::ui {

class FactGrid;
class Notice;
class Sparkline;

class DataDetails : public QWidget {
  Q_OBJECT
 public:
  explicit DataDetails(Services& services, QWidget* parent = nullptr);
  ~DataDetails() override;
  // Reads the set's file in a worker; an equal set is not read again.
  void show(const DataInfo* set);
  QString shownSet() const { return m_name; }

 private:
  void request();
  void fill(const DataCoverage& coverage);

  Services& m_services;
  std::optional<DataInfo> m_set;
  QString m_name;             // what the widgets show
  quint64 m_request = 0;
  QLabel *m_coverageTitle, *m_examplesTitle;
  FactGrid* m_facts;
  Sparkline* m_lengths;
  QTableWidget* m_examples;
  Notice* m_problem;
  QThreadPool m_pool;
};

}  // namespace retort::ui
