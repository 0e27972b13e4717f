// What every level makes of the model, at a chosen context: size, bits, memory, and where it fits. A small painted
// table; nothing in it needs hovering.
#pragma once

#include <QWidget>
#include <vector>

#include "ui/services/model_service.h"

namespace retort::ui {

// Memory that programs may take on machines that people have. The first is this machine.
struct Machine {
  QString name;
  std::uint64_t available = 0;
};

enum class Fit { Unknown, Fits, Tight, No };
Fit fitOf(std::uint64_t needed, std::uint64_t available);

class LevelsStrip : public QWidget {
  Q_OBJECT
 public:
  explicit LevelsStrip(QWidget* parent = nullptr);
  void setLevels(std::vector<LevelRow> levels);
  void setMemory(const MemoryByPart& memory);
  void setMachines(std::vector<Machine> machines);
  QSize sizeHint() const override;
  QSize minimumSizeHint() const override { return sizeHint(); }

 signals:
  void levelChosen(const QString& id);

 protected:
  void paintEvent(QPaintEvent* event) override;
  bool event(QEvent* event) override;

 private:
  std::uint64_t memoryOf(const LevelRow& level) const;
  void describe();
  std::vector<LevelRow> m_levels;
  std::vector<Machine> m_machines;
  std::optional<MemoryByPart> m_memory;
};

}  // namespace retort::ui
