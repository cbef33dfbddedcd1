/*
 * whoami: tells a client its own address, the address that it asked for, and the family of both.
 *
 * stdin is the real connection, so the kernel knows the answer: getpeername(0) is the client, getsockname(0)
 * is us. whoami.py, whoami.sh and whoami.ts print the same in other languages.
 *
 * Try it:  dist/services/whoami </dev/null     (no client: it says so)
 */

#include <netdb.h>
#include <stdio.h>
#include <sys/socket.h>

typedef struct {
  struct sockaddr_storage address;
  socklen_t size;
} Name;

static int print(const char *who, const Name *name) {
  char host[NI_MAXHOST], port[NI_MAXSERV];
  const int numbers = NI_NUMERICHOST | NI_NUMERICSERV; /* never ask the DNS */
  const struct sockaddr *address = (const struct sockaddr *)&name->address;

  if (getnameinfo(address, name->size, host, sizeof host, port, sizeof port, numbers) != 0) return -1;
  return printf("%s %s port %s\n", who, host, port);
}

int main(void) {
  Name client = {.size = sizeof client.address};
  Name server = {.size = sizeof server.address};
  const int asked = getpeername(0, (struct sockaddr *)&client.address, &client.size) == 0 &&
                    getsockname(0, (struct sockaddr *)&server.address, &server.size) == 0;
  const int family = client.address.ss_family;

  if (!asked || (family != AF_INET && family != AF_INET6)) {
    fprintf(stderr, "whoami: stdin is not a connection from an Internet client\n");
    return 1;
  }
  print("client", &client);
  print("server", &server);
  printf("family %s\n", family == AF_INET6 ? "IPv6" : "IPv4");
  return 0;
}
