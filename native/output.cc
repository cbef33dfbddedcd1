// Last things: one write that never waits, for src/log (events go to whatever stderr is, and its reader may
// have stopped), how wide a terminal it is, and the end of the process, which waits for nobody either.
#include "addon.h"
#include "error.h"

#include <errno.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

namespace {

bool is_writable(int fd) {
  pollfd entry = {fd, POLLOUT, 0};
  return poll(&entry, 1, 0) > 0;
}

// send has a flag for it; where write would wait (errno of a full pipe) it is not called at all.
ssize_t write_once(int fd, const uint8_t *data, size_t length, bool is_socket, bool may_wait) {
  if (is_socket) return send(fd, data, length, MSG_DONTWAIT | MSG_NOSIGNAL);
  if (!may_wait || is_writable(fd)) return write(fd, data, length);
  errno = EAGAIN;
  return -1;
}

// writeSome(fd, bytes, isSocket, mayWait) → how many bytes were taken, 0 when it would have to wait.
// `mayWait`: the descriptor is not non-blocking, and what it leads to has readers; then it holds for up to
// one page, because a pipe that polls writable has room for it.
Napi::Value WriteSome(const Napi::CallbackInfo &info) {
  const auto bytes = info[1].As<Napi::Uint8Array>();
  const int fd = info[0].ToNumber().Int32Value();
  const ssize_t written =
      write_once(fd, bytes.Data(), bytes.ByteLength(), info[2].ToBoolean(), info[3].ToBoolean());
  if (written >= 0) return Napi::Number::New(info.Env(), static_cast<double>(written));
  if (errno == EAGAIN || errno == EINTR) return Napi::Number::New(info.Env(), 0);
  throw_system_error(info.Env(), errno, "write");
  return info.Env().Undefined();
}

// columnsOf(fd): TIOCGWINSZ of ioctl_tty(2). A terminal that was never told says 0.
Napi::Value ColumnsOf(const Napi::CallbackInfo &info) {
  winsize size = {};
  if (ioctl(info[0].ToNumber().Int32Value(), TIOCGWINSZ, &size) < 0) {
    throw_system_error(info.Env(), errno, "ioctl");
    return info.Env().Undefined();
  }
  return Napi::Number::New(info.Env(), size.ws_col);
}

// leave(status): _exit(2). Node's own way out joins its threads, and one of them may wait for a name service
// that never answers.
void Leave(const Napi::CallbackInfo &info) {
  _exit(info[0].ToNumber().Int32Value());
}

}  // namespace

void init_output(Napi::Env env, Napi::Object exports) {
  exports.Set("columnsOf", Napi::Function::New(env, ColumnsOf));
  exports.Set("leave", Napi::Function::New(env, Leave));
  exports.Set("writeSome", Napi::Function::New(env, WriteSome));
}
