#include "ui/models/distill_parameters.h"

#include <cmath>

#include "ui/format.h"
#include "ui/models/distill_rows.h"
#include "ui/translate.h"

namespace retort::ui {
namespace {

QString plain(double value) {
  if (value != 0 && (std::abs(value) < 1e-3 || std::abs(value) >= 1e7)) return QString::number(value, 'g', 6);
  return QString::number(value, 'g', 15);
}

}  // namespace

namespace rows {

DistillParameter row(Group group, Kind kind, const QString& place, const QString& title, const QString& explanation) {
  DistillParameter p;
  p.group = group;
  p.kind = kind;
  p.place = place;
  p.title = title;
  p.explanation = explanation;
  return p;
}

DistillParameter heading(Group group, const QString& place, const QString& title, const QString& explanation) {
  DistillParameter p = row(group, Kind::Heading, place, title, explanation);
  p.get = [](const Recipe&) { return QVariant(); };
  p.set = [](Recipe&, const QVariant&) {};
  return p;
}

DistillParameter flag(Group group, const QString& place, const QString& title, bool& (*get)(Recipe&), const QString& explanation) {
  DistillParameter p = row(group, Kind::Flag, place, title, explanation);
  p.get = [get](const Recipe& r) { return QVariant(get(const_cast<Recipe&>(r))); };
  p.set = [get](Recipe& r, const QVariant& value) { get(r) = value.toBool(); };
  return p;
}

DistillParameter path(Group group, const QString& place, const QString& title, std::filesystem::path& (*get)(Recipe&), const QString& explanation, const QString& empty) {
  DistillParameter p = row(group, Kind::Path, place, title, explanation);
  p.zero = empty;
  p.get = [get](const Recipe& recipe) { return QVariant(QString::fromStdU16String(get(const_cast<Recipe&>(recipe)).u16string())); };
  p.set = [get](Recipe& recipe, const QVariant& value) { get(recipe) = std::filesystem::path(value.toString().toStdU16String()); };
  return p;
}

DistillParameter choice(Group group, const QString& place, const QString& title, const QStringList& choices, const QString& explanation,
                        std::function<QString(const Recipe&)> get, std::function<void(Recipe&, const QString&)> set) {
  DistillParameter p = row(group, Kind::Choice, place, title, explanation);
  p.choices = choices;
  p.get = [get = std::move(get)](const Recipe& r) { return QVariant(get(r)); };
  p.set = [set = std::move(set)](Recipe& r, const QVariant& value) { set(r, value.toString()); };
  return p;
}

DistillParameter idleWhere(DistillParameter parameter, Idle idle) {
  parameter.idle = std::move(idle);
  return parameter;
}

}  // namespace rows

bool DistillParameter::isSpecial(const QVariant& value) const {
  if (zero.isEmpty()) return false;
  return kind == Kind::Path ? value.toString().isEmpty() : value.toDouble() == special;
}

QString DistillParameter::range() const {
  if (kind == Kind::Path || kind == Kind::Heading) return {};
  const QVariant usual = standard();
  if (kind == Kind::Flag) return tr("default %1").arg(usual.toBool() ? tr("on") : tr("off"));
  if (kind == Kind::Choice) return tr("default %1").arg(usual.toString());
  const QString limits = high > 0 && high < 1e6 ? tr("%1 to %2").arg(plain(low), plain(high)) : tr("from %1").arg(plain(low));
  return isSpecial(usual) && special < low ? tr("%1, or empty").arg(limits) : tr("%1 · default %2").arg(limits, plain(usual.toDouble()));
}

QString DistillParameter::text(const QVariant& value) const {
  if (kind == Kind::Heading || (isSpecial(value) && special < low)) return {};
  if (kind == Kind::Flag) return value.toBool() ? tr("on") : tr("off");
  if (kind == Kind::Choice || kind == Kind::Path) return value.toString();
  return plain(value.toDouble());
}

std::optional<QVariant> DistillParameter::parse(const QString& text) const {
  if (kind == Kind::Heading) return std::nullopt;
  if (kind == Kind::Path) return QVariant(text.trimmed());
  if (kind == Kind::Choice) return choices.contains(text) ? std::optional(QVariant(text)) : std::nullopt;
  if (kind == Kind::Flag) return QVariant(text == tr("on"));
  if (text.trimmed().isEmpty() && !zero.isEmpty() && special < low) return QVariant(special);
  const std::optional<double> value = typedNumber(text);
  if (!value || *value < low || (high > 0 && *value > high) || *value > 9e15) return std::nullopt;
  if (kind == Kind::Whole && *value != std::floor(*value)) return std::nullopt;
  return QVariant(*value);
}

std::vector<DistillParameter> distillParameters(DistillParameter::Group group, const distill::DistillRecipe& recipe) {
  switch (group) {
    case DistillParameter::Group::Student: return rows::studentRows();
    case DistillParameter::Group::Teachers: return rows::teacherRows(recipe);
    case DistillParameter::Group::Loss: return rows::lossRows();
    case DistillParameter::Group::Training: return rows::trainingRows();
    case DistillParameter::Group::Data: return rows::dataRows();
    case DistillParameter::Group::Stages: return rows::stageRows(recipe);
  }
  return {};
}

}  // namespace retort::ui
