// Where descriptors of ours live.
#pragma once

#include <fcntl.h>
#include <unistd.h>

// Moves a descriptor up to `lowest` or beyond; where the limit does not reach that far it stays where it is.
inline int move_descriptor(int fd, int lowest) {
  if (fd >= lowest) return fd;
  const int moved = fcntl(fd, F_DUPFD_CLOEXEC, lowest);
  if (moved < 0) return fd;
  close(fd);
  return moved;
}
