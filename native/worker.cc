// See worker.h.
#include "worker.h"

#include "own-thread.h"

#include <utility>

bool Worker::give(std::function<void()> work) {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (!has_thread_) has_thread_ = start_thread(run, this);
  if (!has_thread_ || queue_.size() >= most_) return false;
  queue_.push_back(std::move(work));
  has_work_.notify_one();
  return true;
}

void *Worker::run(void *worker) {
  auto *own = static_cast<Worker *>(worker);
  std::unique_lock<std::mutex> lock(own->mutex_);
  for (;;) {
    own->has_work_.wait(lock, [own] { return !own->queue_.empty(); });
    const std::function<void()> work = std::move(own->queue_.front());
    own->queue_.pop_front();
    lock.unlock();
    work();
    lock.lock();
  }
}
