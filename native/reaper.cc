// Collects exit statuses. Called by src/child on the main thread.
//
// wait4(-1) walks the list of all our children until it finds a dead one: 0.3 µs with one child alive, 100 µs
// with 5,000. So the SIGCHLD handler notes which pid died (wait4 of one pid is a table look-up), and
// JavaScript decides when to walk the list, and for how long. The walk cannot be left out: signals that
// arrive together are merged into one, which names one pid. Nor may it go on for as long as somebody dies: a
// child's clone(CLONE_PARENT) makes strangers ours, who may come, go and stay in any number.
#include "addon.h"
#include "error.h"
#include "spawn.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <uv.h>

#include <algorithm>
#include <atomic>

namespace {

constexpr uint32_t kAnnounced = 1024;
constexpr size_t kFields = 15;
// Blocks of getrusage(2).
constexpr double kBlock = 512;

struct Reaper {
  Napi::Env env;
  uv_async_t wake;
  Napi::AsyncContext context;
  Napi::FunctionReference on_exit;
};

// One per process, as the disposition of SIGCHLD is; written before the handler is installed.
Reaper *reaper = nullptr;

// Written by the handler, which may run on any thread, even on two at once; 0 is a place not yet (or no
// longer) filled.
std::atomic<pid_t> announced[kAnnounced];
std::atomic<uint32_t> announced_end{0};
uint32_t announced_begin = 0;

void on_sigchld(int, siginfo_t *info, void *) {
  const int error = errno;
  const uint32_t place = announced_end.fetch_add(1);
  announced[place % kAnnounced].store(info->si_pid);
  uv_async_send(&reaper->wake);
  errno = error;
}

void on_wake(uv_async_t *) {
  Napi::HandleScope scope(reaper->env);
  reaper->on_exit.MakeCallback(reaper->env.Global(), {}, reaper->context);
  if (reaper->env.IsExceptionPending()) {
    napi_fatal_exception(reaper->env, reaper->env.GetAndClearPendingException().Value());
  }
}

// The next announced pid before `end`, or 0.
pid_t take_announced(uint32_t end) {
  while (announced_begin != end) {
    const pid_t pid = announced[announced_begin++ % kAnnounced].exchange(0);
    if (pid > 0) return pid;
  }
  return 0;
}

double seconds(const timeval &time) {
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
}

// One record: pid (0: wait4 failed), exit status (-1: a signal), signal (0: none), user CPU seconds, peak RSS
// in KiB, failed step, its errno; system CPU seconds, whether it left a core, page faults without and with a
// read, switches of its own and forced ones, bytes read from and written to disks.
void write_record(double *record, pid_t pid, int status, const rusage &usage) {
  const SpawnFailure failure = settle_child(pid);
  record[0] = pid;
  record[1] = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  record[2] = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
  record[3] = seconds(usage.ru_utime);
  record[4] = static_cast<double>(usage.ru_maxrss);
  record[5] = failure.step;
  record[6] = failure.error;
  record[7] = seconds(usage.ru_stime);
  record[8] = WIFSIGNALED(status) && WCOREDUMP(status);
  record[9] = static_cast<double>(usage.ru_minflt);
  record[10] = static_cast<double>(usage.ru_majflt);
  record[11] = static_cast<double>(usage.ru_nvcsw);
  record[12] = static_cast<double>(usage.ru_nivcsw);
  record[13] = static_cast<double>(usage.ru_inblock) * kBlock;
  record[14] = static_cast<double>(usage.ru_oublock) * kBlock;
}

enum class Look { kNobody, kChild, kFailure };

// ECHILD means that it was announced twice, or that there is none at all.
Look collect(pid_t which, double *record) {
  int status = 0;
  rusage usage;
  const pid_t pid = wait4(which, &status, WNOHANG, &usage);
  if (pid > 0) write_record(record, pid, status, usage);
  if (pid > 0) return Look::kChild;
  if (pid == 0 || errno == ECHILD) return Look::kNobody;
  std::fill_n(record, kFields, 0);
  return Look::kFailure;
}

// What a slow consumer let the ring overwrite is found by the next walk; who is announced meanwhile, by the
// next call.
size_t reap_announced(double *records, size_t capacity) {
  const uint32_t end = announced_end.load();
  if (end - announced_begin > kAnnounced) announced_begin = end - kAnnounced;
  size_t count = 0;
  while (count < capacity) {
    const pid_t pid = take_announced(end);
    if (pid == 0) break;
    if (collect(pid, records + count * kFields) != Look::kNobody) ++count;
  }
  return count;
}

// Found alive this often, a child is one that lives long: its end will be announced, or found by a walk.
constexpr int kMostLooks = 8;

size_t reap_recent(double *records, size_t capacity) {
  size_t count = 0;
  for (RecentChild &recent : recent_children) {
    if (count == capacity) break;
    if (recent.pid == 0) continue;
    const Look look = collect(recent.pid, records + count * kFields);
    if (look != Look::kNobody) ++count;
    if (look == Look::kChild || ++recent.looks == kMostLooks) recent.pid = 0;
  }
  return count;
}

size_t reap_likely(double *records, size_t capacity) {
  const size_t count = reap_announced(records, capacity);
  return count + reap_recent(records + count * kFields, capacity - count);
}

size_t reap_walk(double *records, size_t capacity, uint64_t end_ns) {
  size_t count = 0;
  while (count < capacity) {
    const Look look = collect(-1, records + count * kFields);
    if (look != Look::kChild) return count + (look == Look::kFailure ? 1 : 0);
    ++count;
    if (uv_hrtime() >= end_ns) break;
  }
  return count;
}

// 0 and negative numbers would be groups of processes, or everyone.
size_t reap_these(double *records, size_t capacity, const int32_t *pids, size_t length) {
  size_t count = 0;
  for (size_t i = 0; i < length && count < capacity; ++i) {
    if (pids[i] > 0 && collect(pids[i], records + count * kFields) != Look::kNobody) ++count;
  }
  return count;
}

// openReaper(onExit): onExit is called after children have died, once for many.
void OpenReaper(const Napi::CallbackInfo &info) {
  Napi::Env env = info.Env();
  if (reaper != nullptr) {
    throw_system_error(env, EBUSY, "sigaction");
    return;
  }
  reaper = new Reaper{
      env, {}, Napi::AsyncContext(env, "stdiod:reaper"), Napi::Persistent(info[0].As<Napi::Function>())};
  uv_loop_t *loop = nullptr;
  napi_get_uv_event_loop(env, &loop);
  uv_async_init(loop, &reaper->wake, on_wake);
  struct sigaction action;
  memset(&action, 0, sizeof action);
  action.sa_sigaction = on_sigchld;
  action.sa_flags = SA_SIGINFO | SA_RESTART | SA_NOCLDSTOP | SA_ONSTACK;
  sigfillset(&action.sa_mask);
  if (sigaction(SIGCHLD, &action, nullptr) < 0) throw_system_error(env, errno, "sigaction");
}

// Where the records go; no data: an exception is pending.
struct Room {
  double *records;
  size_t capacity;
};

Room room_in(const Napi::CallbackInfo &info) {
  const Napi::Value value = info[0];
  if (!value.IsTypedArray() || value.As<Napi::TypedArray>().TypedArrayType() != napi_float64_array) {
    Napi::TypeError::New(info.Env(), "records is no Float64Array").ThrowAsJavaScriptException();
    return Room{nullptr, 0};
  }
  auto records = value.As<Napi::Float64Array>();
  return Room{records.Data(), records.ElementLength() / kFields};
}

Napi::Value number(const Napi::CallbackInfo &info, size_t count) {
  return Napi::Number::New(info.Env(), static_cast<double>(count));
}

// reap(records: Float64Array) → how many were collected of those who were announced or spawned last.
Napi::Value Reap(const Napi::CallbackInfo &info) {
  const Room room = room_in(info);
  return number(info, reap_likely(room.records, room.capacity));
}

// reapWalk(records: Float64Array, limitMs) → how many were collected, whoever they are; ends with the first
// that is found when the time is over.
Napi::Value ReapWalk(const Napi::CallbackInfo &info) {
  const Room room = room_in(info);
  const double limit_ns = info[1].As<Napi::Number>().DoubleValue() * 1e6;
  return number(info, reap_walk(room.records, room.capacity, uv_hrtime() + static_cast<uint64_t>(limit_ns)));
}

// reapThese(records: Float64Array, pids: Int32Array) → how many were collected.
Napi::Value ReapThese(const Napi::CallbackInfo &info) {
  const Room room = room_in(info);
  auto pids = info[1].As<Napi::Int32Array>();
  return number(info, reap_these(room.records, room.capacity, pids.Data(), pids.ElementLength()));
}

}  // namespace

void init_reaper(Napi::Env env, Napi::Object exports) {
  exports.Set("openReaper", Napi::Function::New(env, OpenReaper));
  exports.Set("reap", Napi::Function::New(env, Reap));
  exports.Set("reapWalk", Napi::Function::New(env, ReapWalk));
  exports.Set("reapThese", Napi::Function::New(env, ReapThese));
  exports.Set("reapFields", static_cast<double>(kFields));
}
