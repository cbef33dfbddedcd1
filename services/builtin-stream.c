/*
 * One connection, on stdin and stdout, from its beginning to its end. From a shell they may be anything else
 * as well.
 *
 * That a client leaves, or that the network loses it, is an end like any other: exit status 0.
 */

#include "builtin.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { CHUNK = 65536, FAREWELL_MS = 2000 };

static char chunk[CHUNK];

/* The exit status for what stopped us. */
static int status_of(int error) {
  static const int lost[] = {EPIPE, ECONNRESET, ECONNABORTED, ETIMEDOUT, EHOSTUNREACH, ENETUNREACH, ENETDOWN};
  for (size_t index = 0; index < sizeof lost / sizeof *lost; index++)
    if (error == lost[index]) return 0;
  fprintf(stderr, "builtin: %s\n", strerror(error));
  return 1;
}

/* After a failed read or write: is it worth another try? Waits for the descriptor if that is what it takes.
 */
static bool try_again(int fd, short events) {
  if (errno == EINTR) return true;
  if (errno != EAGAIN) return false;
  poll(&(struct pollfd){.fd = fd, .events = events}, 1, -1);
  return true;
}

static ssize_t read_chunk(void) {
  ssize_t length;
  do length = read(0, chunk, CHUNK);
  while (length < 0 && try_again(0, POLLIN));
  return length;
}

static bool write_all(const char *bytes, size_t length) {
  while (length > 0) {
    const ssize_t written = write(1, bytes, length);
    if (written < 0 && !try_again(1, POLLOUT)) return false;
    if (written < 0) continue;
    bytes += written;
    length -= (size_t)written;
  }
  return true;
}

int stream_echo(Answer *answer, const Options *options) {
  (void)answer, (void)options;
  ssize_t length;
  while ((length = read_chunk()) > 0)
    if (!write_all(chunk, (size_t)length)) return status_of(errno);
  return length < 0 ? status_of(errno) : 0;
}

int stream_discard(Answer *answer, const Options *options) {
  (void)answer, (void)options;
  ssize_t length;
  while ((length = read_chunk()) > 0) continue;
  return length < 0 ? status_of(errno) : 0;
}

/* Throws away what the client has sent. Returns false when it will send no more. */
static bool discard_chunk(void) {
  const ssize_t length = read(0, chunk, CHUNK);
  return length > 0 || (length < 0 && (errno == EINTR || errno == EAGAIN));
}

/* As much as goes without waiting: while we wait for room, the client may be waiting for us to read. */
static ssize_t write_now(const char *bytes, size_t length) {
  const ssize_t written = send(1, bytes, length, MSG_DONTWAIT);
  return written < 0 && errno == ENOTSOCK ? write(1, bytes, length) : written;
}

/* Writes without end, and reads in between what RFC 864 wants thrown away. */
int stream_chargen(Answer *answer, const Options *options) {
  (void)answer, (void)options;
  static char page[CHARGEN_PAGE];
  for (size_t offset = 0; offset < CHARGEN_PAGE; offset++) page[offset] = chargen_byte(offset);

  struct pollfd ends[] = {{.fd = 0, .events = POLLIN}, {.fd = 1, .events = POLLOUT}};
  for (size_t written = 0;;) {
    if (poll(ends, 2, -1) < 0) continue;
    if (ends[0].revents != 0 && !discard_chunk()) ends[0].fd = -1;
    if (ends[1].revents == 0) continue;
    const ssize_t more = write_now(page + written, CHARGEN_PAGE - written);
    if (more < 0 && errno != EINTR && errno != EAGAIN) return status_of(errno);
    if (more > 0) written = (written + (size_t)more) % CHARGEN_PAGE;
  }
}

static long now_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/*
 * Ends the connection so that the answer arrives. The kernel resets a connection that is closed while there
 * is something to be read, and a reset overtakes an answer on its way; so say that there is no more, and read
 * on for a moment.
 */
static void part(void) {
  if (shutdown(1, SHUT_WR) != 0) return; /* not a socket, or the client has gone already */
  const long end = now_ms() + FAREWELL_MS;
  struct pollfd client = {.fd = 0, .events = POLLIN};
  for (long left = FAREWELL_MS; left > 0; left = end - now_ms())
    if (poll(&client, 1, (int)left) > 0 && !discard_chunk()) return;
}

int stream_answer(Answer *answer, const Options *options) {
  char bytes[ANSWER_SIZE];
  const size_t length = answer(bytes, 0, options);
  if (!write_all(bytes, length)) return status_of(errno);
  part();
  return 0;
}
