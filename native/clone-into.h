// Creates a child in a control group of its own from its first instruction on (CLONE_INTO_CGROUP, Linux 5.7).
#pragma once

#include <stddef.h>
#include <sys/types.h>

struct CloneInto {
  // As clone(2) takes them, without the signal at the end.
  int flags;
  // The lowest byte, and how many there are.
  void *stack;
  size_t stack_size;
  // Of the group's folder.
  int group;
  // Where CLONE_CHILD_SETTID and CLONE_CHILD_CLEARTID write.
  pid_t *tid;
};

// The child runs `entry(argument)`, which must not return. Its pid, or -1 with errno.
pid_t clone_into(const CloneInto &how, int (*entry)(void *), void *argument);
