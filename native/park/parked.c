// What runs in a parked program, in its own process: it waits for a connection and wakes the program with it.
// It is mapped into memory that knows nothing of us, so: raw system calls, general registers, no data but
// what it is given, nothing outside its own section.
#include "parked.h"

#include <fcntl.h>
#include <linux/sched.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#define PARKED static __attribute__((section("parked"), always_inline)) inline

// As the daemon names the request, and with what stands before it in an answer.
#define MOST_NAME 16
#define MOST_WORD 5
// The connection, and a pipe for fd 2 where there is one.
#define MOST_FDS 2
#define EINTR_RESULT (-4)
#define PATH_ROOM 32

struct Request {
  char name[MOST_NAME];
  long length;
  int fds[MOST_FDS];
  int count;
};

PARKED long call(long number, long a, long b, long c, long d, long e, long f) {
  long result;
  register long r10 __asm__("r10") = d;
  register long r8 __asm__("r8") = e;
  register long r9 __asm__("r9") = f;
  __asm__ volatile("syscall"
                   : "=a"(result)
                   : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                   : "rcx", "r11", "memory");
  return result;
}

PARKED void close_fd(int fd) {
  call(SYS_close, fd, 0, 0, 0, 0, 0);
}

PARKED void leave(void) {
  for (;;) call(SYS_exit_group, 0, 0, 0, 0, 0, 0);
}

// One message: a word of four letters as a number, and the name of the request that it answers. Whether it
// arrived.
PARKED int say(const struct Parked *parked, unsigned word, const struct Request *request) {
  char text[MOST_WORD + MOST_NAME];
  for (int i = 0; i < 4; ++i) text[i] = (char)(word >> (8 * i));
  text[4] = ' ';
  const long length = request == 0 ? 0 : request->length;
  for (long i = 0; i < length; ++i) *(volatile char *)&text[MOST_WORD + i] = request->name[i];
  return call(SYS_sendto, parked->control, (long)text, MOST_WORD + length, MSG_NOSIGNAL, 0, 0) > 0;
}

#define WORD(a, b, c, d) ((unsigned)(a) | (unsigned)(b) << 8 | (unsigned)(c) << 16 | (unsigned)(d) << 24)

// False: there is nobody any more who could ask.
PARKED int receive(const struct Parked *parked, struct Request *request) {
  struct {
    struct cmsghdr head;
    int fds[MOST_FDS];
  } control;
  struct iovec part = {request->name, MOST_NAME};
  struct msghdr message;
  message.msg_name = 0;
  message.msg_namelen = 0;
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = &control;
  message.msg_controllen = sizeof control;
  message.msg_flags = 0;
  control.head.cmsg_len = 0;
  long length;
  do {
    length = call(SYS_recvmsg, parked->control, (long)&message, MSG_CMSG_CLOEXEC, 0, 0, 0);
  } while (length == EINTR_RESULT);
  if (length <= 0) return 0;
  request->length = length;
  request->count = 0;
  if (message.msg_controllen < sizeof control.head) return 1;
  request->count = (int)((control.head.cmsg_len - sizeof control.head) / sizeof(int));
  for (int i = 0; i < MOST_FDS; ++i) request->fds[i] = i < request->count ? control.fds[i] : -1;
  return 1;
}

PARKED void drop(const struct Request *request) {
  for (int i = 0; i < request->count; ++i) close_fd(request->fds[i]);
}

// As the program left them: numbers that it has closed or put to another use stay so.
PARKED int connect_places(const struct Parked *parked, const struct Request *request) {
  for (int fd = 0; fd < 3; ++fd) {
    if ((parked->places >> fd & 1) == 0) continue;
    const int from = fd == 2 && request->count == MOST_FDS ? request->fds[1] : request->fds[0];
    const int flags = (parked->closing_places >> fd & 1) != 0 ? O_CLOEXEC : 0;
    if (call(SYS_dup3, from, fd, flags, 0, 0, 0) < 0) return 0;
  }
  drop(request);
  return 1;
}

// "/proc/self/fd/N": as numbers, for there is no place for text but the code itself.
PARKED void write_path(int fd, char *path) {
  *(volatile unsigned long *)path = 0x65732f636f72702fUL;
  *(volatile unsigned long *)(path + 8) = 0x00002f64662f666cUL;
  path += 14;
  char digits[10];
  int count = 0;
  do {
    digits[count++] = (char)('0' + fd % 10);
    fd /= 10;
  } while (fd > 0);
  while (count > 0) *(volatile char *)path++ = digits[--count];
  *(volatile char *)path = 0;
}

PARKED int reopen(const struct Reopened *file) {
  char path[PATH_ROOM];
  write_path(file->fd, path);
  const long fd = call(SYS_openat, AT_FDCWD, (long)path, file->flags | O_CLOEXEC, 0, 0, 0);
  if (fd < 0) return 0;
  const int is_there = call(SYS_lseek, fd, file->offset, 0, 0, 0, 0) == file->offset &&
                       call(SYS_dup3, fd, file->fd, file->close_on_exec, 0, 0, 0) == file->fd;
  close_fd((int)fd);
  return is_there;
}

PARKED int reopen_all(const struct Parked *parked) {
  for (int i = 0; i < parked->reopened_count; ++i) {
    if (!reopen(&parked->reopened[i])) return 0;
  }
  return 1;
}

// As long as it waits nobody of its user may look into it, and no alarm goes off.
PARKED void rest(struct Parked *parked) {
  const long none[4] = {0, 0, 0, 0};
  parked->was_dumpable = call(SYS_prctl, PR_GET_DUMPABLE, 0, 0, 0, 0, 0) == 1;
  if (parked->was_dumpable) call(SYS_prctl, PR_SET_DUMPABLE, 0, 0, 0, 0, 0);
  call(SYS_setitimer, 0, (long)none, (long)parked->alarm, 0, 0, 0);
  call(SYS_get_robust_list, 0, (long)&parked->robust_list, (long)&parked->robust_length, 0, 0, 0);
}

// What neither waiting nor clone(2) has left as it was.
PARKED void restore(const struct Parked *parked) {
  if (parked->was_dumpable) call(SYS_prctl, PR_SET_DUMPABLE, 1, 0, 0, 0, 0);
  if (parked->is_template && parked->robust_list != 0)
    call(SYS_set_robust_list, (long)parked->robust_list, (long)parked->robust_length, 0, 0, 0, 0);
  if (parked->alarm[2] != 0 || parked->alarm[3] != 0) call(SYS_setitimer, 0, (long)parked->alarm, 0, 0, 0, 0);
}

// Returns in who is to be the program. It has said so before: who could not, because nobody listens any more,
// must not touch the connection, which somebody else serves by then.
PARKED void wake(const struct Parked *parked, const struct Request *request) {
  const int is_ready = connect_places(parked, request) && reopen_all(parked);
  restore(parked);
  if (!is_ready) say(parked, WORD('f', 'a', 'i', 'l'), request);
  if (!is_ready || !say(parked, WORD('w', 'o', 'k', 'e'), request)) leave();
  close_fd(parked->control);
}

// CLONE_PARENT: the clone is a child of who started us.
PARKED long clone_self(const struct Parked *parked) {
  const long tid = parked->tid_address == 0 ? 0 : CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID;
  return call(SYS_clone, CLONE_PARENT | tid | 17, 0, 0, (long)parked->tid_address, 0, 0);
}

__attribute__((section("parked"), used, visibility("hidden"))) void parked_run(struct Parked *parked) {
  struct Request request;
  rest(parked);
  if (!say(parked, WORD('w', 'a', 'r', 'm'), 0)) leave();
  for (;;) {
    if (!receive(parked, &request)) leave();
    if (request.count == 0) {
      say(parked, WORD('f', 'a', 'i', 'l'), &request);
      continue;
    }
    if (!parked->is_template) break;
    const long clone = clone_self(parked);
    if (clone == 0) break;
    if (clone < 0) say(parked, WORD('f', 'a', 'i', 'l'), &request);
    drop(&request);
  }
  if (parked->is_template) call(SYS_setsid, 0, 0, 0, 0, 0, 0);
  wake(parked, &request);
}
