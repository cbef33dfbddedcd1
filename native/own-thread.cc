// See own-thread.h.
#include "own-thread.h"

#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace {

constexpr size_t kStack = 256 * 1024;
constexpr long kWakeNs = 2'000'000;

int wake_signal() {
  return SIGRTMAX - 3;
}

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

}  // namespace

bool start_thread(void *(*work)(void *), void *argument) {
  handle_wake_signal();
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, kStack);
  pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
  sigset_t others, before;
  sigfillset(&others);
  sigdelset(&others, wake_signal());
  pthread_sigmask(SIG_SETMASK, &others, &before);
  pthread_t thread;
  const int error = pthread_create(&thread, &attributes, work, argument);
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  pthread_attr_destroy(&attributes);
  return error == 0;
}

Alarm::Alarm() : is_there(make_timer(&timer)) {}

Alarm::~Alarm() {
  if (is_there) timer_delete(timer);
}

void Alarm::set(bool is_on) {
  const long ns = is_on ? kWakeNs : 0;
  const itimerspec every = {{0, ns}, {0, ns}};
  if (is_there) timer_settime(timer, 0, &every, nullptr);
}
