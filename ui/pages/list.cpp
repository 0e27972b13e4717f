// The one list of pages: rail, shortcuts, palette and screenshots are made from it.
#include <QCoreApplication>

#include "ui/page.h"
#include "ui/pages/compare/compare_page.h"
#include "ui/pages/data/data_page.h"
#include "ui/pages/export/export_page.h"
#include "ui/pages/model/model_page.h"
#include "ui/pages/recipes/recipes_page.h"
#include "ui/pages/run/run_page.h"
#include "ui/pages/try/try_page.h"

namespace retort::ui {
namespace {

template <class P>
PageEntry entry(const char* id, const char* title) {
  return {QString::fromLatin1(id), QCoreApplication::translate("Page", title), QString::fromLatin1(id), &P::status,
          [](Services& services, QWidget* parent) -> Page* { return new P(services, parent); }};
}

}  // namespace

std::vector<PageEntry> pageList() {
  return {
      entry<ModelPage>("model", QT_TRANSLATE_NOOP("Page", "Model")),
      entry<DataPage>("data", QT_TRANSLATE_NOOP("Page", "Data")),
      entry<RecipesPage>("recipes", QT_TRANSLATE_NOOP("Page", "Recipes")),
      entry<RunPage>("run", QT_TRANSLATE_NOOP("Page", "Run")),
      entry<ComparePage>("compare", QT_TRANSLATE_NOOP("Page", "Compare")),
      entry<TryPage>("try", QT_TRANSLATE_NOOP("Page", "Try")),
      entry<ExportPage>("export", QT_TRANSLATE_NOOP("Page", "Export")),
  };
}

}  // namespace retort::ui
