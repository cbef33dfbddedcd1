// What the parent hands to a new child, and what the child leaves behind.
// Shared by spawn.cc (the parent) and child.cc (the child); plain data only.
#pragma once

#include <sys/types.h>

// Every named point of child set-up that can fail, in the order in which the child reaches them.
#define STDIOD_STEPS(X)             \
  X(kStepUnshare, "close_range")    \
  X(kStepDescriptors, "dup3")       \
  X(kStepCloseRest, "close-rest")   \
  X(kStepSession, "setsid")         \
  X(kStepSignals, "rt_sigaction")   \
  X(kStepLimits, "prlimit")         \
  X(kStepAmbient, "prctl")          \
  X(kStepGroups, "setgroups")       \
  X(kStepGid, "setresgid")          \
  X(kStepUid, "setresuid")          \
  X(kStepVerify, "verify-ids")      \
  X(kStepDirectory, "chdir")        \
  X(kStepUnblock, "rt_sigprocmask") \
  X(kStepExec, "execve")

enum ChildStep {
  kStepNone = 0,
#define X(name, text) name,
  STDIOD_STEPS(X)
#undef X
};

// Whom the child becomes. `change` is false when it stays who stdiod is.
struct ChildIdentity {
  bool change;
  uid_t uid;
  gid_t gid;
  const gid_t *groups;
  size_t group_count;
};

// Everything a child of one service does, laid out once and shared by all its children (read only).
struct ChildPlan {
  const char *path;
  ChildIdentity identity;
  mode_t umask;
  // The soft limit on open files; capped by the hard limit, which stays.
  unsigned long open_files;
  // What becomes fd 2: -1 for the connection itself.
  int stderr_fd;
  // The socket is also fd 3, as LISTEN_FDS promises.
  bool has_listen_fd;
};

// The part of a slot that parent, child and kernel all touch.
struct ChildReport {
  // Set by the kernel at clone, zeroed by it when the child execs or dies.
  pid_t tid;
  // Set by the child once it has a descriptor table of its own: the parent may close the connection.
  int unshared;
  // Where set-up failed (ChildStep) and why (errno); none: it did not.
  int step;
  int error;
};

constexpr int kPidDigits = 10;

// What differs between the children of a plan.
struct ChildTask {
  const ChildPlan *plan;
  const char *const *argv;
  const char *const *envp;
  const char *directory;
  // Where the child writes its own pid (the value of LISTEN_PID), with room for kPidDigits and a NUL; or
  // null.
  char *pid_text;
  // The connection, or under `wait` the listening or datagram socket.
  int connection;
  ChildReport *report;
};

// The entry point for clone; it does not return.
extern "C" int child_main(void *task);
