#include "ui/pages/recipes/proposal_bar.h"

#include <QComboBox>
#include <QHBoxLayout>
#include <QLabel>
#include <QLineEdit>
#include <QVBoxLayout>

#include "ui/format.h"
#include "ui/widgets/basics.h"

namespace retort::ui {
namespace {

// What can be limited, in the order of the box.
struct LimitUnit {
  const char* title;
  void (*set)(distill::StudentTarget& target, double value);
};
constexpr LimitUnit kLimitUnits[] = {
    {QT_TRANSLATE_NOOP("retort::ui::ProposalBar", "MB on disk"), [](distill::StudentTarget& target, double value) { target.bytes = static_cast<std::uint64_t>(value * 1e6); }},
    {QT_TRANSLATE_NOOP("retort::ui::ProposalBar", "MB of memory"), [](distill::StudentTarget& target, double value) { target.memory = static_cast<std::uint64_t>(value * 1e6); }},
    {QT_TRANSLATE_NOOP("retort::ui::ProposalBar", "ms per answer"), [](distill::StudentTarget& target, double value) { target.latency_seconds = value / 1e3; }}};

constexpr std::size_t kMostProposals = 4;

}  // namespace

ProposalBar::ProposalBar(StudyService& study, QWidget* parent) : QWidget(parent), m_study(study) {
  m_pool.setMaxThreadCount(1);
  auto* column = new QVBoxLayout(this);
  column->setContentsMargins(0, 0, 0, 0);
  column->setSpacing(2);
  auto* line = new QHBoxLayout;
  line->setSpacing(kGapSmall);
  QLabel* title = makeLabel(tr("Fit into"), Tone::Normal, Theme::Size::Small);
  m_most = new QLineEdit;
  m_most->setAccessibleName(tr("Limit"));
  m_most->setPlaceholderText(tr("20"));
  m_most->setFixedWidth(64);
  m_most->setAlignment(Qt::AlignRight);
  m_unit = new QComboBox;
  m_unit->setAccessibleName(tr("What is limited"));
  for (const LimitUnit& unit : kLimitUnits) m_unit->addItem(tr(unit.title));
  m_unit->setToolTip(tr("Of this machine's processor. An answer: one text of a classifier, one token of a language model"));
  m_unit->setSizeAdjustPolicy(QComboBox::AdjustToMinimumContentsLengthWithIcon);
  m_unit->setMinimumContentsLength(10);
  QPushButton* propose = makeButton(tr("Propose"));
  propose->setToolTip(tr("Students that fit, before anything is trained"));
  m_says = makeLabel({}, Tone::Muted, Theme::Size::Small);
  m_says->setMinimumWidth(20);
  line->addWidget(title);
  line->addWidget(m_most);
  line->addWidget(m_unit);
  line->addWidget(propose);
  line->addWidget(m_says, 1);
  column->addLayout(line);
  m_list = new QWidget;
  m_rows = new QVBoxLayout(m_list);
  m_rows->setContentsMargins(0, 0, 0, 0);
  m_rows->setSpacing(2);
  m_list->hide();
  column->addWidget(m_list);
  connect(m_most, &QLineEdit::returnPressed, this, &ProposalBar::ask);
  connect(propose, &QPushButton::clicked, this, &ProposalBar::ask);
}

ProposalBar::~ProposalBar() { m_pool.waitForDone(); }

void ProposalBar::setSource(const LoadedModelPtr& model, const distill::DistillRecipe& recipe) {
  if (model != m_model) {   // proposals of another model are none
    ++m_request;
    clearLayout(m_rows);
    m_list->hide();
    m_says->clear();
  }
  m_model = model;
  m_recipe = recipe;
}

void ProposalBar::say(const QString& text) {
  setTextOf(m_says, text);
  m_says->setToolTip(text);
}

void ProposalBar::ask() {
  const double value = typedNumber(m_most->text()).value_or(0);
  if (!(value > 0) || value > 1e9) return say(tr("A number above 0"));
  if (!m_model || !m_study.api().proposeStudents) return say(tr("The model isn't read yet"));
  distill::StudentTarget target;
  kLimitUnits[m_unit->currentIndex()].set(target, value);
  say(tr("Looking …"));
  const int threads = m_study.snapshot() ? m_study.snapshot()->threads : 0;
  m_pool.start([this, request = ++m_request, model = m_model, recipe = m_recipe, target, threads, propose = m_study.api().proposeStudents] {
    auto found = std::make_shared<Result<std::vector<distill::StudentProposal>>>(propose(*model->model, recipe, target, threads, kMostProposals));
    QMetaObject::invokeMethod(this, [this, request, found] {
      if (request != m_request) return;
      if (*found) showProposals(**found);
      else say(failureOf(found->error()).text);
    }, Qt::QueuedConnection);
  });
}

QString ProposalBar::rowText(const distill::StudentProposal& proposal) const {
  const distill::StudentPrediction& p = proposal.prediction;
  return tr("%1 · %2 · %3").arg(toQString(proposal.text()), bytesQuantity(p.bytes).text(), secondsQuantity(p.latency_seconds).text());
}

void ProposalBar::showProposals(const std::vector<distill::StudentProposal>& proposals) {
  clearLayout(m_rows);
  m_list->setVisible(!proposals.empty());
  say(proposals.empty() ? tr("Nothing fits: even one layer in 4 bits is more") : tr("predicted"));
  for (const distill::StudentProposal& proposal : proposals) {
    QPushButton* row = makeButton(rowText(proposal));
    row->setProperty("compact", true);
    row->setProperty("alignLeft", true);
    row->setSizePolicy(QSizePolicy::Ignored, QSizePolicy::Fixed);   // a long one is cut instead of pushing its neighbours aside
    row->setToolTip(tr("%1 · memory %2\nTakes this student and its stages into the recipe").arg(row->text(), bytesQuantity(proposal.prediction.memory).text()));
    connect(row, &QPushButton::clicked, this, [this, proposal] { emit chosen(proposal); });
    m_rows->addWidget(row);
  }
}

}  // namespace retort::ui
