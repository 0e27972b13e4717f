#include "ui/services/failure.h"

#include <QCoreApplication>
#include <QStringList>

#include "core/base/error_text.h"

namespace retort::ui {

QString Failure::sentences() const { return remedy.isEmpty() ? text + QLatin1Char('.') : QStringLiteral("%1. %2.").arg(text, remedy); }

Failure failureOf(const Error& error, const QString& what) {
  // error_text is "cause. Next: remedy."; the one table of sentences stays in core.
  const QString whole = QString::fromStdString(error_text(error));
  const qsizetype at = whole.lastIndexOf(QStringLiteral(". Next: "));
  Failure failure;
  failure.code = error.code;
  failure.text = at < 0 ? whole : whole.left(at);
  failure.remedy = at < 0 ? QString() : whole.mid(at + 8);
  if (!failure.remedy.isEmpty()) failure.remedy[0] = failure.remedy[0].toUpper();
  if (!what.isEmpty()) failure.text = QStringLiteral("%1: %2").arg(what, failure.text);

  QStringList details{QString::fromUtf8(error_name(error.code).data(), static_cast<qsizetype>(error_name(error.code).size()))};
  const auto add = [&](const QString& name, const std::string& value) {
    if (!value.empty()) details << QStringLiteral("%1: %2").arg(name, QString::fromStdString(value));
  };
  add(QCoreApplication::translate("Failure", "file"), error.file);
  add(QCoreApplication::translate("Failure", "place"), error.place);
  if (error.offset) details << QCoreApplication::translate("Failure", "at byte %1").arg(*error.offset);
  add(QCoreApplication::translate("Failure", "expected"), error.expected);
  add(QCoreApplication::translate("Failure", "found"), error.found);
  failure.details = details.join(QStringLiteral("\n"));
  return failure;
}

}  // namespace retort::ui
