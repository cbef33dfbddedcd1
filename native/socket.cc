// Listening sockets and what is accepted from them. Called by src/listener on the main thread.
// Every descriptor made here is close-on-exec from birth.
#include "addon.h"
#include "error.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>

namespace {

// Listeners live from here up, so that a connection gets a low number and a child copies a short table
// (spawn.cc).
constexpr int kListenerBase = 1024;
constexpr int kFirstConnection = 3;
constexpr size_t kDiscard = size_t{1} << 30;

union Address {
  sockaddr generic;
  sockaddr_in v4;
  sockaddr_in6 v6;
  sockaddr_storage storage;
};

socklen_t length_of(const Address &address) {
  return address.generic.sa_family == AF_INET6 ? sizeof address.v6 : sizeof address.v4;
}

int port_of(const Address &address) {
  return ntohs(address.generic.sa_family == AF_INET6 ? address.v6.sin6_port : address.v4.sin_port);
}

// Numeric text; a link-local IPv6 address keeps its interface (`fe80::1%eth0`).
void write_text(const Address &address, char (&text)[INET6_ADDRSTRLEN + IF_NAMESIZE + 1]) {
  if (address.generic.sa_family != AF_INET6) {
    inet_ntop(AF_INET, &address.v4.sin_addr, text, sizeof text);
    return;
  }
  inet_ntop(AF_INET6, &address.v6.sin6_addr, text, sizeof text);
  char interface[IF_NAMESIZE];
  if (address.v6.sin6_scope_id == 0 || if_indextoname(address.v6.sin6_scope_id, interface) == nullptr) return;
  const size_t end = strlen(text);
  text[end] = '%';
  memcpy(text + end + 1, interface, strlen(interface) + 1);
}

bool read_address(const std::string &text, int port, Address *address) {
  memset(address, 0, sizeof *address);
  if (inet_pton(AF_INET, text.c_str(), &address->v4.sin_addr) == 1) {
    address->v4.sin_family = AF_INET;
    address->v4.sin_port = htons(static_cast<uint16_t>(port));
    return true;
  }
  const size_t percent = text.find('%');
  if (inet_pton(AF_INET6, text.substr(0, percent).c_str(), &address->v6.sin6_addr) != 1) return false;
  address->v6.sin6_family = AF_INET6;
  address->v6.sin6_port = htons(static_cast<uint16_t>(port));
  if (percent != std::string::npos)
    address->v6.sin6_scope_id = if_nametoindex(text.substr(percent + 1).c_str());
  return true;
}

int set_flag(int fd, int level, int option, bool on) {
  const int value = on ? 1 : 0;
  return setsockopt(fd, level, option, &value, sizeof value);
}

// The options that accepted sockets inherit, and the backlog: set at birth and again when a reload changes
// them.
const char *apply_options(int fd, const Napi::Object &options) {
  if (set_flag(fd, IPPROTO_TCP, TCP_NODELAY, options.Get("nodelay").ToBoolean()) < 0) return "setsockopt";
  if (set_flag(fd, SOL_SOCKET, SO_KEEPALIVE, options.Get("keepalive").ToBoolean()) < 0) return "setsockopt";
  if (listen(fd, options.Get("backlog").ToNumber().Int32Value()) < 0) return "listen";
  return nullptr;
}

const char *bind_and_listen(int fd, const Address &address, const Napi::Object &options) {
  if (set_flag(fd, SOL_SOCKET, SO_REUSEADDR, true) < 0) return "setsockopt";
  const bool is_v6 = address.generic.sa_family == AF_INET6;
  if (is_v6 && set_flag(fd, IPPROTO_IPV6, IPV6_V6ONLY, true) < 0) return "setsockopt";
  if (bind(fd, &address.generic, length_of(address)) < 0) return "bind";
  return apply_options(fd, options);
}

// Moves a descriptor up to `lowest` or beyond; where the limit does not reach that far it stays where it is.
int move_up(int fd, int lowest) {
  if (fd >= lowest) return fd;
  const int moved = fcntl(fd, F_DUPFD_CLOEXEC, lowest);
  if (moved < 0) return fd;
  close(fd);
  return moved;
}

// openListener(address, port, {backlog, nodelay, keepalive}) → {fd, port}: bound and listening, non-blocking.
Napi::Value OpenListener(const Napi::CallbackInfo &info) {
  Napi::Env env = info.Env();
  Address address;
  if (!read_address(info[0].ToString(), info[1].ToNumber().Int32Value(), &address)) {
    throw_system_error(env, EINVAL, "inet_pton");
    return env.Undefined();
  }
  const int raw = socket(address.generic.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (raw < 0) {
    throw_system_error(env, errno, "socket");
    return env.Undefined();
  }
  const int fd = move_up(raw, kListenerBase);
  const char *failed = bind_and_listen(fd, address, info[2].As<Napi::Object>());
  socklen_t length = sizeof address;
  if (failed == nullptr && getsockname(fd, &address.generic, &length) < 0) failed = "getsockname";
  if (failed != nullptr) {
    const int error = errno;
    close(fd);
    throw_system_error(env, error, failed);
    return env.Undefined();
  }
  Napi::Object result = Napi::Object::New(env);
  result.Set("fd", fd);
  result.Set("port", port_of(address));
  return result;
}

// setListenerOptions(fd, {backlog, nodelay, keepalive}): on a socket that already listens.
void SetListenerOptions(const Napi::CallbackInfo &info) {
  const char *failed = apply_options(info[0].ToNumber().Int32Value(), info[1].As<Napi::Object>());
  if (failed != nullptr) throw_system_error(info.Env(), errno, failed);
}

// accept(listener) → {fd, peerAddress, peerPort, localAddress, localPort}, or null when nobody waits.
// The peer comes from accept4 itself: once the client has reset the connection getpeername fails.
Napi::Value Accept(const Napi::CallbackInfo &info) {
  Napi::Env env = info.Env();
  Address peer;
  socklen_t length = sizeof peer;
  int fd = accept4(info[0].As<Napi::Number>().Int32Value(), &peer.generic, &length, SOCK_CLOEXEC);
  if (fd < 0) {
    if (errno == EAGAIN || errno == EINTR) return env.Null();
    throw_system_error(env, errno, "accept4");
    return env.Undefined();
  }
  fd = move_up(fd, kFirstConnection);
  Address local;
  length = sizeof local;
  if (getsockname(fd, &local.generic, &length) < 0) {
    memset(&local, 0, sizeof local);
    local.generic.sa_family = peer.generic.sa_family;
  }
  char peer_text[INET6_ADDRSTRLEN + IF_NAMESIZE + 1];
  char local_text[INET6_ADDRSTRLEN + IF_NAMESIZE + 1];
  write_text(peer, peer_text);
  write_text(local, local_text);
  Napi::Object result = Napi::Object::New(env);
  result.Set("fd", fd);
  result.Set("peerAddress", peer_text);
  result.Set("peerPort", port_of(peer));
  result.Set("localAddress", local_text);
  result.Set("localPort", port_of(local));
  return result;
}

// BPF for a TCP listener: drop a segment that has SYN set (byte 13 of the header), let everything else pass.
constexpr int kFlagsOffset = 13;
constexpr int kSyn = 0x02;
sock_filter kDropSyn[] = {
    {BPF_LD | BPF_B | BPF_ABS, 0, 0, kFlagsOffset},
    {BPF_JMP | BPF_JSET | BPF_K, 0, 1, kSyn},
    {BPF_RET | BPF_K, 0, 0, 0},
    {BPF_RET | BPF_K, 0, 0, 0xffffffff},
};

// holdOff(listener, on): while on, the kernel ignores new clients (they try again by themselves) and those
// whose handshake is under way still arrive, so that the queue can be emptied before a close.
void HoldOff(const Napi::CallbackInfo &info) {
  const int fd = info[0].ToNumber().Int32Value();
  const sock_fprog program = {sizeof kDropSyn / sizeof kDropSyn[0], kDropSyn};
  const int unused = 0;
  const int result = info[1].ToBoolean()
                         ? setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program)
                         : setsockopt(fd, SOL_SOCKET, SO_DETACH_FILTER, &unused, sizeof unused);
  if (result < 0) throw_system_error(info.Env(), errno, "setsockopt");
}

// hasWaiting(listener): whether a client is in the queue, without taking it.
Napi::Value HasWaiting(const Napi::CallbackInfo &info) {
  pollfd entry = {info[0].ToNumber().Int32Value(), POLLIN, 0};
  return Napi::Boolean::New(info.Env(), poll(&entry, 1, 0) > 0);
}

// refuse(connection): closes it so that the client sees an end and no reset, whatever it has sent already.
void Refuse(const Napi::CallbackInfo &info) {
  const int fd = info[0].ToNumber().Int32Value();
  shutdown(fd, SHUT_WR);
  recv(fd, nullptr, kDiscard, MSG_TRUNC | MSG_DONTWAIT);
  close(fd);
}

// close(fd). EINTR is not retried: on Linux the descriptor is gone.
void Close(const Napi::CallbackInfo &info) {
  close(info[0].ToNumber().Int32Value());
}

}  // namespace

void init_socket(Napi::Env env, Napi::Object exports) {
  exports.Set("openListener", Napi::Function::New(env, OpenListener));
  exports.Set("setListenerOptions", Napi::Function::New(env, SetListenerOptions));
  exports.Set("accept", Napi::Function::New(env, Accept));
  exports.Set("holdOff", Napi::Function::New(env, HoldOff));
  exports.Set("refuse", Napi::Function::New(env, Refuse));
  exports.Set("hasWaiting", Napi::Function::New(env, HasWaiting));
  exports.Set("close", Napi::Function::New(env, Close));
}
