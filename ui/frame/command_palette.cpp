#include "ui/frame/command_palette.h"

#include <QAction>
#include <QKeyEvent>
#include <QLineEdit>
#include <QListView>
#include <QPainter>
#include <QStandardItemModel>
#include <QStyledItemDelegate>
#include <QVBoxLayout>

#include "ui/actions.h"
#include "ui/theme.h"

namespace retort::ui {
namespace {

constexpr int kChoiceRole = Qt::UserRole + 1, kGroupRole = Qt::UserRole + 2, kKeyRole = Qt::UserRole + 3;

// Every word must occur, in any order.
class WordFilter : public QSortFilterProxyModel {
 public:
  using QSortFilterProxyModel::QSortFilterProxyModel;
  void setWords(const QString& text) {
    m_words = text.simplified().split(QLatin1Char(' '), Qt::SkipEmptyParts);
    invalidateFilter();
  }

 protected:
  bool filterAcceptsRow(int row, const QModelIndex& parent) const override {
    const QModelIndex index = sourceModel()->index(row, 0, parent);
    const QString text = index.data(kGroupRole).toString() + QLatin1Char(' ') + index.data().toString();
    return std::all_of(m_words.begin(), m_words.end(),
                       [&](const QString& word) { return text.contains(word, Qt::CaseInsensitive); });
  }

 private:
  QStringList m_words;
};

class RowDelegate : public QStyledItemDelegate {
 public:
  using QStyledItemDelegate::QStyledItemDelegate;
  QSize sizeHint(const QStyleOptionViewItem&, const QModelIndex&) const override { return {200, 30}; }
  void paint(QPainter* painter, const QStyleOptionViewItem& option, const QModelIndex& index) const override {
    painter->save();
    painter->setRenderHint(QPainter::Antialiasing);
    if (option.state & QStyle::State_Selected) {
      painter->setPen(Qt::NoPen);
      painter->setBrush(color(Role::AccentSoft));
      painter->drawRoundedRect(QRectF(option.rect).adjusted(4, 1, -4, -1), kRadius, kRadius);
    }
    const QRect line = option.rect.adjusted(kGapLarge, 0, -kGapLarge, 0);
    const Theme& theme = Theme::instance();
    painter->setFont(theme.font(Theme::Size::Small));
    painter->setPen(color(Role::Muted));
    painter->drawText(line, Qt::AlignLeft | Qt::AlignVCenter, index.data(kGroupRole).toString());
    painter->drawText(line, Qt::AlignRight | Qt::AlignVCenter, index.data(kKeyRole).toString());
    const bool enabled = index.flags().testFlag(Qt::ItemIsEnabled);
    painter->setFont(theme.font());
    painter->setPen(color(enabled ? Role::Text : Role::Faint));
    painter->drawText(line.adjusted(88, 0, -80, 0), Qt::AlignLeft | Qt::AlignVCenter,
                      painter->fontMetrics().elidedText(index.data().toString(), Qt::ElideMiddle, line.width() - 168));
    painter->restore();
  }
};

}  // namespace

CommandPalette::CommandPalette(const ActionRegistry& actions, QWidget* window)
    : QFrame(window, Qt::Popup | Qt::FramelessWindowHint), m_actions(actions) {
  setProperty("card", "raised");
  setAccessibleName(tr("Search every action"));
  auto* column = new QVBoxLayout(this);
  column->setContentsMargins(kGap, kGap, kGap, kGap);
  column->setSpacing(kGap);
  m_input = new QLineEdit;
  m_input->setPlaceholderText(tr("Search actions, candidates, tensors …"));
  m_input->setAccessibleName(tr("Search"));
  m_model = new QStandardItemModel(this);
  auto* proxy = new WordFilter(this);
  m_proxy = proxy;
  m_proxy->setSourceModel(m_model);
  m_list = new QListView;
  m_list->setModel(m_proxy);
  m_list->setItemDelegate(new RowDelegate(m_list));
  m_list->setAccessibleName(tr("Actions found"));
  m_list->setEditTriggers(QAbstractItemView::NoEditTriggers);
  m_list->setFocusPolicy(Qt::NoFocus);
  m_list->setUniformItemSizes(true);
  m_list->setFrameShape(QFrame::NoFrame);
  m_list->setHorizontalScrollBarPolicy(Qt::ScrollBarAlwaysOff);
  column->addWidget(m_input);
  column->addWidget(m_list, 1);
  m_input->installEventFilter(this);
  connect(m_input, &QLineEdit::textChanged, this, [this, proxy](const QString& text) {
    proxy->setWords(text);
    m_list->setCurrentIndex(m_proxy->index(0, 0));
  });
  connect(m_input, &QLineEdit::returnPressed, this, &CommandPalette::choose);
  connect(m_list, &QListView::clicked, this, &CommandPalette::choose);
}

void CommandPalette::open(std::vector<PaletteItem> items) {
  m_model->clear();
  m_choices.clear();
  const auto add = [this](const QString& group, const QString& text, const QString& key, bool enabled,
                          std::function<void()> body) {
    auto* item = new QStandardItem(text);
    item->setData(group, kGroupRole);
    item->setData(key, kKeyRole);
    item->setData(static_cast<int>(m_choices.size()), kChoiceRole);
    item->setEnabled(enabled);
    item->setEditable(false);
    m_model->appendRow(item);
    m_choices.push_back(std::move(body));
  };
  for (QAction* action : m_actions.actions())
    add(ActionRegistry::group(action), action->text(), action->shortcut().toString(QKeySequence::NativeText),
        action->isEnabled(), [action] { action->trigger(); });
  for (PaletteItem& item : items) add(item.group, item.text, {}, true, std::move(item.choose));
  m_input->clear();
  m_list->setCurrentIndex(m_proxy->index(0, 0));
  const QWidget* window = parentWidget();
  const QSize size(std::min(640, window->width() - 64), std::min(420, window->height() - 96));
  resize(size);
  move(window->mapToGlobal(QPoint((window->width() - size.width()) / 2, 56)));
  show();
  m_input->setFocus();
}

bool CommandPalette::eventFilter(QObject* watched, QEvent* event) {
  if (watched == m_input && event->type() == QEvent::KeyPress) {
    const int key = static_cast<QKeyEvent*>(event)->key();
    if (key == Qt::Key_Down || key == Qt::Key_Up || key == Qt::Key_PageDown || key == Qt::Key_PageUp) {
      const int step = key == Qt::Key_Down ? 1 : key == Qt::Key_Up ? -1 : key == Qt::Key_PageDown ? 10 : -10;
      const int row = std::clamp(m_list->currentIndex().row() + step, 0, std::max(0, m_proxy->rowCount() - 1));
      m_list->setCurrentIndex(m_proxy->index(row, 0));
      return true;
    }
  }
  return QFrame::eventFilter(watched, event);
}

void CommandPalette::choose() {
  const QModelIndex index = m_list->currentIndex();
  if (!index.isValid() || !index.flags().testFlag(Qt::ItemIsEnabled)) return;
  const auto body = m_choices[static_cast<std::size_t>(index.data(kChoiceRole).toInt())];
  hide();
  body();
}

}  // namespace retort::ui
