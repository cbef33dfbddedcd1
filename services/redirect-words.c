/*
 * What redirect says, on stderr: words for people, and for a super-server an account.
 *
 * A super-server that keeps an account gives us a SOCK_SEQPACKET socket as stderr, on which each write is a
 * message of its own. The account is a message that begins with a NUL: no line of text does.
 */

#include "redirect.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

enum { LONGEST_LINE = 1024, PATIENCE_MS = 1000, STDERR = 2 };

/* In one write. When nobody reads for a while, the words are lost: the connection's end must not wait. */
static void say(const char *bytes, size_t length) {
  struct pollfd reader = {.fd = STDERR, .events = POLLOUT};
  while (write(STDERR, bytes, length) < 0) {
    if (errno != EAGAIN || poll(&reader, 1, PATIENCE_MS) <= 0) return;
  }
}

void complain(const char *what, const char *object, const char *why) {
  char line[LONGEST_LINE];
  int length = snprintf(line, sizeof line - 1, "redirect: %s %s: %s", what, object, why);
  if (length > LONGEST_LINE - 2) length = LONGEST_LINE - 2;
  line[length] = '\n';
  say(line, (size_t)length + 1);
}

static bool is_account_wanted(void) {
  int type = 0;
  socklen_t size = sizeof type;
  return getsockopt(STDERR, SOL_SOCKET, SO_TYPE, &type, &size) == 0 && type == SOCK_SEQPACKET;
}

void account(const Traffic *traffic) {
  char record[64];
  if (!is_account_wanted()) return;
  const int length = snprintf(record, sizeof record, "%c%" PRIu64 " %" PRIu64, 0, traffic->in, traffic->out);
  say(record, (size_t)length);
}
