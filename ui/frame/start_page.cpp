#include "ui/frame/start_page.h"

#include <QDateTime>
#include <QDragEnterEvent>
#include <QFileInfo>
#include <QHBoxLayout>
#include <QLocale>
#include <QMimeData>
#include <QStyle>
#include <QVBoxLayout>

#include "ui/settings.h"
#include "ui/widgets/basics.h"

namespace retort::ui {
namespace {

QString dropped_path(const QMimeData* data) {
  const QList<QUrl> urls = data->urls();
  return urls.size() == 1 && urls.front().isLocalFile() ? urls.front().toLocalFile() : QString();
}

// A row that is one button: name, place, when.
QPushButton* recent_row(const QString& path) {
  const QFileInfo file(path);
  auto* button = new QPushButton;
  button->setProperty("flat", true);
  button->setCursor(Qt::PointingHandCursor);
  button->setAccessibleName(StartPage::tr("Open %1").arg(file.completeBaseName()));
  button->setToolTip(path);
  button->setMinimumHeight(44);
  auto* row = new QHBoxLayout(button);
  row->setContentsMargins(kGap, kGapSmall, kGap, kGapSmall);
  row->setSpacing(kGap);
  row->addWidget(new IconLabel(QStringLiteral("study"), Role::Accent, 18));
  auto* texts = new QVBoxLayout;
  texts->setSpacing(0);
  QLabel* name = makeLabel(file.completeBaseName(), Tone::Normal, Theme::Size::Body, true);
  QLabel* place = makeLabel(file.absolutePath(), Tone::Muted, Theme::Size::Small);
  texts->addWidget(name);
  texts->addWidget(place);
  row->addLayout(texts, 1);
  QLabel* when = makeLabel(QLocale().toString(file.lastModified(), QLocale::ShortFormat), Tone::Muted, Theme::Size::Small);
  row->addWidget(when);
  for (QLabel* label : {name, place, when}) {
    label->setTextInteractionFlags(Qt::NoTextInteraction);
    label->setAttribute(Qt::WA_TransparentForMouseEvents);
  }
  return button;
}

}  // namespace

StartPage::StartPage(QWidget* parent) : QWidget(parent) {
  setAcceptDrops(true);
  auto* outer = new QHBoxLayout(this);
  outer->addStretch(1);
  auto* column = new QVBoxLayout;
  column->setSpacing(kGapLarge);
  outer->addLayout(column, 4);
  outer->addStretch(1);
  column->addStretch(2);

  auto* title = new QLabel(tr("Which version of this model should you run?"));
  QFont large = Theme::instance().font(Theme::Size::Body, true);
  large.setPointSizeF(large.pointSizeF() > 0 ? large.pointSizeF() * 1.6 : 18);
  title->setFont(large);
  column->addWidget(title);
  QLabel* sentence = makeLabel(tr("Open a language model, pick levels, see size, loss, speed and memory side by side, "
                                  "and take the one that fits. Nothing leaves this machine."), Tone::Muted);
  sentence->setWordWrap(true);
  column->addWidget(sentence);

  auto* drop = new QFrame;
  drop->setProperty("card", "drop");
  m_drop = drop;
  auto* inside = new QHBoxLayout(drop);
  inside->setContentsMargins(kGapLarge, kGapLarge, kGapLarge, kGapLarge);
  inside->setSpacing(kGapLarge);
  inside->addWidget(new IconLabel(QStringLiteral("drop"), Role::Accent, 32));
  auto* texts = new QVBoxLayout;
  texts->setSpacing(2);
  texts->addWidget(makeHeading(tr("Drop a model or a study here")));
  texts->addWidget(makeLabel(tr("A GGUF file, a folder with config.json and safetensors, an ONNX graph, or a .retort study"), Tone::Muted));
  inside->addLayout(texts, 1);
  QPushButton* open = makeButton(tr("Open file …"), QStringLiteral("file"));
  QPushButton* folder = makeButton(tr("Open folder …"), QStringLiteral("folder"));
  inside->addWidget(open);
  inside->addWidget(folder);
  column->addWidget(drop);

  m_sampleBox = new QFrame;
  m_sampleBox->setProperty("card", "true");
  auto* sample = new QHBoxLayout(m_sampleBox);
  sample->setContentsMargins(kGapLarge, kGap, kGapLarge, kGap);
  sample->setSpacing(kGapLarge);
  sample->addWidget(new IconLabel(QStringLiteral("sample"), Role::Accent, 24));
  auto* about = new QVBoxLayout;
  about->setSpacing(2);
  about->addWidget(makeHeading(tr("Sample study")));
  about->addWidget(makeLabel(tr("A small model with data and recipes, ready to run"), Tone::Muted));
  sample->addLayout(about, 1);
  QPushButton* take = makeButton(tr("Open sample"), {}, true);
  sample->addWidget(take);
  column->addWidget(m_sampleBox);
  m_sampleBox->hide();

  m_recentBox = new QWidget;
  m_recent = new QVBoxLayout(m_recentBox);
  m_recent->setContentsMargins(0, 0, 0, 0);
  m_recent->setSpacing(2);
  column->addWidget(m_recentBox);
  column->addStretch(3);

  connect(open, &QPushButton::clicked, this, &StartPage::openWanted);
  connect(folder, &QPushButton::clicked, this, &StartPage::openFolderWanted);
  connect(take, &QPushButton::clicked, this, [this] { emit pathChosen(m_sample); });
  refresh();
}

void StartPage::refresh() {
  clearLayout(m_recent);
  const QStringList paths = Settings::recentStudies();
  m_recentBox->setVisible(!paths.isEmpty());
  if (paths.isEmpty()) return;
  m_recent->addWidget(makeHeading(tr("Recent")));
  for (const QString& path : paths.mid(0, 5)) {
    QPushButton* row = recent_row(path);
    m_recent->addWidget(row);
    connect(row, &QPushButton::clicked, this, [this, path] { emit pathChosen(path); });
  }
}

void StartPage::setSample(const QString& path) {
  m_sample = path;
  m_sampleBox->setVisible(!path.isEmpty());
}

void StartPage::setHot(bool on) {
  m_drop->setProperty("hot", on);
  m_drop->style()->unpolish(m_drop);
  m_drop->style()->polish(m_drop);
}

void StartPage::dragEnterEvent(QDragEnterEvent* event) {
  if (dropped_path(event->mimeData()).isEmpty()) return;
  setHot(true);
  event->acceptProposedAction();
}

void StartPage::dragLeaveEvent(QDragLeaveEvent*) { setHot(false); }

void StartPage::dropEvent(QDropEvent* event) {
  setHot(false);
  event->acceptProposedAction();
  emit pathChosen(dropped_path(event->mimeData()));
}

}  // namespace retort::ui
