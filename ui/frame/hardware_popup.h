// Hardware: processor, memory, kernels chosen or skipped and why, GPUs, and the machine's limits as measured.
#pragma once

#include <QFrame>
#include <QThreadPool>
#include <optional>

#include "ui/services/core_api.h"
#include "ui/services/study_service.h"

class QComboBox;
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
  // Whose runs the chosen GPU is for; null: none is open.
  void setStudy(const SnapshotPtr& snapshot);

 signals:
  // "cuda:0", or empty: speed and memory are measured there too.
  void deviceChosen(const QString& device);

 private:
  void describe();
  void measure();
  void showHardware(const Hardware& hardware, const std::vector<kernels::KernelReport>& reports);
  void showDevices(const DeviceList& list);
  void fillChoice();
  void showLimits();

  CoreApi m_api;
  FactGrid *m_facts, *m_gpuFacts, *m_limitFacts;
  QComboBox* m_device;
  QLabel* m_untried;
  DeviceList m_devices;
  SnapshotPtr m_study;
  QTableWidget* m_kernels;
  QPushButton* m_measure;
  std::optional<MachineLimits> m_limits;
  QThreadPool m_pool;
};

}  // namespace retort::ui
