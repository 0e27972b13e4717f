#include "ui/plots/chart.h"

#include <QApplication>
#include <QClipboard>
#include <QFile>
#include <QFileDialog>
#include <QHeaderView>
#include <QKeyEvent>
#include <QLabel>
#include <QMenu>
#include <QPainter>
#include <QPicture>
#include <QSaveFile>
#include <QStackedLayout>
#include <QSvgGenerator>
#include <QTableWidget>
#include <QToolButton>
#include <QVBoxLayout>
#include <algorithm>

#include "ui/theme.h"
#include "ui/widgets/basics.h"

namespace retort::ui {

QString ChartTable::separated(QChar separator) const {
  QString text;
  const auto line = [&](const QStringList& cells) {
    for (qsizetype i = 0; i < cells.size(); ++i) {
      QString cell = cells[i];
      if (separator == QLatin1Char(',') && (cell.contains(QLatin1Char(',')) || cell.contains(QLatin1Char('"'))))
        cell = QLatin1Char('"') + cell.replace(QLatin1Char('"'), QStringLiteral("\"\"")) + QLatin1Char('"');
      if (i > 0) text += separator;
      text += cell;
    }
    text += QLatin1Char('\n');
  };
  line(header);
  for (const QStringList& row : rows) line(row);
  return text;
}

Chart::Chart(QWidget* parent) : QWidget(parent) {
  setFocusPolicy(Qt::StrongFocus);
  connect(&Theme::instance(), &Theme::changed, this, [this] { selectionChanged(); });
}

void Chart::setSelected(std::optional<std::int64_t> id) {
  if (m_selected == id) return;
  m_selected = id;
  selectionChanged();
}

void Chart::keyPressEvent(QKeyEvent* event) {
  const bool forward = event->key() == Qt::Key_Right || event->key() == Qt::Key_Down;
  const bool backward = event->key() == Qt::Key_Left || event->key() == Qt::Key_Up;
  if (event->key() == Qt::Key_Space && m_selected) {
    emit pinWanted(*m_selected);
    return;
  }
  const std::vector<std::int64_t> ids = order();
  if ((!forward && !backward) || ids.empty()) return QWidget::keyPressEvent(event);
  auto at = m_selected ? std::find(ids.begin(), ids.end(), *m_selected) : ids.end();
  if (at == ids.end()) at = ids.begin();
  else if (forward && at + 1 != ids.end()) ++at;
  else if (backward && at != ids.begin()) --at;
  emit chosen(*at);
}

void Chart::drawFocus(QPainter& painter) const {
  if (!hasFocus()) return;
  painter.setPen(QPen(color(Role::Accent), 1));
  painter.setBrush(Qt::NoBrush);
  painter.drawRoundedRect(QRectF(rect()).adjusted(1.5, 1.5, -1.5, -1.5), 4, 4);
}

ChartFrame::ChartFrame(const QString& title, Chart* chart, QWidget* parent) : QWidget(parent), m_chart(chart) {
  m_title = makeHeading(title, this);
  m_title->setMinimumWidth(40);   // a narrow chart cuts its title, not its figures
  m_menu = makeToolButton(QStringLiteral("down"), tr("Table, copy, save: %1").arg(title), this);
  auto* menu = new QMenu(m_menu);
  QAction* table = menu->addAction(tr("Show as table"));
  table->setCheckable(true);
  connect(table, &QAction::toggled, this, &ChartFrame::showTable);
  menu->addSeparator();
  connect(menu->addAction(tr("Copy as table")), &QAction::triggered, this,
          [this] { QApplication::clipboard()->setText(m_chart->table().separated(QLatin1Char('\t'))); });
  connect(menu->addAction(tr("Copy as picture")), &QAction::triggered, this,
          [this] { QApplication::clipboard()->setPixmap(m_chart->grab()); });
  menu->addSeparator();
  for (const char* suffix : {"svg", "png", "csv"}) {
    const QString name = QString::fromLatin1(suffix);
    connect(menu->addAction(tr("Save as %1 …").arg(name.toUpper())), &QAction::triggered, this, [this, name] { askAndSave(name); });
  }
  menu->addSeparator();
  m_provenanceAction = menu->addAction(tr("Copy provenance"));
  connect(m_provenanceAction, &QAction::triggered, this, [this] { QApplication::clipboard()->setText(m_provenance); });
  m_menu->setMenu(menu);
  m_menu->setPopupMode(QToolButton::InstantPopup);

  m_head = new QHBoxLayout;
  m_head->setContentsMargins(kGapLarge, kGapSmall, kGapSmall, 0);
  m_head->setSpacing(kGap);
  m_head->addWidget(m_title, 1);
  m_head->addWidget(m_menu);
  m_stack = new QStackedLayout;
  m_stack->addWidget(m_chart);
  auto* column = new QVBoxLayout(this);
  column->setContentsMargins(0, 0, 0, 0);
  column->setSpacing(0);
  column->addLayout(m_head);
  column->addLayout(m_stack, 1);
  m_chart->setAccessibleName(title);
}

void ChartFrame::setTitle(const QString& title) {
  if (m_title->text() == title) return;
  m_title->setText(title);
  m_chart->setAccessibleName(title);
}
void ChartFrame::addControl(QWidget* control) { m_head->insertWidget(m_head->count() - 1, control); }
void ChartFrame::setTitleShown(bool on) {
  m_title->setVisible(on);
  if (!on) m_head->insertStretch(m_head->count() - 1, 1);
}
QString ChartFrame::title() const { return m_title->text(); }

void ChartFrame::setProvenance(const QString& line) {
  if (m_provenance == line) return;
  m_provenance = line;
  m_provenanceAction->setText(tr("Copy provenance: %1").arg(line));
}

void ChartFrame::showTable(bool on) {
  if (on && !m_table) {
    m_table = new QTableWidget(this);
    m_table->setEditTriggers(QAbstractItemView::NoEditTriggers);
    m_table->verticalHeader()->hide();
    m_table->setAccessibleName(tr("%1, as table").arg(title()));
    m_stack->addWidget(m_table);
  }
  if (on) fillTable();
  m_stack->setCurrentIndex(on ? 1 : 0);
}

void ChartFrame::fillTable() {
  const ChartTable table = m_chart->table();
  m_table->setColumnCount(static_cast<int>(table.header.size()));
  m_table->setHorizontalHeaderLabels(table.header);
  m_table->setRowCount(static_cast<int>(table.rows.size()));
  for (int r = 0; r < m_table->rowCount(); ++r)
    for (int c = 0; c < m_table->columnCount(); ++c) {
      auto* item = new QTableWidgetItem(table.rows[static_cast<std::size_t>(r)].value(c));
      if (c > 0) item->setTextAlignment(Qt::AlignRight | Qt::AlignVCenter);
      m_table->setItem(r, c, item);
    }
  m_table->resizeColumnsToContents();
}

void ChartFrame::askAndSave(const QString& suffix) {
  const QString path = QFileDialog::getSaveFileName(this, tr("Save chart"), QStringLiteral("%1.%2").arg(title().toLower().replace(QLatin1Char(' '), QLatin1Char('-')), suffix));
  if (!path.isEmpty() && !save(path)) emit saveFailed(path);
}

bool ChartFrame::save(const QString& path, const QSize& size) {
  if (path.endsWith(QStringLiteral(".csv"))) {
    QSaveFile file(path);
    if (!file.open(QIODevice::WriteOnly)) return false;
    file.write(m_chart->table().separated(QLatin1Char(',')).toUtf8());
    file.write((QStringLiteral("# ") + m_provenance + QLatin1Char('\n')).toUtf8());
    return file.commit();
  }
  constexpr int kFooter = 26, kHeader = 30;
  const auto decorate = [&](QPainter& painter) {
    painter.setFont(Theme::instance().font(Theme::Size::Body, true));
    painter.setPen(color(Role::Text));
    painter.drawText(QRect(kGapLarge, 0, size.width() - 2 * kGapLarge, kHeader), Qt::AlignVCenter, title());
    painter.setFont(Theme::instance().font(Theme::Size::Small));
    painter.setPen(color(Role::Muted));
    painter.drawText(QRect(kGapLarge, size.height() - kFooter, size.width() - 2 * kGapLarge, kFooter), Qt::AlignVCenter, m_provenance);
  };
  // The chart as a picture, so that one drawing serves pixels and vectors.
  QPicture picture;
  m_chart->drawTo(&picture, QSize(size.width(), size.height() - kFooter - kHeader));
  const auto compose = [&](QPaintDevice* device) {
    QPainter painter(device);
    painter.setRenderHint(QPainter::Antialiasing);
    painter.fillRect(QRect(QPoint(), size), color(Role::Surface));
    decorate(painter);
    painter.drawPicture(0, kHeader, picture);
  };
  if (path.endsWith(QStringLiteral(".svg"))) {
    QSvgGenerator svg;
    svg.setFileName(path);
    svg.setSize(size);
    svg.setViewBox(QRect(QPoint(), size));
    svg.setTitle(title());
    svg.setDescription(m_provenance);
    compose(&svg);
    return QFile::exists(path);
  }
  QImage image(size * 2, QImage::Format_ARGB32_Premultiplied);
  image.setDevicePixelRatio(2);
  compose(&image);
  return image.save(path);
}

}  // namespace retort::ui
