// Programs that were started ahead of their clients (park/): what we say to them, and what we ask about those
// who answer. Called by src/child on the main thread.
#include "addon.h"
#include "descriptor.h"
#include "error.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <string>

namespace {

// The connection, and a pipe for fd 2.
constexpr size_t kMostFds = 2;

int family_named(const std::string &name) {
  if (name == "inet6") return AF_INET6;
  return name == "unix" ? AF_UNIX : AF_INET;
}

// openUnconnected(family) → a stream socket that stands for a connection.
Napi::Value OpenUnconnected(const Napi::CallbackInfo &info) {
  const int fd = socket(family_named(info[0].ToString()), SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd >= 0) return Napi::Number::New(info.Env(), fd);
  throw_system_error(info.Env(), errno, "socket");
  return info.Env().Undefined();
}

// handOver(control, name, connection, pipe | null) → whether it is on its way. Both stay the caller's.
Napi::Value HandOver(const Napi::CallbackInfo &info) {
  const std::string name = info[1].ToString();
  int fds[kMostFds] = {info[2].ToNumber().Int32Value(), -1};
  if (info[3].IsNumber()) fds[1] = info[3].ToNumber().Int32Value();
  const size_t size = (fds[1] < 0 ? 1 : 2) * sizeof(int);
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof fds)] = {};
  iovec part = {const_cast<char *>(name.data()), name.size()};
  msghdr message = {nullptr, 0, &part, 1, control, CMSG_SPACE(size), 0};
  cmsghdr *head = CMSG_FIRSTHDR(&message);
  head->cmsg_level = SOL_SOCKET;
  head->cmsg_type = SCM_RIGHTS;
  head->cmsg_len = CMSG_LEN(size);
  memcpy(CMSG_DATA(head), fds, size);
  const ssize_t sent = sendmsg(info[0].ToNumber().Int32Value(), &message, MSG_DONTWAIT | MSG_NOSIGNAL);
  return Napi::Boolean::New(info.Env(), sent >= 0);
}

// revoke(control): from now on nobody at the other end can say anything; what they have said can be read
// still.
void Revoke(const Napi::CallbackInfo &info) {
  shutdown(info[0].ToNumber().Int32Value(), SHUT_RDWR);
}

// isOwnChild(pid) → whether it is ours to collect.
Napi::Value IsOwnChild(const Napi::CallbackInfo &info) {
  siginfo_t facts;
  const auto pid = static_cast<id_t>(info[0].ToNumber().Int32Value());
  const bool is_own = waitid(P_PID, pid, &facts, WEXITED | WNOHANG | WNOWAIT) == 0;
  return Napi::Boolean::New(info.Env(), is_own);
}

}  // namespace

void init_parked(Napi::Env env, Napi::Object exports) {
  exports.Set("openUnconnected", Napi::Function::New(env, OpenUnconnected));
  exports.Set("handOver", Napi::Function::New(env, HandOver));
  exports.Set("revoke", Napi::Function::New(env, Revoke));
  exports.Set("isOwnChild", Napi::Function::New(env, IsOwnChild));
}
