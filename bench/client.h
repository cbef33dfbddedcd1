/* What the two client programs (load.c, hold.c) share: opening a connection from one of many loopback
   addresses, and reading their arguments. */
#ifndef STDIOD_BENCH_CLIENT_H
#define STDIOD_BENCH_CLIENT_H

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

/* 250 source addresses, 127.0.0.2 and up: 250 times the ephemeral ports, whoever ends up in TIME_WAIT. */
enum { SOURCE_ADDRESSES = 250, STALL_MS = 10000 };

static void die(const char *what) {
  perror(what);
  exit(1);
}

static struct sockaddr_in loopback(unsigned host, int port) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
  address.sin_addr.s_addr = htonl((127u << 24) | host);
  return address;
}

/* IP_BIND_ADDRESS_NO_PORT: bind fixes the address only, and connect picks a port that is free towards this
   very server. */
static int bind_source(int fd) {
  static unsigned turn = 0;
  int on = 1;
  struct sockaddr_in source = loopback(2 + turn++ % SOURCE_ADDRESSES, 0);
  if (setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on) < 0) return -1;
  return bind(fd, (struct sockaddr *)&source, sizeof source);
}

/* Returns a non-blocking socket that is connected or connecting, or -1 with errno. */
static int open_connection(int port) {
  struct sockaddr_in server = loopback(1, port);
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return -1;
  if (bind_source(fd) < 0) goto failed;
  if (connect(fd, (struct sockaddr *)&server, sizeof server) < 0 && errno != EINPROGRESS) goto failed;
  return fd;

failed:;
  int saved = errno;
  close(fd);
  errno = saved;
  return -1;
}

static void watch(int epoll, int fd, uint32_t events, uint32_t index) {
  struct epoll_event event = {.events = events, .data.u32 = index};
  if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) < 0) die("epoll_ctl");
}

static long number(const char *text, const char *what, long least, long most) {
  char *end;
  long value = strtol(text, &end, 10);
  if (*text != '\0' && *end == '\0' && value >= least && value <= most) return value;
  fprintf(stderr, "%s: a number from %ld to %ld is wanted, got \"%s\"\n", what, least, most, text);
  exit(2);
}

#endif
