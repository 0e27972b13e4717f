// Starts `retort` as a child of this process and reads what it says.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "core/base/job.h"
#include "core/base/result.h"

namespace retort {

inline constexpr std::uint64_t kUnlimitedMemory = ~std::uint64_t{0};

// `words`: the program and its arguments. The child is the first to be killed when memory runs out, may take at most
// `memory_limit` bytes of it, and ends when its parent ends. What it writes on stdout.
// Errors: kChildFailed with its last words, kOutOfMemory, kCanceled; each with `about` as its file and `place` as its place.
Result<std::string> run_worker(std::vector<std::string> words, std::uint64_t memory_limit, const std::string& about, const std::string& place,
                               const JobContext& job);
// The `retort` program beside this one, or what RETORT_PROGRAM names.
std::filesystem::path worker_program();

}  // namespace retort
