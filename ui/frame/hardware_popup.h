// Hardware: processor, memory, kernels chosen or skipped and why, GPUs, and the machine's limits as measured.
#pragma once

#include <QFrame>
#include <QThreadPool>
#include <optional>

#include "ui/services/core_api.h"

class QLabel;
class QPushButton;
class QTableWidget;

namespace retort::ui {

class FactGrid;

class HardwarePopup : public QFrame {
  Q_OBJECT
 public:
  HardwarePopup(const CoreApi& api, QWidget* window);
  ~HardwarePopup() override;
  void openBelow(QWidget* anchor);

 private:
  void describe();
  void measure();
  void showHardware(const Hardware& hardware, const std::vector<kernels::KernelReport>& reports);
  void showLimits();

  CoreApi m_api;
  FactGrid *m_facts, *m_limitFacts;
  QTableWidget* m_kernels;
  QPushButton* m_measure;
  std::optional<MachineLimits> m_limits;
  QThreadPool m_pool;
};

}  // namespace retort::ui
