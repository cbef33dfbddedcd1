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
#include <sys/xattr.h>
#include <unistd.h>

#include <string>

// linux/un.h has it, and cannot be included beside sys/un.h.
#ifndef SIOCUNIXFILE
#define SIOCUNIXFILE (SIOCPROTOPRIVATE + 0)
#endif

namespace {

constexpr size_t kLongestAttribute = 256;

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

// attributeOf(path, name) → text of getxattr(2); null: it has none, or we may not know. Called by src/machine
// too.
Napi::Value AttributeOf(const Napi::CallbackInfo &info) {
  Napi::Env env = info.Env();
  const std::string path = info[0].ToString();
  const std::string name = info[1].ToString();
  char text[kLongestAttribute];
  const ssize_t length = getxattr(path.c_str(), name.c_str(), text, sizeof text);
  if (length < 0) return env.Null();
  return Napi::String::New(env, text, static_cast<size_t>(length));
}

}  // namespace

void init_path(Napi::Env env, Napi::Object exports) {
  exports.Set("openFolder", Napi::Function::New(env, OpenFolder));
  exports.Set("attributeOf", Napi::Function::New(env, AttributeOf));
  exports.Set("fileOf", Napi::Function::New(env, FileOf));
}
