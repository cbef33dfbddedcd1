// A thread that does one thing after the other, in the order in which they are given, and with each of which
// it may wait for as long as others like. There is never a second one: who holds it up holds up what is
// behind.
#pragma once

#include <stddef.h>

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>

// Never destroyed: the thread outlives main's end.
class Worker {
 public:
  // @param most that wait at the same time
  explicit Worker(size_t most) : most_(most) {}
  Worker(const Worker &) = delete;
  Worker &operator=(const Worker &) = delete;

  // Does not wait. False: there is no room for it now, or the system has no thread for us.
  bool give(std::function<void()> work);

 private:
  static void *run(void *worker);

  const size_t most_;
  std::mutex mutex_;
  std::condition_variable has_work_;
  std::deque<std::function<void()>> queue_;
  bool has_thread_ = false;
};
