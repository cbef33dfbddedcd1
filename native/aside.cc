// Threads for what could wait in the kernel. A process that holds a socket as well can hold the kernel's lock
// of it for as long as it likes (a send whose page never comes), where even SIGKILL does not help. And to
// close a listener waits for what stands in its queue.
//
// The same goes for a pipe: whoever writes into it holds its lock while their page comes, and to read from it
// or to close one of its ends waits for that, where no signal reaches.
//
// One thread looks, and the main thread waits for it with a limit. One that does not come back is left to
// itself, and another one takes its place. Pipes have a thread of their own, so that whoever holds up those
// does not hold up sockets; and so have folders: who may list one holds its lock while the page comes into
// which the kernel writes the list. What nobody waits for is done by others (closers.h).
//
// How many may be left behind, and how long the main thread waits for sockets, is measured by user: who locks
// what the children of one have takes nothing from the others.
#include "aside.h"

#include "addon.h"
#include "address.h"
#include "descriptor.h"
#include "error.h"
#include "own-thread.h"
#include "patience.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;

// For pipes.
constexpr double kLimitMs = 500;
// Of sockets, of pipes and of folders. With so many of one user, or of all, nothing is tried until one of
// them comes back.
constexpr size_t kMostOfUser[] = {32, 16, 64};
constexpr size_t kMostOfAll[] = {512, 256, 64};
constexpr size_t kLookers = sizeof kMostOfAll / sizeof kMostOfAll[0];
// Whose sockets nobody else has had.
constexpr uid_t kOurs = static_cast<uid_t>(-1);
// Whoever may list a folder; that is not known.
constexpr uid_t kListers = static_cast<uid_t>(-2);

// What is to be looked at; file 0: to be closed.
struct Subject {
  uint64_t file;
  uid_t user;
};

struct Job {
  explicit Job(std::function<void()> what) : work(std::move(what)) {}
  std::function<void()> work;
  // Guarded by the worker's mutex.
  bool is_done = false;
};

struct Worker {
  std::mutex mutex;
  std::condition_variable has_work;
  std::condition_variable has_done;
  std::deque<std::shared_ptr<Job>> queue;
  // Its last job did not end in time: it takes no other one.
  bool is_given_up = false;
  std::atomic<bool> is_stuck{false};
  // What the job that did not end in time is about.
  Subject stuck_on = {0, kOurs};
};

void do_jobs(Worker *worker, Alarm *alarm) {
  std::unique_lock<std::mutex> lock(worker->mutex);
  while (!worker->is_given_up) {
    if (worker->queue.empty()) {
      alarm->set(false);
      worker->has_work.wait(lock, [worker] { return !worker->queue.empty(); });
      alarm->set(true);
    }
    const std::shared_ptr<Job> job = worker->queue.front();
    worker->queue.pop_front();
    lock.unlock();
    job->work();
    lock.lock();
    job->is_done = true;
    worker->has_done.notify_one();
  }
}

void *run_worker(void *argument) {
  std::unique_ptr<std::shared_ptr<Worker>> held(static_cast<std::shared_ptr<Worker> *>(argument));
  Worker *worker = held->get();
  Alarm alarm;
  do_jobs(worker, &alarm);
  worker->is_stuck = false;
  return nullptr;
}

// Null: the system has no thread for us.
std::shared_ptr<Worker> start_worker() {
  auto worker = std::make_shared<Worker>();
  auto *held = new std::shared_ptr<Worker>(worker);
  if (start_thread(run_worker, held)) return worker;
  delete held;
  return nullptr;
}

struct Aside {
  std::shared_ptr<Worker> looker;
  std::vector<std::shared_ptr<Worker>> stuck;
};

// Never destroyed: the threads outlive main's end.
Aside &aside(Kind kind) {
  static auto *all = new Aside[kLookers];
  return all[static_cast<size_t>(kind)];
}

// Whether there is one, after an attempt to start it.
bool has(std::shared_ptr<Worker> *worker) {
  if (*worker == nullptr) *worker = start_worker();
  return *worker != nullptr;
}

// A number may be that of another file the next time. Asks for no lock.
struct stat file_of(int fd) {
  struct stat file;
  if (fd < 0 || fstat(fd, &file) < 0) file = {};
  return file;
}

// Under whom a child has had it, by inode.
std::map<ino_t, uid_t> borrowers;

// A pipe belongs to the user of its child.
Subject subject_of(int fd, Kind kind) {
  const struct stat file = file_of(fd);
  if (kind == Kind::kPipe) return {file.st_ino, file.st_uid};
  const auto borrower = borrowers.find(file.st_ino);
  return {file.st_ino, borrower == borrowers.end() ? kOurs : borrower->second};
}

void forget_returned(std::vector<std::shared_ptr<Worker>> *stuck) {
  const auto is_back = [](const std::shared_ptr<Worker> &worker) { return !worker->is_stuck; };
  stuck->erase(std::remove_if(stuck->begin(), stuck->end(), is_back), stuck->end());
}

bool is_stuck(Kind kind, const Subject &subject) {
  auto &stuck = aside(kind).stuck;
  forget_returned(&stuck);
  size_t of_user = 0;
  for (const auto &worker : stuck) {
    if (subject.file != 0 && worker->stuck_on.file == subject.file) return true;
    if (worker->stuck_on.user == subject.user) of_user += 1;
  }
  return of_user >= kMostOfUser[static_cast<size_t>(kind)] ||
         stuck.size() >= kMostOfAll[static_cast<size_t>(kind)];
}

// For the sockets of a user. A reload or a stop looks at all of them.
std::map<uid_t, Patience> patience;

double ms_since(Clock::time_point start) {
  return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

void give(Worker *worker, std::shared_ptr<Job> job) {
  const std::lock_guard<std::mutex> lock(worker->mutex);
  worker->queue.push_back(std::move(job));
  worker->has_work.notify_one();
}

bool wait_for(Worker *worker, const Job &job, const Subject &subject, double limit_ms) {
  std::unique_lock<std::mutex> lock(worker->mutex);
  const std::chrono::duration<double, std::milli> limit{limit_ms};
  if (worker->has_done.wait_for(lock, limit, [&job] { return job.is_done; })) return true;
  worker->is_given_up = true;
  worker->is_stuck = true;
  worker->stuck_on = subject;
  return false;
}

// Pipes are left alone for a while by whoever reads them (src/child/deafness.ts).
bool wait_within_measure(Worker *worker, const Job &job, const Subject &subject, Kind kind) {
  if (kind == Kind::kPipe) return wait_for(worker, job, subject, kLimitMs);
  const auto start = Clock::now();
  Patience &left = patience[subject.user];
  const bool is_done = wait_for(worker, job, subject, left.limit());
  left.spend(ms_since(start));
  return is_done;
}

Outcome run(const Subject &subject, std::function<void()> work, Kind kind) {
  Aside &own = aside(kind);
  if (is_stuck(kind, subject) || !has(&own.looker)) return Outcome::kNotTried;
  const std::shared_ptr<Worker> worker = own.looker;
  auto job = std::make_shared<Job>(std::move(work));
  give(worker.get(), job);
  if (wait_within_measure(worker.get(), *job, subject, kind)) return Outcome::kDone;
  own.stuck.push_back(worker);
  own.looker = nullptr;
  return Outcome::kLate;
}

// startAside(): the threads are there from now on, and need no other when processes run out.
void StartAside(const Napi::CallbackInfo &info) {
  for (const Kind kind : {Kind::kSocket, Kind::kPipe}) {
    if (start_closers(kind) && has(&aside(kind).looker)) continue;
    throw_system_error(info.Env(), EAGAIN, "clone");
    return;
  }
  for (const Kind kind : {Kind::kProcess, Kind::kConnection, Kind::kClient}) {
    if (start_closers(kind)) continue;
    throw_system_error(info.Env(), EAGAIN, "clone");
    return;
  }
}

}  // namespace

void note_borrower(int fd, uid_t user) {
  borrowers[file_of(fd).st_ino] = user;
}

Outcome run_aside(int fd, std::function<void()> work, Kind kind) {
  return run(subject_of(fd, kind), std::move(work), kind);
}

Outcome run_in_folder(uint64_t place, std::function<void()> work) {
  return run({place, kListers}, std::move(work), Kind::kFolder);
}

Outcome close_aside(int fd, Kind kind) {
  const Subject subject = subject_of(fd, kind);
  if (kind == Kind::kSocket) borrowers.erase(subject.file);
  const Outcome outcome = run(
      {0, subject.user}, [fd] { close(fd); }, kind);
  if (outcome == Outcome::kNotTried) close_later(fd, kind);
  return outcome;
}

Outcome look_aside(int fd, std::function<void(int own)> work) {
  const auto own = std::make_shared<OwnCopy>(fd, kListenerBase);
  return run_aside(fd, [own, work = std::move(work)] { work(own->fd); });
}

void init_aside(Napi::Env env, Napi::Object exports) {
  exports.Set("startAside", Napi::Function::New(env, StartAside));
}
