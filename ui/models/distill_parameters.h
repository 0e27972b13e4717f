// The parameters of a distillation as data: what the editor shows of each, and how it reads and writes it. Defaults are
// those of an empty recipe; ranges are those that the recipe's reader accepts.
#pragma once

#include <QString>
#include <QVariant>
#include <functional>
#include <optional>
#include <vector>

#include "core/distill/distill_recipe.h"

namespace retort::ui {

struct DistillParameter {
  enum class Group { Student, Loss, Training, Data };
  enum class Kind { Number, Whole, Flag, Choice, Path };
  Group group = Group::Loss;
  QString place;              // in the recipe: "loss.temperature"
  QString title, unit;
  QString explanation;        // one line
  Kind kind = Kind::Number;
  double low = 0, high = 0;   // high 0: no upper limit that matters
  QString zero;               // what 0 means, where it means something else: "never"
  QStringList choices;        // as in the recipe
  std::function<QVariant(const distill::DistillRecipe&)> get;
  std::function<void(distill::DistillRecipe&, const QVariant&)> set;

  QVariant standard() const { return get(distill::DistillRecipe{}); }
  // "1 to 20 · default 2"
  QString range() const;
  QString text(const QVariant& value) const;
  // The value that a text means, or nothing: outside the range, or no number.
  std::optional<QVariant> parse(const QString& text) const;
};

const std::vector<DistillParameter>& distillParameters();

}  // namespace retort::ui
