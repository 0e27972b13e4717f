// English plurals for the source texts, which are English: "%n job(s)" becomes "1 job" and "3 jobs" without a catalogue.
#pragma once

#include <QTranslator>

namespace retort::ui {

class EnglishPlurals : public QTranslator {
 public:
  using QTranslator::QTranslator;
  bool isEmpty() const override { return false; }
  QString translate(const char* /*context*/, const char* text, const char* /*disambiguation*/, int n) const override {
    if (n < 0 || !text) return {};
    QString source = QString::fromUtf8(text);
    if (!source.contains(QStringLiteral("(s)"))) return {};
    return source.replace(QStringLiteral("(s)"), n == 1 ? QString() : QStringLiteral("s"));
  }
};

}  // namespace retort::ui
