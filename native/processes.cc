// Processes that are not our children, but descend from us: who is there, whose they are, and signals for
// them. Called by src/child on the main thread, and only when a session is ended by force or stdiod leaves.
//
// None of that is done on the main thread. Who looks up a process waits for the lock of the folder of all of
// them, which any user can hold (who reads it into a page that does not come); and what belongs to a process
// of somebody else has locks of its own: to read its environment takes one of its memory. One thread lists
// and signals, in the order in which it is asked, and others read environments; nobody waits for them.
#include "addon.h"
#include "inquiry.h"
#include "worker.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

namespace {

constexpr size_t kFields = 4;
// Of those who are to be signalled: pid and start.
constexpr size_t kSignalFields = 2;
// Of a process whose first one has ended, until one tells the environment.
constexpr size_t kMostThreads = 16;
// Lists and signals.
constexpr size_t kMostWaiting = 1024;
// The facts of a connection come first in an environment (native/spawn.cc); a program may have put others
// before them.
constexpr size_t kMostEnvironment = 64 * 1024;

struct Process {
  pid_t pid;
  pid_t parent;
  pid_t group;
  // Ticks since boot, which no other process of that pid shares.
  double start;
};

// At most `most` bytes; empty: it is gone, or not for us to read.
std::string read_file(const std::string &path, size_t most) {
  std::string text;
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return text;
  char piece[4096];
  while (text.size() < most) {
    const ssize_t length = read(fd, piece, sizeof piece);
    if (length <= 0) break;
    text.append(piece, static_cast<size_t>(length));
  }
  close(fd);
  return text;
}

std::string folder_of(pid_t pid) {
  return "/proc/" + std::to_string(pid);
}

// proc_pid_stat(5), from behind the name, which may hold spaces and parentheses: the state is the first.
constexpr size_t kParent = 2;
constexpr size_t kGroup = 3;
constexpr size_t kThreads = 18;
constexpr size_t kStart = 20;

// False: it is gone, or dead and not collected, of which there may be very many. One whose first thread has
// ended looks dead as well, and has others.
bool read_process(pid_t pid, Process *process) {
  const std::string text = read_file(folder_of(pid) + "/stat", 1024);
  size_t at = text.rfind(')');
  if (at == std::string::npos) return false;
  const bool looks_dead = text.compare(at, 3, ") Z") == 0;
  for (size_t field = 1; field <= kStart; ++field) {
    at = text.find(' ', at + 1);
    if (at == std::string::npos) return false;
    const char *value = &text[at + 1];
    if (field == kParent) process->parent = static_cast<pid_t>(strtol(value, nullptr, 10));
    if (field == kGroup) process->group = static_cast<pid_t>(strtol(value, nullptr, 10));
    if (field == kThreads && looks_dead && strtol(value, nullptr, 10) <= 1) return false;
    if (field == kStart) process->start = strtod(value, nullptr);
  }
  process->pid = pid;
  return true;
}

Worker &worker() {
  static auto *only = new Worker(kMostWaiting);
  return *only;
}

struct Census {
  std::mutex mutex;
  bool is_under_way = false;
  // The last one's, until they are taken.
  bool is_there = false;
  std::vector<double> records;
  // Of a processor.
  double took_ms = 0;
};

// Never destroyed: the thread outlives main's end.
Census &census() {
  static auto *only = new Census();
  return *only;
}

std::vector<double> list_processes() {
  std::vector<double> records;
  DIR *listed = opendir("/proc");
  if (listed == nullptr) return records;
  while (const dirent *entry = readdir(listed)) {
    const auto pid = static_cast<pid_t>(strtol(entry->d_name, nullptr, 10));
    Process process = {};
    if (pid <= 0 || !read_process(pid, &process)) continue;
    for (const double field : {static_cast<double>(process.pid), static_cast<double>(process.parent),
                               static_cast<double>(process.group), process.start})
      records.push_back(field);
  }
  closedir(listed);
  return records;
}

double own_cpu_ms() {
  timespec now = {};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) * 1e3 + static_cast<double>(now.tv_nsec) / 1e6;
}

void take_census() {
  const double before = own_cpu_ms();
  std::vector<double> records = list_processes();
  const std::lock_guard<std::mutex> lock(census().mutex);
  census().records = std::move(records);
  census().took_ms = own_cpu_ms() - before;
  census().is_there = true;
  census().is_under_way = false;
}

// adoptOrphans() → whether whoever loses its parent among our descendants becomes our child from now on.
Napi::Value AdoptOrphans(const Napi::CallbackInfo &info) {
  return Napi::Boolean::New(info.Env(), prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0);
}

// beginCensus() → whether one is under way, which begins after this call.
Napi::Value BeginCensus(const Napi::CallbackInfo &info) {
  const std::lock_guard<std::mutex> lock(census().mutex);
  if (census().is_under_way) return Napi::Boolean::New(info.Env(), false);
  census().is_there = false;
  census().is_under_way = worker().give(take_census);
  return Napi::Boolean::New(info.Env(), census().is_under_way);
}

// takeCensus() → {records: Float64Array, tookMs} of the one that was begun, once; null: it is under way
// still.
Napi::Value TakeCensus(const Napi::CallbackInfo &info) {
  Napi::Env env = info.Env();
  const std::lock_guard<std::mutex> lock(census().mutex);
  if (!census().is_there) return env.Null();
  census().is_there = false;
  const std::vector<double> found = std::move(census().records);
  Napi::Float64Array records = Napi::Float64Array::New(env, found.size());
  std::copy(found.begin(), found.end(), records.Data());
  Napi::Object result = Napi::Object::New(env);
  result.Set("records", records);
  result.Set("tookMs", census().took_ms);
  return result;
}

// The number may be another's by now. Its parent may have changed: to us, or to one of its session that
// takes in orphans.
bool is_still(const Process &known) {
  Process now = {};
  return read_process(known.pid, &now) && now.start == known.start;
}

void signal_process(const Process &known, int signal) {
  const int fd = static_cast<int>(syscall(SYS_pidfd_open, known.pid, 0));
  if (fd < 0) return;
  // In this order: who is looked at is the one whom the descriptor means, or that one is gone.
  if (is_still(known)) syscall(SYS_pidfd_send_signal, fd, signal, nullptr, 0);
  close(fd);
}

// signalProcesses(known: Float64Array, signal) → whether it will be sent, before the next census, to those of
// whom this was told: pid, start.
Napi::Value SignalProcesses(const Napi::CallbackInfo &info) {
  const auto fields = info[0].As<Napi::Float64Array>();
  const int signal = info[1].ToNumber().Int32Value();
  std::vector<Process> known;
  for (size_t at = 0; at + kSignalFields <= fields.ElementLength(); at += kSignalFields)
    known.push_back({static_cast<pid_t>(fields[at]), 0, 0, fields[at + 1]});
  const bool is_given = worker().give([known = std::move(known), signal] {
    for (const Process &each : known) signal_process(each, signal);
  });
  return Napi::Boolean::New(info.Env(), is_given);
}

// --- Names ---

std::string value_of(const std::string &environment, const std::string &name) {
  const std::string begin = name + "=";
  size_t at = 0;
  while (environment.compare(at, begin.size(), begin) != 0) {
    at = environment.find('\0', at);
    if (at == std::string::npos || ++at >= environment.size()) return "";
  }
  return environment.c_str() + at + begin.size();
}

// Without CAP_SYS_PTRACE root may read the environment of nobody but root. Of this thread alone.
void act_as(uid_t uid, gid_t gid) {
  syscall(SYS_setfsgid, gid);
  syscall(SYS_setfsuid, uid);
}

// The first thread may have ended; any other has the same environment.
std::string environment_in(const std::string &folder, pid_t pid) {
  std::string text = read_file(folder + "/environ", kMostEnvironment);
  if (!text.empty()) return text;
  DIR *listed = opendir((folder + "/task").c_str());
  if (listed == nullptr) return text;
  const dirent *entry = readdir(listed);
  for (size_t tries = 0; entry != nullptr && text.empty() && tries < kMostThreads; entry = readdir(listed)) {
    const auto thread = static_cast<pid_t>(strtol(entry->d_name, nullptr, 10));
    if (thread <= 0 || thread == pid) continue;
    text = read_file(folder + "/task/" + entry->d_name + "/environ", kMostEnvironment);
    ++tries;
  }
  closedir(listed);
  return text;
}

std::string read_environment(pid_t pid, const struct stat &owner) {
  const std::string folder = folder_of(pid);
  if (geteuid() != 0) return environment_in(folder, pid);
  act_as(owner.st_uid, owner.st_gid);
  const std::string text = environment_in(folder, pid);
  act_as(0, getegid());
  return text;
}

// `SERVICE\0CONNECTION\0UID`, or empty. Anybody may say the first two of themselves, and nobody the third:
// the folder is the effective user's, whatever the rights to what is in it.
std::string name_of(pid_t pid) {
  struct stat owner;
  if (stat(folder_of(pid).c_str(), &owner) < 0) return "";
  const std::string environment = read_environment(pid, owner);
  const std::string service = value_of(environment, "STDIOD_SERVICE");
  const std::string connection = value_of(environment, "STDIOD_CONNECTION");
  if (service.empty() || connection.empty()) return "";
  return service + '\0' + connection + '\0' + std::to_string(owner.st_uid);
}

Inquiry<pid_t, std::string> inquiry;

// askNames(pids: Int32Array): begins to ask these in place of those before.
void AskNames(const Napi::CallbackInfo &info) {
  const auto pids = info[0].As<Napi::Int32Array>();
  inquiry.begin(std::vector<pid_t>(pids.Data(), pids.Data() + pids.ElementLength()), name_of, Kind::kProcess);
}

// namesSoFar() → `SERVICE\0CONNECTION\0UID`, or empty, of those who have been asked.
Napi::Value NamesSoFar(const Napi::CallbackInfo &info) {
  Napi::Array names = Napi::Array::New(info.Env());
  uint32_t index = 0;
  for (const std::string &name : inquiry.so_far()) names.Set(index++, Napi::String::New(info.Env(), name));
  return names;
}

}  // namespace

void init_processes(Napi::Env env, Napi::Object exports) {
  exports.Set("adoptOrphans", Napi::Function::New(env, AdoptOrphans));
  exports.Set("beginCensus", Napi::Function::New(env, BeginCensus));
  exports.Set("takeCensus", Napi::Function::New(env, TakeCensus));
  exports.Set("processFields", static_cast<double>(kFields));
  exports.Set("signalProcesses", Napi::Function::New(env, SignalProcesses));
  exports.Set("askNames", Napi::Function::New(env, AskNames));
  exports.Set("namesSoFar", Napi::Function::New(env, NamesSoFar));
}
