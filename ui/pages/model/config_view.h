// The configuration as the model's files state it: every key, with a search; the whole of a long value beneath.
#pragma once

#include "ui/models/config_model.h"
#include "ui/widgets/searched_table.h"

class QPlainTextEdit;

namespace retort::ui {

class ConfigView : public SearchedTable {
  Q_OBJECT
 public:
  explicit ConfigView(QWidget* parent = nullptr);
  void setEntries(std::vector<ConfigEntry> entries);

 protected:
  QString countText() const override;

 private:
  void showValue(const QModelIndex& index);
  ConfigModel* m_model;
  QPlainTextEdit* m_value;
};

}  // namespace retort::ui
