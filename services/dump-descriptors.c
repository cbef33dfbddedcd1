/*
 * The open descriptors: what each leads to, how it is opened, and of a socket who is at its ends.
 */

#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <unistd.h>

#include "dump.h"
/* After sys/socket.h, whose types it wants. */
#include <linux/vm_sockets.h>

enum { HIGHEST = 65536, LONGEST_ADDRESS = 256 };

typedef union {
  struct sockaddr any;
  struct sockaddr_in ipv4;
  struct sockaddr_in6 ipv6;
  struct sockaddr_un local;
  struct sockaddr_vm vsock;
} Address;

static const char *name_of(int number, const char *const names[], int count) {
  return number >= 0 && number < count && names[number] != NULL ? names[number] : "other";
}

static const char *family_name(int family) {
  static const char *const names[] = {[AF_UNIX] = "unix",
                                      [AF_INET] = "ipv4",
                                      [AF_INET6] = "ipv6",
                                      [AF_NETLINK] = "netlink",
                                      [AF_VSOCK] = "vsock"};
  return name_of(family, names, sizeof names / sizeof *names);
}

static const char *type_name(int type) {
  static const char *const names[] = {[SOCK_STREAM] = "stream",
                                      [SOCK_DGRAM] = "datagram",
                                      [SOCK_RAW] = "raw",
                                      [SOCK_SEQPACKET] = "seqpacket"};
  return name_of(type, names, sizeof names / sizeof *names);
}

/* A name that begins with NUL is an abstract one; a path may come without its NUL. */
static const char *write_unix(char *into, const Address *address, socklen_t size) {
  const int length = (int)size - (int)offsetof(struct sockaddr_un, sun_path);

  if (length <= 0) return NULL;
  if (address->local.sun_path[0] == '\0')
    snprintf(into, LONGEST_ADDRESS, "unix:@%.*s", length - 1, address->local.sun_path + 1);
  else
    snprintf(into, LONGEST_ADDRESS, "unix:%.*s", length, address->local.sun_path);
  return into;
}

/* As the events of stdiod write addresses; NULL: it has none. */
static const char *write_address(char *into, const Address *address, socklen_t size) {
  char host[INET6_ADDRSTRLEN];

  switch (address->any.sa_family) {
    case AF_INET:
      inet_ntop(AF_INET, &address->ipv4.sin_addr, host, sizeof host);
      snprintf(into, LONGEST_ADDRESS, "%s:%d", host, ntohs(address->ipv4.sin_port));
      return into;
    case AF_INET6:
      inet_ntop(AF_INET6, &address->ipv6.sin6_addr, host, sizeof host);
      snprintf(into, LONGEST_ADDRESS, "[%s]:%d", host, ntohs(address->ipv6.sin6_port));
      return into;
    case AF_VSOCK:
      snprintf(into, LONGEST_ADDRESS, "vsock:%u:%u", address->vsock.svm_cid, address->vsock.svm_port);
      return into;
    case AF_UNIX:
      return write_unix(into, address, size);
    default:
      return NULL;
  }
}

static void put_address(const char *name, int fd, int (*ask)(int, struct sockaddr *, socklen_t *)) {
  char written[LONGEST_ADDRESS];
  Address address;
  socklen_t size = sizeof address;

  memset(&address, 0, sizeof address);
  if (ask(fd, &address.any, &size) < 0)
    put_null(name);
  else
    put_text(name, write_address(written, &address, size));
}

static int option_of(int fd, int option) {
  int value = -1;
  socklen_t size = sizeof value;

  return getsockopt(fd, SOL_SOCKET, option, &value, &size) < 0 ? -1 : value;
}

static void put_socket(int fd) {
  put_text("family", family_name(option_of(fd, SO_DOMAIN)));
  put_text("type", type_name(option_of(fd, SO_TYPE)));
  put_flag("listening", option_of(fd, SO_ACCEPTCONN) == 1);
  put_address("local", fd, getsockname);
  put_address("peer", fd, getpeername);
}

/* As the kernel's devices.txt numbers it. */
static bool is_null_device(dev_t device) {
  return device == makedev(1, 3);
}

static const char *kind_of(int fd, const struct stat *facts) {
  switch (facts->st_mode & S_IFMT) {
    case S_IFSOCK:
      return "socket";
    case S_IFIFO:
      return "pipe";
    case S_IFREG:
      return "file";
    case S_IFDIR:
      return "folder";
    case S_IFCHR:
      if (is_null_device(facts->st_rdev)) return "null";
      return isatty(fd) ? "terminal" : "device";
    default:
      return "other";
  }
}

static void put_flags(int fd) {
  static const char *const modes[] = {[O_RDONLY] = "read", [O_WRONLY] = "write", [O_RDWR] = "read-write"};
  const int flags = fcntl(fd, F_GETFL);

  put_text("access", name_of(flags & O_ACCMODE, modes, sizeof modes / sizeof *modes));
  put_flag("blocking", (flags & O_NONBLOCK) == 0);
  put_flag("append", (flags & O_APPEND) != 0);
  put_flag("close_on_exec", (fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
}

static void put_descriptor(int fd) {
  char path[64];
  struct stat facts;

  if (fstat(fd, &facts) < 0) return;
  snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
  begin_object(NULL, ON_ONE_LINE);
  put_number("fd", fd);
  put_text("kind", kind_of(fd, &facts));
  put_text("target", target_of(path));
  put_flags(fd);
  if (S_ISSOCK(facts.st_mode)) put_socket(fd);
  end_object();
}

/* Without /proc each number is tried. */
static void find_without_proc(bool is_open[]) {
  struct rlimit limit = {0, 0};

  getrlimit(RLIMIT_NOFILE, &limit);
  for (int fd = 0; fd < HIGHEST && (rlim_t)fd < limit.rlim_max; ++fd) is_open[fd] = fcntl(fd, F_GETFD) >= 0;
}

static void find(bool is_open[]) {
  DIR *folder = opendir("/proc/self/fd");

  if (folder == NULL) {
    find_without_proc(is_open);
    return;
  }
  for (const struct dirent *entry = readdir(folder); entry != NULL; entry = readdir(folder)) {
    const int fd = atoi(entry->d_name);
    if (entry->d_name[0] != '.' && fd < HIGHEST) is_open[fd] = true;
  }
  is_open[dirfd(folder)] = false;
  closedir(folder);
}

void put_descriptors(void) {
  static bool is_open[HIGHEST];

  find(is_open);
  begin_list("descriptors", ON_LINES);
  for (int fd = 0; fd < HIGHEST; ++fd) {
    if (is_open[fd]) put_descriptor(fd);
  }
  end_list();
}
