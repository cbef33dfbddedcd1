// Sockets that change hands: those that a child of a `wait` service was given and left behind, those that
// somebody passed to us, and Unix sockets that may belong to somebody else. Called by src/listener and
// src/server on the main thread.
#include "addon.h"
#include "address.h"
#include "aside.h"
#include "control.h"
#include "descriptor.h"
#include "error.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <memory>
#include <string>

namespace {

// What is asked of a socket that others may hold is asked aside. Throws ETIMEDOUT where there is no answer.
template <typename Answer>
std::shared_ptr<Answer> ask(Napi::Env env, int fd, std::function<void(int, Answer *)> question) {
  auto answer = std::make_shared<Answer>();
  if (look_aside(fd, [answer, question](int own) { question(own, answer.get()); }) == Outcome::kDone)
    return answer;
  throw_system_error(env, ETIMEDOUT, "lock_sock");
  return nullptr;
}

int int_option(int fd, int level, int option) {
  int value = 0;
  socklen_t length = sizeof value;
  return getsockopt(fd, level, option, &value, &length) < 0 ? -1 : value;
}

bool is_readable(int fd) {
  pollfd entry = {fd, POLLIN, 0};
  return poll(&entry, 1, 0) > 0 && (entry.revents & POLLIN) != 0;
}

const char *type_name(int type) {
  if (type == SOCK_DGRAM) return "datagram";
  return type == SOCK_SEQPACKET ? "seqpacket" : "stream";
}

const char *family_name(int family) {
  if (family == AF_INET) return "ipv4";
  if (family == AF_INET6) return "ipv6";
  if (family == AF_VSOCK) return "vsock";
  return family == AF_UNIX ? "unix" : "other";
}

// Not by F_SETFL: that sets all flags, and where O_ASYNC is among those that change it waits for the lock of
// the socket. Who has it too may change that one after we have looked, and hold the lock.
bool set_blocking(int fd, bool is_on) {
  int is_off = is_on ? 0 : 1;
  return ioctl(fd, FIONBIO, &is_off) == 0;
}

// setBlocking(fd, on): for the description that we and the children of a `wait` service share.
void SetBlocking(const Napi::CallbackInfo &info) {
  const int fd = info[0].ToNumber().Int32Value();
  if (!set_blocking(fd, info[1].ToBoolean())) throw_system_error(info.Env(), errno, "ioctl");
}

bool is_internet(int fd) {
  const int family = int_option(fd, SOL_SOCKET, SO_DOMAIN);
  return family == AF_INET || family == AF_INET6;
}

// A call that fails says nothing.
bool has_no_port(int fd) {
  Address own;
  own.length = sizeof own.storage;
  return getsockname(fd, &own.generic, &own.length) == 0 && port_of(own) == 0;
}

Address own_address(int fd) {
  Address own;
  own.length = sizeof own.storage;
  getsockname(fd, &own.generic, &own.length);
  return own;
}

bool is_connected(int fd) {
  Address peer;
  peer.length = sizeof peer.storage;
  return getpeername(fd, &peer.generic, &peer.length) == 0;
}

// A port that the kernel chose is given up with the connection, so it is bound once more.
void disconnect(int fd) {
  const sockaddr nobody = {AF_UNSPEC, {}};
  const Address before = own_address(fd);
  connect(fd, &nobody, sizeof nobody);
  Address after = own_address(fd);
  if (port_of(after) == port_of(before)) return;
  // At the same place in both families.
  after.v4.sin_port = before.v4.sin_port;
  bind(fd, &after.generic, after.length);
}

// Errors that somebody asked to be told of (IP_RECVERR) would wake us until they are read. Who asks for no
// more of them throws away those that are there.
void drop_errors(int fd) {
  const int off = 0;
  const int family = int_option(fd, SOL_SOCKET, SO_DOMAIN);
  if (family == AF_INET || family == AF_INET6) setsockopt(fd, IPPROTO_IP, IP_RECVERR, &off, sizeof off);
  if (family == AF_INET6) setsockopt(fd, IPPROTO_IPV6, IPV6_RECVERR, &off, sizeof off);
  int_option(fd, SOL_SOCKET, SO_ERROR);
}

void put_right(int fd, bool is_datagram) {
  const int from_head = -1;
  setsockopt(fd, SOL_SOCKET, SO_PEEK_OFF, &from_head, sizeof from_head);
  drop_errors(fd);
  if (is_datagram && is_connected(fd)) disconnect(fd);
}

// takeBack(fd, isDatagram): what a child may have changed and what can be put right on the socket itself:
// non-blocking again, nothing read from the middle of the queue, no errors left, a datagram socket open to
// every sender. Whether that was enough `isUsable` tells.
void TakeBack(const Napi::CallbackInfo &info) {
  const int fd = info[0].ToNumber().Int32Value();
  const bool is_datagram = info[1].ToBoolean();
  if (!set_blocking(fd, false)) {
    throw_system_error(info.Env(), errno, "ioctl");
    return;
  }
  ask<bool>(info.Env(), fd, [is_datagram](int own, bool *) { put_right(own, is_datagram); });
}

// isUsable(fd, isDatagram): false when a child has shut it down (only TCP then says that it listens no more),
// connected a datagram socket to one peer, left an error in it that would wake us for ever, or it has no
// port.
bool is_usable(int fd, bool is_datagram) {
  pollfd entry = {fd, POLLRDHUP, 0};
  const bool is_broken = poll(&entry, 1, 0) > 0 && (entry.revents & (POLLERR | POLLHUP | POLLRDHUP)) != 0;
  const bool is_open = is_datagram ? !is_connected(fd) : int_option(fd, SOL_SOCKET, SO_ACCEPTCONN) != 0;
  const bool is_bound = !is_internet(fd) || !has_no_port(fd);
  return is_open && is_bound && !is_broken;
}

Napi::Value IsUsable(const Napi::CallbackInfo &info) {
  const int fd = info[0].ToNumber().Int32Value();
  const bool is_datagram = info[1].ToBoolean();
  const auto is_so = ask<bool>(
      info.Env(), fd, [is_datagram](int own, bool *answer) { *answer = is_usable(own, is_datagram); });
  return is_so == nullptr ? info.Env().Undefined() : Napi::Boolean::New(info.Env(), *is_so);
}

// isOnInterface(fd, name): false when the socket is bound to an interface that is not the one of that name by
// now: it knows a number, and an interface that comes back has another one. (To an address that is not
// link-local, as in ::1%lo, the kernel takes the interface for no more than a remark.)
Napi::Value IsOnInterface(const Napi::CallbackInfo &info) {
  const std::string name = info[1].ToString();
  const int index = int_option(info[0].ToNumber().Int32Value(), SOL_SOCKET, SO_BINDTOIFINDEX);
  const bool is_there = index <= 0 || static_cast<unsigned>(index) == if_nametoindex(name.c_str());
  return Napi::Boolean::New(info.Env(), is_there);
}

// stopListening(fd): for everybody who has the socket.
void StopListening(const Napi::CallbackInfo &info) {
  const int fd = info[0].ToNumber().Int32Value();
  look_aside(fd, [](int own) { shutdown(own, SHUT_RDWR); });
}

uint32_t queue_length(int fd) {
  tcp_info state;
  socklen_t length = sizeof state;
  const bool is_tcp = int_option(fd, SOL_SOCKET, SO_PROTOCOL) == IPPROTO_TCP;
  if (is_tcp && getsockopt(fd, IPPROTO_TCP, TCP_INFO, &state, &length) == 0) return state.tcpi_unacked;
  return is_readable(fd) ? 1 : 0;
}

// queueLength(listener) → how many clients wait. Only TCP tells the number; for others 1 means some.
Napi::Value QueueLength(const Napi::CallbackInfo &info) {
  const int fd = info[0].ToNumber().Int32Value();
  const auto length =
      ask<uint32_t>(info.Env(), fd, [](int own, uint32_t *answer) { *answer = queue_length(own); });
  return length == nullptr ? info.Env().Undefined() : Napi::Number::New(info.Env(), *length);
}

// The nanosecond at which the kernel received a datagram tells it from another one with the same content.
std::string timestamp_of(msghdr *message) {
  for (cmsghdr *entry = CMSG_FIRSTHDR(message); entry != nullptr; entry = CMSG_NXTHDR(message, entry)) {
    if (entry->cmsg_level != SOL_SOCKET || entry->cmsg_type != SCM_TIMESTAMPNS) continue;
    timespec time;
    memcpy(&time, CMSG_DATA(entry), sizeof time);
    return std::to_string(time.tv_sec) + "." + std::to_string(time.tv_nsec);
  }
  return "";
}

struct Head {
  bool is_there = false;
  Address peer;
  std::string identity;
};

// headOf(socket) → {identity, peerAddress, peerPort} of the first datagram in the queue, which stays there;
// or null. The option is on for the moment only: a child that asks for control messages must not find ours
// among them.
void read_head(int fd, Head *head) {
  // Room for the time and nothing else: descriptors that a Unix client passes would be installed here by a
  // mere peek.
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(timespec))];
  char byte;
  iovec part = {&byte, 1};
  msghdr message = {&head->peer.generic, sizeof head->peer.storage, &part, 1, control, sizeof control, 0};
  int on = 1;
  setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof on);
  const ssize_t length = recvmsg(fd, &message, MSG_PEEK | MSG_DONTWAIT | MSG_TRUNC | MSG_CMSG_CLOEXEC);
  on = 0;
  setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof on);
  if (length < 0) return;
  // A child may have left the socket with options that make room for them all the same, and who has it still
  // may change those while we look.
  close_descriptors(&message);
  head->is_there = true;
  head->peer.length = message.msg_namelen;
  head->identity = timestamp_of(&message) + " " + std::to_string(length);
}

Napi::Value HeadOf(const Napi::CallbackInfo &info) {
  Napi::Env env = info.Env();
  const int fd = info[0].ToNumber().Int32Value();
  const auto head = ask<Head>(env, fd, [](int own, Head *answer) { read_head(own, answer); });
  if (head == nullptr) return env.Undefined();
  if (!head->is_there) return env.Null();
  char text[kAddressText];
  write_text(head->peer, text);
  Napi::Object result = Napi::Object::New(env);
  result.Set("identity", head->identity);
  result.Set("peerAddress", text);
  result.Set("peerPort", port_of(head->peer));
  return result;
}

// dropHead(socket): throws one datagram away.
void DropHead(const Napi::CallbackInfo &info) {
  const int fd = info[0].ToNumber().Int32Value();
  look_aside(fd, [](int own) { recv(own, nullptr, 0, MSG_DONTWAIT | MSG_TRUNC); });
}

// takePassed(number) → {fd, family, type, isListening, address, port}: a socket that was open when we
// started, moved out of the way of connections and made close-on-exec.
Napi::Value TakePassed(const Napi::CallbackInfo &info) {
  Napi::Env env = info.Env();
  const int number = info[0].ToNumber().Int32Value();
  Address address;
  address.length = sizeof address.storage;
  if (getsockname(number, &address.generic, &address.length) < 0) {
    throw_system_error(env, errno, "getsockname");
    return env.Undefined();
  }
  const int fd = copy_descriptor(number, kListenerBase);
  if (fd < 0) {
    throw_system_error(env, errno, "fcntl");
    return env.Undefined();
  }
  close(number);
  char text[kAddressText];
  write_text(address, text);
  Napi::Object result = Napi::Object::New(env);
  result.Set("fd", fd);
  result.Set("family", family_name(address.generic.sa_family));
  result.Set("type", type_name(int_option(fd, SOL_SOCKET, SO_TYPE)));
  result.Set("isListening", int_option(fd, SOL_SOCKET, SO_ACCEPTCONN) == 1);
  result.Set("address", text);
  result.Set("port", port_of(address));
  return result;
}

// whoListens({family: 'unix', type, path}) → 0: somebody does; else why the socket could not be reached
// (errno): ECONNREFUSED means that it is stale. EAGAIN (a full queue) and EPROTOTYPE (another type) mean that
// somebody does.
Napi::Value WhoListens(const Napi::CallbackInfo &info) {
  const auto wanted = info[0].As<Napi::Object>();
  Address address;
  if (!read_address(wanted, &address)) return Napi::Number::New(info.Env(), EINVAL);
  const int fd = socket(AF_UNIX, type_of(wanted.Get("type").ToString()) | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return Napi::Number::New(info.Env(), errno);
  const int error = connect(fd, &address.generic, address.length) < 0 ? errno : 0;
  // Whoever it is may have sent us something.
  close_aside(fd);
  return Napi::Number::New(info.Env(), error == EAGAIN || error == EPROTOTYPE ? 0 : error);
}

}  // namespace

void init_handover(Napi::Env env, Napi::Object exports) {
  exports.Set("setBlocking", Napi::Function::New(env, SetBlocking));
  exports.Set("takeBack", Napi::Function::New(env, TakeBack));
  exports.Set("isUsable", Napi::Function::New(env, IsUsable));
  exports.Set("isOnInterface", Napi::Function::New(env, IsOnInterface));
  exports.Set("stopListening", Napi::Function::New(env, StopListening));
  exports.Set("queueLength", Napi::Function::New(env, QueueLength));
  exports.Set("headOf", Napi::Function::New(env, HeadOf));
  exports.Set("dropHead", Napi::Function::New(env, DropHead));
  exports.Set("takePassed", Napi::Function::New(env, TakePassed));
  exports.Set("whoListens", Napi::Function::New(env, WhoListens));
}
