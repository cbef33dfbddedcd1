/*
 * dump: tells, as JSON, everything that a program finds when it starts: its words, environment and folder,
 * descriptors, ids and rights, limits, signals, and its place beside others.
 *
 *   dump [WORD ...]     the words are told, and mean nothing
 *
 * Whoever is connected to stdin gets the answer; of a socket that listens, the first client; of a datagram
 * socket, the sender of the first datagram. Else it goes to stdout. Nothing is changed before it has been
 * told.
 *
 * Try it:  dist/services/dump | less
 *
 * Exit status: 0 done; 1 the answer could not be written.
 */

#define _GNU_SOURCE
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "dump.h"

extern char **environ;

static void put_strings(const char *name, char *const strings[]) {
  begin_list(name, ON_LINES);
  for (; *strings != NULL; ++strings) put_text(NULL, *strings);
  end_list();
}

static void put_program(char *argv[]) {
  char folder[PATH_MAX];

  put_text("exe", target_of("/proc/self/exe"));
  put_strings("argv", argv);
  put_strings("environment", environ);
  put_text("directory", getcwd(folder, sizeof folder));
  put_text("root", target_of("/proc/self/root"));
  put_flag("secure", getauxval(AT_SECURE) != 0);
}

static void put_session(void) {
  const int terminal = open("/dev/tty", O_RDONLY | O_NOCTTY | O_CLOEXEC);

  put_number("pid", getpid());
  put_number("parent", getppid());
  put_number("group", getpgrp());
  put_number("session", getsid(0));
  put_flag("has_terminal", terminal >= 0);
  if (terminal >= 0) close(terminal);
}

/* Descriptors first: every file that we look into has one. */
static void put_everything(char *argv[]) {
  begin_object(NULL, ON_LINES);
  put_descriptors();
  put_program(argv);
  put_session();
  put_ids();
  put_rights();
  put_confinement();
  put_limits();
  put_signals();
  put_place();
  end_object();
}

enum { FOREVER = -1, LAST_WORDS_MS = 1000 };

static bool wait_for(short events, int fd, int limit_ms) {
  struct pollfd one = {fd, events, 0};

  return poll(&one, 1, limit_ms) == 1;
}

/* Where the answer goes: stdout, or the client of the socket that stdin listens on. */
static int find_reader(void) {
  int listens = 0;
  socklen_t size = sizeof listens;

  if (getsockopt(STDIN_FILENO, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) < 0 || !listens)
    return STDOUT_FILENO;
  wait_for(POLLIN, STDIN_FILENO, FOREVER);
  return accept4(STDIN_FILENO, NULL, NULL, SOCK_CLOEXEC);
}

static bool write_all(int fd, const char *text, size_t length) {
  for (size_t done = 0; done < length;) {
    if (!wait_for(POLLOUT, fd, FOREVER)) return false;
    const ssize_t written = write(fd, text + done, length - done);
    if (written < 0) return false;
    done += (size_t)written;
  }
  return true;
}

/* The connection of a service, or one that we accepted; a stdout that is a socket may be used by others. */
static bool is_ours(int fd) {
  struct stat input, output;

  if (fd != STDOUT_FILENO) return true;
  if (fstat(STDIN_FILENO, &input) < 0 || fstat(STDOUT_FILENO, &output) < 0) return false;
  return input.st_dev == output.st_dev && input.st_ino == output.st_ino;
}

/*
 * What the client sent and nobody read would turn the end into a reset, which can overtake the answer. So it
 * is read, until the client has left or is silent.
 */
static void end_gently(int fd) {
  char ignored[4096];

  if (!is_ours(fd) || shutdown(fd, SHUT_WR) < 0) return;
  while (wait_for(POLLIN, fd, LAST_WORDS_MS) && recv(fd, ignored, sizeof ignored, 0) > 0) continue;
}

/* A seqpacket socket has a peer, and is written to like a stream. */
static bool is_datagram_socket(void) {
  int type = 0;
  socklen_t size = sizeof type;

  return getsockopt(STDIN_FILENO, SOL_SOCKET, SO_TYPE, &type, &size) == 0 && type == SOCK_DGRAM;
}

static bool answer_datagram(const char *text, size_t length) {
  struct sockaddr_storage sender;
  socklen_t size = sizeof sender;
  char ignored;

  if (!wait_for(POLLIN, STDIN_FILENO, FOREVER)) return false;
  if (recvfrom(STDIN_FILENO, &ignored, 1, 0, (struct sockaddr *)&sender, &size) < 0) return false;
  return sendto(STDIN_FILENO, text, length, 0, (struct sockaddr *)&sender, size) >= 0;
}

int main(int argc, char *argv[]) {
  size_t length = 0;

  (void)argc;
  begin_json();
  put_everything(argv);
  const char *text = take_json(&length);
  if (text == NULL) return 1;
  if (is_datagram_socket()) return answer_datagram(text, length) ? 0 : 1;
  const int reader = find_reader();
  if (reader < 0 || !write_all(reader, text, length)) return 1;
  end_gently(reader);
  return 0;
}
