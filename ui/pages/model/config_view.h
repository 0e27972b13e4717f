// The configuration as the model's files state it: every key, with a search; the whole of a long value beneath.
#pragma once

#include <QSortFilterProxyModel>
#include <QWidget>

#include "ui/models/config_model.h"

class QLabel;
class QLineEdit;
class QPlainTextEdit;

namespace retort::ui {

class TableView;

class ConfigView : public QWidget {
  Q_OBJECT
 public:
  explicit ConfigView(QWidget* parent = nullptr);
  void setEntries(std::vector<ConfigEntry> entries);

 private:
  void refreshCount();
  void showValue(const QModelIndex& index);
  ConfigModel* m_model;
  QSortFilterProxyModel* m_proxy;
  TableView* m_table;
  QLineEdit* m_search;
  QLabel* m_count;
  QPlainTextEdit* m_value;
};

}  // namespace retort::ui
