// The parent's half of creating a child: slots, clone, and the close of the parent's copy of the
// connection. Called by src/child on the main thread only; native/child.cc is the other half.
//
// A slot is what one child borrows between clone and exec: a stack, an argument block, a report. With
// CLONE_VM the kernel zeroes the report's tid when the child execs or dies, and only then may the slot be
// lent again. With CLONE_FILES the child starts on our own descriptor table, so our copy of the connection
// stays open until the child says that it has a table of its own. Both are seen by `sweep`, in every
// turn of the event loop while a slot is out.
#include "spawn.h"

#include "addon.h"
#include "aside.h"
#include "child.h"
#include "clone-into.h"
#include "closers.h"
#include "descriptor.h"
#include "error.h"
#include "plan.h"
#include "scores.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <uv.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

namespace {

constexpr size_t kPage = 4096;
constexpr size_t kSlotSize = 8 * kPage;  // a guard page, the stack, and the report at the top
// Children that may wait long for a process of their user to end. They are processes of that user too: with
// more of them the limit would be reached by those who wait for it, and nobody be served.
constexpr size_t kMostPatient = 4;
constexpr uint64_t kFirstWaitMs = 1;
constexpr uint64_t kLongestWaitMs = 128;

struct Slot {
  // Shared memory, so that a plain fork can report too.
  ChildReport *report;
  // Below the report: its lowest byte, above the guard page.
  void *stack;
  size_t stack_size;
  ChildTask task;
  // Words and folder of this child alone, where the plan has placeholders.
  std::string words;
  std::vector<const char *> argv;
  std::string directory;
  // Kept until the slot is free: a reload may drop the plan while the child still reads it.
  std::shared_ptr<Plan> plan;
  // The plan's, for as long as the child may join it; null: it has none.
  std::shared_ptr<Sandbox> sandbox;
  // A copy of its ruleset with a low number, so that it is in the part of the table that the child copies.
  int ruleset = -1;
  std::string facts;
  std::string listen_pid;
  std::vector<const char *> envp;
  pid_t pid;
  // It has the plan's score, or there is none.
  bool is_scored = true;
  // CLOCK_MONOTONIC.
  uint64_t cloned_ns;
  // Our copy of what the child was given, -1 once it is closed. Of what is lent a copy is made for the child:
  // whoever lends it may close theirs at any time, even before the child has a table of its own.
  int connection;
  // Of the pipe that this child alone has as fd 2; -1: none.
  int error_pipe = -1;
  // Of a parked child: its end of its control socket; -1: none.
  int control = -1;
};

struct Spawner {
  std::vector<Slot *> free;
  std::vector<Slot *> busy;
  // Without CLONE_VM and CLONE_FILES: for tests that compare.
  bool plain_fork = false;
  uv_check_t check;
  uv_timer_t timer;
  // The timer's.
  uint64_t wait_ms = 0;
  bool has_handles = false;
};

Spawner spawner;

// A child that may run out of its group's memory has its own: whom the kernel ends for it, it ends with
// everybody who shares the memory, and before exec that is us.
bool has_own_memory(const Plan &plan) {
  return spawner.plain_fork || plan.is_apart;
}

// --- Slots ---

Slot *make_slot() {
  void *memory = mmap(nullptr, kSlotSize, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return nullptr;
  if (mprotect(memory, kPage, PROT_NONE) < 0) {
    munmap(memory, kSlotSize);
    return nullptr;
  }
  auto *slot = new Slot{};
  auto top = reinterpret_cast<uintptr_t>(memory) + kSlotSize - sizeof(ChildReport);
  slot->report = reinterpret_cast<ChildReport *>(top & ~static_cast<uintptr_t>(63));
  slot->stack = static_cast<char *>(memory) + kPage;
  slot->stack_size = reinterpret_cast<uintptr_t>(slot->report) - reinterpret_cast<uintptr_t>(slot->stack);
  return slot;
}

// Unix sockets take messages that carry others along. What is no socket is treated as one.
bool has_queue(int fd) {
  const int family = family_of(fd);
  return family == AF_UNIX || family == AF_UNSPEC;
}

// As long as the child has not reached its program it has this end too, and ours is not the last.
void close_end(int *fd, bool is_child_ours) {
  if (*fd < 0) return;
  if (is_child_ours)
    close(*fd);
  else
    close_later(*fd, Kind::kPipe);
  *fd = -1;
}

// Ours may be the last reference: of a socket that the program has told to linger, or has put into an epoll
// set whose lock somebody holds; or of one with a queue into which its client has put such a socket. Even
// where the child has not reached its program yet it may have done so, and be gone, before our close is
// through.
void close_connection(Slot *slot, bool is_child_ours, std::vector<Given> *closing) {
  close_end(&slot->error_pipe, is_child_ours);
  close_end(&slot->control, is_child_ours);
  if (slot->ruleset >= 0) close(slot->ruleset);
  slot->ruleset = -1;
  if (slot->connection < 0) return;
  const int connection = slot->connection;
  slot->connection = -1;
  if (!slot->plan->view.is_lent && has_queue(connection))
    end_later(connection, [connection] { close(connection); });
  else
    closing->push_back({connection, slot->plan->user});
}

void free_slot(Slot *slot, std::vector<Given> *closing) {
  close_connection(slot, false, closing);
  slot->plan.reset();
  slot->sandbox.reset();
  slot->pid = 0;
  spawner.free.push_back(slot);
}

void free_now(Slot *slot) {
  std::vector<Given> closing;
  free_slot(slot, &closing);
  close_later(closing);
}

bool has_left(const Slot *slot) {
  return __atomic_load_n(&slot->report->tid, __ATOMIC_ACQUIRE) == 0;
}

bool is_unshared(const Slot *slot) {
  return __atomic_load_n(&slot->report->unshared, __ATOMIC_ACQUIRE) != 0;
}

// A child that failed keeps its slot until it is reaped, because the slot has the reason.
bool has_failed(const Slot *slot) {
  return __atomic_load_n(&slot->report->step, __ATOMIC_ACQUIRE) != kOpNone;
}

bool wants_score(const Slot *slot) {
  return !slot->is_scored;
}

// After its exec: before, the kernel gives it to every process that shares the memory, and that is us.
void score(Slot *slot) {
  if (!wants_score(slot) || has_failed(slot)) return;
  if (has_left(slot) || has_own_memory(*slot->plan))
    slot->is_scored = give_score(slot->pid, slot->plan->oom_score);
}

// Closes the connections and frees the slots that children have let go of; returns whether somebody has to
// come back soon: a connection is still open, or a child waits for its score.
bool sweep() {
  std::vector<Given> closing;
  bool is_open = false;
  size_t kept = 0;
  for (Slot *slot : spawner.busy) {
    const bool left = has_left(slot);
    if (left || is_unshared(slot)) close_connection(slot, !left, &closing);
    score(slot);
    if (left && !has_failed(slot) && !wants_score(slot)) {
      free_slot(slot, &closing);
      continue;
    }
    is_open = is_open || slot->connection >= 0 || (!has_failed(slot) && wants_score(slot));
    spawner.busy[kept++] = slot;
  }
  spawner.busy.resize(kept);
  close_later(closing);
  return is_open;
}

Slot *take_slot() {
  if (spawner.free.empty()) sweep();
  if (spawner.free.empty()) return make_slot();
  Slot *slot = spawner.free.back();
  spawner.free.pop_back();
  return slot;
}

// --- The event loop's part ---

void on_timer(uv_timer_t *);

void wait_at_most(uint64_t ms) {
  spawner.wait_ms = ms;
  uv_timer_start(&spawner.timer, on_timer, ms, 0);
}

// The turns of a busy loop are enough. In a quiet one the timer makes turns, or our copy of a connection
// would stay open until something else happens, and its client would not see its end. It sweeps by itself:
// timers run after checks.
void on_check(uv_check_t *) {
  if (!sweep()) uv_timer_stop(&spawner.timer);
  if (spawner.busy.empty()) uv_check_stop(&spawner.check);
}

// A child that is stopped in its set-up is waited for with patience.
void on_timer(uv_timer_t *) {
  if (sweep()) wait_at_most(std::min(2 * spawner.wait_ms, kLongestWaitMs));
}

void start_sweeping(Napi::Env env) {
  if (!spawner.has_handles) {
    uv_loop_t *loop = nullptr;
    napi_get_uv_event_loop(env, &loop);
    uv_check_init(loop, &spawner.check);
    uv_timer_init(loop, &spawner.timer);
    uv_unref(reinterpret_cast<uv_handle_t *>(&spawner.check));
    spawner.has_handles = true;
  }
  uv_check_start(&spawner.check, on_check);
  wait_at_most(kFirstWaitMs);
}

// --- Spawning ---

// Copies text into the slot; keeps its memory from one child to the next.
void copy_text(Napi::Env env, napi_value value, std::string *text) {
  size_t length = 0;
  napi_get_value_string_utf8(env, value, nullptr, 0, &length);
  text->resize(length + 1);
  napi_get_value_string_utf8(env, value, &(*text)[0], length + 1, &length);
  text->resize(length);
}

// `A\0B\0` → pointers to A and B.
void split(std::string *text, std::vector<const char *> *words) {
  words->clear();
  for (size_t at = 0; at < text->size(); at += std::char_traits<char>::length(&(*text)[at]) + 1) {
    words->push_back(&(*text)[at]);
  }
}

const std::string kListenPid = "LISTEN_PID=";

// Facts of the connection first (`A=1\0B=2\0`, copied into the slot), then the plan's own variables.
void lay_out_environment(Slot *slot, Napi::Env env, napi_value facts) {
  copy_text(env, facts, &slot->facts);
  split(&slot->facts, &slot->envp);
  if (slot->plan->view.is_lent) {
    slot->listen_pid = kListenPid + std::string(kPidDigits, '0');
    slot->envp.push_back(slot->listen_pid.c_str());
  }
  for (const std::string &variable : slot->plan->variables) slot->envp.push_back(variable.c_str());
  slot->envp.push_back(nullptr);
}

// The plan's own words and folder, or those that the caller filled in for this child.
void lay_out_words(Slot *slot, Napi::Env env, const Napi::Value &words, const Napi::Value &directory) {
  slot->argv.clear();
  if (!words.IsString()) return;
  copy_text(env, words, &slot->words);
  split(&slot->words, &slot->argv);
  slot->argv.push_back(nullptr);
  copy_text(env, directory, &slot->directory);
}

void lay_out_descriptors(Slot *slot) {
  const bool is_blind = slot->plan->is_blind;
  const int own = is_blind ? slot->plan->stderr_fd : slot->connection;
  const int error_fd = slot->error_pipe >= 0 ? slot->error_pipe : slot->plan->stderr_fd;
  slot->task.fds[0] = slot->task.fds[1] = slot->task.fds[3] = own;
  slot->task.fds[2] = error_fd >= 0 ? error_fd : own;
  if (is_blind) slot->task.fds[1] = error_fd;
  if (slot->plan->is_parked) slot->task.fds[3] = slot->control;
  slot->task.fd_count = slot->plan->view.is_lent || slot->plan->is_parked ? 4 : 3;
  slot->task.ruleset = slot->ruleset;
  slot->task.highest = std::max({own, error_fd, slot->control, slot->ruleset});
}

void lay_out_namespaces(Slot *slot) {
  const Sandbox *sandbox = slot->sandbox.get();
  slot->task.namespaces = sandbox == nullptr ? nullptr : sandbox->namespaces.data();
  slot->task.namespace_count = sandbox == nullptr ? 0 : sandbox->namespaces.size();
}

void lay_out_task(Slot *slot) {
  const bool is_own = !slot->argv.empty();
  slot->task.plan = &slot->plan->view;
  slot->task.argv = is_own ? slot->argv.data() : slot->plan->argv.data();
  slot->task.directory = is_own ? slot->directory.c_str() : slot->plan->directory.c_str();
  slot->task.envp = slot->envp.data();
  slot->task.tries = spawner.busy.size() < kMostPatient ? kManyTries : kFewTries;
  slot->task.pid_text = slot->plan->view.is_lent ? &slot->listen_pid[kListenPid.size()] : nullptr;
  slot->task.report = slot->report;
}

int flags_of(const Plan &plan) {
  const int sharing = has_own_memory(plan) ? 0 : CLONE_VM | CLONE_FILES;
  return sharing | plan.clone_flags | CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID;
}

// @param group of the folder of its control group; -1: it stays in ours
pid_t start_child(Slot *slot, int group) {
  const int flags = flags_of(*slot->plan);
  pid_t *tid = &slot->report->tid;
  if (group < 0) return clone(child_main, slot->report, flags | SIGCHLD, &slot->task, nullptr, nullptr, tid);
  const CloneInto how = {flags, slot->stack, slot->stack_size, group, tid};
  return clone_into(how, child_main, &slot->task);
}

pid_t clone_child(Slot *slot, int group) {
  *slot->report = ChildReport{-1, 0, kOpNone, 0};
  // A signal that came to the child before it has reset them would run libuv's handler on our memory.
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  const pid_t pid = start_child(slot, group);
  const int error = errno;
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  errno = error;
  return pid;
}

void remember(pid_t pid) {
  static size_t next = 0;
  recent_children[next++ % kRecent] = RecentChild{pid, 0};
}

// Gives the slot back; the connection is still the caller's.
void give_up(Napi::Env env, Slot *slot, const char *syscall) {
  const int error = errno;
  if (!slot->plan->view.is_lent) slot->connection = -1;
  slot->error_pipe = slot->control = -1;
  free_now(slot);
  throw_system_error(env, error, syscall);
}

// Null, or the call that failed: one that was closed with its service is not to be had again.
const char *take_sandbox(Slot *slot) {
  if (!slot->plan->has_sandbox) return nullptr;
  slot->sandbox = slot->plan->sandbox.lock();
  if (slot->sandbox == nullptr) {
    errno = ENOENT;
    return "setns";
  }
  if (slot->sandbox->ruleset < 0) return nullptr;
  slot->ruleset = fcntl(slot->sandbox->ruleset, F_DUPFD_CLOEXEC, kMostFds);
  return slot->ruleset < 0 ? "fcntl" : nullptr;
}

// Whether the slot has what its child is to have as fd 0: of what is lent a copy, of a blind one nothing.
bool take_connection(Slot *slot, int fd) {
  slot->connection = slot->plan->view.is_lent ? fcntl(fd, F_DUPFD_CLOEXEC, kMostFds) : fd;
  if (slot->plan->is_blind) slot->connection = -1;
  return slot->connection >= 0 || slot->plan->is_blind;
}

int number_or_none(const Napi::Value &value) {
  return value.IsNumber() ? value.As<Napi::Number>().Int32Value() : -1;
}

// spawn(plan, {fd, facts, words?, directory?, errorPipe?, control?, group?}) → pid. Takes the descriptors on
// success, but for that of the group, and for `fd` where the plan is for `wait` or a blind one; after a throw
// it is still the caller's.
Napi::Value Spawn(const Napi::CallbackInfo &info) {
  Napi::Env env = info.Env();
  const auto start = info[1].As<Napi::Object>();
  Slot *slot = take_slot();
  if (slot == nullptr) {
    throw_system_error(env, ENOMEM, "mmap");
    return env.Undefined();
  }
  slot->plan = plan_of(info[0]);
  const int fd = start.Get("fd").As<Napi::Number>().Int32Value();
  if (!take_connection(slot, fd)) {
    give_up(env, slot, "fcntl");
    return env.Undefined();
  }
  slot->error_pipe = number_or_none(start.Get("errorPipe"));
  slot->control = number_or_none(start.Get("control"));
  const char *failed = take_sandbox(slot);
  if (failed != nullptr) {
    give_up(env, slot, failed);
    return env.Undefined();
  }
  lay_out_environment(slot, env, start.Get("facts"));
  lay_out_words(slot, env, start.Get("words"), start.Get("directory"));
  lay_out_descriptors(slot);
  lay_out_namespaces(slot);
  lay_out_task(slot);
  if (slot->plan->view.is_lent) note_borrower(slot->connection, slot->plan->user);
  slot->cloned_ns = uv_hrtime();
  const bool has_group = slot->plan->has_group;
  slot->pid = clone_child(slot, has_group ? start.Get("group").ToNumber().Int32Value() : -1);
  if (slot->pid < 0) {
    give_up(env, slot, has_group ? "clone3" : "clone");
    return env.Undefined();
  }
  slot->is_scored = slot->plan->oom_score == kNoScore;
  // A plain fork has a memory of its own, and the kernel does not say when it leaves that.
  score(slot);
  spawner.busy.push_back(slot);
  remember(slot->pid);
  start_sweeping(env);
  return Napi::Number::New(env, slot->pid);
}

// letGo(plan, fd): our copy of a connection that a child of the plan has by now, as of one that it was
// started with.
void LetGo(const Napi::CallbackInfo &info) {
  const int fd = info[1].ToNumber().Int32Value();
  if (has_queue(fd))
    end_later(fd, [fd] { close(fd); });
  else
    close_later({Given{fd, plan_of(info[0])->user}});
}

// A plain fork shares no memory with us whose end the kernel would tell; the last it tells is that it is on
// its way to exec.
bool is_under_way(const Slot *slot) {
  return !has_left(slot) && !(has_own_memory(*slot->plan) && is_unshared(slot));
}

// countInSetup(plan, withinMs) → those of its children that were spawned within that time, and have not
// reached their program. Those who came last stand last.
Napi::Value CountInSetup(const Napi::CallbackInfo &info) {
  const std::shared_ptr<Plan> plan = plan_of(info[0]);
  const uint64_t oldest = uv_hrtime() - static_cast<uint64_t>(info[1].ToNumber().Int64Value()) * 1000000;
  uint32_t count = 0;
  for (auto slot = spawner.busy.rbegin(); slot != spawner.busy.rend() && (*slot)->cloned_ns >= oldest;
       ++slot) {
    if ((*slot)->plan == plan && is_under_way(*slot)) ++count;
  }
  return Napi::Number::New(info.Env(), count);
}

// hasTooManyEndingOf(plan) → whether its next client should wait: of the connections that its user's programs
// have had, too many are still to be closed.
Napi::Value HasTooManyEndingOf(const Napi::CallbackInfo &info) {
  return Napi::Boolean::New(info.Env(), has_too_many_ending_of(plan_of(info[0])->user));
}

// On our memory.
bool is_in_setup(pid_t pid) {
  for (const Slot *slot : spawner.busy) {
    if (slot->pid == pid) return !has_own_memory(*slot->plan);
  }
  return false;
}

// setOomScore(pid, score) → whether it will have it, or need not: never a child before its exec, as `score`
// says.
Napi::Value SetOomScore(const Napi::CallbackInfo &info) {
  const pid_t pid = info[0].ToNumber().Int32Value();
  sweep();
  const bool is_done = is_in_setup(pid) || give_score(pid, info[1].ToNumber().Int32Value());
  return Napi::Boolean::New(info.Env(), is_done);
}

// dropInheritable(): what we were given beyond our ids stays ours. A child has the inheritable set of the
// thread that starts it, and it outlives every exec. The ambient set goes with it.
void DropInheritable(const Napi::CallbackInfo &info) {
  __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct sets[2] = {};
  const bool is_known = syscall(SYS_capget, &header, sets) == 0;
  if (is_known && (sets[0].inheritable | sets[1].inheritable) == 0) return;
  sets[0].inheritable = sets[1].inheritable = 0;
  if (is_known && syscall(SYS_capset, &header, sets) == 0) return;
  throw_system_error(info.Env(), errno, is_known ? "capset" : "capget");
}

// setPlainFork(on)
void SetPlainFork(const Napi::CallbackInfo &info) {
  spawner.plain_fork = info[0].ToBoolean();
}

}  // namespace

RecentChild recent_children[kRecent] = {};

SpawnFailure settle_child(pid_t pid) {
  for (size_t i = 0; i < spawner.busy.size(); ++i) {
    Slot *slot = spawner.busy[i];
    if (slot->pid != pid) continue;
    const SpawnFailure failure = {slot->report->step, slot->report->error};
    spawner.busy.erase(spawner.busy.begin() + static_cast<long>(i));
    free_now(slot);
    return failure;
  }
  return SpawnFailure{kOpNone, 0};
}

void init_spawn(Napi::Env env, Napi::Object exports) {
  exports.Set("spawn", Napi::Function::New(env, Spawn));
  exports.Set("letGo", Napi::Function::New(env, LetGo));
  exports.Set("countInSetup", Napi::Function::New(env, CountInSetup));
  exports.Set("hasTooManyEndingOf", Napi::Function::New(env, HasTooManyEndingOf));
  exports.Set("setOomScore", Napi::Function::New(env, SetOomScore));
  exports.Set("dropInheritable", Napi::Function::New(env, DropInheritable));
  exports.Set("setPlainFork", Napi::Function::New(env, SetPlainFork));
}
