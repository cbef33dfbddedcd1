// A touch is whatever would answer otherwise, or do something else, with the connection than with the socket
// that stands for it: all but to look whether it is a terminal, to ask for flags, and to close or replace a
// number.
#include "touch.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define LINK_ROOM 64
#define PLACES 3
#define MOST_POLLED 1024

// asm/termbits.h, which cannot be had beside sys/ioctl.h.
#define TCGETS2_REQUEST 0x802c542aUL

int is_placeholder(pid_t tid, long fd, const char *placeholder) {
  char path[LINK_ROOM], target[LINK_ROOM];
  if (fd < 0 || fd >= PLACES) return 0;
  snprintf(path, sizeof path, "/proc/%d/fd/%ld", tid, fd);
  const ssize_t length = readlink(path, target, sizeof target - 1);
  if (length < 0) return 0;
  target[length] = 0;
  return strcmp(target, placeholder) == 0;
}

static int read_memory(pid_t tid, unsigned long from, void *into, size_t size) {
  const struct iovec own = {into, size}, other = {(void *)from, size};
  return process_vm_readv(tid, &own, 1, &other, 1, 0) == (ssize_t)size;
}

static int is_polled(pid_t tid, unsigned long list, unsigned long count, const char *placeholder) {
  struct pollfd entries[MOST_POLLED];
  if (count > MOST_POLLED) count = MOST_POLLED;
  if (count == 0 || !read_memory(tid, list, entries, count * sizeof *entries)) return 0;
  for (unsigned long i = 0; i < count; ++i) {
    if (is_placeholder(tid, entries[i].fd, placeholder)) return 1;
  }
  return 0;
}

static int is_selected(pid_t tid, const uint64_t *sets, const char *placeholder) {
  for (int i = 0; i < 3; ++i) {
    unsigned char first = 0;
    if (sets[i] == 0 || !read_memory(tid, sets[i], &first, sizeof first)) continue;
    for (int fd = 0; fd < PLACES; ++fd) {
      if ((first >> fd & 1) != 0 && is_placeholder(tid, fd, placeholder)) return 1;
    }
  }
  return 0;
}

static int is_harmless_control(unsigned long request) {
  return request == TCGETS || request == TCGETS2_REQUEST || request == TIOCGWINSZ || request == TIOCGPGRP;
}

// Whether it is to be closed at an exec is kept.
static int is_harmless_flag(unsigned long command) {
  return command == F_GETFD || command == F_SETFD || command == F_GETFL;
}

static int is_harmless_option(unsigned long level, unsigned long name) {
  if (level != SOL_SOCKET) return 0;
  return name == SO_TYPE || name == SO_DOMAIN || name == SO_PROTOCOL || name == SO_ACCEPTCONN;
}

int is_touch(pid_t tid, const struct CallStop *stop, const struct Order *order) {
  const char *placeholder = order->placeholder;
  const uint64_t *args = stop->args;
  // A descriptor is 32 bits to the kernel, whatever stands above them.
  const int first = (int)args[0];
  switch (stop->number) {
    case SYS_read:
    case SYS_write:
    case SYS_pread64:
    case SYS_pwrite64:
    case SYS_readv:
    case SYS_writev:
    case SYS_preadv:
    case SYS_pwritev:
    case SYS_preadv2:
    case SYS_pwritev2:
    case SYS_vmsplice:
    case SYS_sendto:
    case SYS_recvfrom:
    case SYS_sendmsg:
    case SYS_recvmsg:
    case SYS_sendmmsg:
    case SYS_recvmmsg:
    case SYS_shutdown:
    case SYS_bind:
    case SYS_listen:
    case SYS_connect:
    case SYS_accept:
    case SYS_accept4:
    case SYS_getpeername:
    case SYS_setsockopt:
    case SYS_dup:
    case SYS_dup2:
    case SYS_dup3:
      return is_placeholder(tid, first, placeholder);
    case SYS_getsockname:
      return !order->may_ask_address && is_placeholder(tid, first, placeholder);
    case SYS_sendfile:
    case SYS_tee:
    case SYS_copy_file_range:
      return is_placeholder(tid, first, placeholder) || is_placeholder(tid, (int)args[1], placeholder);
    case SYS_splice:
      return is_placeholder(tid, first, placeholder) || is_placeholder(tid, (int)args[2], placeholder);
    case SYS_epoll_ctl:
      return is_placeholder(tid, (int)args[2], placeholder);
    case SYS_fcntl:
      return !is_harmless_flag(args[1]) && is_placeholder(tid, first, placeholder);
    case SYS_ioctl:
      return !is_harmless_control(args[1]) && is_placeholder(tid, first, placeholder);
    case SYS_getsockopt:
      return !is_harmless_option(args[1], args[2]) && is_placeholder(tid, first, placeholder);
    case SYS_poll:
    case SYS_ppoll:
      return is_polled(tid, args[0], args[1], placeholder);
    case SYS_select:
    case SYS_pselect6:
      return is_selected(tid, &args[1], placeholder);
    default:
      return 0;
  }
}
