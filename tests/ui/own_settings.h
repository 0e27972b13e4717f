// A member of a test: what it stores of settings goes to a folder of its own, never to the user's.
#pragma once

#include <QCoreApplication>
#include <QSettings>
#include <QTemporaryDir>

namespace retort::test {

struct OwnSettings {
  OwnSettings() {
    QSettings::setDefaultFormat(QSettings::IniFormat);
    QSettings::setPath(QSettings::IniFormat, QSettings::UserScope, folder.path());
    QCoreApplication::setOrganizationName(QStringLiteral("retort-test"));
  }
  QTemporaryDir folder;
};

}  // namespace retort::test
