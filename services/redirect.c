/*
 * redirect: forwards a connection to a socket elsewhere, as a program to be served like any other.
 *
 *   redirect TARGET      HOST:PORT, [V6]:PORT, unix:/path or unix:@name
 *
 * The connection is stdin and stdout. Each direction may end before the other.
 *
 * Try it:  dist/services/redirect localhost:7007
 *
 * Exit status: 0 both sides have ended; 1 one of them broke off; 2 wrong usage; 68 the target's name stands
 * for no address; 69 the target cannot be reached; 75 it took too long, which is 30 s.
 */

#define _GNU_SOURCE

#include "redirect.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

enum { LOT = 1 << 30 };

static const char usage[] =
    "Usage: redirect TARGET\n"
    "\n"
    "Forwards the connection on stdin and stdout to TARGET, which is\n"
    "  HOST:PORT      a name or an IPv4 address\n"
    "  [V6]:PORT      an IPv6 address\n"
    "  unix:/path     a Unix socket, or with unix:@name an abstract one\n";

/* So that no socket of ours becomes stdin, stdout or stderr. */
static void occupy_standard_descriptors(void) {
  int fd;
  do fd = open("/dev/null", O_RDWR);
  while (fd >= 0 && fd <= 2);
  close(fd);
}

/* The client is to see an end. To close a socket that has something to be read would be a reset. */
static void end_client(void) {
  shutdown(CLIENT_OUT, SHUT_WR);
  recv(CLIENT_IN, NULL, LOT, MSG_TRUNC | MSG_DONTWAIT);
}

/* Who reads a broken connection to its end must not take that for a good end: both sides see a reset. */
static void reset_at_exit(int socket) {
  const struct linger at_once = {.l_onoff = 1, .l_linger = 0};
  setsockopt(socket, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
}

static int forward(const char *target_name, Traffic *traffic) {
  int target;
  const int failure = connect_target(target_name, &target);
  if (failure != DONE) {
    end_client();
    return failure;
  }
  const int status = relay(target, traffic);
  if (status != BROKEN) return status;
  reset_at_exit(CLIENT_IN);
  reset_at_exit(CLIENT_OUT);
  reset_at_exit(target);
  return BROKEN;
}

/* As if we had never caught it. */
static void die_by(int number) {
  sigset_t just_it;
  sigemptyset(&just_it);
  sigaddset(&just_it, number);
  signal(number, SIG_DFL);
  raise(number);
  sigprocmask(SIG_UNBLOCK, &just_it, NULL);
}

int main(int argc, char **argv) {
  prctl(PR_SET_DUMPABLE, 0); /* no other process of our user may take our descriptors */
  if (argc == 2 && strcmp(argv[1], "--help") == 0) return fputs(usage, stdout) < 0 || fflush(stdout) != 0;
  if (argc != 2 || argv[1][0] == '-') {
    fputs("redirect: it takes one target\nTry: redirect --help\n", stderr);
    return WRONG_USAGE;
  }
  Traffic traffic = {0, 0};
  occupy_standard_descriptors();
  signal(SIGPIPE, SIG_IGN); /* either side may leave at any time: a failed write tells it */
  const int status = forward(argv[1], &traffic);
  account(&traffic);
  if (status == TOLD_TO_GO) die_by(SIGTERM);
  return status;
}
