// Threads that close what may wait for somebody else, or never come back: a client of a Unix socket can pass
// along the end of a pipe whose lock is held (splice(2) from a connection that says nothing holds it), and
// who closes that waits for the lock, where no signal reaches.
//
// Nobody waits for them, and none of them holds up the others: one more is started where something has waited
// for a while. What has come to one Unix socket, and is not closed yet, is counted, so that its clients can
// be left in its queue before there are too many of them here.
#include "closers.h"

#include "address.h"
#include "descriptor.h"
#include "own-thread.h"

#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>
#include <string>

namespace {

using Clock = std::chrono::steady_clock;

// Far more than a close takes when nobody is in the way.
constexpr std::chrono::milliseconds kPatience{20};
// For one that was started to take its first job; and where there may be no further one.
constexpr std::chrono::milliseconds kStart{2};
constexpr std::chrono::milliseconds kRest{250};
constexpr size_t kMost = 1024;
// One Unix socket has an eighth of what the others leave, so that there is always something left, however
// many of them are attacked.
constexpr size_t kShare = 8;
constexpr size_t kLeast = 4;
// That stay when there is nothing to do.
constexpr size_t kMostIdle = 2;

struct Job {
  std::function<void()> work;
  Clock::time_point given;
};

struct Closers {
  std::mutex mutex;
  std::condition_variable has_work;
  // For the one that watches over the others.
  std::condition_variable is_behind;
  std::deque<Job> queue;
  // Those that there are, and those of them that wait for work.
  size_t count = 0;
  size_t idle = 0;
  bool has_watcher = false;
  bool is_watched = false;
};

// Never destroyed: the threads outlive main's end.
Closers &closers(Kind kind) {
  static auto *all = new Closers[kKinds];
  return all[static_cast<size_t>(kind)];
}

// The lock is held. False: there are enough who wait already.
bool wait_for_work(Closers *own, std::unique_lock<std::mutex> *lock, Alarm *alarm) {
  if (own->idle >= kMostIdle) return false;
  alarm->set(false);
  own->idle += 1;
  own->has_work.wait(*lock, [own] { return !own->queue.empty(); });
  own->idle -= 1;
  alarm->set(true);
  return true;
}

void *close_all(void *argument) {
  auto *own = static_cast<Closers *>(argument);
  Alarm alarm;
  alarm.set(true);
  std::unique_lock<std::mutex> lock(own->mutex);
  while (!own->queue.empty() || wait_for_work(own, &lock, &alarm)) {
    const Job job = std::move(own->queue.front());
    own->queue.pop_front();
    lock.unlock();
    job.work();
    lock.lock();
  }
  own->count -= 1;
  return nullptr;
}

// The lock is held.
bool start_closer(Closers *own) {
  if (own->count >= kMost || !start_thread(close_all, own)) return false;
  own->count += 1;
  return true;
}

// Until nothing is left to be taken. The lock is held.
void see_to_it(Closers *own, std::unique_lock<std::mutex> *lock) {
  while (!own->queue.empty()) {
    const auto due = own->queue.front().given + kPatience;
    const auto now = Clock::now();
    if (now < due)
      own->is_behind.wait_for(*lock, due - now);
    else
      own->is_behind.wait_for(*lock, start_closer(own) ? kStart : kRest);
  }
}

void *watch(void *argument) {
  auto *own = static_cast<Closers *>(argument);
  std::unique_lock<std::mutex> lock(own->mutex);
  for (;;) {
    own->is_watched = false;
    own->is_behind.wait(lock, [own] { return own->is_watched; });
    see_to_it(own, &lock);
  }
}

void give(Closers *own, std::function<void()> work) {
  const std::lock_guard<std::mutex> lock(own->mutex);
  own->queue.push_back({std::move(work), Clock::now()});
  own->has_work.notify_one();
  if (own->is_watched || own->queue.size() <= own->idle) return;
  own->is_watched = true;
  own->is_behind.notify_one();
}

bool has_closers(Closers *own) {
  const std::lock_guard<std::mutex> lock(own->mutex);
  if (own->count == 0) start_closer(own);
  if (!own->has_watcher) own->has_watcher = start_thread(watch, own);
  return own->count > 0;
}

// --- What has come to which Unix socket ---

std::mutex counts_mutex;
std::map<std::string, size_t> counts;
size_t total = 0;

// A connection has the address of the socket to which it came. Asks for no lock of the socket's.
std::string socket_of(int fd) {
  Address own;
  own.length = sizeof own.storage;
  if (getsockname(fd, &own.generic, &own.length) < 0) return "";
  return std::string(reinterpret_cast<const char *>(&own.storage), own.length);
}

void count(const std::string &socket, int change) {
  const std::lock_guard<std::mutex> lock(counts_mutex);
  total += static_cast<size_t>(change);
  const size_t now = counts[socket] += static_cast<size_t>(change);
  if (now == 0) counts.erase(socket);
}

}  // namespace

bool start_closers(Kind kind) {
  Closers *own = &closers(kind);
  return has_closers(own) && own->has_watcher;
}

void run_later(std::function<void()> work, Kind kind) {
  Closers *own = &closers(kind);
  if (has_closers(own))
    give(own, std::move(work));
  else
    work();
}

void close_later(int fd, Kind kind) {
  run_later([fd] { close(fd); }, kind);
}

void end_later(int connection, std::function<void()> work) {
  const std::string socket = socket_of(connection);
  count(socket, 1);
  auto last = [socket, work = std::move(work)] {
    work();
    count(socket, -1);
  };
  run_later(std::move(last), Kind::kClient);
}

bool has_too_many_ending(int listener) {
  const std::lock_guard<std::mutex> lock(counts_mutex);
  if (counts.empty()) return false;
  const auto found = counts.find(socket_of(listener));
  if (found == counts.end()) return false;
  const size_t left = kMost - std::min(kMost, total);
  return found->second >= std::max(kLeast, left / kShare);
}
