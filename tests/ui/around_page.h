// What a test of a page needs around it: a study of a classifier in memory, and the services over it.
#pragma once

#include <QWidget>
#include <memory>

#include "synthetic_study.h"
#include "ui/actions.h"
#include "ui/page.h"
#include "ui/services/core_api.h"
#include "ui/services/model_service.h"
#include "ui/services/selection.h"
#include "ui/services/study_service.h"

namespace retort::test {

struct Around {
  std::shared_ptr<SyntheticStudy> data = std::make_shared<SyntheticStudy>(classifierSnapshot());
  ui::CoreApi api = syntheticApi(data);
  ui::StudyService study{api};
  ui::ModelService model{api};
  QWidget window;
  ui::Selection selection;
  ui::ActionRegistry actions{&window};
  ui::Services services{study, model, selection, actions};
  Around() { study.openStudy(QStringLiteral("/tmp/classifier.retort")); }
  // A page on the study, once that has come.
  template <class P>
  std::unique_ptr<P> shown(int width, int height) {
    auto page = std::make_unique<P>(services, nullptr);
    page->resize(width, height);
    page->show();
    page->setSnapshot(study.snapshot());
    return page;
  }
};

}  // namespace retort::test
