// Scores are written beside the main thread: the folder of all processes has a lock, which any user can hold
// (who reads it into a page that does not come), and whoever looks up a process there waits for that.
#include "scores.h"

#include "worker.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <string>

namespace {

// Each has a descriptor.
constexpr size_t kMostWaiting = 64;

Worker &worker() {
  static auto *only = new Worker(kMostWaiting);
  return *only;
}

// Also one that has died, and is not collected.
bool is_there(int process) {
  return syscall(SYS_pidfd_send_signal, process, 0, nullptr, 0) == 0 || errno != ESRCH;
}

// By now its number may be another's. If it is still its own after the file was opened, then so it was
// before. One that is gone, or whom we may not change, is left alone.
void write_score(int process, pid_t pid, int score) {
  const std::string text = std::to_string(score);
  const int fd = open(("/proc/" + std::to_string(pid) + "/oom_score_adj").c_str(), O_WRONLY | O_CLOEXEC);
  if (fd < 0) return;
  if (is_there(process) && write(fd, text.c_str(), text.size()) < 0) errno = 0;
  close(fd);
}

}  // namespace

bool give_score(pid_t pid, int score) {
  const int process = static_cast<int>(syscall(SYS_pidfd_open, pid, 0));
  if (process < 0) return errno != EMFILE && errno != ENFILE && errno != ENOMEM;
  const bool is_given = worker().give([process, pid, score] {
    write_score(process, pid, score);
    close(process);
  });
  if (!is_given) close(process);
  return is_given;
}
