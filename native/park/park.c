// park MODE PROGRAM ARGV0 [ARGUMENT…]: starts a program ahead of its client. With 0, 1 or 2 on a socket that
// stands for the connection, and 3 on a socket to the daemon, it leaves a tracer behind and becomes the
// program, which the tracer parks at its first touch of the connection (docs/warm.md). MODE is `pool` or
// `template`, with `,getsockname` behind it where the program may ask for its own address before.
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "tracer.h"

#define CONTROL_FD 3
// Out of the way of what the program opens, and low: a clone copies the table of descriptors up to it.
#define CONTROL_PLACE 200
#define OPTIONS                                                                            \
  (PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEEXEC | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | \
   PTRACE_O_TRACECLONE | PTRACE_O_EXITKILL)

// It blocks, and the program keeps it through its exec.
static int move_control(void) {
  const int control = fcntl(CONTROL_FD, F_DUPFD, CONTROL_PLACE);
  if (control < 0) give_up(CONTROL_FD, "it may not open 200 files (rlimits: open_files)");
  close(CONTROL_FD);
  fcntl(control, F_SETFL, fcntl(control, F_GETFL) & ~O_NONBLOCK);
  return control;
}

static void find_placeholder(struct Order *order) {
  char path[] = "/proc/self/fd/0";
  const ssize_t length = readlink(path, order->placeholder, sizeof order->placeholder - 1);
  if (length < 0) give_up(order->control, "it has no /proc");
  order->placeholder[length] = 0;
}

// A program that is traced gets no rights from its file.
static void refuse_rights(int control, const char *program) {
  struct stat facts;
  if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1) return;
  if (stat(program, &facts) == 0 && (facts.st_mode & (S_ISUID | S_ISGID)) != 0)
    give_up(control, "it is set-user-ID or set-group-ID");
  if (getxattr(program, "security.capability", NULL, 0) > 0) give_up(control, "its file has capabilities");
}

struct Pipes {
  int to_tracer[2], from_tracer[2];
};

static char read_byte(int fd) {
  char byte = 'x';
  return read(fd, &byte, 1) == 1 ? byte : 'x';
}

// No signal to the program's group is for it, and the connection is not its own.
static void become_tracer(const struct Order *order, const struct Pipes *pipes) {
  setsid();
  for (int fd = 0; fd < 3; ++fd) close(fd);
  const pid_t own = getpid();
  if (write(pipes->from_tracer[1], &own, sizeof own) != sizeof own || read_byte(pipes->to_tracer[0]) != 'g')
    _exit(1);
  const char answer = ptrace(PTRACE_SEIZE, order->pid, 0, OPTIONS) < 0 ? (char)errno : 0;
  if (write(pipes->from_tracer[1], &answer, 1) != 1 || answer != 0) _exit(1);
  close(pipes->from_tracer[1]);
  close(pipes->to_tracer[0]);
  trace_until_touch(order);
  _exit(0);
}

// Its parent ends at once, so that the program has no child that it knows nothing of.
static void start_tracer(const struct Order *order, const struct Pipes *pipes) {
  const pid_t between = fork();
  if (between < 0) give_up(order->control, "there is no process for its tracer");
  if (between > 0) {
    waitpid(between, NULL, 0);
    return;
  }
  const pid_t tracer = fork();
  if (tracer == 0) become_tracer(order, pipes);
  _exit(0);
}

// Where only ancestors may trace (yama), it has to be allowed.
static void let_trace(const struct Order *order, const struct Pipes *pipes) {
  pid_t tracer = 0;
  char answer = EPERM;
  if (read(pipes->from_tracer[0], &tracer, sizeof tracer) != sizeof tracer)
    give_up(order->control, "there is no process for its tracer");
  prctl(PR_SET_PTRACER, tracer, 0, 0, 0);
  if (write(pipes->to_tracer[1], "g", 1) != 1 || read(pipes->from_tracer[0], &answer, 1) != 1) answer = EPERM;
  if (answer != 0)
    give_up(order->control,
            "the kernel lets nobody trace it (ptrace: kernel.yama.ptrace_scope, or a filter)");
}

int main(int argc, char **argv) {
  struct Order order = {getpid(), CONTROL_FD, 0, 0, ""};
  struct Pipes pipes;
  if (argc < 4) return 2;
  order.is_template = strncmp(argv[1], "template", strlen("template")) == 0;
  order.may_ask_address = strstr(argv[1], ",getsockname") != NULL;
  order.control = move_control();
  find_placeholder(&order);
  refuse_rights(order.control, argv[2]);
  if (pipe2(pipes.to_tracer, O_CLOEXEC) < 0 || pipe2(pipes.from_tracer, O_CLOEXEC) < 0)
    give_up(order.control, "it may open no more files");
  start_tracer(&order, &pipes);
  close(pipes.from_tracer[1]);
  close(pipes.to_tracer[0]);
  let_trace(&order, &pipes);
  execv(argv[2], argv + 3);
  char reason[128];
  snprintf(reason, sizeof reason, "it cannot be started: %s", strerror(errno));
  give_up(order.control, reason);
}
