// Rules of landlock(7): what is not allowed is denied. Made by the thread that makes a sandbox, in the view
// of the files that the children will have.
#include "landlock.h"

#include <fcntl.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace {

// linux/landlock.h, which may be older than the kernel. The numbers are the same everywhere.
constexpr long kCreateRuleset = 444, kAddRule = 445;
constexpr uint32_t kAskVersion = 1;
constexpr int kPathBeneath = 1;

constexpr uint64_t kExecute = 1 << 0, kWriteFile = 1 << 1, kReadFile = 1 << 2, kReadFolder = 1 << 3;
// Since version 3: without it a file could be emptied that cannot be written.
constexpr uint64_t kTruncate = 1 << 14;
// Since version 5.
constexpr uint64_t kIoctlDevice = 1 << 15;
constexpr int kFirstWithIoctl = 5;
// To make, to remove and to move, and all of the above but the last.
constexpr uint64_t kAll = (1 << 15) - 1;
constexpr uint64_t kOfFiles = kExecute | kWriteFile | kReadFile | kTruncate | kIoctlDevice;
constexpr uint64_t kRead = kExecute | kReadFile | kReadFolder;

// Shells write to the first, and none of them keeps anything.
constexpr const char *kDevices[] = {"/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom"};

struct PathBeneath {
  uint64_t allowed;
  int32_t parent;
} __attribute__((packed));

uint64_t handled() {
  return landlock_version() < kFirstWithIoctl ? kAll : kAll | kIoctlDevice;
}

bool allow_open(int ruleset, int fd, uint64_t rights) {
  struct stat facts;
  if (fstat(fd, &facts) < 0) return false;
  const PathBeneath rule = {handled() & (S_ISDIR(facts.st_mode) ? rights : rights & kOfFiles), fd};
  return syscall(kAddRule, ruleset, kPathBeneath, &rule, 0) == 0;
}

bool allow(int ruleset, const std::string &path, uint64_t rights, Fault *fault) {
  fault->path = &path;
  const int fd = open(path.c_str(), O_PATH | O_CLOEXEC);
  fault->path = nullptr;
  if (fd < 0) return fail(fault, "open " + path);
  const bool is_allowed = allow_open(ruleset, fd, rights) || fail(fault, "landlock_add_rule " + path);
  close(fd);
  return is_allowed;
}

bool allow_all(int ruleset, const FileRules &rules, Fault *fault) {
  for (const std::string &path : rules.read_only) {
    if (!allow(ruleset, path, kRead, fault)) return false;
  }
  for (const std::string &path : rules.read_write) {
    if (!allow(ruleset, path, ~0UL, fault)) return false;
  }
  // A machine without one of them does without.
  Fault ignored;
  for (const char *path : kDevices) allow(ruleset, path, kOfFiles & ~kExecute, &ignored);
  return true;
}

}  // namespace

int landlock_version() {
  const long version = syscall(kCreateRuleset, nullptr, 0, kAskVersion);
  return version < 0 ? 0 : static_cast<int>(version);
}

int open_ruleset(const FileRules &rules, Fault *fault) {
  const uint64_t attributes = handled();
  const int ruleset = static_cast<int>(syscall(kCreateRuleset, &attributes, sizeof attributes, 0));
  if (ruleset < 0) {
    fail(fault, "landlock_create_ruleset");
    return -1;
  }
  if (allow_all(ruleset, rules, fault)) return ruleset;
  close(ruleset);
  return -1;
}
