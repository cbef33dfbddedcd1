// The system's name service (files, LDAP, …), which Node does not offer, and the question what an account may
// execute. Called while a configuration is loaded, on the main thread or on the loader's own; never between
// accept and exec.
#include "addon.h"
#include "error.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <string>
#include <vector>

namespace {

constexpr size_t kFirstBuffer = 4096;
constexpr size_t kLastBuffer = 1 << 20;
constexpr long kUnchanged = -1;

// What the name service says when it is short of something; whatever else it says means that there is no such
// entry (getpwnam(3) lists several numbers for that).
bool is_shortage(int error) {
  return error == EAGAIN || error == EINTR || error == EIO || error == EMFILE || error == ENFILE ||
         error == ENOMEM;
}

// Calls one of the get*_r family with a buffer that grows until the entry fits; returns whether there is one.
// Throws into JavaScript, and returns false, when that cannot be told now.
template <typename Entry, typename Call>
bool find_entry(Napi::Env env, std::vector<char> *buffer, Entry *entry, const Call &call) {
  Entry *found = nullptr;
  int error = ERANGE;
  for (size_t size = kFirstBuffer; error == ERANGE && size <= kLastBuffer; size *= 2) {
    buffer->resize(size);
    error = call(entry, buffer->data(), size, &found);
  }
  if (found == nullptr && is_shortage(error)) throw_system_error(env, error, "getpwnam_r");
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
  const bool found =
      find_entry(info.Env(), &buffer, &entry, [&](passwd *out, char *data, size_t size, passwd **result) {
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
  const bool found =
      find_entry(info.Env(), &buffer, &entry, [&](group *out, char *data, size_t size, group **result) {
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

struct Credentials {
  uid_t uid;
  gid_t gid;
  std::vector<gid_t> groups;
};

Credentials own_credentials() {
  Credentials own = {geteuid(), getegid(), {}};
  own.groups.resize(static_cast<size_t>(std::max(getgroups(0, nullptr), 0)));
  const int count = getgroups(static_cast<int>(own.groups.size()), own.groups.data());
  own.groups.resize(static_cast<size_t>(std::max(count, 0)));
  return own;
}

// Raw calls change the calling thread alone; libc's would change every thread.
bool set_groups(const Credentials &whose) {
  return syscall(SYS_setgroups, whose.groups.size(), whose.groups.data()) == 0;
}

bool set_effective_gid(const Credentials &whose) {
  return syscall(SYS_setresgid, kUnchanged, whose.gid, kUnchanged) == 0;
}

bool set_effective_uid(const Credentials &whose) {
  return syscall(SYS_setresuid, kUnchanged, whose.uid, kUnchanged) == 0;
}

// 0 or an errno.
int ask(const char *path, int mode) {
  return syscall(SYS_faccessat2, AT_FDCWD, path, mode, AT_EACCESS) < 0 ? errno : 0;
}

// Only the effective ids of this thread become those of the other, and only for the moment of the question.
// Real and saved ones stay ours: no process of that user may signal, stop or trace us meanwhile, as it might
// a process that became the user in order to ask.
int ask_as(const Credentials &other, const char *path, int mode) {
  const Credentials own = own_credentials();
  // Without the right to do this nothing has changed; with it the way back is open too.
  if (!set_groups(other)) return errno;
  const int error = set_effective_gid(other) && set_effective_uid(other) ? ask(path, mode) : errno;
  // To go on as somebody else would be worse than to end.
  if (!set_effective_uid(own) || !set_effective_gid(own) || !set_groups(own)) abort();
  return error;
}

Credentials credentials_of(const Napi::Object &identity) {
  Credentials result = {
      identity.Get("uid").ToNumber().Uint32Value(), identity.Get("gid").ToNumber().Uint32Value(), {}};
  const auto groups = identity.Get("groups").As<Napi::Array>();
  for (uint32_t i = 0; i < groups.Length(); ++i)
    result.groups.push_back(groups.Get(i).ToNumber().Uint32Value());
  return result;
}

// whyNoAccess(path, 'execute' | 'read', {uid, gid, groups} | null) → 0 or an errno
Napi::Value WhyNoAccess(const Napi::CallbackInfo &info) {
  const std::string path = info[0].ToString();
  const int mode = info[1].ToString().Utf8Value() == "read" ? R_OK : X_OK;
  const int error = info[2].IsObject()
                        ? ask_as(credentials_of(info[2].As<Napi::Object>()), path.c_str(), mode)
                        : ask(path.c_str(), mode);
  return Napi::Number::New(info.Env(), error);
}

}  // namespace

void init_accounts(Napi::Env env, Napi::Object exports) {
  exports.Set("findUser", Napi::Function::New(env, FindUser));
  exports.Set("findGroup", Napi::Function::New(env, FindGroup));
  exports.Set("groupsOf", Napi::Function::New(env, GroupsOf));
  exports.Set("whyNoAccess", Napi::Function::New(env, WhyNoAccess));
}
