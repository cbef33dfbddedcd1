/* The line at 1.00: what the kernel gives to a super-server that decides nothing, counts nothing and logs
   nothing. accept4, clone with shared memory and without waiting, exec, reap.
   The measure for stdiod, which spawns in the same way.

   loop PORT PROGRAM [PORT PROGRAM]… */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SLOTS = 256, STACK_BYTES = 16384, MAX_SERVICES = 8, BATCH = 64, KERNEL_SIGACTION_BYTES = 32 };

struct slot {
  volatile pid_t tid; /* not 0 while a child stands on this stack; the kernel zeroes it at exec or exit */
  int connection;
  char *program;
  char stack[STACK_BYTES] __attribute__((aligned(16)));
};

static struct slot slots[SLOTS];
static sigset_t all_signals, no_signals;

static void die(const char *what) {
  perror(what);
  exit(1);
}

/* ---- in the child: the parent runs on in the same memory, so nothing here may fail in a way that matters */

static void reset_signals(void) {
  static const char by_default[KERNEL_SIGACTION_BYTES];
  for (int signal = 1; signal <= 64; signal++) {
    if (signal == SIGKILL || signal == SIGSTOP) continue;
    syscall(SYS_rt_sigaction, signal, by_default, NULL, 8);
  }
  syscall(SYS_rt_sigprocmask, SIG_SETMASK, &no_signals, NULL, 8);
}

static int run_child(void *argument) {
  struct slot *slot = argument;
  char *argv[] = {slot->program, NULL};
  setsid();
  for (int fd = 0; fd <= 2; fd++) dup2(slot->connection, fd);
  reset_signals();
  execve(slot->program, argv, environ);
  _exit(127);
}

/* ---- in the parent */

static struct slot *take_slot(void) {
  static unsigned next = 0;
  for (;;) {
    struct slot *slot = &slots[next++ % SLOTS];
    if (slot->tid == 0) return slot;
  }
}

static void spawn(int connection, char *program) {
  struct slot *slot = take_slot();
  slot->tid = -1; /* until the child has run far enough for the kernel to write its id */
  slot->connection = connection;
  slot->program = program;
  int flags = CLONE_VM | CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID | SIGCHLD;
  pid_t pid = clone(run_child, slot->stack + STACK_BYTES, flags, slot, NULL, NULL, &slot->tid);
  if (pid < 0) slot->tid = 0;
  close(connection);
}

static void accept_batch(int listener, char *program) {
  for (int i = 0; i < BATCH; i++) {
    struct sockaddr_in peer;
    socklen_t length = sizeof peer;
    int connection = accept4(listener, (struct sockaddr *)&peer, &length, SOCK_CLOEXEC);
    if (connection < 0) return;
    spawn(connection, program);
  }
}

static void reap(void) {
  while (wait4(-1, NULL, WNOHANG, NULL) > 0) continue;
}

static int open_listener(int port) {
  int on = 1;
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) die("socket");
  if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0) die("setsockopt");
  if (bind(fd, (struct sockaddr *)&address, sizeof address) < 0) die("bind");
  if (listen(fd, 4096) < 0) die("listen");
  return fd;
}

static void on_child(int signal) {
  (void)signal;
}

/* Everything is blocked but while we sleep in ppoll, so a child starts with all signals blocked too. */
static void prepare_signals(void) {
  struct sigaction action = {.sa_handler = on_child};
  sigfillset(&all_signals);
  sigemptyset(&no_signals);
  if (sigaction(SIGCHLD, &action, NULL) < 0) die("sigaction");
  if (sigprocmask(SIG_SETMASK, &all_signals, NULL) < 0) die("sigprocmask");
}

int main(int argc, char **argv) {
  int count = (argc - 1) / 2;
  if (argc % 2 == 0 || count < 1 || count > MAX_SERVICES) {
    fprintf(stderr, "usage: loop PORT PROGRAM [PORT PROGRAM]...\n");
    return 2;
  }
  struct pollfd listeners[MAX_SERVICES];
  for (int i = 0; i < count; i++) {
    listeners[i] = (struct pollfd){.fd = open_listener(atoi(argv[1 + 2 * i])), .events = POLLIN};
  }
  prepare_signals();
  for (;;) {
    int ready = ppoll(listeners, (nfds_t)count, NULL, &no_signals);
    if (ready < 0 && errno != EINTR) die("ppoll");
    for (int i = 0; ready > 0 && i < count; i++) {
      if (listeners[i].revents) accept_batch(listeners[i].fd, argv[2 + 2 * i]);
    }
    reap();
  }
}
