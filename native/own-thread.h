// A thread of stdiod's own for system calls that may wait, and what wakes it while it makes one.
#pragma once

#include <time.h>

// Detached, and not for the signals of the process. False: the system has no thread for us.
bool start_thread(void *(*work)(void *), void *argument);

// Of the thread that makes it. While it is on, a signal comes every 2 ms: it ends the wait for what lingers,
// which is closed all the same.
class Alarm {
 public:
  Alarm();
  ~Alarm();
  Alarm(const Alarm &) = delete;
  Alarm &operator=(const Alarm &) = delete;
  void set(bool is_on);

 private:
  timer_t timer;
  bool is_there;
};
