#include "core/measure/worker.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "core/base/files.h"

namespace retort {
namespace {

// Sanitizers reserve terabytes of address space for their shadow at the start, and abort where they may not.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kLimitMemory = false;
#else
constexpr bool kLimitMemory = true;
#endif

struct Pipe {
  int read = -1, write = -1;
  bool open() {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) return false;
    read = ends[0];
    write = ends[1];
    return true;
  }
  ~Pipe() { close_read(); close_write(); }
  void close_read() { if (read >= 0) ::close(std::exchange(read, -1)); }
  void close_write() { if (write >= 0) ::close(std::exchange(write, -1)); }
};

// Between fork and exec only async-signal-safe calls are allowed: everything was prepared by the parent.
[[noreturn]] void become_child(char* const* arguments, const Pipe& output, const Pipe& messages, rlim_t memory_limit, pid_t parent) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(126);
  // The first that the system takes when memory runs out.
  if (const int handle = ::open("/proc/self/oom_score_adj", O_WRONLY); handle >= 0) {
    [[maybe_unused]] const auto written = ::write(handle, "1000", 4);
    ::close(handle);
  }
  if (kLimitMemory) {
    const rlimit limit{memory_limit, memory_limit};
    ::setrlimit(RLIMIT_DATA, &limit);
  }
  ::setpriority(PRIO_PROCESS, 0, 0);
  ::dup2(output.write, STDOUT_FILENO);
  ::dup2(messages.write, STDERR_FILENO);
  ::execv(arguments[0], arguments);
  ::_exit(127);
}

// Reads both pipes until they end; asks the job twenty times a second. False when stopped.
bool drain(const Pipe& output, const Pipe& messages, std::string& text, std::string& errors, const JobContext& job) {
  pollfd handles[2] = {{output.read, POLLIN, 0}, {messages.read, POLLIN, 0}};
  int open_ends = 2;
  while (open_ends > 0) {
    ::poll(handles, 2, 50);
    if (job.stopped()) return false;
    for (int i = 0; i < 2; ++i) {
      if (handles[i].fd < 0 || !(handles[i].revents & (POLLIN | POLLHUP | POLLERR))) continue;
      char buffer[4096];
      const ssize_t n = ::read(handles[i].fd, buffer, sizeof buffer);
      if (n > 0) (i == 0 ? text : errors).append(buffer, static_cast<std::size_t>(n));
      else if (n == 0 || errno != EINTR) { handles[i].fd = -1; --open_ends; }
    }
  }
  return true;
}

std::string last_line(const std::string& text) {
  const auto end = text.find_last_not_of("\n ");
  if (end == std::string::npos) return {};
  const auto begin = text.rfind('\n', end);
  return text.substr(begin == std::string::npos ? 0 : begin + 1, end - (begin == std::string::npos ? 0 : begin + 1) + 1);
}

}  // namespace

std::filesystem::path worker_program() {
  if (const char* forced = std::getenv("RETORT_PROGRAM")) return forced;
  std::error_code ignored;
  return std::filesystem::read_symlink("/proc/self/exe", ignored).parent_path() / "retort";
}

Result<std::string> run_worker(std::vector<std::string> words, std::uint64_t memory_limit, const std::string& about, const std::string& place,
                               const JobContext& job) {
  const std::string program = words.front();
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  Pipe output, messages;
  if (!output.open() || !messages.open()) return system_error(errno, program, ErrorCode::kChildFailed);
  const rlim_t limit = memory_limit == kUnlimitedMemory ? RLIM_INFINITY : memory_limit;
  const pid_t parent = ::getpid();
  const pid_t child = ::fork();
  if (child < 0) return system_error(errno, program, ErrorCode::kChildFailed);
  if (child == 0) become_child(arguments.data(), output, messages, limit, parent);
  output.close_write();
  messages.close_write();

  std::string text, errors;
  const bool finished = drain(output, messages, text, errors, job);
  if (!finished) ::kill(child, SIGKILL);
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {}
  if (!finished) return Error{.code = ErrorCode::kCanceled, .place = place};
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return text;
  Error error{.code = ErrorCode::kChildFailed, .file = about, .place = place};
  if (WIFSIGNALED(status)) {
    error.found = std::string("ended by signal ") + ::strsignal(WTERMSIG(status));
    if (WTERMSIG(status) == SIGKILL) error.code = ErrorCode::kOutOfMemory;
  } else {
    error.found = last_line(errors).empty() ? "exit code " + std::to_string(WEXITSTATUS(status)) : last_line(errors);
    if (WEXITSTATUS(status) == 4) error.code = ErrorCode::kOutOfMemory;
    if (WEXITSTATUS(status) == 127) error.found = program + " cannot be started";
  }
  return error;
}

}  // namespace retort
