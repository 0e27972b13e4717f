// The tokenizer playground: what a text becomes, piece by piece with ids, and what the chat template makes of it.
#pragma once

#include <QScrollArea>
#include <QThreadPool>
#include <vector>

#include "ui/services/model_service.h"

class QLabel;
class QPlainTextEdit;
class QTimer;

namespace retort::ui {

struct TokenPiece {
  QString text;     // with visible blanks and line ends
  int id = 0;
  bool special = false;
};

// Pieces that flow like words: the text over the id, in alternating tints; special tokens in the accent.
class TokenFlow : public QWidget {
  Q_OBJECT
 public:
  explicit TokenFlow(QWidget* parent = nullptr);
  void setPieces(std::vector<TokenPiece> pieces);
  bool hasHeightForWidth() const override { return true; }
  int heightForWidth(int width) const override { return layOut(width, nullptr); }
  QSize sizeHint() const override { return {400, heightForWidth(400)}; }

 protected:
  void paintEvent(QPaintEvent* event) override;
  void resizeEvent(QResizeEvent* event) override;

 private:
  int layOut(int width, std::vector<QRectF>* cells) const;
  std::vector<TokenPiece> m_pieces;
  std::vector<QRectF> m_cells;
};

class TextView : public QWidget {
  Q_OBJECT
 public:
  explicit TextView(ModelService& model, QWidget* parent = nullptr);
  ~TextView() override;

 private:
  void request();
  struct Outcome {
    std::vector<TokenPiece> pieces;
    QString summary, chat, chatProblem;
  };
  static Outcome compute(const CoreApi& api, const LoadedModel& loaded, const QString& text);
  void show(const Outcome& outcome);

  ModelService& m_model;
  quint64 m_request = 0;
  QPlainTextEdit *m_input, *m_chat;
  TokenFlow* m_flow;
  QLabel *m_summary, *m_chatProblem;
  QTimer* m_later;
  QThreadPool m_pool;
};

}  // namespace retort::ui
