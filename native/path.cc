// Folders of others and files in them, by descriptor: a path may lead elsewhere a moment later. Called by
// src/listener and src/child on the main thread, which waits with a limit for each of them (aside.h): the
// folder is somebody else's, who may hold its lock, and so may whoever may list it. What fails with ETIMEDOUT
// may be done later on.
#include "path.h"

#include "addon.h"
#include "address.h"
#include "aside.h"
#include "descriptor.h"
#include "error.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

// linux/un.h has it, and cannot be included beside sys/un.h.
#ifndef SIOCUNIXFILE
#define SIOCUNIXFILE (SIOCPROTOPRIVATE + 0)
#endif

namespace {

constexpr size_t kLongestAttribute = 256;
constexpr size_t kLongestPath = 4096;
constexpr size_t kMostNames = 64;

// What a call has found. It belongs to whoever comes last.
struct Finding {
  Finding() : facts() {}
  Finding(const Finding &) = delete;
  Finding &operator=(const Finding &) = delete;
  ~Finding() {
    if (fd >= 0) close(fd);
  }
  int take() { return std::exchange(fd, -1); }

  int fd = -1;
  struct stat facts;
  int error = 0;
};

// -1: errno.
using Call = std::function<int(Finding *)>;

std::string proc_path_of(int fd) {
  return "/proc/self/fd/" + std::to_string(fd);
}

// The path by which the kernel knows it, which asks no file system.
std::string path_of(int fd) {
  const std::string link = proc_path_of(fd);
  char path[kLongestPath];
  const ssize_t length = readlink(link.c_str(), path, sizeof path);
  return length < 0 ? link : std::string(path, static_cast<size_t>(length));
}

// Null: it threw.
std::shared_ptr<Finding> call_at(Napi::Env env, uint64_t place, const char *name, Call call) {
  auto finding = std::make_shared<Finding>();
  const auto work = [finding, call = std::move(call)] {
    if (call(finding.get()) < 0) finding->error = errno;
  };
  const Outcome outcome = run_in_folder(place, work);
  const int error = outcome == Outcome::kDone ? finding->error : ETIMEDOUT;
  if (error == 0) return finding;
  throw_system_error(env, error, name);
  return nullptr;
}

using CallWithFd = std::function<int(int fd, Finding *)>;

// With a descriptor of its own: what comes late goes on when that one has been closed.
std::shared_ptr<Finding> call_with(Napi::Env env, int fd, uint64_t place, const char *name, CallWithFd call) {
  const auto own = std::make_shared<OwnCopy>(fd, kListenerBase);
  const auto with_own = [own, call = std::move(call)](Finding *finding) { return call(own->fd, finding); };
  return call_at(env, place, name, with_own);
}

std::shared_ptr<Finding> call_in(const Napi::CallbackInfo &info, const char *name, CallWithFd call) {
  const int folder = info[0].ToNumber().Int32Value();
  return call_with(info.Env(), folder, place_of(path_of(folder)), name, std::move(call));
}

// A file is known by its folder.
std::shared_ptr<Finding> call_on(const Napi::CallbackInfo &info, const char *name, CallWithFd call) {
  const int file = info[0].ToNumber().Int32Value();
  return call_with(info.Env(), file, place_of(folder_of(path_of(file))), name, std::move(call));
}

// openFolder(path) → fd: to name what is in it, out of the way of connections.
Napi::Value OpenFolder(const Napi::CallbackInfo &info) {
  Napi::Env env = info.Env();
  const std::string path = info[0].ToString();
  const auto open_it = [path](Finding *finding) {
    return finding->fd = open(path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC);
  };
  const auto found = call_at(env, place_of(path), "open", open_it);
  if (found == nullptr) return env.Undefined();
  return Napi::Number::New(env, move_descriptor(found->take(), kListenerBase));
}

// openFile(folder, name) → fd as open(2) with O_PATH gives it, of a link that of the link itself.
Napi::Value OpenFile(const Napi::CallbackInfo &info) {
  const std::string name = info[1].ToString();
  const auto found = call_in(info, "open", [name](int folder, Finding *finding) {
    return finding->fd = openat(folder, name.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC);
  });
  if (found == nullptr) return info.Env().Undefined();
  return Napi::Number::New(info.Env(), found->take());
}

// factsOf(fd) → {dev, ino, mode, uid} of fstat(2).
Napi::Value FactsOf(const Napi::CallbackInfo &info) {
  Napi::Env env = info.Env();
  const auto found =
      call_on(info, "fstat", [](int file, Finding *finding) { return fstat(file, &finding->facts); });
  if (found == nullptr) return env.Undefined();
  Napi::Object result = Napi::Object::New(env);
  result.Set("dev", static_cast<double>(found->facts.st_dev));
  result.Set("ino", static_cast<double>(found->facts.st_ino));
  result.Set("mode", found->facts.st_mode);
  result.Set("uid", found->facts.st_uid);
  return result;
}

// setMode(fd, mode) and setOwner(fd, uid, gid), of a descriptor opened with O_PATH too.
void SetMode(const Napi::CallbackInfo &info) {
  const mode_t mode = info[1].ToNumber().Uint32Value();
  call_on(info, "chmod", [mode](int file, Finding *) { return chmod(proc_path_of(file).c_str(), mode); });
}

void SetOwner(const Napi::CallbackInfo &info) {
  const uid_t user = info[1].ToNumber().Uint32Value();
  const gid_t group = info[2].ToNumber().Uint32Value();
  call_on(info, "chown",
          [user, group](int file, Finding *) { return chown(proc_path_of(file).c_str(), user, group); });
}

// renameIn(folder, from, to) and linkIn(folder, from, to).
void RenameIn(const Napi::CallbackInfo &info) {
  const std::string from = info[1].ToString();
  const std::string to = info[2].ToString();
  call_in(info, "rename",
          [from, to](int folder, Finding *) { return renameat(folder, from.c_str(), folder, to.c_str()); });
}

void LinkIn(const Napi::CallbackInfo &info) {
  const std::string from = info[1].ToString();
  const std::string to = info[2].ToString();
  call_in(info, "link",
          [from, to](int folder, Finding *) { return linkat(folder, from.c_str(), folder, to.c_str(), 0); });
}

// removeIn(folder, name)
void RemoveIn(const Napi::CallbackInfo &info) {
  const std::string name = info[1].ToString();
  call_in(info, "unlink", [name](int folder, Finding *) { return unlinkat(folder, name.c_str(), 0); });
}

// makeFolderIn(folder, name, mode)
void MakeFolderIn(const Napi::CallbackInfo &info) {
  const std::string name = info[1].ToString();
  const mode_t mode = info[2].ToNumber().Uint32Value();
  call_in(info, "mkdir", [name, mode](int folder, Finding *) { return mkdirat(folder, name.c_str(), mode); });
}

int list(int folder, const std::string &prefix, std::vector<std::string> *names) {
  const int fd = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR *listed = fd < 0 ? nullptr : fdopendir(fd);
  if (listed == nullptr) return -1;
  while (const dirent *entry = readdir(listed)) {
    if (prefix.compare(0, prefix.size(), entry->d_name, 0, prefix.size()) != 0) continue;
    names->push_back(entry->d_name);
    if (names->size() == kMostNames) break;
  }
  closedir(listed);
  return 0;
}

// namesIn(folder, prefix) → names of at most kMostNames of those that begin so.
Napi::Value NamesIn(const Napi::CallbackInfo &info) {
  const std::string prefix = info[1].ToString();
  const auto names = std::make_shared<std::vector<std::string>>();
  const auto found = call_in(
      info, "readdir", [prefix, names](int folder, Finding *) { return list(folder, prefix, names.get()); });
  if (found == nullptr) return info.Env().Undefined();
  Napi::Array result = Napi::Array::New(info.Env());
  for (const std::string &name : *names) result.Set(result.Length(), name);
  return result;
}

// removeEmptyIn(folder, name): an empty folder.
void RemoveEmptyIn(const Napi::CallbackInfo &info) {
  const std::string name = info[1].ToString();
  call_in(info, "rmdir",
          [name](int folder, Finding *) { return unlinkat(folder, name.c_str(), AT_REMOVEDIR); });
}

// Now, or when nobody is in the way.
void do_in(int folder, std::function<void(int folder)> work) {
  const auto own = std::make_shared<OwnCopy>(folder, kListenerBase);
  const auto with_own = [own, work = std::move(work)] { work(own->fd); };
  if (run_in_folder(place_of(path_of(folder)), with_own) == Outcome::kNotTried)
    run_later(with_own, Kind::kFolder);
}

// removeFolderIn(folder, name): an empty one; now or later.
void RemoveFolderIn(const Napi::CallbackInfo &info) {
  const std::string name = info[1].ToString();
  do_in(info[0].ToNumber().Int32Value(),
        [name](int folder) { unlinkat(folder, name.c_str(), AT_REMOVEDIR); });
}

// removeOurs(folder, name, dev, ino): while it is that file; now or later.
void RemoveOurs(const Napi::CallbackInfo &info) {
  const std::string name = info[1].ToString();
  const auto device = static_cast<dev_t>(info[2].ToNumber().DoubleValue());
  const auto inode = static_cast<ino_t>(info[3].ToNumber().DoubleValue());
  do_in(info[0].ToNumber().Int32Value(),
        [name, device, inode](int folder) { remove_if_same(folder, name, device, inode); });
}

// fileOf(socket) → fd of the file that a Unix socket is bound to; null: the kernel does not tell us.
Napi::Value FileOf(const Napi::CallbackInfo &info) {
  Napi::Env env = info.Env();
  const int fd = file_of_socket(info[0].ToNumber().Int32Value());
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

uint64_t place_of(const std::string &folder) {
  return std::hash<std::string>()(folder) | 1;
}

std::string folder_of(const std::string &path) {
  const size_t slash = path.rfind('/');
  return slash == 0 || slash == std::string::npos ? "/" : path.substr(0, slash);
}

int remove_if_same(int folder, const std::string &name, dev_t device, ino_t inode) {
  struct stat there;
  if (fstatat(folder, name.c_str(), &there, AT_SYMLINK_NOFOLLOW) < 0) return -1;
  if (there.st_dev != device || there.st_ino != inode) return 0;
  return unlinkat(folder, name.c_str(), 0);
}

int file_of_socket(int socket) {
  return ioctl(socket, SIOCUNIXFILE);
}

void init_path(Napi::Env env, Napi::Object exports) {
  exports.Set("openFolder", Napi::Function::New(env, OpenFolder));
  exports.Set("openFile", Napi::Function::New(env, OpenFile));
  exports.Set("factsOf", Napi::Function::New(env, FactsOf));
  exports.Set("setMode", Napi::Function::New(env, SetMode));
  exports.Set("setOwner", Napi::Function::New(env, SetOwner));
  exports.Set("renameIn", Napi::Function::New(env, RenameIn));
  exports.Set("linkIn", Napi::Function::New(env, LinkIn));
  exports.Set("removeIn", Napi::Function::New(env, RemoveIn));
  exports.Set("makeFolderIn", Napi::Function::New(env, MakeFolderIn));
  exports.Set("removeEmptyIn", Napi::Function::New(env, RemoveEmptyIn));
  exports.Set("namesIn", Napi::Function::New(env, NamesIn));
  exports.Set("removeFolderIn", Napi::Function::New(env, RemoveFolderIn));
  exports.Set("removeOurs", Napi::Function::New(env, RemoveOurs));
  exports.Set("attributeOf", Napi::Function::New(env, AttributeOf));
  exports.Set("fileOf", Napi::Function::New(env, FileOf));
}
