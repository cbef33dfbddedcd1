// Threads for what could wait in the kernel. A process that holds a socket as well can hold the kernel's lock
// of it for as long as it likes (a send whose page never comes), where even SIGKILL does not help. And to
// close a listener waits for what stands in its queue.
//
// The same goes for a pipe: whoever writes into it holds its lock while their page comes, and to read from it
// or to close one of its ends waits for that, where no signal reaches.
//
// One thread looks, and the main thread waits for it with a limit. One that does not come back is left to
// itself, and another one takes its place. Pipes have a thread of their own, so that whoever holds up those
// does not hold up sockets. What nobody waits for is done by others (closers.h).
#include "aside.h"

#include "addon.h"
#include "address.h"
#include "descriptor.h"
#include "error.h"
#include "own-thread.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <vector>

namespace {

// Far more than any of this takes when nobody is in the way, on a busy machine too.
constexpr std::chrono::milliseconds kLimit{500};
// Beyond it nothing is tried until one of them comes back.
constexpr size_t kMostStuck[] = {32, 64};

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
  // What the job that did not end in time is about; 0: to close something, or it is closed.
  ino_t stuck_on = 0;
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
  static auto *all = new Aside[2];
  return all[static_cast<size_t>(kind)];
}

// Whether there is one, after an attempt to start it.
bool has(std::shared_ptr<Worker> *worker) {
  if (*worker == nullptr) *worker = start_worker();
  return *worker != nullptr;
}

bool has_too_many_stuck(Kind kind) {
  auto &stuck = aside(kind).stuck;
  for (size_t i = stuck.size(); i-- > 0;) {
    if (!stuck[i]->is_stuck) stuck.erase(stuck.begin() + static_cast<long>(i));
  }
  return stuck.size() >= kMostStuck[static_cast<size_t>(kind)];
}

// A number may be that of another file the next time. Asks for no lock.
ino_t file_of(int fd) {
  struct stat file;
  return fd < 0 || fstat(fd, &file) < 0 ? 0 : file.st_ino;
}

bool is_stuck(Kind kind, int fd) {
  if (has_too_many_stuck(kind)) return true;
  const auto &stuck = aside(kind).stuck;
  const ino_t file = stuck.empty() ? 0 : file_of(fd);
  if (file == 0) return false;
  for (const auto &worker : stuck) {
    if (worker->stuck_on == file) return true;
  }
  return false;
}

void give(Worker *worker, std::shared_ptr<Job> job) {
  const std::lock_guard<std::mutex> lock(worker->mutex);
  worker->queue.push_back(std::move(job));
  worker->has_work.notify_one();
}

bool wait_for(Worker *worker, const Job &job, int fd) {
  std::unique_lock<std::mutex> lock(worker->mutex);
  if (worker->has_done.wait_for(lock, kLimit, [&job] { return job.is_done; })) return true;
  worker->is_given_up = true;
  worker->is_stuck = true;
  worker->stuck_on = file_of(fd);
  return false;
}

// startAside(): the threads are there from now on, and need no other when processes run out.
void StartAside(const Napi::CallbackInfo &info) {
  for (const Kind kind : {Kind::kSocket, Kind::kPipe}) {
    if (start_closers(kind) && has(&aside(kind).looker)) continue;
    throw_system_error(info.Env(), EAGAIN, "clone");
    return;
  }
  if (!start_closers(Kind::kProcess)) throw_system_error(info.Env(), EAGAIN, "clone");
}

// Closed when the last one who works with it is done. Where no descriptor is left it is the number itself.
struct Own {
  explicit Own(int number) : copy(copy_descriptor(number, kListenerBase)), fd(copy < 0 ? number : copy) {}
  Own(const Own &) = delete;
  Own &operator=(const Own &) = delete;
  ~Own() {
    if (copy >= 0) close(copy);
  }
  const int copy;
  const int fd;
};

}  // namespace

Outcome run_aside(int fd, std::function<void()> work, Kind kind) {
  Aside &own = aside(kind);
  if (is_stuck(kind, fd) || !has(&own.looker)) return Outcome::kNotTried;
  const std::shared_ptr<Worker> worker = own.looker;
  auto job = std::make_shared<Job>(std::move(work));
  give(worker.get(), job);
  if (wait_for(worker.get(), *job, fd)) return Outcome::kDone;
  own.stuck.push_back(worker);
  own.looker = nullptr;
  return Outcome::kLate;
}

Outcome look_aside(int fd, std::function<void(int own)> work) {
  const auto own = std::make_shared<Own>(fd);
  return run_aside(fd, [own, work = std::move(work)] { work(own->fd); });
}

void init_aside(Napi::Env env, Napi::Object exports) {
  exports.Set("startAside", Napi::Function::New(env, StartAside));
}
