// Where the names of points stand in a chart: beside their points where nothing is covered: no line, no point, no error
// bar, no other name.
#pragma once

#include <QLineF>
#include <QPointF>
#include <QRectF>
#include <QSizeF>
#include <optional>
#include <vector>

namespace retort::ui {

struct LabelField {
  QRectF area;                  // names stay inside
  std::vector<QRectF> marks;    // points and error bars
  std::vector<QLineF> lines;    // the front, goals
};

struct LabelWish {
  QPointF point;
  std::vector<QSizeF> sizes;    // of the name, and of shorter forms of it, which are tried in turn
  bool needed = false;          // stands somewhere in any case, before all others
};

// Where, and in which of its forms.
struct LabelPlace {
  QRectF box;
  std::size_t form = 0;
};

// Nearest first, further out with a line to the point, which crosses nothing either. Points in a crowd choose before those
// that stand alone. Nothing for a name that has no free place.
std::vector<std::optional<LabelPlace>> placeLabels(const LabelField& field, const std::vector<LabelWish>& wishes);

// The part of a line from a point to its far name that is drawn; nothing where the name stands close enough to be read as its own.
std::optional<QLineF> labelLeader(const QPointF& point, const QRectF& label);

}  // namespace retort::ui
