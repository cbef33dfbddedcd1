// The system's name service (files, LDAP, …), which Node does not offer, and the question what an account may
// execute. Called while a configuration is loaded, on the main thread or on the loader's own; never between
// accept and exec.
#include "addon.h"
#include "child.h"
#include "error.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <sched.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <string>
#include <vector>

namespace {

constexpr size_t kFirstBuffer = 4096;
constexpr size_t kLastBuffer = 1 << 20;
constexpr size_t kProbeStack = 16384;

// Calls one of the get*_r family with a buffer that grows until the entry fits; returns whether there is one.
template <typename Entry, typename Call>
bool find_entry(std::vector<char> *buffer, Entry *entry, const Call &call) {
  Entry *found = nullptr;
  int error = ERANGE;
  for (size_t size = kFirstBuffer; error == ERANGE && size <= kLastBuffer; size *= 2) {
    buffer->resize(size);
    error = call(entry, buffer->data(), size, &found);
  }
  return found != nullptr;
}

Napi::Value account_of(Napi::Env env, const passwd &entry) {
  Napi::Object account = Napi::Object::New(env);
  account.Set("name", entry.pw_name);
  account.Set("uid", Napi::Number::New(env, entry.pw_uid));
  account.Set("gid", Napi::Number::New(env, entry.pw_gid));
  account.Set("home", entry.pw_dir);
  account.Set("shell", entry.pw_shell);
  return account;
}

// findUser(name | uid) → {name, uid, gid, home, shell} or undefined
Napi::Value FindUser(const Napi::CallbackInfo &info) {
  std::vector<char> buffer;
  passwd entry;
  const bool by_id = info[0].IsNumber();
  const uid_t uid = by_id ? info[0].ToNumber().Uint32Value() : 0;
  const std::string name = by_id ? std::string() : info[0].ToString().Utf8Value();
  const bool found = find_entry(&buffer, &entry, [&](passwd *out, char *data, size_t size, passwd **result) {
    return by_id ? getpwuid_r(uid, out, data, size, result)
                 : getpwnam_r(name.c_str(), out, data, size, result);
  });
  return found ? account_of(info.Env(), entry) : info.Env().Undefined();
}

// findGroup(name | gid) → {name, gid} or undefined
Napi::Value FindGroup(const Napi::CallbackInfo &info) {
  std::vector<char> buffer;
  group entry;
  const bool by_id = info[0].IsNumber();
  const gid_t gid = by_id ? info[0].ToNumber().Uint32Value() : 0;
  const std::string name = by_id ? std::string() : info[0].ToString().Utf8Value();
  const bool found = find_entry(&buffer, &entry, [&](group *out, char *data, size_t size, group **result) {
    return by_id ? getgrgid_r(gid, out, data, size, result)
                 : getgrnam_r(name.c_str(), out, data, size, result);
  });
  if (!found) return info.Env().Undefined();
  Napi::Object result = Napi::Object::New(info.Env());
  result.Set("name", entry.gr_name);
  result.Set("gid", Napi::Number::New(info.Env(), entry.gr_gid));
  return result;
}

// groupsOf(name, gid) → gids, the given one included
Napi::Value GroupsOf(const Napi::CallbackInfo &info) {
  const std::string name = info[0].ToString();
  const gid_t gid = info[1].ToNumber().Uint32Value();
  int count = 64;
  std::vector<gid_t> groups(static_cast<size_t>(count));
  while (getgrouplist(name.c_str(), gid, groups.data(), &count) < 0)
    groups.resize(static_cast<size_t>(count));
  Napi::Array result = Napi::Array::New(info.Env());
  for (int i = 0; i < count; ++i) result.Set(static_cast<uint32_t>(i), groups[static_cast<size_t>(i)]);
  return result;
}

// Exit signal 0: a child that no wait4(-1) of the reaper on another thread can take away from us.
int run_probe(ChildProbe *probe) {
  std::vector<char> stack(kProbeStack);
  const auto top = reinterpret_cast<uintptr_t>(stack.data() + stack.size()) & ~static_cast<uintptr_t>(15);
  const pid_t pid = clone(child_probe, reinterpret_cast<void *>(top), CLONE_VM | CLONE_VFORK, probe);
  if (pid < 0) return errno;
  while (waitpid(pid, nullptr, __WCLONE) < 0 && errno == EINTR) {
  }
  return probe->error;
}

// whyNoAccess(path, 'execute' | 'read', {uid, gid, groups} | null) → 0 or an errno
Napi::Value WhyNoAccess(const Napi::CallbackInfo &info) {
  Napi::Env env = info.Env();
  const std::string path = info[0].ToString();
  const int mode = info[1].ToString().Utf8Value() == "read" ? R_OK : X_OK;
  if (!info[2].IsObject()) {
    const int result = faccessat(AT_FDCWD, path.c_str(), mode, AT_EACCESS);
    return Napi::Number::New(env, result < 0 ? errno : 0);
  }
  const auto identity = info[2].As<Napi::Object>();
  const auto list = identity.Get("groups").As<Napi::Array>();
  std::vector<gid_t> groups;
  for (uint32_t i = 0; i < list.Length(); ++i) groups.push_back(list.Get(i).ToNumber().Uint32Value());
  ChildProbe probe = {{true, identity.Get("uid").ToNumber().Uint32Value(),
                       identity.Get("gid").ToNumber().Uint32Value(), groups.data(), groups.size()},
                      path.c_str(),
                      mode,
                      EIO};
  return Napi::Number::New(env, run_probe(&probe));
}

}  // namespace

void init_accounts(Napi::Env env, Napi::Object exports) {
  exports.Set("findUser", Napi::Function::New(env, FindUser));
  exports.Set("findGroup", Napi::Function::New(env, FindGroup));
  exports.Set("groupsOf", Napi::Function::New(env, GroupsOf));
  exports.Set("whyNoAccess", Napi::Function::New(env, WhyNoAccess));
}
