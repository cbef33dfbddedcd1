// What the daemon itself may read of a connection and write to it before a program has it: one line and one
// answer, without ever waiting. For tcpmux, whose clients name the service that they want.
#include "addon.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include <algorithm>
#include <string>

namespace {

constexpr size_t kMostPassedOver = size_t{1} << 30;

// Of the sender's ids, which a socket that was passed to us may be told to tell; they come first.
size_t room_for_ids(int fd) {
  int is_told = 0;
  socklen_t length = sizeof is_told;
  const bool is_known = getsockopt(fd, SOL_SOCKET, SO_PASSCRED, &is_told, &length) == 0;
  return is_known && is_told != 0 ? CMSG_SPACE(sizeof(ucred)) : 0;
}

// As recv(2), without taking anything. What comes with descriptors (a Unix socket's client may send some) is
// the client's end: to read it would be to throw them away, and that may wait. Nor is there room for any: a
// file whose file system never answers (FUSE) would be ours to close.
ssize_t peek(int fd, char *buffer, size_t limit) {
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(ucred))];
  iovec part = {buffer, limit};
  msghdr message = {};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = room_for_ids(fd);
  const ssize_t length = recvmsg(fd, &message, MSG_PEEK | MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  return length > 0 && (message.msg_flags & MSG_CTRUNC) != 0 ? 0 : length;
}

// readLine(connection, limit) → {text, isEnd}: what has come of a line, never a byte beyond its end; isEnd:
// the line is complete. Null: nothing has come; text "" without isEnd: the client has left, or cannot be
// read.
Napi::Value ReadLine(const Napi::CallbackInfo &info) {
  Napi::Env env = info.Env();
  const int fd = info[0].ToNumber().Int32Value();
  char buffer[1024];
  const size_t limit = std::min<size_t>(sizeof buffer, info[1].ToNumber().Uint32Value());
  ssize_t length = peek(fd, buffer, limit);
  if (length < 0 && errno == EAGAIN) return env.Null();
  const char *newline =
      length <= 0 ? nullptr : static_cast<char *>(memchr(buffer, '\n', static_cast<size_t>(length)));
  if (newline != nullptr) length = newline - buffer + 1;
  if (length > 0) length = recv(fd, buffer, static_cast<size_t>(length), MSG_DONTWAIT);
  Napi::Object result = Napi::Object::New(env);
  result.Set("text", Napi::String::New(env, buffer, static_cast<size_t>(std::max<ssize_t>(length, 0))));
  result.Set("isEnd", newline != nullptr);
  return result;
}

// firstByte(connection) → 'here', 'none' yet, or 'left': whether its client has said anything. Nothing is
// taken.
Napi::Value FirstByte(const Napi::CallbackInfo &info) {
  char byte;
  const ssize_t length = peek(info[0].ToNumber().Int32Value(), &byte, sizeof byte);
  const bool is_none = length < 0 && (errno == EAGAIN || errno == EINTR);
  return Napi::String::New(info.Env(), length > 0 ? "here" : is_none ? "none" : "left");
}

// sendNow(connection, text): as much as fits at once, which for a new connection is all; the client may be
// gone.
void SendNow(const Napi::CallbackInfo &info) {
  const std::string text = info[1].ToString();
  send(info[0].ToNumber().Int32Value(), text.data(), text.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
}

// endWriting(connection) → whether it is one of which a client still hears after that, and which may be held.
// What a client of a Unix socket sends may be what cannot be closed: such a connection is not held.
Napi::Value EndWriting(const Napi::CallbackInfo &info) {
  const int fd = info[0].ToNumber().Int32Value();
  int family = 0;
  socklen_t length = sizeof family;
  const bool is_known = getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &family, &length) == 0;
  const bool is_tcp = is_known && (family == AF_INET || family == AF_INET6);
  return Napi::Boolean::New(info.Env(), is_tcp && shutdown(fd, SHUT_WR) == 0);
}

// passOver(connection) → whether its client has left: what it has sent until now is thrown away, unread.
Napi::Value PassOver(const Napi::CallbackInfo &info) {
  const ssize_t length =
      recv(info[0].ToNumber().Int32Value(), nullptr, kMostPassedOver, MSG_TRUNC | MSG_DONTWAIT);
  return Napi::Boolean::New(info.Env(), length == 0 || (length < 0 && errno != EAGAIN && errno != EINTR));
}

}  // namespace

void init_line(Napi::Env env, Napi::Object exports) {
  exports.Set("readLine", Napi::Function::New(env, ReadLine));
  exports.Set("firstByte", Napi::Function::New(env, FirstByte));
  exports.Set("sendNow", Napi::Function::New(env, SendNow));
  exports.Set("endWriting", Napi::Function::New(env, EndWriting));
  exports.Set("passOver", Napi::Function::New(env, PassOver));
}
