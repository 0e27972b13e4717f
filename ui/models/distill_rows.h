// How the rows of distillParameters() are made; for their own files only.
#pragma once

#include <utility>

#include "ui/models/distill_parameters.h"
#include "ui/models/student_shape.h"

namespace retort::ui::rows {

using Recipe = distill::DistillRecipe;
using Group = DistillParameter::Group;
using Kind = DistillParameter::Kind;
using Idle = std::function<QString(const Recipe&, const TeacherShape*)>;

DistillParameter row(Group group, Kind kind, const QString& place, const QString& title, const QString& explanation);
DistillParameter heading(Group group, const QString& place, const QString& title, const QString& explanation);
DistillParameter flag(Group group, const QString& place, const QString& title, bool& (*get)(Recipe&), const QString& explanation);
DistillParameter path(Group group, const QString& place, const QString& title, std::filesystem::path& (*get)(Recipe&), const QString& explanation, const QString& empty = {});
DistillParameter choice(Group group, const QString& place, const QString& title, const QStringList& choices, const QString& explanation,
                        std::function<QString(const Recipe&)> get, std::function<void(Recipe&, const QString&)> set);

// `get` gives a reference to the number.
template <class Get>
DistillParameter number(Group group, const QString& place, const QString& title, const QString& unit, double low, double high, Get get, const QString& explanation, const QString& zero = {}) {
  using T = std::remove_reference_t<decltype(get(std::declval<Recipe&>()))>;
  DistillParameter p = row(group, std::is_integral_v<T> ? Kind::Whole : Kind::Number, place, title, explanation);
  p.unit = unit;
  p.low = low;
  p.high = high;
  p.zero = zero;
  p.get = [get](const Recipe& recipe) { return QVariant(static_cast<double>(get(const_cast<Recipe&>(recipe)))); };
  p.set = [get](Recipe& recipe, const QVariant& value) { get(recipe) = static_cast<T>(value.toDouble()); };
  return p;
}

// The row with a reason to do nothing.
DistillParameter idleWhere(DistillParameter parameter, Idle idle);

std::vector<DistillParameter> studentRows();
std::vector<DistillParameter> lossRows();
std::vector<DistillParameter> trainingRows();
std::vector<DistillParameter> dataRows();
std::vector<DistillParameter> teacherRows(const Recipe& recipe);
std::vector<DistillParameter> stageRows(const Recipe& recipe);

}  // namespace retort::ui::rows
