/* Opens COUNT connections to a service that greets with one byte and then waits (sleeper.c), and holds them.
   Prints {"held":…} once all were greeted, or no more come; at EOF on stdin prints {"lost":…}, how many of
   them the server had ended by then, and leaves. Run by load.ts.

   hold PORT COUNT */
#include "client.h"

/* How many connections may wait for their greeting at once. */
enum { WINDOW = 16, MAX_COUNT = 100000 };

struct hold {
  int epoll, port;
  int *fds; /* every connection that was opened */
  int opened, greeted, failed, count;
};

static void begin(struct hold *hold) {
  while (hold->opened + hold->failed < hold->count) {
    int fd = open_connection(hold->port);
    if (fd >= 0) {
      hold->fds[hold->opened] = fd;
      watch(hold->epoll, fd, EPOLLIN, (uint32_t)hold->opened++);
      return;
    }
    hold->failed++;
  }
}

static void greet(struct hold *hold, uint32_t index) {
  char byte;
  int fd = hold->fds[index];
  int greeted = read(fd, &byte, 1) == 1;
  epoll_ctl(hold->epoll, EPOLL_CTL_DEL, fd, NULL);
  if (greeted) hold->greeted++;
  begin(hold);
}

static void open_all(struct hold *hold) {
  struct epoll_event events[WINDOW];
  int pending = hold->count < WINDOW ? hold->count : WINDOW;
  for (int i = 0; i < pending; i++) begin(hold);
  for (int done = 0; done < hold->opened;) {
    int n = epoll_wait(hold->epoll, events, WINDOW, STALL_MS);
    if (n < 0 && errno != EINTR) die("epoll_wait");
    if (n == 0) return;
    for (int i = 0; i < n; i++, done++) greet(hold, events[i].data.u32);
  }
}

static int count_lost(struct hold *hold) {
  int lost = 0;
  char byte;
  for (int i = 0; i < hold->opened; i++) {
    ssize_t n = recv(hold->fds[i], &byte, 1, MSG_DONTWAIT);
    lost += n == 0 || (n < 0 && errno != EAGAIN);
  }
  return lost;
}

static void raise_open_files(void) {
  struct rlimit files;
  if (getrlimit(RLIMIT_NOFILE, &files) < 0) die("getrlimit");
  files.rlim_cur = files.rlim_max;
  if (setrlimit(RLIMIT_NOFILE, &files) < 0) die("setrlimit");
}

int main(int argc, char **argv) {
  if (argc != 3) {
    fprintf(stderr, "usage: hold PORT COUNT\n");
    return 2;
  }
  struct hold hold = {.epoll = epoll_create1(EPOLL_CLOEXEC), .port = (int)number(argv[1], "PORT", 1, 65535)};
  hold.count = (int)number(argv[2], "COUNT", 1, MAX_COUNT);
  hold.fds = calloc((size_t)hold.count, sizeof *hold.fds);
  if (hold.epoll < 0 || hold.fds == NULL) die("hold");
  raise_open_files();
  open_all(&hold);
  printf("{\"held\":%d}\n", hold.greeted);
  fflush(stdout);
  char byte;
  while (read(STDIN_FILENO, &byte, 1) > 0) continue;
  printf("{\"lost\":%d}\n", count_lost(&hold));
  return 0;
}
