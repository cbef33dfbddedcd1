// Processes that are not our children, but descend from us: who is there, whose they are, and signals for
// them. Called by src/child on the main thread, and only when a session is ended by force or stdiod leaves.
//
// What belongs to a process of somebody else may keep us waiting: to read its environment takes a lock of its
// memory, which it can hold for as long as it likes (a page of a file whose server does not answer). So that
// is done aside, and nobody waits for it.
#include "addon.h"
#include "inquiry.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <string>
#include <vector>

namespace {

constexpr size_t kFields = 4;
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

// proc_pid_stat(5); false: it is gone, or dead and not collected, of which there may be very many. The name
// may hold spaces and parentheses: the fields are counted from behind it. The parent is the second of those,
// its process group the third, the start the twentieth.
bool read_process(pid_t pid, Process *process) {
  const std::string text = read_file(folder_of(pid) + "/stat", 1024);
  size_t at = text.rfind(')');
  if (at == std::string::npos || text.compare(at, 3, ") Z") == 0) return false;
  for (int field = 1; field <= 20; ++field) {
    at = text.find(' ', at + 1);
    if (at == std::string::npos) return false;
    if (field == 2) process->parent = static_cast<pid_t>(strtol(&text[at + 1], nullptr, 10));
    if (field == 3) process->group = static_cast<pid_t>(strtol(&text[at + 1], nullptr, 10));
    if (field == 20) process->start = strtod(&text[at + 1], nullptr);
  }
  process->pid = pid;
  return true;
}

// The list that is under way; null: none.
DIR *listed = nullptr;

void end_list() {
  if (listed != nullptr) closedir(listed);
  listed = nullptr;
}

// adoptOrphans() → whether whoever loses its parent among our descendants becomes our child from now on.
Napi::Value AdoptOrphans(const Napi::CallbackInfo &info) {
  return Napi::Boolean::New(info.Env(), prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0);
}

// beginProcesses() → whether there is a list of them.
Napi::Value BeginProcesses(const Napi::CallbackInfo &info) {
  end_list();
  listed = opendir("/proc");
  return Napi::Boolean::New(info.Env(), listed != nullptr);
}

// nextProcesses(records: Float64Array) → how many records were filled; 0: there are no more.
Napi::Value NextProcesses(const Napi::CallbackInfo &info) {
  auto records = info[0].As<Napi::Float64Array>();
  const size_t capacity = records.ElementLength() / kFields;
  size_t count = 0;
  while (listed != nullptr && count < capacity) {
    const dirent *entry = readdir(listed);
    if (entry == nullptr) {
      end_list();
      break;
    }
    const auto pid = static_cast<pid_t>(strtol(entry->d_name, nullptr, 10));
    Process process = {};
    if (pid <= 0 || !read_process(pid, &process)) continue;
    double *record = records.Data() + kFields * count++;
    record[0] = process.pid;
    record[1] = process.parent;
    record[2] = process.group;
    record[3] = process.start;
  }
  return Napi::Number::New(info.Env(), static_cast<double>(count));
}

// The number may be another's by now, or its parent one that is none of ours.
bool is_still(const Process &known) {
  Process now = {};
  return read_process(known.pid, &now) && now.start == known.start &&
         (now.parent == known.parent || now.parent == getpid());
}

// signalProcess(pid, parent, start, signal) → whether it was sent to the process of which these were told.
Napi::Value SignalProcess(const Napi::CallbackInfo &info) {
  const Process known = {info[0].ToNumber().Int32Value(), info[1].ToNumber().Int32Value(), 0,
                         info[2].ToNumber().DoubleValue()};
  const int fd = static_cast<int>(syscall(SYS_pidfd_open, known.pid, 0));
  if (fd < 0) return Napi::Boolean::New(info.Env(), false);
  // In this order: who is looked at is the one whom the descriptor means, or that one is gone.
  const bool is_sent =
      is_still(known) && syscall(SYS_pidfd_send_signal, fd, info[3].ToNumber().Int32Value(), nullptr, 0) == 0;
  close(fd);
  return Napi::Boolean::New(info.Env(), is_sent);
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

std::string read_environment(pid_t pid) {
  const std::string folder = folder_of(pid);
  struct stat owner;
  if (geteuid() != 0 || stat(folder.c_str(), &owner) < 0)
    return read_file(folder + "/environ", kMostEnvironment);
  act_as(owner.st_uid, owner.st_gid);
  const std::string text = read_file(folder + "/environ", kMostEnvironment);
  act_as(0, getegid());
  return text;
}

// `SERVICE\0CONNECTION`, or empty.
std::string name_of(pid_t pid) {
  const std::string environment = read_environment(pid);
  const std::string service = value_of(environment, "STDIOD_SERVICE");
  const std::string connection = value_of(environment, "STDIOD_CONNECTION");
  return service.empty() || connection.empty() ? "" : service + '\0' + connection;
}

Inquiry<pid_t, std::string> inquiry;

// askNames(pids: Int32Array): begins to ask these in place of those before.
void AskNames(const Napi::CallbackInfo &info) {
  const auto pids = info[0].As<Napi::Int32Array>();
  inquiry.begin(std::vector<pid_t>(pids.Data(), pids.Data() + pids.ElementLength()), name_of, Kind::kProcess);
}

// namesSoFar() → `SERVICE\0CONNECTION`, or empty, of those who have been asked.
Napi::Value NamesSoFar(const Napi::CallbackInfo &info) {
  Napi::Array names = Napi::Array::New(info.Env());
  uint32_t index = 0;
  for (const std::string &name : inquiry.so_far()) names.Set(index++, Napi::String::New(info.Env(), name));
  return names;
}

}  // namespace

void init_processes(Napi::Env env, Napi::Object exports) {
  exports.Set("adoptOrphans", Napi::Function::New(env, AdoptOrphans));
  exports.Set("beginProcesses", Napi::Function::New(env, BeginProcesses));
  exports.Set("nextProcesses", Napi::Function::New(env, NextProcesses));
  exports.Set("processFields", static_cast<double>(kFields));
  exports.Set("signalProcess", Napi::Function::New(env, SignalProcess));
  exports.Set("askNames", Napi::Function::New(env, AskNames));
  exports.Set("namesSoFar", Napi::Function::New(env, NamesSoFar));
}
