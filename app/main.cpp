// `retort`: the command line and the measuring worker, without Qt. Without arguments it opens the window.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <csignal>
#include <filesystem>

#include <fmt/format.h>

#include "app/cli/list.h"
#include "core/base/version.h"
#include "core/model/device_backend.h"

namespace {

// The signal handler may only set a flag; the job looks at it between steps.
retort::JobContext* running_job = nullptr;
void stop_running_job(int) {
  if (running_job) running_job->stop();
}

// The window is a program of its own beside this one, so that no measurement ever links Qt.
int open_window() {
  std::error_code ignored;
  const auto self = std::filesystem::read_symlink("/proc/self/exe", ignored);
  const std::string window = (self.parent_path() / "retort-gui").string();
  ::execl(window.c_str(), window.c_str(), nullptr);
  fmt::print(stderr, "retort: the window ({}) is not installed. Next: install retort-gui, or see `retort --help`.\n", window);
  return 2;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc == 1) return open_window();
  retort::permit_devices();   // the window, a program of its own, never loads a driver
  retort::cli::Context context;
  running_job = &context.job;
  std::signal(SIGINT, stop_running_job);
  std::signal(SIGTERM, stop_running_job);
  std::signal(SIGXFSZ, SIG_IGN);   // a limit on file sizes is reported like a full disk, not a death

  CLI::App app{"Makes language models smaller and proves what that cost.", "retort"};
  app.set_version_flag("--version", std::string(retort::kVersion));
  app.require_subcommand(1);
  for (const auto add : retort::cli::kCommands) add(app, context);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  } catch (const std::bad_alloc&) {
    retort::Error error;
    error.code = retort::ErrorCode::kOutOfMemory;
    retort::cli::fail(context, error);
  } catch (const std::exception& exception) {
    retort::Error error;
    error.found = exception.what();
    retort::cli::fail(context, error);
  }
  return context.exit_code;
}
