#include "ui/plots/label_places.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <numeric>

namespace retort::ui {
namespace {

constexpr double kNear = 16, kRim = 6;          // a leader from here on; it begins at the mark's rim
constexpr double kFirst = 9, kLast = 97, kFarthest = 201, kStep = 8;   // farthest: of a name that is needed
constexpr int kTurns = 16;
constexpr double kAir = 2;                      // between names, and between a name and a line

bool crosses(const QRectF& box, const QLineF& line) {
  if (box.contains(line.p1()) || box.contains(line.p2())) return true;
  const QLineF sides[] = {{box.topLeft(), box.topRight()}, {box.topRight(), box.bottomRight()}, {box.bottomRight(), box.bottomLeft()}, {box.bottomLeft(), box.topLeft()}};
  return std::any_of(std::begin(sides), std::end(sides), [&](const QLineF& side) { return line.intersects(side, nullptr) == QLineF::BoundedIntersection; });
}

// What is in the way of one name.
class Ground {
 public:
  explicit Ground(const LabelField& field) : m_area(field.area), m_marks(field.marks), m_lines(field.lines) {}

  // 0: nothing is covered.
  int covered(const QPointF& point, const QRectF& box) const {
    const QRectF air = box.adjusted(-kAir, 0, kAir, 0);
    int count = m_area.contains(box) ? 0 : 4;
    for (const QRectF& name : m_names) count += name.intersects(air) ? 3 : 0;
    for (const QRectF& mark : m_marks) count += mark.intersects(box) ? 2 : 0;
    for (const QLineF& line : m_lines) count += crosses(air, line) ? 1 : 0;
    const auto leader = labelLeader(point, box);
    if (!leader) return count;
    for (const QRectF& name : m_names) count += crosses(name, *leader) ? 2 : 0;
    for (const QRectF& mark : m_marks) count += !mark.contains(point) && crosses(mark, *leader) ? 2 : 0;
    for (const QLineF& line : m_leaders) count += line.intersects(*leader, nullptr) == QLineF::BoundedIntersection ? 1 : 0;
    return count;
  }
  void take(const QPointF& point, const QRectF& box) {
    m_names.push_back(box);
    if (const auto leader = labelLeader(point, box)) {
      m_lines.push_back(*leader);
      m_leaders.push_back(*leader);
    }
  }

 private:
  QRectF m_area;
  std::vector<QRectF> m_marks, m_names;
  std::vector<QLineF> m_lines, m_leaders;
};

// Nothing where every place covers something; with `anyhow` the place that covers least.
std::optional<QRectF> bestPlace(const Ground& ground, const LabelWish& wish, const QSizeF& size, double last, bool anyhow) {
  const double w = size.width(), h = size.height();
  std::optional<QRectF> best;
  double least = 1e9;
  for (double distance = kFirst; distance <= last; distance += kStep)
    for (int turn = 0; turn < kTurns; ++turn) {
      // Beside before above or below: a name reads on from its point.
      const double angle = turn * 2 * std::numbers::pi / kTurns;
      const QPointF near = wish.point + distance * QPointF(std::cos(angle), std::sin(angle));
      const QRectF box(near.x() - w * (1 - std::cos(angle)) / 2, near.y() - h * (1 - std::sin(angle)) / 2, w, h);
      double cost = distance * 0.05 + std::abs(std::sin(angle)) * 0.2 + (std::cos(angle) < 0 ? 0.1 : 0);
      if (cost >= least) continue;
      const int covered = ground.covered(wish.point, box);
      if (covered > 0 && !anyhow) continue;
      cost += 8 * covered;
      if (cost < least) least = cost, best = box;
    }
  return best;
}

std::optional<LabelPlace> bestForm(const Ground& ground, const LabelWish& wish) {
  for (std::size_t form = 0; form < wish.sizes.size(); ++form)
    if (const auto box = bestPlace(ground, wish, wish.sizes[form], kLast, false)) return LabelPlace{*box, form};
  if (!wish.needed || wish.sizes.empty()) return std::nullopt;
  const std::size_t shortest = wish.sizes.size() - 1;
  if (const auto far = bestPlace(ground, wish, wish.sizes.front(), kFarthest, false)) return LabelPlace{*far, 0};
  return LabelPlace{*bestPlace(ground, wish, wish.sizes[shortest], kLast, true), shortest};
}

}  // namespace

std::optional<QLineF> labelLeader(const QPointF& point, const QRectF& label) {
  const QPointF nearest(std::clamp(point.x(), label.left(), label.right()), std::clamp(point.y(), label.top(), label.bottom()));
  const QPointF way = nearest - point;
  const double length = std::hypot(way.x(), way.y());
  if (length < kNear) return std::nullopt;
  return QLineF(point + way * (kRim / length), nearest);
}

std::vector<std::optional<LabelPlace>> placeLabels(const LabelField& field, const std::vector<LabelWish>& wishes) {
  std::vector<std::size_t> order(wishes.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::vector<std::ptrdiff_t> crowds;
  for (const LabelWish& wish : wishes)
    crowds.push_back(std::count_if(wishes.begin(), wishes.end(), [&](const LabelWish& other) { return std::abs(other.point.x() - wish.point.x()) < 70 && std::abs(other.point.y() - wish.point.y()) < 24; }));
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return wishes[a].needed != wishes[b].needed ? wishes[a].needed : crowds[a] > crowds[b];
  });
  Ground ground(field);
  std::vector<std::optional<LabelPlace>> places(wishes.size());
  for (const std::size_t i : order) {
    places[i] = bestForm(ground, wishes[i]);
    if (places[i]) ground.take(wishes[i].point, places[i]->box);
  }
  return places;
}

}  // namespace retort::ui
