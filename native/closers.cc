// Threads that close what may wait for somebody else, or never come back: a client of a Unix socket can pass
// along the end of a pipe whose lock is held (splice(2) from a connection that says nothing holds it), and
// who closes that waits for the lock, where no signal reaches.
//
// Nobody waits for them, and none of them holds up the others: one more is started where something has waited
// for a while. What has come to one Unix socket, or belonged to one user's services, and is not closed yet,
// is counted, so that further clients can be left in their queue before there are too many of them here.
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
// One Unix socket, or one user, has an eighth of what the others leave, so that there is always something
// left, however many of them attack.
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

// The lock is held.
void wake_for_work(Closers *own) {
  own->has_work.notify_one();
  if (own->is_watched || own->queue.size() <= own->idle) return;
  own->is_watched = true;
  own->is_behind.notify_one();
}

void give(Closers *own, std::function<void()> work) {
  const std::lock_guard<std::mutex> lock(own->mutex);
  own->queue.push_back({std::move(work), Clock::now()});
  wake_for_work(own);
}

bool has_closers(Closers *own) {
  const std::lock_guard<std::mutex> lock(own->mutex);
  if (own->count == 0) start_closer(own);
  if (!own->has_watcher) own->has_watcher = start_thread(watch, own);
  return own->count > 0;
}

// --- Whose are not closed yet ---

// Counts what is given to the closers of one kind, by who may keep them from it.
template <typename Name>
class Tally {
 public:
  void count(const Name &whose, int change) {
    const std::lock_guard<std::mutex> lock(mutex);
    total += static_cast<size_t>(change);
    const size_t now = counts[whose] += static_cast<size_t>(change);
    if (now == 0) counts.erase(whose);
  }

  // What the name costs to find is only paid when there are any.
  template <typename Find>
  bool has_too_many(Find find) {
    const std::lock_guard<std::mutex> lock(mutex);
    if (counts.empty()) return false;
    const auto found = counts.find(find());
    if (found == counts.end()) return false;
    const size_t left = kMost - std::min(kMost, total);
    return found->second >= std::max(kLeast, left / kShare);
  }

 private:
  std::mutex mutex;
  std::map<Name, size_t> counts;
  size_t total = 0;
};

// By the Unix socket to which they have come; by the user of the service. Never destroyed either.
auto *const clients = new Tally<std::string>();
auto *const users = new Tally<uid_t>();

// A connection has the address of the socket to which it came. Asks for no lock of the socket's.
std::string socket_of(int fd) {
  Address own;
  own.length = sizeof own.storage;
  if (getsockname(fd, &own.generic, &own.length) < 0) return "";
  return std::string(reinterpret_cast<const char *>(&own.storage), own.length);
}

void close_and_count(const Given &given) {
  close(given.fd);
  users->count(given.user, -1);
}

// One thread is woken for all of them.
void give_closes(Closers *own, const std::vector<Given> &all) {
  const auto now = Clock::now();
  const std::lock_guard<std::mutex> lock(own->mutex);
  for (const Given &given : all) own->queue.push_back({[given] { close_and_count(given); }, now});
  wake_for_work(own);
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

void close_later(const std::vector<Given> &all) {
  if (all.empty()) return;
  for (const Given &given : all) users->count(given.user, 1);
  Closers *own = &closers(Kind::kSocket);
  if (has_closers(own)) {
    give_closes(own, all);
    return;
  }
  for (const Given &given : all) close_and_count(given);
}

void end_later(int connection, std::function<void()> work) {
  const std::string socket = socket_of(connection);
  clients->count(socket, 1);
  auto last = [socket, work = std::move(work)] {
    work();
    clients->count(socket, -1);
  };
  run_later(std::move(last), Kind::kClient);
}

bool has_too_many_ending(int listener) {
  return clients->has_too_many([listener] { return socket_of(listener); });
}

bool has_too_many_ending_of(uid_t user) {
  return users->has_too_many([user] { return user; });
}
