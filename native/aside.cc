// Threads for what could wait in the kernel. To close the last reference to a TCP socket with SO_LINGER waits
// for its peer, whatever O_NONBLOCK says, and so does to close, or to read away, a message in a Unix socket's
// queue that carries such a socket. And a process that holds a socket as well can hold the kernel's lock of
// it for as long as it likes (a send whose page never comes), where even SIGKILL does not help.
//
// The same goes for a pipe: whoever writes into it holds its lock while their page comes, and to read from it
// or to close one of its ends waits for that, where no signal reaches.
//
// Two threads: one closes, and nobody waits for it; the other looks, and the main thread waits for it with a
// limit. One that does not come back is left to itself, and another one takes its place. Pipes have two
// threads of their own, so that whoever holds up those does not hold up these.
#include "aside.h"

#include "addon.h"
#include "address.h"
#include "descriptor.h"
#include "error.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
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
constexpr size_t kStack = 256 * 1024;
// What lingers is woken this often; a signal ends the wait, and the socket is closed all the same.
constexpr long kWakeNs = 2'000'000;

int wake_signal() {
  return SIGRTMAX - 3;
}

using Clock = std::chrono::steady_clock;

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
  // When the job that it does was begun; the first moment of all: it has none.
  Clock::time_point begun;
  // Its last job did not end in time: it takes no other one.
  bool is_given_up = false;
  std::atomic<bool> is_stuck{false};
  // What the job that did not end in time is about; 0: to close something, or it is closed.
  ino_t stuck_on = 0;
};

void on_wake(int) {}

// Without SA_RESTART: the wait is to end.
void handle_wake_signal() {
  struct sigaction action;
  memset(&action, 0, sizeof action);
  action.sa_handler = on_wake;
  sigaction(wake_signal(), &action, nullptr);
}

bool make_timer(timer_t *timer) {
  sigevent event;
  memset(&event, 0, sizeof event);
  event.sigev_notify = SIGEV_THREAD_ID;
  event.sigev_signo = wake_signal();
#ifdef sigev_notify_thread_id
  event.sigev_notify_thread_id = static_cast<pid_t>(syscall(SYS_gettid));
#else
  event._sigev_un._tid = static_cast<pid_t>(syscall(SYS_gettid));
#endif
  return timer_create(CLOCK_MONOTONIC, &event, timer) == 0;
}

void set_timer(timer_t timer, long ns) {
  const itimerspec every = {{0, ns}, {0, ns}};
  timer_settime(timer, 0, &every, nullptr);
}

void do_jobs(Worker *worker, const timer_t *timer) {
  std::unique_lock<std::mutex> lock(worker->mutex);
  while (!worker->is_given_up) {
    if (worker->queue.empty()) {
      if (timer != nullptr) set_timer(*timer, 0);
      worker->has_work.wait(lock, [worker] { return !worker->queue.empty(); });
      if (timer != nullptr) set_timer(*timer, kWakeNs);
    }
    const std::shared_ptr<Job> job = worker->queue.front();
    worker->queue.pop_front();
    worker->begun = Clock::now();
    lock.unlock();
    job->work();
    lock.lock();
    worker->begun = {};
    job->is_done = true;
    worker->has_done.notify_one();
  }
}

void *run_worker(void *argument) {
  std::unique_ptr<std::shared_ptr<Worker>> held(static_cast<std::shared_ptr<Worker> *>(argument));
  Worker *worker = held->get();
  timer_t timer;
  const bool has_timer = make_timer(&timer);
  do_jobs(worker, has_timer ? &timer : nullptr);
  if (has_timer) timer_delete(timer);
  worker->is_stuck = false;
  return nullptr;
}

// Null: the system has no thread for us.
std::shared_ptr<Worker> start_worker() {
  auto worker = std::make_shared<Worker>();
  auto *held = new std::shared_ptr<Worker>(worker);
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, kStack);
  pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
  // Signals for the process are not for this thread.
  sigset_t others, before;
  sigfillset(&others);
  sigdelset(&others, wake_signal());
  pthread_sigmask(SIG_SETMASK, &others, &before);
  pthread_t thread;
  const int error = pthread_create(&thread, &attributes, run_worker, held);
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  pthread_attr_destroy(&attributes);
  if (error == 0) return worker;
  delete held;
  return nullptr;
}

struct Aside {
  std::shared_ptr<Worker> closer;
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
  if (*worker != nullptr) return true;
  handle_wake_signal();
  *worker = start_worker();
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

// The lock of the worker is held.
void give_up(Worker *worker, int fd) {
  worker->is_given_up = true;
  worker->is_stuck = true;
  worker->stuck_on = file_of(fd);
}

bool wait_for(Worker *worker, const Job &job, int fd) {
  std::unique_lock<std::mutex> lock(worker->mutex);
  if (worker->has_done.wait_for(lock, kLimit, [&job] { return job.is_done; })) return true;
  give_up(worker, fd);
  return false;
}

// What waits behind a close that does not come back is for another one to do.
void replace_late_closer(Kind kind) {
  Aside &own = aside(kind);
  const std::shared_ptr<Worker> late = own.closer;
  const std::lock_guard<std::mutex> lock(late->mutex);
  const bool is_late = late->begun != Clock::time_point{} && Clock::now() - late->begun > kLimit;
  if (!is_late || has_too_many_stuck(kind)) return;
  const std::shared_ptr<Worker> next = start_worker();
  if (next == nullptr) return;
  give_up(late.get(), -1);
  own.stuck.push_back(late);
  own.closer = next;
  for (; !late->queue.empty(); late->queue.pop_front()) give(next.get(), late->queue.front());
}

// startAside(): the threads are there from now on, and need no other when processes run out.
void StartAside(const Napi::CallbackInfo &info) {
  for (const Kind kind : {Kind::kSocket, Kind::kPipe}) {
    if (has(&aside(kind).closer) && has(&aside(kind).looker)) continue;
    throw_system_error(info.Env(), EAGAIN, "clone");
    return;
  }
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

void run_later(std::function<void()> work, Kind kind) {
  if (!has(&aside(kind).closer)) {
    work();
    return;
  }
  replace_late_closer(kind);
  give(aside(kind).closer.get(), std::make_shared<Job>(std::move(work)));
}

void close_later(int fd, Kind kind) {
  run_later([fd] { close(fd); }, kind);
}

void init_aside(Napi::Env env, Napi::Object exports) {
  exports.Set("startAside", Napi::Function::New(env, StartAside));
}
