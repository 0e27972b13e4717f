// The parameters of a distillation as data: what the editor shows of each, and how it reads and writes it. Defaults are
// those of an empty recipe; ranges are those that the recipe's reader accepts. Rows that can do nothing for a recipe or its
// model stay, and say why.
#pragma once

#include <QString>
#include <QStringList>
#include <QVariant>
#include <functional>
#include <optional>
#include <vector>

#include "core/distill/distill_recipe.h"

namespace retort::ui {

struct TeacherShape;

struct DistillParameter {
  enum class Group { Student, Teachers, Loss, Training, Data, Stages };
  enum class Kind { Heading, Number, Whole, Flag, Choice, Path };
  Group group = Group::Loss;
  QString place;              // in the recipe: "loss.temperature", "stages[1].rate"; of a heading unique, too
  QString title, unit;
  QString explanation;        // one line
  Kind kind = Kind::Number;
  double low = 0, high = 0;   // high 0: no upper limit that matters
  QString zero;               // what 0, or an empty path, means, where it means something else: "never"
  double special = 0;         // the value that `zero` speaks of; below `low`: what an empty field means
  QStringList choices;        // as in the recipe
  bool model = false;         // a path to a model, which may be a folder
  bool listed = false;        // a path of a list: emptied, the entry goes
  std::function<QVariant(const distill::DistillRecipe&)> get;
  std::function<void(distill::DistillRecipe&, const QVariant&)> set;
  // Why it can do nothing in this recipe, for this model (null: not known), in one sentence; empty: it can.
  std::function<QString(const distill::DistillRecipe&, const TeacherShape*)> idle;

  QVariant standard() const { return get(distill::DistillRecipe{}); }
  bool isSpecial(const QVariant& value) const;
  // "1 to 20 · default 2"
  QString range() const;
  QString text(const QVariant& value) const;
  // The value that a text means, or nothing: outside the range, or no number.
  std::optional<QVariant> parse(const QString& text) const;
};

// In the order of the editor, headings among them. What a recipe has lists of (teachers, stages) has rows for each.
std::vector<DistillParameter> distillParameters(DistillParameter::Group group, const distill::DistillRecipe& recipe);

}  // namespace retort::ui
