// What the reaper asks of the spawner.
#pragma once

#include <sys/types.h>

struct SpawnFailure {
  // ChildStep; 0: the program was started.
  int step;
  int error;
};

// To be called for every reaped pid: tells whether its set-up failed, and frees its slot if it still has one.
SpawnFailure settle_child(pid_t pid);
