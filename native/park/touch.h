// Which system call is a program's first touch of its connection.
#pragma once

#include <stdint.h>
#include <sys/types.h>

#include "tracer.h"

// As PTRACE_GET_SYSCALL_INFO tells it; each libc has a name of its own for it.
struct CallStop {
  uint8_t op, unused[3];
  uint32_t arch;
  uint64_t instruction, stack;
  uint64_t number, args[6];
  uint64_t more[2];
};

// Whether descriptor `fd` of this thread is the socket that stands for the connection.
int is_placeholder(pid_t tid, long fd, const char *placeholder);

// Whether the call that this thread is about to make reads from, writes to, asks, changes or copies the
// socket.
int is_touch(pid_t tid, const struct CallStop *stop, const struct Order *order);
