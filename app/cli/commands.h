// The commands of `retort`. Each lives in one file: add_NAME() declares its options and sets its callback; the callback
// fills Context::exit_code. main.cpp lists them. To add one: its file, one line here, one in main.cpp.
#pragma once

#include <functional>
#include <string>

#include "core/base/job.h"
#include "core/base/result.h"

namespace CLI { class App; }

namespace retort::cli {

// Exit codes: 0 done, 1 the answer is no, 2 usage, 3 bad input, 4 not enough memory or disk, 5 stopped.
struct Context {
  int exit_code = 0;
  JobContext job;        // stopped by Ctrl+C; its progress is drawn on stderr
};

// Prints an error as one line on stderr and sets the exit code.
void fail(Context& context, const Error& error);
// For callbacks: `context.exit_code` stays 0, or the error is printed.
void finish(Context& context, const Result<void>& result);
// A progress bar on a terminal, plain lines elsewhere; nothing when quiet. Call once before the work.
void show_progress(Context& context);
void end_progress();

// Options that mean the same everywhere.
struct CommonOptions {
  int threads = 0;                    // 0: all cores
  std::string backend = "cpu";
  std::string activations;            // "", "f32", "q8", "recipe"
  bool json = false;
};
void add_json(CLI::App& command, CommonOptions& options);
void add_compute(CLI::App& command, CommonOptions& options);   // --threads --backend --activations

std::string human_bytes(std::uint64_t bytes);                  // "98.4 MB"
std::uint64_t peak_memory_bytes();                             // of this process so far

}  // namespace retort::cli
