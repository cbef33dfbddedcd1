// What the reaper asks of the spawner.
#pragma once

#include <stddef.h>
#include <sys/types.h>

struct SpawnFailure {
  // ChildOp; 0: the program was started.
  int step;
  int error;
};

// The pids of those who were spawned last and may still be alive; a zero is nobody. The reaper looks them up
// one by one and strikes those that turn out to live long.
constexpr size_t kRecent = 64;
struct RecentChild {
  pid_t pid;
  // How often it was found alive.
  int looks;
};
extern RecentChild recent_children[kRecent];

// To be called for every reaped pid: tells whether its set-up failed, and frees its slot if it still has one.
SpawnFailure settle_child(pid_t pid);
