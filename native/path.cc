// Folders and files of Unix sockets, by descriptor: a path may lead elsewhere a moment later. Called by
// src/listener on the main thread.
#include "addon.h"
#include "address.h"
#include "descriptor.h"
#include "error.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <string>

// linux/un.h has it, and cannot be included beside sys/un.h.
#ifndef SIOCUNIXFILE
#define SIOCUNIXFILE (SIOCPROTOPRIVATE + 0)
#endif

namespace {

// openFolder(path) → fd: to name what is in it, out of the way of connections.
Napi::Value OpenFolder(const Napi::CallbackInfo &info) {
  Napi::Env env = info.Env();
  const std::string path = info[0].ToString();
  const int fd = open(path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (fd >= 0) return Napi::Number::New(env, move_descriptor(fd, kListenerBase));
  throw_system_error(env, errno, "open");
  return env.Undefined();
}

// fileOf(socket) → fd of the file that a Unix socket is bound to, as open(2) with O_PATH gives it, wherever
// that file is by now; null: the kernel tells nobody without CAP_NET_ADMIN.
Napi::Value FileOf(const Napi::CallbackInfo &info) {
  Napi::Env env = info.Env();
  const int fd = ioctl(info[0].ToNumber().Int32Value(), SIOCUNIXFILE);
  if (fd >= 0) return Napi::Number::New(env, fd);
  if (errno == EPERM) return env.Null();
  throw_system_error(env, errno, "ioctl");
  return env.Undefined();
}

}  // namespace

void init_path(Napi::Env env, Napi::Object exports) {
  exports.Set("openFolder", Napi::Function::New(env, OpenFolder));
  exports.Set("fileOf", Napi::Function::New(env, FileOf));
}
