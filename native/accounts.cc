// The system's name service (files, LDAP, …), which Node does not offer, and the question what an account may
// execute. Called while a configuration is loaded, on the main thread or on the loader's own; never between
// accept and exec.
#include "addon.h"
#include "error.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pthread.h>
#include <pwd.h>
#include <signal.h>
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
constexpr size_t kStack = 256 * 1024;

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

struct Question {
  const Credentials *asker;
  const char *path;
  int mode;
  int answer;
};

// A thread, from its first step to its end. There is no way back that could fail: it goes as who it has
// become.
void *ask_as(void *argument) {
  auto *question = static_cast<Question *>(argument);
  const Credentials &asker = *question->asker;
  const bool is_asker = set_groups(asker) && set_effective_gid(asker) && set_effective_uid(asker);
  question->answer = is_asker ? ask(question->path, question->mode) : errno;
  return nullptr;
}

// With all signals blocked from birth: the handlers of the others are not for somebody else to run.
int start_thread(pthread_t *thread, void *(*main)(void *), void *argument) {
  pthread_attr_t attributes;
  sigset_t all, before;
  sigfillset(&all);
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, kStack);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  const int error = pthread_create(thread, &attributes, main, argument);
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  pthread_attr_destroy(&attributes);
  return error;
}

// 0, or why there was no thread to ask. Only the effective ids of that thread become those of the other. Real
// and saved ones stay ours: no process of that user may signal, stop or trace us meanwhile, as it might a
// process that became the user in order to ask.
int ask_on_thread(Question *question) {
  pthread_t thread;
  const int error = start_thread(&thread, ask_as, question);
  if (error == 0) pthread_join(thread, nullptr);
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

// whyNoAccess(path, 'execute' | 'read' | 'write', {uid, gid, groups} | null) → 0 or an errno; EAGAIN: there
// was no thread to ask
Napi::Value WhyNoAccess(const Napi::CallbackInfo &info) {
  Napi::Env env = info.Env();
  const std::string path = info[0].ToString();
  const std::string access = info[1].ToString();
  const int mode = access == "read" ? R_OK : access == "write" ? W_OK : X_OK;
  if (!info[2].IsObject()) return Napi::Number::New(env, ask(path.c_str(), mode));
  const Credentials asker = credentials_of(info[2].As<Napi::Object>());
  Question question = {&asker, path.c_str(), mode, 0};
  const int error = ask_on_thread(&question);
  return Napi::Number::New(env, error == 0 ? question.answer : error);
}

}  // namespace

void init_accounts(Napi::Env env, Napi::Object exports) {
  exports.Set("findUser", Napi::Function::New(env, FindUser));
  exports.Set("findGroup", Napi::Function::New(env, FindGroup));
  exports.Set("groupsOf", Napi::Function::New(env, GroupsOf));
  exports.Set("whyNoAccess", Napi::Function::New(env, WhyNoAccess));
}
