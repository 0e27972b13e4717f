#include <sys/resource.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <mutex>

#include <fmt/format.h>

#include "app/cli/commands.h"
#include "core/base/error_text.h"

namespace retort::cli {
namespace {

// One line on stderr: redrawn on a terminal, repeated at most every two seconds elsewhere.
class ProgressLine {
 public:
  void draw(const Progress& progress) {
    const std::lock_guard lock(mutex_);
    const auto now = std::chrono::steady_clock::now();
    if (now - last_ < (terminal_ ? std::chrono::milliseconds(100) : std::chrono::milliseconds(2000))) return;
    last_ = now;
    const double part = progress.total > 0 ? progress.done / progress.total : 0;
    std::string line = fmt::format("{:3.0f} %  {}", 100 * part, progress.step);
    const double seconds = std::chrono::duration<double>(now - start_).count();
    if (part > 0.02) line += fmt::format("  {:.0f} s left", seconds / part * (1 - part));
    if (terminal_) {
      fmt::print(stderr, "\r\033[K{}", line.substr(0, 110));
    } else {
      fmt::print(stderr, "{}\n", line);
    }
    std::fflush(stderr);
    drawn_ = true;
  }
  void end() {
    const std::lock_guard lock(mutex_);
    if (drawn_ && terminal_) fmt::print(stderr, "\r\033[K");
    drawn_ = false;
  }

 private:
  std::mutex mutex_;
  const bool terminal_ = ::isatty(STDERR_FILENO) != 0;
  bool drawn_ = false;
  const std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
  std::chrono::steady_clock::time_point last_ = start_;
};

ProgressLine& progress_line() {
  static ProgressLine line;
  return line;
}

}  // namespace

void fail(Context& context, const Error& error) {
  end_progress();
  fmt::print(stderr, "retort: {}\n", error_text(error));
  context.exit_code = exit_code(error.code);
}

void finish(Context& context, const Result<void>& result) {
  end_progress();
  if (!result) fail(context, result.error());
}

void show_progress(Context& context) {
  context.job.on_progress([](const Progress& progress) { progress_line().draw(progress); });
}
void end_progress() { progress_line().end(); }

void add_json(CLI::App& command, CommonOptions& options) {
  command.add_flag("--json", options.json, "Print JSON (stable keys) instead of a table");
}

void add_compute(CLI::App& command, CommonOptions& options) {
  command.add_option("--threads", options.threads, "Threads; 0 takes all cores")->check(CLI::Range(0, 1024));
  command.add_option("--backend", options.backend, "cpu, reference, or cuda or cuda:N for a GPU");
  command.add_option("--activations", options.activations, "f32, q8 or recipe")
      ->check(CLI::IsMember({"f32", "q8", "recipe"}));
}

std::string human_bytes(std::uint64_t bytes) {
  const double value = static_cast<double>(bytes);
  if (value >= 1e9) return fmt::format("{:.2f} GB", value / 1e9);
  if (value >= 1e6) return fmt::format("{:.1f} MB", value / 1e6);
  if (value >= 1e3) return fmt::format("{:.1f} kB", value / 1e3);
  return fmt::format("{} B", bytes);
}

std::uint64_t peak_memory_bytes() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  return static_cast<std::uint64_t>(usage.ru_maxrss) * 1024;
}

}  // namespace retort::cli
