// Follows a program to its first touch of the connection, and leaves it parked there.
#pragma once

#include <sys/types.h>

struct Order {
  // The program, which is about to exec and traced already.
  pid_t pid;
  // In it and in us.
  int control;
  int is_template;
  // It may ask for its own address (getsockname) before: the answer is not the connection's.
  int may_ask_address;
  // What /proc calls the socket that stands for the connection.
  char placeholder[64];
};

// The program is parked when it returns. Where it cannot be, that is told over `control`, and the program
// ends with us.
void trace_until_touch(const struct Order *order);

// Tells why the program cannot be parked, and ends this process.
__attribute__((noreturn)) void give_up(int control, const char *reason);
