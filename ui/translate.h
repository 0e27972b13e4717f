// Texts of files without a QObject of their own, whose tr() would name the context.
#pragma once

#include <QCoreApplication>
#include <QString>

namespace retort::ui {

inline QString tr(const char* text) { return QCoreApplication::translate("Models", text); }

}  // namespace retort::ui
