/* How many connections per second does a server serve, and how long does each take?
   CLIENTS clients in a closed loop: connect, read to EOF, compare the reply, close, again; for SECONDS, or
   until CONNECTIONS were made. Prints one JSON object: the rate is counted / seconds. Run by load.ts.

   load PORT CLIENTS seconds SECONDS
   load PORT CLIENTS connections CONNECTIONS */
#include <time.h>

#include "client.h"

enum { MAX_CLIENTS = 10000, MAX_LATENCIES = 1 << 24 };

static const char expected[] = "hello\n";

struct client {
  int fd; /* -1 when it has no connection */
  int64_t started;
};

struct run {
  int epoll, port;
  struct client *clients;
  int live;           /* connections that are open now */
  int64_t start, end; /* of the run: the first connect; the last EOF that counts */
  int64_t deadline;   /* no new connection from then on */
  long left;          /* connections still to be opened */
  long served, errors, wrong;
  long counted; /* of the served ones: those that ended before the deadline, which make the rate */
  int first_errno;
  uint32_t *latencies; /* of the served ones, in microseconds */
};

static int64_t now_us(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static void note_error(struct run *run, int error) {
  run->errors++;
  if (run->first_errno == 0) run->first_errno = error;
}

static void begin(struct run *run, uint32_t index) {
  struct client *client = &run->clients[index];
  while (run->left > 0 && (client->started = now_us()) < run->deadline) {
    run->left--;
    client->fd = open_connection(run->port);
    if (client->fd >= 0) {
      /* Only the end wakes us: the reply is short and waits in the socket's buffer. */
      watch(run->epoll, client->fd, EPOLLRDHUP, index);
      run->live++;
      return;
    }
    note_error(run, errno);
  }
}

static void judge(struct run *run, struct client *client) {
  char reply[256];
  ssize_t n = read(client->fd, reply, sizeof reply);
  if (n < 0) return note_error(run, errno);
  if (n != (ssize_t)(sizeof expected - 1) || memcmp(reply, expected, (size_t)n) != 0) {
    run->wrong++;
    return;
  }
  int64_t now = now_us();
  if (run->served < MAX_LATENCIES) run->latencies[run->served] = (uint32_t)(now - client->started);
  run->served++;
  if (now > run->deadline) return;
  run->counted++;
  run->end = now;
}

static void finish(struct run *run, uint32_t index) {
  struct client *client = &run->clients[index];
  judge(run, client);
  close(client->fd);
  client->fd = -1;
  run->live--;
  begin(run, index);
}

/* A server that falls silent for STALL_MS ends the run: what is still open counts as errors. */
static void loop(struct run *run) {
  struct epoll_event events[64];
  while (run->live > 0) {
    int n = epoll_wait(run->epoll, events, 64, STALL_MS);
    if (n < 0 && errno != EINTR) die("epoll_wait");
    if (n == 0) break;
    for (int i = 0; i < n; i++) finish(run, events[i].data.u32);
  }
  for (; run->live > 0; run->live--) note_error(run, ETIMEDOUT);
}

static int by_value(const void *a, const void *b) {
  uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
  return (x > y) - (x < y);
}

static void report(struct run *run) {
  long n = run->served < MAX_LATENCIES ? run->served : MAX_LATENCIES;
  qsort(run->latencies, (size_t)n, sizeof *run->latencies, by_value);
  uint32_t p50 = n ? run->latencies[n / 2] : 0;
  uint32_t p99 = n ? run->latencies[n * 99 / 100] : 0;
  uint32_t max = n ? run->latencies[n - 1] : 0;
  printf("{\"served\":%ld,\"errors\":%ld,\"wrong\":%ld,", run->served, run->errors, run->wrong);
  printf("\"counted\":%ld,\"seconds\":%.6f,", run->counted, (double)(run->end - run->start) / 1e6);
  printf("\"firstError\":\"%s\",", run->first_errno ? strerror(run->first_errno) : "");
  printf("\"p50Us\":%u,\"p99Us\":%u,\"maxUs\":%u}\n", p50, p99, max);
}

int main(int argc, char **argv) {
  if (argc != 5) {
    fprintf(stderr, "usage: load PORT CLIENTS seconds|connections NUMBER\n");
    return 2;
  }
  struct run run = {.epoll = epoll_create1(EPOLL_CLOEXEC), .port = (int)number(argv[1], "PORT", 1, 65535)};
  uint32_t clients = (uint32_t)number(argv[2], "CLIENTS", 1, MAX_CLIENTS);
  int timed = strcmp(argv[3], "seconds") == 0;
  long amount = number(argv[4], argv[3], 1, timed ? 3600 : 10000000);
  run.clients = calloc(clients, sizeof *run.clients);
  run.latencies = malloc(MAX_LATENCIES * sizeof *run.latencies);
  if (run.epoll < 0 || run.clients == NULL || run.latencies == NULL) die("load");
  run.start = run.end = now_us();
  run.deadline = run.start + 1000000LL * (timed ? amount : 3600);
  run.left = timed ? INT32_MAX : amount;
  for (uint32_t i = 0; i < clients; i++) begin(&run, i);
  loop(&run);
  report(&run);
  return 0;
}
