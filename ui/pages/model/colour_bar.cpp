#include "ui/pages/model/colour_bar.h"

#include <QComboBox>
#include <QHBoxLayout>

#include "ui/widgets/basics.h"

namespace retort::ui {

ColourBar::ColourBar(QWidget* parent) : QWidget(parent) {
  auto* line = new QHBoxLayout(this);
  line->setContentsMargins(kGapLarge, 0, kGapLarge, 0);
  line->setSpacing(kGap);
  line->addStretch();
  line->addWidget(makeLabel(tr("Colour shows"), Tone::Muted));
  m_choice = new QComboBox;
  m_choice->addItems({tr("type"), tr("outliers")});
  m_choice->setAccessibleName(tr("What the map's colours show"));
  line->addWidget(m_choice);
  connect(m_choice, &QComboBox::currentIndexChanged, this, [this] { emit changed(colouring()); });
}

LayerMap::Colouring ColourBar::colouring() const { return m_choice->currentIndex() == 1 ? LayerMap::Colouring::Outliers : LayerMap::Colouring::Type; }

void ColourBar::setColouring(LayerMap::Colouring colouring) { m_choice->setCurrentIndex(colouring == LayerMap::Colouring::Outliers ? 1 : 0); }

}  // namespace retort::ui
