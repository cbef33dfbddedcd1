// What all children of a service join, made once when its plan is: to make a namespace costs many times what
// it costs to join one. Namespaces are per thread, and the main thread never leaves its own: a thread of ours
// makes new ones, opens them by their names in /proc and ends. From then on our descriptors alone keep them.
// Called by src/child on the main thread, which waits with a limit: what the kernel is asked here may wait
// for others.
#include "sandbox.h"

#include "addon.h"
#include "address.h"
#include "closers.h"
#include "descriptor.h"
#include "error.h"
#include "landlock.h"
#include "mounts.h"
#include "patience.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>

namespace {

// Threads that have not come back; beyond it nothing is tried until one of them does.
constexpr int kMostLate = 64;
constexpr size_t kStack = 256 * 1024;

struct Namespace {
  int flag;
  const char *path;
};

// In the order in which children join them: with the mounts the view of the files changes.
constexpr Namespace kNamespacesMade[] = {
    {CLONE_NEWNET, "/proc/thread-self/ns/net"},
    {CLONE_NEWIPC, "/proc/thread-self/ns/ipc"},
    {CLONE_NEWUTS, "/proc/thread-self/ns/uts"},
    {CLONE_NEWNS, "/proc/thread-self/ns/mnt"},
};

// What was asked for and what came of it. It belongs to both threads: one that is late finds nobody to tell.
struct Work {
  int flags = 0;
  MountWishes mounts;
  bool has_rules = false;
  FileRules rules;
  std::shared_ptr<Sandbox> made = std::make_shared<Sandbox>();
  Fault fault;
  std::mutex mutex;
  std::condition_variable has_ended;
  bool is_done = false;
};

std::atomic<int> threads{0};

// --- The thread that makes it ---

// A program that talks to itself finds its loopback, as everywhere.
bool raise_loopback(Fault *fault) {
  const int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return fail(fault, "socket");
  ifreq request;
  memset(&request, 0, sizeof request);
  strcpy(request.ifr_name, "lo");
  request.ifr_flags = IFF_UP;
  const bool is_up = ioctl(fd, SIOCSIFFLAGS, &request) == 0 || fail(fault, "ioctl");
  close(fd);
  return is_up;
}

bool keep_rules(Work *work) {
  const int ruleset = open_ruleset(work->rules, &work->fault);
  if (ruleset < 0) return false;
  work->made->ruleset = move_descriptor(ruleset, kListenerBase);
  return true;
}

bool keep(Work *work, const char *path) {
  const int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return fail(&work->fault, std::string("open ") + path);
  work->made->namespaces.push_back(move_descriptor(fd, kListenerBase));
  return true;
}

// To join a mount namespace is to stand in its root, whatever root one had: a stdiod that was put into a
// folder (chroot) would let its children out of it.
bool is_same_root(Work *work) {
  struct stat before, after;
  if (stat("/", &before) < 0) return fail(&work->fault, "stat /");
  if (setns(work->made->namespaces.back(), CLONE_NEWNS) < 0) return fail(&work->fault, "setns");
  if (stat("/", &after) < 0) return fail(&work->fault, "stat /");
  errno = EXDEV;
  const bool is_same = before.st_dev == after.st_dev && before.st_ino == after.st_ino;
  return is_same || fail(&work->fault, "setns out of a chroot");
}

bool make(Work *work) {
  const int flags = work->flags;
  Fault *fault = &work->fault;
  fault->stage = kNamespaces;
  if (flags != 0 && unshare(flags) < 0) return fail(fault, "unshare");
  if ((flags & CLONE_NEWNS) != 0 && !make_mounts(work->mounts, fault)) return false;
  fault->stage = kNetwork;
  if ((flags & CLONE_NEWNET) != 0 && !raise_loopback(fault)) return false;
  fault->stage = kPaths;
  if (work->has_rules && !keep_rules(work)) return false;
  for (const Namespace &kind : kNamespacesMade) {
    if ((flags & kind.flag) != 0 && !keep(work, kind.path)) return false;
  }
  return (flags & CLONE_NEWNS) == 0 || is_same_root(work);
}

void *run(void *argument) {
  const std::unique_ptr<std::shared_ptr<Work>> held(static_cast<std::shared_ptr<Work> *>(argument));
  Work *work = held->get();
  make(work);
  const std::lock_guard<std::mutex> lock(work->mutex);
  work->is_done = true;
  work->has_ended.notify_one();
  --threads;
  return nullptr;
}

// --- The main thread ---

// With all signals blocked from birth: the handlers of the others are not for somebody else to run. 0 or an
// errno.
int start(const std::shared_ptr<Work> &work) {
  pthread_attr_t attributes;
  pthread_t thread;
  sigset_t all, before;
  sigfillset(&all);
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, kStack);
  pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
  auto *held = new std::shared_ptr<Work>(work);
  ++threads;
  pthread_sigmask(SIG_SETMASK, &all, &before);
  const int error = pthread_create(&thread, &attributes, run, held);
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  pthread_attr_destroy(&attributes);
  if (error == 0) return 0;
  --threads;
  delete held;
  return error;
}

// For all services together: who holds up one kind of sandbox does so for all that want it.
Patience patience;

bool has_ended(Work *work) {
  const auto start = std::chrono::steady_clock::now();
  std::unique_lock<std::mutex> lock(work->mutex);
  const std::chrono::duration<double, std::milli> limit{patience.limit()};
  const bool is_done = work->has_ended.wait_for(lock, limit, [work] { return work->is_done; });
  const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - start;
  patience.spend(took.count());
  return is_done;
}

// Those that nobody waited for any longer. Whoever makes a path of a service hang is not to have us wait for
// it again with each attempt, nor with each service that names it.
std::vector<std::shared_ptr<Work>> late;

bool is_over(const std::shared_ptr<Work> &work) {
  const std::lock_guard<std::mutex> lock(work->mutex);
  return work->is_done;
}

bool is_among(const std::vector<std::string> &paths, const std::string &path) {
  return std::find(paths.begin(), paths.end(), path) != paths.end();
}

bool names_path(const Work &work, const std::string &path) {
  return is_among(work.mounts.hidden, path) || is_among(work.rules.read_only, path) ||
         is_among(work.rules.read_write, path);
}

unsigned stages_of(const Work &work) {
  const MountWishes &mounts = work.mounts;
  unsigned stages = 0;
  if (work.flags != 0) stages |= kNamespaces;
  if ((work.flags & CLONE_NEWNET) != 0) stages |= kNetwork;
  if (mounts.has_own_tmp) stages |= kOwnTmp;
  if (mounts.has_no_devices) stages |= kOwnDevices;
  if (mounts.has_own_processes) stages |= kOwnProcesses;
  if (!mounts.credentials.folder.empty()) stages |= kCredentials;
  return stages;
}

// It would wait where another one does already.
bool is_held_up(const Work &work) {
  late.erase(std::remove_if(late.begin(), late.end(), is_over), late.end());
  return std::any_of(late.begin(), late.end(), [&work](const std::shared_ptr<Work> &other) {
    const std::string *const path = other->fault.path;
    return path != nullptr ? names_path(work, *path) : (other->fault.stage & stages_of(work)) != 0;
  });
}

using Handle = std::shared_ptr<Sandbox>;

Napi::Value refuse(Napi::Env env, int error, const char *call) {
  throw_system_error(env, error, call);
  return env.Undefined();
}

std::vector<std::string> strings_of(const Napi::Value &value) {
  std::vector<std::string> result;
  const auto array = value.As<Napi::Array>();
  for (uint32_t i = 0; i < array.Length(); ++i) result.push_back(array.Get(i).ToString());
  return result;
}

void read_rules(const Napi::Value &value, Work *work) {
  work->has_rules = value.IsObject();
  if (!work->has_rules) return;
  const auto files = value.As<Napi::Object>();
  work->rules.read_only = strings_of(files.Get("readOnly"));
  work->rules.read_write = strings_of(files.Get("readWrite"));
}

void read_credentials(const Napi::Value &value, Credentials *credentials) {
  if (!value.IsObject()) return;
  const auto from = value.As<Napi::Object>();
  credentials->folder = from.Get("folder").ToString();
  credentials->uid = from.Get("uid").ToNumber().Uint32Value();
  credentials->gid = from.Get("gid").ToNumber().Uint32Value();
  const auto files = from.Get("files").As<Napi::Array>();
  for (uint32_t i = 0; i < files.Length(); ++i) {
    const auto file = files.Get(i).As<Napi::Object>();
    const auto contents = file.Get("contents").As<Napi::Buffer<char>>();
    credentials->files.push_back({file.Get("name").ToString(), {contents.Data(), contents.Length()}});
  }
}

// openSandbox({namespaces, hasOwnTmp, hasNoDevices?, hasOwnProcesses?, hidden: string[], credentials?:
// {folder, uid, gid, files}, files: {readOnly: string[], readWrite: string[]} | null}) → sandbox
Napi::Value OpenSandbox(const Napi::CallbackInfo &info) {
  Napi::Env env = info.Env();
  const auto options = info[0].As<Napi::Object>();
  const auto work = std::make_shared<Work>();
  work->flags = options.Get("namespaces").ToNumber().Int32Value();
  work->mounts.has_own_tmp = options.Get("hasOwnTmp").ToBoolean();
  work->mounts.has_no_devices = options.Get("hasNoDevices").ToBoolean();
  work->mounts.has_own_processes = options.Get("hasOwnProcesses").ToBoolean();
  work->mounts.hidden = strings_of(options.Get("hidden"));
  read_credentials(options.Get("credentials"), &work->mounts.credentials);
  read_rules(options.Get("files"), work.get());
  if (threads >= kMostLate || is_held_up(*work)) return refuse(env, ETIMEDOUT, "unshare");
  const int error = start(work);
  if (error != 0) return refuse(env, error, "clone");
  if (!has_ended(work.get())) {
    late.push_back(work);
    return refuse(env, ETIMEDOUT, "unshare");
  }
  if (!work->fault.call.empty()) return refuse(env, work->fault.error, work->fault.call.c_str());
  auto *held = new Handle(work->made);
  return Napi::External<Handle>::New(env, held, [](Napi::Env, Handle *old) { delete old; });
}

// closeSandbox(sandbox): for children to come; those that are in their set-up still have it.
void CloseSandbox(const Napi::CallbackInfo &info) {
  info[0].As<Napi::External<Handle>>().Data()->reset();
}

// landlockVersion() → 0: there is none
Napi::Value LandlockVersion(const Napi::CallbackInfo &info) {
  return Napi::Number::New(info.Env(), landlock_version());
}

}  // namespace

// The last of a mount namespace takes along what is in its file systems: that may be very much.
Sandbox::~Sandbox() {
  for (const int fd : namespaces) close_later(fd, Kind::kFolder);
  if (ruleset >= 0) close(ruleset);
}

std::shared_ptr<Sandbox> sandbox_of(const Napi::Value &handle) {
  return handle.IsExternal() ? *handle.As<Napi::External<Handle>>().Data() : nullptr;
}

void init_sandbox(Napi::Env env, Napi::Object exports) {
  exports.Set("openSandbox", Napi::Function::New(env, OpenSandbox));
  exports.Set("landlockVersion", Napi::Function::New(env, LandlockVersion));
  exports.Set("closeSandbox", Napi::Function::New(env, CloseSandbox));
}
