#include "ui/frame/hardware_popup.h"

#include <QComboBox>
#include <QHeaderView>
#include <QLabel>
#include <QSignalBlocker>
#include <QTableWidget>
#include <QVBoxLayout>

#include "ui/format.h"
#include "ui/widgets/basics.h"
#include "ui/widgets/facts.h"

namespace retort::ui {

HardwarePopup::HardwarePopup(const CoreApi& api, QWidget* window)
    : QFrame(window, Qt::Popup | Qt::FramelessWindowHint), m_api(api) {
  m_pool.setMaxThreadCount(1);
  setProperty("card", "raised");
  setAccessibleName(tr("Hardware"));
  resize(620, 460);
  auto* column = new QVBoxLayout(this);
  column->setContentsMargins(kGapLarge, kGapLarge, kGapLarge, kGapLarge);
  column->setSpacing(kGap);
  column->addWidget(makeHeading(tr("Hardware")));
  m_facts = new FactGrid;
  column->addWidget(m_facts);
  m_gpuFacts = new FactGrid;
  column->addWidget(m_gpuFacts);
  m_device = new QComboBox;
  m_device->setAccessibleName(tr("GPU that runs measure on, too"));
  m_device->setToolTip(tr("Runs of this study measure speed, memory and energy there, beside the processor"));
  m_device->hide();
  column->addWidget(m_device);
  m_untried = new QLabel;
  m_untried->setWordWrap(true);
  m_untried->hide();
  column->addWidget(m_untried);
  auto* limitRow = new QHBoxLayout;
  m_limitFacts = new FactGrid;
  limitRow->addWidget(m_limitFacts, 1);
  m_measure = makeButton(tr("Measure limits"), QStringLiteral("run"));
  m_measure->setToolTip(tr("Reads memory and multiplies for about a second, on all cores"));
  limitRow->addWidget(m_measure, 0, Qt::AlignTop);
  column->addLayout(limitRow);
  column->addWidget(makeHeading(tr("Kernels")));
  m_kernels = new QTableWidget(0, 3);
  m_kernels->setAccessibleName(tr("Kernels, chosen and skipped"));
  m_kernels->setHorizontalHeaderLabels({tr("Operation"), tr("Kernel"), tr("Chosen or skipped because")});
  for (int i = 0; i < 3; ++i) m_kernels->horizontalHeaderItem(i)->setTextAlignment(Qt::AlignLeft | Qt::AlignVCenter);
  m_kernels->verticalHeader()->hide();
  m_kernels->verticalHeader()->setDefaultSectionSize(24);
  m_kernels->setEditTriggers(QAbstractItemView::NoEditTriggers);
  m_kernels->setSelectionBehavior(QAbstractItemView::SelectRows);
  m_kernels->setShowGrid(false);
  m_kernels->horizontalHeader()->setStretchLastSection(true);
  column->addWidget(m_kernels, 1);
  connect(m_measure, &QPushButton::clicked, this, &HardwarePopup::measure);
  connect(m_device, &QComboBox::activated, this, [this](int row) { emit deviceChosen(m_device->itemData(row).toString()); });
}

HardwarePopup::~HardwarePopup() { m_pool.waitForDone(); }

void HardwarePopup::openBelow(QWidget* anchor) {
  describe();
  move(anchor->mapToGlobal(QPoint(0, anchor->height() + kGapSmall)));
  show();
  m_measure->setFocus();
}

void HardwarePopup::describe() {
  if (m_api.describeHardware)
    m_pool.start([this] {
      const Hardware hardware = m_api.describeHardware();
      auto reports = m_api.reportKernels ? m_api.reportKernels() : std::vector<kernels::KernelReport>();
      QMetaObject::invokeMethod(this, [this, hardware, reports = std::move(reports)] { showHardware(hardware, reports); },
                                Qt::QueuedConnection);
    });
  if (!m_api.listDevices) return;
  // After the processor's: a driver may take a second to answer.
  m_pool.start([this] {
    const DeviceList list = m_api.listDevices();
    QMetaObject::invokeMethod(this, [this, list] { showDevices(list); }, Qt::QueuedConnection);
  });
}

void HardwarePopup::setStudy(const SnapshotPtr& snapshot) {
  m_study = snapshot;
  fillChoice();
}

void HardwarePopup::showDevices(const DeviceList& list) {
  m_devices = list;
  m_gpuFacts->clear();
  for (const DeviceDescription& device : list.devices) {
    const QString name = QString::fromStdString(device.name);
    m_gpuFacts->add(QString::fromStdString(device.backend),
                    device.reason.empty() ? tr("%1 · %2").arg(name, bytesQuantity(device.memory_bytes).text()) : tr("%1 · not used: %2").arg(name, QString::fromStdString(device.reason)),
                    tr("Compute capability %1").arg(QString::fromStdString(device.compute)));
  }
  if (list.devices.empty()) m_gpuFacts->add(tr("GPU"), tr("none"), QString::fromStdString(list.reason));
  const QString caveat = toQString(kDeviceCaveat);
  m_untried->setText(list.devices.empty() ? tr("No GPU: %1\n%2").arg(QString::fromStdString(list.reason), caveat) : caveat);
  m_untried->show();
  fillChoice();
}

void HardwarePopup::fillChoice() {
  const QSignalBlocker quiet(m_device);
  m_device->clear();
  m_device->addItem(tr("Runs measure on the processor only"), QString());
  for (const DeviceDescription& device : m_devices.devices)
    if (device.reason.empty())
      m_device->addItem(tr("Runs measure on %1 too: %2").arg(QString::fromStdString(device.backend), QString::fromStdString(device.name)),
                        QString::fromStdString(device.backend));
  if (m_study) m_device->setCurrentIndex(std::max(0, m_device->findData(QString::fromStdString(m_study->second_device))));
  m_device->setVisible(m_study && m_device->count() > 1);
}

void HardwarePopup::showHardware(const Hardware& hardware, const std::vector<kernels::KernelReport>& reports) {
  m_facts->clear();
  m_facts->add(tr("Processor"), QString::fromStdString(hardware.processor));
  m_facts->add(tr("Instructions"), QString::fromStdString(hardware.features));
  m_facts->add(tr("Cores for Retort"), QString::number(hardware.cores));
  m_facts->add(tr("Memory"), tr("%1, %2 free").arg(bytesQuantity(hardware.memory_bytes).text(),
                                                   bytesQuantity(hardware.free_memory_bytes).text()));
  m_facts->add(tr("System"), QString::fromStdString(hardware.system));
  showLimits();
  m_kernels->setRowCount(static_cast<int>(reports.size()));
  for (int i = 0; i < m_kernels->rowCount(); ++i) {
    const auto& report = reports[static_cast<std::size_t>(i)];
    const QString texts[] = {QString::fromStdString(report.operation), QString::fromStdString(report.kernel),
                             (report.chosen ? tr("✓ ") : QStringLiteral("– ")) + QString::fromStdString(report.reason)};
    for (int c = 0; c < 3; ++c) {
      auto* item = new QTableWidgetItem(texts[c]);
      item->setForeground(color(report.chosen ? Role::Text : Role::Muted));
      m_kernels->setItem(i, c, item);
    }
  }
  m_kernels->resizeColumnsToContents();
}

void HardwarePopup::measure() {
  if (!m_api.measureLimits) return;
  m_measure->setEnabled(false);
  m_measure->setText(tr("Measuring …"));
  m_pool.start([this] {
    const MachineLimits limits = m_api.measureLimits(0);
    QMetaObject::invokeMethod(this, [this, limits] {
      m_limits = limits;
      m_measure->setEnabled(true);
      m_measure->setText(tr("Measure again"));
      showLimits();
    }, Qt::QueuedConnection);
  });
}

void HardwarePopup::showLimits() {
  m_limitFacts->clear();
  if (!m_limits) {
    m_limitFacts->add(tr("Limits"), tr("not measured yet"));
    return;
  }
  m_limitFacts->add(tr("Reads memory at"), Quantity{significant(m_limits->read_bytes_per_second / 1e9, 3), QStringLiteral("GB/s")},
                    tr("Bounds the rate of one token after another"));
  m_limitFacts->add(tr("Multiplies at"), Quantity{significant(m_limits->f32_operations_per_second / 1e9, 3), QStringLiteral("GFLOP/s")},
                    tr("Bounds reading a prompt"));
}

}  // namespace retort::ui
