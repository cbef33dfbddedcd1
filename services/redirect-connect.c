/*
 * From the target's name to a socket that is connected with it. All of it has one time limit, and while it
 * lasts a client that leaves is noticed: nobody else would end a connection to a target that says nothing.
 */

#define _GNU_SOURCE

#include "redirect.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum {
  CONNECT_MS = 30000,
  FULL_QUEUE_MS = 50, /* between two knocks at a Unix socket whose queue is full */
  LONGEST_HOST = 1025,
  HIGHEST_PORT = 65535,
};

static long now_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* --- Waiting --- */

typedef enum { READY, LATE, LEFT } Wait;

/* What a client has said before it left wholly (a Unix socket tells that) is still for the target. */
static bool has_left(short events) {
  char byte;
  return (events & POLLERR) != 0 || recv(CLIENT_IN, &byte, 1, MSG_PEEK | MSG_DONTWAIT) <= 0;
}

/*
 * Until the descriptor is ready (none: -1), or nobody is there any more to whom an answer could go. That a
 * client sends its end is no leaving.
 */
static Wait wait_for(int fd, short events, long until_ms) {
  static int client = CLIENT_OUT; /* -1: it can tell nothing more */
  for (;;) {
    struct pollfd ends[] = {{.fd = fd, .events = events}, {.fd = client}};
    const long left = until_ms - now_ms();
    if (left <= 0) return LATE;
    if (poll(ends, 2, (int)left) < 0) continue;
    if (ends[1].revents != 0 && has_left(ends[1].revents)) return LEFT;
    if (ends[1].revents != 0) client = -1;
    if (ends[0].revents != 0) return READY;
  }
}

/* --- Names --- */

/* Asked by a thread of its own, because getaddrinfo waits as long as it likes. */
static struct {
  char host[LONGEST_HOST + 1];
  const char *port;
  int answered; /* eventfd */
  int failure;  /* EAI_…, or 0 */
  int error;    /* errno, for EAI_SYSTEM */
  struct addrinfo *found;
} question;

static int ask(int flags) {
  const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = flags | AI_NUMERICSERV};
  return getaddrinfo(question.host, question.port, &hints, &question.found);
}

static void *look_up(void *nothing) {
  question.failure = ask(0);
  question.error = errno;
  eventfd_write(question.answered, 1);
  return nothing;
}

/* Without a thread to spare we ask ourselves, and hear of the client later. */
static Wait resolve(long until_ms) {
  pthread_t thread;
  question.failure = ask(AI_NUMERICHOST);
  if (question.failure != EAI_NONAME) return READY;
  question.answered = eventfd(0, EFD_CLOEXEC);
  if (pthread_create(&thread, NULL, look_up, NULL) != 0)
    look_up(NULL);
  else
    pthread_detach(thread);
  return wait_for(question.answered, POLLIN, until_ms);
}

static const char *why_unresolved(void) {
  return question.failure == EAI_SYSTEM ? strerror(question.error) : gai_strerror(question.failure);
}

/* --- The target's text --- */

static bool is_port(const char *text) {
  char *end;
  const long port = strtol(text, &end, 10);
  return text[0] >= '0' && text[0] <= '9' && *end == '\0' && port >= 1 && port <= HIGHEST_PORT;
}

/* HOST:PORT or [V6]:PORT. */
static bool parse_host_port(const char *target) {
  const char *colon = strrchr(target, ':');
  if (colon == NULL || !is_port(colon + 1)) return false;
  const bool is_bracketed = target[0] == '[' && colon > target && colon[-1] == ']';
  const char *start = is_bracketed ? target + 1 : target;
  const long length = colon - start - (is_bracketed ? 1 : 0);
  if (length < 1 || length > LONGEST_HOST) return false;
  memcpy(question.host, start, (size_t)length);
  question.port = colon + 1;
  return is_bracketed || memchr(start, ':', (size_t)length) == NULL;
}

/* A path ends with a NUL, an abstract name (`@` stands for its first byte, a NUL) with its length. */
static const struct addrinfo *unix_address(const char *name) {
  static struct sockaddr_un path = {.sun_family = AF_UNIX};
  static struct addrinfo address = {.ai_family = AF_UNIX, .ai_addr = (struct sockaddr *)&path};
  const size_t length = strlen(name);
  const bool is_abstract = name[0] == '@';
  if (length < (is_abstract ? 2 : 1) || length + !is_abstract > sizeof path.sun_path) return NULL;
  memcpy(path.sun_path, name, length);
  if (is_abstract) path.sun_path[0] = '\0';
  address.ai_addrlen = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length + !is_abstract);
  return &address;
}

static int tell_left(void) {
  complain("lost", "the client", "it left before the target answered");
  return BROKEN;
}

/* Returns a status. */
static int find_addresses(const char *target, long until_ms, const struct addrinfo **addresses) {
  const bool is_unix = strncmp(target, "unix:", 5) == 0;
  *addresses = is_unix ? unix_address(target + 5) : NULL;
  if (is_unix ? *addresses == NULL : !parse_host_port(target)) {
    complain("connect", target, "not HOST:PORT, [V6]:PORT, unix:/path or unix:@name");
    return WRONG_USAGE;
  }
  if (is_unix) return DONE;
  const Wait wait = resolve(until_ms);
  if (wait == LEFT) return tell_left();
  if (wait == READY && question.failure == 0) {
    *addresses = question.found;
    return DONE;
  }
  complain("resolve", question.host, wait == LATE ? strerror(ETIMEDOUT) : why_unresolved());
  return wait == LATE ? TOO_LATE : NO_SUCH_NAME;
}

/* --- Connecting --- */

enum { CLIENT_LEFT = -1 };

/* Returns 0, an errno, or CLIENT_LEFT. */
static int finish(int fd, long until_ms) {
  int error = 0;
  socklen_t size = sizeof error;
  const Wait wait = wait_for(fd, POLLOUT, until_ms);
  if (wait != READY) return wait == LATE ? ETIMEDOUT : CLIENT_LEFT;
  getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
  return error;
}

/* A Unix socket with a full queue says EAGAIN at once, and nothing tells when there is room. */
static int start(int fd, const struct addrinfo *address, long until_ms) {
  for (;;) {
    if (connect(fd, address->ai_addr, address->ai_addrlen) == 0) return 0;
    if (errno == EINPROGRESS) return finish(fd, until_ms);
    if (errno != EAGAIN) return errno;
    const long again_ms = now_ms() + FULL_QUEUE_MS;
    if (again_ms >= until_ms) return ETIMEDOUT;
    if (wait_for(-1, 0, again_ms) == LEFT) return CLIENT_LEFT;
  }
}

static int try_address(const struct addrinfo *address, long until_ms, int *fd) {
  const int on = 1;
  *fd = socket(address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (*fd < 0) return errno;
  const int error = start(*fd, address, until_ms);
  if (error != 0) close(*fd);
  /* What comes in pieces goes on in pieces: the one who sent them has decided that. */
  else if (address->ai_family != AF_UNIX)
    setsockopt(*fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  return error;
}

/* Each address gets its share of the time that is left. Returns the error of the first, which is the best. */
static int try_all(const struct addrinfo *addresses, long until_ms, int *fd) {
  int left = 0, first_error = 0;
  for (const struct addrinfo *each = addresses; each != NULL; each = each->ai_next) left++;
  for (const struct addrinfo *each = addresses; each != NULL; each = each->ai_next, left--) {
    const long now = now_ms();
    const int error = try_address(each, now + (until_ms - now) / left, fd);
    if (error == 0 || error == CLIENT_LEFT) return error;
    if (first_error == 0) first_error = error;
  }
  return first_error;
}

int connect_target(const char *target, int *socket) {
  const long until_ms = now_ms() + CONNECT_MS;
  const struct addrinfo *addresses;
  const int status = find_addresses(target, until_ms, &addresses);
  if (status != DONE) return status;
  const int error = try_all(addresses, until_ms, socket);
  if (error == 0) return DONE;
  if (error == CLIENT_LEFT) return tell_left();
  complain("connect", target, strerror(error));
  return error == ETIMEDOUT ? TOO_LATE : UNREACHABLE;
}
