/*
 * Datagrams, which anyone may send in the name of somebody else. A service that answers each of them can be
 * made to bombard a third party, or to talk without end to another one that answers everything. So there is
 * no answer
 *
 *   - to a source port that a service may have: those below 1024, ours, and those of --ports;
 *   - to what was sent to a broadcast or multicast address, or comes from one;
 *   - that is longer than the request, but with --amplify: it is cut to the request's length;
 *   - that has no address to go to: a Unix socket without a name, port 0;
 *   - beyond --rate answers to one host (IPv6: one /64 network): a loop of two that answer each
 *     other, whatever their ports, dies of the first answer that is not given.
 *
 * The socket may be of IPv4, of IPv6, or of Unix. The super-server has bound it and gets it back when we end.
 */

#define _GNU_SOURCE /* struct in6_pktinfo, POLLRDHUP */
#include "builtin.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { LONGEST = 65536, CONTROL = 256, FIRST_ORDINARY_PORT = 1024, BUCKETS = 4096 };

typedef struct {
  struct msghdr message; /* what recvmsg fills in; it points to what follows */
  struct iovec data;
  struct sockaddr_storage peer;
  union { /* aligned as the kernel wants it, with room for either kind of packet info */
    struct cmsghdr first;
    char bytes[CONTROL];
  } control;
} Request;

/* A token bucket: filled at --rate, up to what that brings at once. Who falls into the same bucket by
 * chance shares it; nobody can choose to, because the hash begins with a secret. */
typedef struct {
  double answers;
  double filled_at; /* seconds, CLOCK_MONOTONIC; 0: it was never used and is full */
} Bucket;

static Bucket buckets[BUCKETS];
static uint64_t secret;
static char bytes[LONGEST];
/* None for Unix sockets: the descriptors that a client passes would come with it, and stay open. */
static size_t control_room;

static in_port_t port_of(const struct sockaddr_storage *address) {
  if (address->ss_family == AF_INET) return ntohs(((const struct sockaddr_in *)address)->sin_port);
  if (address->ss_family == AF_INET6) return ntohs(((const struct sockaddr_in6 *)address)->sin6_port);
  return 0;
}

static bool is_internet(int family) {
  return family == AF_INET || family == AF_INET6;
}

/* Makes the kernel tell for each datagram to which address it was sent. */
static int ask_for_destinations(int family) {
  const int on = 1;
  if (family == AF_INET) return setsockopt(0, IPPROTO_IP, IP_PKTINFO, &on, sizeof on);
  if (family == AF_INET6) return setsockopt(0, IPPROTO_IPV6, IPV6_RECVPKTINFO, &on, sizeof on);
  return 0;
}

/* Returns 0, or an errno. */
static int prepare(Options *options) {
  struct sockaddr_storage ours;
  socklen_t size = sizeof ours, type_size = sizeof(int);
  int type;
  if (getsockopt(0, SOL_SOCKET, SO_TYPE, &type, &type_size) != 0) return errno;
  if (type != SOCK_DGRAM) return EPROTOTYPE;
  if (getsockname(0, (struct sockaddr *)&ours, &size) != 0) return errno;
  if (!is_internet(ours.ss_family) && ours.ss_family != AF_UNIX) return EAFNOSUPPORT;
  if (ask_for_destinations(ours.ss_family) != 0) return errno;
  if (is_internet(ours.ss_family)) control_room = CONTROL;
  options->refused_port[port_of(&ours)] = true;
  return 0;
}

/* Returns false when none has come for a while, or none can come any more. */
static bool wait_for_datagram(int seconds) {
  struct pollfd end = {.fd = 0, .events = POLLIN | POLLRDHUP};
  int ready;
  do ready = poll(&end, 1, seconds * 1000);
  while (ready < 0 && errno == EINTR);
  return ready > 0 && (end.revents & (POLLRDHUP | POLLHUP | POLLNVAL)) == 0;
}

/* Errors of recvmsg that say nothing against the next datagram: what became of an earlier answer, or nothing
 * there. */
static bool is_passing(int error) {
  static const int passing[] = {EINTR,       EAGAIN,      ECONNREFUSED, ECONNRESET, EHOSTUNREACH,
                                EHOSTDOWN,   ENETUNREACH, ENETDOWN,     ETIMEDOUT,  EPROTO,
                                ENOPROTOOPT, EMSGSIZE,    EACCES,       EPERM};
  for (size_t index = 0; index < sizeof passing / sizeof *passing; index++)
    if (error == passing[index]) return true;
  return false;
}

/* MSG_DONTWAIT: poll has promised a datagram, but the kernel drops one with a wrong checksum only when it is
 * read. */
static ssize_t receive(Request *request) {
  request->data = (struct iovec){.iov_base = bytes, .iov_len = LONGEST};
  request->message = (struct msghdr){
      .msg_name = &request->peer,
      .msg_namelen = sizeof request->peer,
      .msg_iov = &request->data,
      .msg_iovlen = 1,
      .msg_control = &request->control,
      .msg_controllen = control_room,
  };
  return recvmsg(0, &request->message, MSG_DONTWAIT);
}

static bool is_ordinary_port(in_port_t port, const Options *options) {
  return port >= FIRST_ORDINARY_PORT && !options->refused_port[port];
}

static bool is_one_host4(struct in_addr address) {
  const in_addr_t number = ntohl(address.s_addr);
  return number != INADDR_ANY && !IN_MULTICAST(number) && number != INADDR_BROADCAST;
}

static struct in_addr embedded4(const struct in6_addr *address) {
  struct in_addr embedded;
  memcpy(&embedded, &address->s6_addr[12], sizeof embedded);
  return embedded;
}

/* A socket of IPv6 that takes IPv4 as well shows its addresses as ::ffff:192.0.2.1. */
static bool is_one_host6(const struct in6_addr *address) {
  if (IN6_IS_ADDR_V4MAPPED(address)) return is_one_host4(embedded4(address));
  return !IN6_IS_ADDR_UNSPECIFIED(address) && !IN6_IS_ADDR_MULTICAST(address);
}

static bool is_answerable_peer(const Request *request, const Options *options) {
  const struct sockaddr_storage *peer = &request->peer;
  if (request->message.msg_namelen <= sizeof(sa_family_t)) return false; /* a Unix socket without a name */
  if (peer->ss_family == AF_UNIX) return true;
  if (!is_ordinary_port(port_of(peer), options)) return false;
  if (peer->ss_family == AF_INET) return is_one_host4(((const struct sockaddr_in *)peer)->sin_addr);
  return is_one_host6(&((const struct sockaddr_in6 *)peer)->sin6_addr);
}

/*
 * Is it the address of one host, or a subnet's broadcast? Only the routing table knows, and connect asks it:
 * it refuses a broadcast address with EACCES. Nothing is sent. (The packet info's spec_dst would tell too,
 * but it is empty in datagrams that came before this process asked for packet info, and the first one always
 * has.)
 */
static bool is_unicast4(struct in_addr address) {
  const struct sockaddr_in name = {
      .sin_family = AF_INET, .sin_port = htons(FIRST_ORDINARY_PORT), .sin_addr = address};
  const int probe = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  const bool connected = probe >= 0 && connect(probe, (const struct sockaddr *)&name, sizeof name) == 0;
  if (probe >= 0) close(probe);
  return connected && is_one_host4(address);
}

static bool is_unicast6(const struct in6_addr *address) {
  return IN6_IS_ADDR_V4MAPPED(address) ? is_unicast4(embedded4(address)) : is_one_host6(address);
}

/* Turns where the datagram was sent to into where the answer is sent from. Returns false if that must not be.
 */
static bool turn_round4(struct in_pktinfo *info) {
  info->ipi_spec_dst = info->ipi_addr;
  info->ipi_ifindex = 0; /* whatever way leads to the client, which need not be the one that it came by */
  return is_unicast4(info->ipi_addr);
}

static bool turn_round6(struct in6_pktinfo *info) {
  if (!IN6_IS_ADDR_LINKLOCAL(&info->ipi6_addr))
    info->ipi6_ifindex = 0; /* fe80:: means nothing without its link */
  return is_unicast6(&info->ipi6_addr);
}

/* Does the same to the packet info of a message, and leaves that as the only control message to be sent. */
static bool turn_round(struct msghdr *message) {
  struct cmsghdr *control = CMSG_FIRSTHDR(message);
  while (control != NULL) {
    const bool is4 = control->cmsg_level == IPPROTO_IP && control->cmsg_type == IP_PKTINFO;
    const bool is6 = control->cmsg_level == IPPROTO_IPV6 && control->cmsg_type == IPV6_PKTINFO;
    if (is4 || is6) {
      message->msg_control = control;
      message->msg_controllen = CMSG_SPACE(control->cmsg_len - CMSG_LEN(0));
    }
    if (is4) return turn_round4((struct in_pktinfo *)CMSG_DATA(control));
    if (is6) return turn_round6((struct in6_pktinfo *)CMSG_DATA(control));
    control = CMSG_NXTHDR(message, control);
  }
  return false; /* nobody knows where it was sent to */
}

static bool is_answerable(Request *request, const Options *options) {
  if ((request->message.msg_flags & MSG_TRUNC) != 0) return false; /* we hold only a part of it */
  if (!is_answerable_peer(request, options)) return false;
  if (is_internet(request->peer.ss_family)) return turn_round(&request->message);
  request->message.msg_controllen = 0;
  return true;
}

/* FNV-1a. */
static uint64_t hash(const void *data, size_t length, uint64_t seed) {
  const unsigned char *byte = data;
  uint64_t sum = 0xcbf29ce484222325u ^ seed;
  for (size_t index = 0; index < length; index++) sum = (sum ^ byte[index]) * 0x100000001b3u;
  return sum ^ sum >> 32;
}

/* By its address without the port, which anybody may choose. */
static Bucket *bucket_of(const struct sockaddr_storage *peer, socklen_t size) {
  const void *from = peer;
  size_t length = size;
  if (peer->ss_family == AF_INET) {
    from = &((const struct sockaddr_in *)peer)->sin_addr;
    length = sizeof(struct in_addr);
  } else if (peer->ss_family == AF_INET6) {
    const struct in6_addr *address = &((const struct sockaddr_in6 *)peer)->sin6_addr;
    const bool is4 = IN6_IS_ADDR_V4MAPPED(address);
    from = is4 ? &address->s6_addr[12] : &address->s6_addr[0];
    length = is4 ? 4 : 8;
  }
  return &buckets[hash(from, length, secret) % BUCKETS];
}

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

/* Whether there is an answer left for this host; takes it. */
static bool take_answer(const Request *request, const Options *options) {
  Bucket *bucket = bucket_of(&request->peer, request->message.msg_namelen);
  const double most = options->rate, time = now();
  bucket->answers += (time - bucket->filled_at) * most / options->rate_seconds;
  if (bucket->filled_at == 0 || bucket->answers > most) bucket->answers = most;
  bucket->filled_at = time;
  if (bucket->answers < 1) return false;
  bucket->answers -= 1;
  return true;
}

/* An answer that cannot be sent is lost, as any datagram may be. A Unix peer that does not read would block
 * us for ever. */
static void send_back(Request *request, size_t length) {
  request->data.iov_len = length;
  request->message.msg_flags = 0;
  while (sendmsg(0, &request->message, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 && errno == EINTR) continue;
}

/* Returns 0, or the errno that makes it pointless to go on. */
static int answer_one(Answer *answer, const Options *options) {
  Request request;
  const ssize_t length = receive(&request);
  if (length < 0) return is_passing(errno) ? 0 : errno;
  if (!is_answerable(&request, options)) return 0;

  size_t answered = answer(bytes, (size_t)length, options);
  if (answered > (size_t)length && !options->amplify) answered = (size_t)length;
  if (answered > 0 && take_answer(&request, options)) send_back(&request, answered);
  return 0;
}

int serve_datagrams(Answer *answer, Options *options) {
  int error = prepare(options);
  /* Without a secret it is a bound all the same. */
  if (getrandom(&secret, sizeof secret, GRND_NONBLOCK) < 0) secret = (uint64_t)getpid();
  while (error == 0 && wait_for_datagram(options->idle_seconds)) error = answer_one(answer, options);
  if (error != 0)
    fprintf(stderr, "builtin: stdin is not a datagram socket that works: %s\n", strerror(error));
  return error != 0;
}
