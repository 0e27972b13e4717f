#include "ui/frame/hardware_popup.h"

#include <QHeaderView>
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
}

HardwarePopup::~HardwarePopup() { m_pool.waitForDone(); }

void HardwarePopup::openBelow(QWidget* anchor) {
  describe();
  move(anchor->mapToGlobal(QPoint(0, anchor->height() + kGapSmall)));
  show();
  m_measure->setFocus();
}

void HardwarePopup::describe() {
  if (!m_api.describeHardware) return;
  m_pool.start([this] {
    const Hardware hardware = m_api.describeHardware();
    auto reports = m_api.reportKernels ? m_api.reportKernels() : std::vector<kernels::KernelReport>();
    QMetaObject::invokeMethod(this, [this, hardware, reports = std::move(reports)] { showHardware(hardware, reports); },
                              Qt::QueuedConnection);
  });
}

void HardwarePopup::showHardware(const Hardware& hardware, const std::vector<kernels::KernelReport>& reports) {
  m_facts->clear();
  m_facts->add(tr("Processor"), QString::fromStdString(hardware.processor));
  m_facts->add(tr("Instructions"), QString::fromStdString(hardware.features));
  m_facts->add(tr("Cores for Retort"), QString::number(hardware.cores));
  m_facts->add(tr("Memory"), tr("%1, %2 free").arg(bytesQuantity(hardware.memory_bytes).text(),
                                                   bytesQuantity(hardware.free_memory_bytes).text()));
  m_facts->add(tr("System"), QString::fromStdString(hardware.system));
  m_facts->add(tr("GPU"), QString::fromStdString(hardware.gpu_reason));
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
