/*
 * Two directions, each of which moves bytes from one descriptor through a pipe into another. splice(2) moves
 * them within the kernel; what it does not know (a terminal, a file that is appended to) is read and written.
 *
 * A direction waits for one thing at a time: for bytes while its pipe is empty, for room while it is not. So
 * neither can keep the other waiting, and whatever poll reports is work, or an end.
 */

#define _GNU_SOURCE

#include "redirect.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MOST = 1 << 20, CHUNK = 4096 /* which any empty pipe takes whole */ };

/* The two ends of a direction. */
enum { FROM, TO, ENDS };

typedef struct {
  int fd[ENDS];
  const char *name[ENDS]; /* for people */
  bool is_over[ENDS];     /* poll has told that it has ended wholly, and would tell so for ever */
  int pipe[2];
  size_t held;        /* bytes in the pipe */
  bool is_ended;      /* FROM has said its end */
  bool is_passed_on;  /* and we have said it to TO */
  uint64_t delivered; /* bytes */
} Flow;

static Flow up = {.fd = {CLIENT_IN, -1}, .name = {"the client", "the target"}};
static Flow down = {.fd = {-1, CLIENT_OUT}, .name = {"the target", "the client"}};

/* Who has broken off. */
static const char *culprit;

static bool lose(const Flow *flow, int end) {
  culprit = flow->name[end];
  return false;
}

static volatile sig_atomic_t is_told_to_go;

static void on_term(int number) {
  (void)number;
  is_told_to_go = 1;
}

/* SIGTERM is heard while we wait and at no other time, so that none comes between a look and the wait. */
static sigset_t hear_term_while_waiting(void) {
  sigset_t term, before;
  sigemptyset(&term);
  sigaddset(&term, SIGTERM);
  sigprocmask(SIG_BLOCK, &term, &before);
  sigaction(SIGTERM, &(struct sigaction){.sa_handler = on_term}, NULL);
  sigdelset(&before, SIGTERM);
  return before;
}

/* Only a socket: others on the same terminal would not expect it. Small pieces go on as they came. */
static void prepare_client(int fd) {
  int type, on = 1;
  socklen_t size = sizeof type;
  if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) != 0) return;
  fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

/* --- One direction --- */

static ssize_t fill(const Flow *flow) {
  char chunk[CHUNK];
  const ssize_t length = splice(flow->fd[FROM], NULL, flow->pipe[1], NULL, MOST, SPLICE_F_NONBLOCK);
  if (length >= 0 || errno != EINVAL) return length;
  const ssize_t got = read(flow->fd[FROM], chunk, sizeof chunk);
  return got > 0 ? write(flow->pipe[1], chunk, (size_t)got) : got;
}

static bool write_all(int fd, const char *bytes, size_t length) {
  while (length > 0) {
    const ssize_t written = write(fd, bytes, length);
    if (written < 0 && errno != EINTR && errno != EAGAIN) return false;
    if (written < 0) poll(&(struct pollfd){.fd = fd, .events = POLLOUT}, 1, -1);
    if (written > 0) bytes += written, length -= (size_t)written;
  }
  return true;
}

/* Not a byte more is asked for than is there: in the hope of more the kernel would hold back the last ones.
 */
static ssize_t empty(const Flow *flow) {
  char chunk[CHUNK];
  const ssize_t length = splice(flow->pipe[0], NULL, flow->fd[TO], NULL, flow->held, SPLICE_F_NONBLOCK);
  if (length >= 0 || errno != EINVAL) return length;
  const ssize_t got = read(flow->pipe[0], chunk, sizeof chunk);
  return got > 0 && !write_all(flow->fd[TO], chunk, (size_t)got) ? -1 : got;
}

/* Whether it failed for good, and not for want of bytes or room. */
static bool is_broken(ssize_t length) {
  return length < 0 && errno != EAGAIN && errno != EINTR;
}

static bool take(Flow *flow) {
  const ssize_t length = fill(flow);
  if (is_broken(length)) return lose(flow, FROM);
  if (length == 0) flow->is_ended = true;
  if (length > 0) flow->held = (size_t)length;
  return true;
}

static bool give(Flow *flow) {
  const ssize_t length = empty(flow);
  if (is_broken(length)) return lose(flow, TO);
  if (length > 0) flow->held -= (size_t)length, flow->delivered += (size_t)length;
  return true;
}

/* What is no socket is closed: that is how a pipe ends. */
static bool pass_on_end(Flow *flow) {
  flow->is_passed_on = true;
  if (shutdown(flow->fd[TO], SHUT_WR) == 0) return true;
  return (errno == ENOTSOCK && close(flow->fd[TO]) == 0) || lose(flow, TO);
}

/* Goes as far as it can without waiting. false: a side has broken off, and errno says how. */
static bool advance(Flow *flow) {
  if (flow->held == 0 && !flow->is_ended && !take(flow)) return false;
  if (flow->held > 0 && !give(flow)) return false;
  return flow->held > 0 || !flow->is_ended || flow->is_passed_on || pass_on_end(flow);
}

/* --- Waiting --- */

/* An end from which nothing is wanted is watched all the same: it may break. */
static short wish(const Flow *flow, int end) {
  if (flow->held > 0) return end == TO ? POLLOUT : 0;
  return end == FROM && !flow->is_ended ? POLLIN : 0;
}

static void choose(const Flow *flow, struct pollfd polled[ENDS]) {
  for (int end = 0; end < ENDS; end++) {
    const short events = wish(flow, end);
    const bool is_silent = events == 0 && flow->is_over[end];
    polled[end] = (struct pollfd){.fd = is_silent ? -1 : flow->fd[end], .events = events};
  }
}

/* Something has come from an end from which nothing is wanted. false: it has broken off. */
static bool hear(Flow *flow, int end, short events) {
  int error = 0;
  socklen_t size = sizeof error;
  flow->is_over[end] = true;
  if ((events & POLLERR) == 0) return true;
  getsockopt(flow->fd[end], SOL_SOCKET, SO_ERROR, &error, &size);
  errno = error == 0 ? EPIPE : error;
  return lose(flow, end);
}

static bool act(Flow *flow, const struct pollfd polled[ENDS]) {
  for (int end = 0; end < ENDS; end++) {
    if (polled[end].revents == 0) continue;
    if (!(polled[end].events == 0 ? hear(flow, end, polled[end].revents) : advance(flow))) return false;
  }
  return true;
}

/* false: a side has broken off. */
static bool wait_and_act(const sigset_t *hearing) {
  struct pollfd polled[2 * ENDS];
  choose(&up, polled);
  choose(&down, polled + ENDS);
  if (ppoll(polled, 2 * ENDS, NULL, hearing) < 0) return true;
  return act(&up, polled) && act(&down, polled + ENDS);
}

static int forward_all(void) {
  const sigset_t hearing = hear_term_while_waiting();
  while (!up.is_passed_on || !down.is_passed_on) {
    if (is_told_to_go) return TOLD_TO_GO;
    if (wait_and_act(&hearing)) continue;
    complain("lost", culprit, strerror(errno));
    return BROKEN;
  }
  return DONE;
}

static bool open_pipe(Flow *flow) {
  return pipe2(flow->pipe, O_CLOEXEC | O_NONBLOCK) == 0;
}

int relay(int target, Traffic *traffic) {
  up.fd[TO] = down.fd[FROM] = target;
  prepare_client(CLIENT_IN);
  prepare_client(CLIENT_OUT);
  if (!open_pipe(&up) || !open_pipe(&down)) {
    complain("open", "a pipe", strerror(errno));
    return BROKEN;
  }
  const int status = forward_all();
  *traffic = (Traffic){.in = up.delivered + up.held, .out = down.delivered};
  return status;
}
