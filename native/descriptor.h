// Where descriptors of ours live, and what they are.
#pragma once

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

// Moves a descriptor up to `lowest` or beyond; where the limit does not reach that far it stays where it is.
inline int move_descriptor(int fd, int lowest) {
  if (fd >= lowest) return fd;
  const int moved = fcntl(fd, F_DUPFD_CLOEXEC, lowest);
  if (moved < 0) return fd;
  close(fd);
  return moved;
}

// A copy at `lowest` or beyond, or below where the limit does not reach that far. -1: there is none.
inline int copy_descriptor(int fd, int lowest) {
  const int copy = fcntl(fd, F_DUPFD_CLOEXEC, lowest);
  return copy < 0 ? fcntl(fd, F_DUPFD_CLOEXEC, 3) : copy;
}

// Closed when the last one who works with it is done. Where no descriptor is left it is the number itself.
struct OwnCopy {
  OwnCopy(int number, int lowest) : copy(copy_descriptor(number, lowest)), fd(copy < 0 ? number : copy) {}
  OwnCopy(const OwnCopy &) = delete;
  OwnCopy &operator=(const OwnCopy &) = delete;
  ~OwnCopy() {
    if (copy >= 0) close(copy);
  }
  const int copy;
  const int fd;
};

// AF_INET and its like; AF_UNSPEC: it is no socket.
inline int family_of(int fd) {
  int family = AF_UNSPEC;
  socklen_t length = sizeof family;
  getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &family, &length);
  return family;
}
