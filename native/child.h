// What the parent hands to a new child, and what the child leaves behind.
// Shared by spawn.cc (the parent) and child.cc (the child); plain data only.
#pragma once

#include <sys/types.h>

// Every named point of child set-up that can fail, and how many numbers it takes in a plan.
// Those from kFirstListed to kLastListed are for plans to list, in their own order. All others every child
// goes through, before and after, because its safety and ours hang on them.
#define STDIOD_STEPS(X)                    \
  X(kOpJoin, "setns", 0)                   \
  X(kOpUnshare, "close_range", 0)          \
  X(kOpDescriptors, "dup3", 0)             \
  X(kOpCloseRest, "close-rest", 0)         \
  X(kOpSignals, "rt_sigaction", 0)         \
  X(kOpSession, "setsid", 0)               \
  X(kOpLimit, "prlimit", 3)                \
  X(kOpUmask, "umask", 1)                  \
  X(kOpNice, "setpriority", 1)             \
  X(kOpCpus, "sched_setaffinity", 0)       \
  X(kOpScheduler, "sched_setscheduler", 2) \
  X(kOpIoPriority, "ioprio_set", 1)        \
  X(kOpPrctl, "prctl", 2)                  \
  X(kOpAppArmor, "apparmor", 0)            \
  X(kOpSelinux, "selinux", 0)              \
  X(kOpRoot, "chroot", 0)                  \
  X(kOpBound, "capbset_drop", 2)           \
  X(kOpGroups, "setgroups", 0)             \
  X(kOpGid, "setresgid", 1)                \
  X(kOpUid, "setresuid", 1)                \
  X(kOpVerify, "verify-ids", 2)            \
  X(kOpSecureBits, "securebits", 1)        \
  X(kOpCapabilities, "capset", 2)          \
  X(kOpNoNewRights, "no_new_privs", 0)     \
  X(kOpStderr, "stderr", 0)                \
  X(kOpDirectory, "chdir", 0)              \
  X(kOpFiles, "landlock", 0)               \
  X(kOpFilter, "seccomp", 0)               \
  X(kOpUnblock, "rt_sigprocmask", 0)       \
  X(kOpExec, "execve", 0)

enum ChildOp {
  kOpNone = 0,
#define X(op, name, arguments) op,
  STDIOD_STEPS(X)
#undef X
};

constexpr ChildOp kFirstListed = kOpSession;
constexpr ChildOp kLastListed = kOpFilter;
constexpr size_t kMostArguments = 3;
// Of a limit, in place of a number: as it is.
constexpr long kKeep = -2;

// One entry of a plan's list.
struct ChildStep {
  ChildOp op;
  long arguments[kMostArguments];
  // Group ids, a mask of CPUs, or the instructions of a filter; null where the op has none.
  const gid_t *list;
  size_t count;
};

struct ChildText {
  const char *text;
  size_t length;
};

// Everything a child of one service does, laid out once and shared by all its children (read only).
struct ChildPlan {
  const char *path;
  const ChildStep *steps;
  size_t step_count;
  // Where kOpRoot goes.
  const char *root;
  // What kOpStderr opens.
  const char *stderr_file;
  // What kOpAppArmor and kOpSelinux write.
  ChildText apparmor;
  ChildText selinux;
  // The socket that listens, or the datagram one: LISTEN_PID belongs to it.
  bool is_lent;
  // What fd 0 is, is not the child's to end where the program could not be started.
  bool is_kept;
};

// The part of a slot that parent, child and kernel all touch.
struct ChildReport {
  // Set by the kernel at clone, zeroed by it when the child execs or dies.
  pid_t tid;
  // Set by the child once it has a descriptor table of its own: the parent may close the connection.
  int unshared;
  // Where set-up failed (ChildOp) and why (errno); none: it did not.
  int step;
  int error;
};

constexpr size_t kPidDigits = 10;
// Attempts to execve when that may soon pass: 75 ms in all, and 4.6 s.
constexpr int kFewTries = 5;
constexpr int kManyTries = 16;
// The most descriptors that a child starts with: 0, 1, 2, and 3 as LISTEN_FDS promises.
constexpr int kMostFds = 4;

// What differs between the children of a plan.
struct ChildTask {
  const ChildPlan *plan;
  const char *const *argv;
  const char *const *envp;
  const char *directory;
  // Where the child writes its own pid (the value of LISTEN_PID), with room for kPidDigits and a NUL; or
  // null.
  char *pid_text;
  // Ours that become 0, 1, 2, …; the first is the connection, or what is lent. None is below 3.
  int fds[kMostFds];
  int fd_count;
  // Of namespaces to join, in our own table: they are not copied.
  const int *namespaces;
  size_t namespace_count;
  // Ours, of the files that it may read and write; -1: it has none. Not below kMostFds either, and
  // close-on-exec in the child too.
  int ruleset;
  // The highest of `fds` and the ruleset: the child copies the table up to here.
  int highest;
  // While its user has too many processes.
  int tries;
  ChildReport *report;
};

// The entry point for clone; it does not return.
extern "C" int child_main(void *task);
