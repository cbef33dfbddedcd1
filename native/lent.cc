// Single options of a socket that a child may have as well, where whatever else is set on a listener would
// change what the child does with it. Called by src/listener and src/server on the main thread.
#include "addon.h"
#include "aside.h"
#include "error.h"

#include <errno.h>
#include <sys/socket.h>

#include <memory>

namespace {

// sharePort(fd, on): SO_REUSEPORT and no other. listen(2) in particular would fail where a child has
// connected the socket, and undo what a child has shut down.
void SharePort(const Napi::CallbackInfo &info) {
  const int value = info[1].ToBoolean() ? 1 : 0;
  const int fd = info[0].ToNumber().Int32Value();
  const auto error = std::make_shared<int>(0);
  const Outcome outcome = look_aside(fd, [value, error](int own) {
    if (setsockopt(own, SOL_SOCKET, SO_REUSEPORT, &value, sizeof value) < 0) *error = errno;
  });
  const int failed = outcome == Outcome::kDone ? *error : ETIMEDOUT;
  if (failed != 0) throw_system_error(info.Env(), failed, "setsockopt");
}

bool drop_filter(int fd) {
  const int unused = 0;
  int is_locked = 0;
  socklen_t length = sizeof is_locked;
  setsockopt(fd, SOL_SOCKET, SO_DETACH_FILTER, &unused, sizeof unused);
  return getsockopt(fd, SOL_SOCKET, SO_LOCK_FILTER, &is_locked, &length) == 0 && is_locked == 0;
}

// dropFilter(fd) → whether it has none now, and could be given one: false when somebody has locked it
// (SO_LOCK_FILTER), which nobody can undo, or keeps us from the socket.
Napi::Value DropFilter(const Napi::CallbackInfo &info) {
  const int fd = info[0].ToNumber().Int32Value();
  const auto has_none = std::make_shared<bool>(false);
  const Outcome outcome = look_aside(fd, [has_none](int own) { *has_none = drop_filter(own); });
  return Napi::Boolean::New(info.Env(), outcome == Outcome::kDone && *has_none);
}

}  // namespace

void init_lent(Napi::Env env, Napi::Object exports) {
  exports.Set("sharePort", Napi::Function::New(env, SharePort));
  exports.Set("dropFilter", Napi::Function::New(env, DropFilter));
}
