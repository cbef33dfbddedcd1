// Single options of a socket that a child may have as well, where whatever else is set on a listener would
// change what the child does with it. Called by src/listener and src/server on the main thread.
#include "addon.h"
#include "error.h"

#include <errno.h>
#include <sys/socket.h>

namespace {

// sharePort(fd, on): SO_REUSEPORT and no other. listen(2) in particular would fail where a child has
// connected the socket, and undo what a child has shut down.
void SharePort(const Napi::CallbackInfo &info) {
  const int value = info[1].ToBoolean() ? 1 : 0;
  const int fd = info[0].ToNumber().Int32Value();
  if (setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &value, sizeof value) < 0) {
    throw_system_error(info.Env(), errno, "setsockopt");
  }
}

// dropFilter(fd) → whether it has none now, and could be given one: false when somebody has locked it
// (SO_LOCK_FILTER), which nobody can undo.
Napi::Value DropFilter(const Napi::CallbackInfo &info) {
  const int fd = info[0].ToNumber().Int32Value();
  const int unused = 0;
  int is_locked = 0;
  socklen_t length = sizeof is_locked;
  setsockopt(fd, SOL_SOCKET, SO_DETACH_FILTER, &unused, sizeof unused);
  getsockopt(fd, SOL_SOCKET, SO_LOCK_FILTER, &is_locked, &length);
  return Napi::Boolean::New(info.Env(), is_locked == 0);
}

}  // namespace

void init_lent(Napi::Env env, Napi::Object exports) {
  exports.Set("sharePort", Napi::Function::New(env, SharePort));
  exports.Set("dropFilter", Napi::Function::New(env, DropFilter));
}
