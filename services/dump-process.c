/*
 * What the process may use, where it stands beside others, and which signals it hears.
 */

#define _GNU_SOURCE
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

#include "dump.h"

/* --- Limits, by the names of stdiod's configuration --- */

static void put_limit(const char *name, rlim_t limit) {
  if (limit == RLIM_INFINITY)
    put_text(name, "unlimited");
  else
    put_number(name, (long long)limit);
}

void put_limits(void) {
  static const struct {
    int resource;
    const char *name;
  } limits[] = {{RLIMIT_NOFILE, "open_files"},
                {RLIMIT_NPROC, "processes"},
                {RLIMIT_AS, "address_space"},
                {RLIMIT_CPU, "cpu_time"},
                {RLIMIT_FSIZE, "file_size"},
                {RLIMIT_CORE, "core_size"},
                {RLIMIT_STACK, "stack"},
                {RLIMIT_DATA, "data"},
                {RLIMIT_MEMLOCK, "memlock"},
                {RLIMIT_LOCKS, "locks"},
                {RLIMIT_SIGPENDING, "pending_signals"},
                {RLIMIT_MSGQUEUE, "message_queues"},
                {RLIMIT_NICE, "nice"},
                {RLIMIT_RTPRIO, "realtime_priority"},
                {RLIMIT_RTTIME, "realtime_time"},
                {RLIMIT_RSS, "resident_set"}};

  begin_object("rlimits", ON_LINES);
  for (size_t i = 0; i < sizeof limits / sizeof *limits; ++i) {
    struct rlimit limit;
    if (getrlimit(limits[i].resource, &limit) < 0) continue;
    begin_object(limits[i].name, ON_ONE_LINE);
    put_limit("soft", limit.rlim_cur);
    put_limit("hard", limit.rlim_max);
    end_object();
  }
  end_object();
}

/* --- Signals: raw calls, because libc keeps two of them to itself and hides them. --- */

enum { SIGNALS = 64 };

typedef struct {
  void (*handler)(int);
  unsigned long flags;
  void (*restorer)(void);
  uint64_t mask;
} KernelSigaction;

/* By number, from 1 on; sigabbrev_np is not everywhere. Those of real time have numbers only. */
static const char *const signals[] = {
    "SIGHUP",  "SIGINT",    "SIGQUIT", "SIGILL",   "SIGTRAP", "SIGABRT", "SIGBUS",  "SIGFPE",
    "SIGKILL", "SIGUSR1",   "SIGSEGV", "SIGUSR2",  "SIGPIPE", "SIGALRM", "SIGTERM", "SIGSTKFLT",
    "SIGCHLD", "SIGCONT",   "SIGSTOP", "SIGTSTP",  "SIGTTIN", "SIGTTOU", "SIGURG",  "SIGXCPU",
    "SIGXFSZ", "SIGVTALRM", "SIGPROF", "SIGWINCH", "SIGIO",   "SIGPWR",  "SIGSYS"};
enum { NAMED_SIGNALS = sizeof signals / sizeof *signals };

static void put_signal(int number) {
  char text[32];

  snprintf(text, sizeof text, "%d", number);
  put_text(NULL, number <= NAMED_SIGNALS ? signals[number - 1] : text);
}

static void put_signal_set(const char *name, uint64_t set) {
  begin_list(name, ON_ONE_LINE);
  for (int number = 1; number <= SIGNALS; ++number) {
    if ((set >> (number - 1) & 1) != 0) put_signal(number);
  }
  end_list();
}

void put_signals(void) {
  uint64_t blocked = 0, pending = 0, ignored = 0, caught = 0;

  syscall(SYS_rt_sigprocmask, SIG_BLOCK, NULL, &blocked, sizeof blocked);
  syscall(SYS_rt_sigpending, &pending, sizeof pending);
  for (int number = 1; number <= SIGNALS; ++number) {
    KernelSigaction action = {SIG_DFL, 0, NULL, 0};
    const uint64_t bit = (uint64_t)1 << (number - 1);
    syscall(SYS_rt_sigaction, number, NULL, &action, sizeof action.mask);
    if (action.handler == SIG_IGN) ignored |= bit;
    if (action.handler != SIG_IGN && action.handler != SIG_DFL) caught |= bit;
  }
  begin_object("signals", ON_LINES);
  put_signal_set("blocked", blocked);
  put_signal_set("pending", pending);
  put_signal_set("ignored", ignored);
  put_signal_set("caught", caught);
  end_object();
}

/* --- Its place beside others, in the words of stdiod's configuration --- */

static void put_scheduling(void) {
  static const char *const policies[] = {[SCHED_OTHER] = "other",
                                         [SCHED_FIFO] = "fifo",
                                         [SCHED_RR] = "round-robin",
                                         [SCHED_BATCH] = "batch",
                                         [SCHED_IDLE] = "idle"};
  struct sched_param param = {0};
  const int policy = sched_getscheduler(0) & ~SCHED_RESET_ON_FORK;
  const bool is_known = policy >= 0 && policy < (int)(sizeof policies / sizeof *policies);
  const char *name = is_known ? policies[policy] : NULL;
  char text[64];

  sched_getparam(0, &param);
  snprintf(text, sizeof text, "%s:%d", name == NULL ? "unknown" : name, param.sched_priority);
  put_text("scheduling", param.sched_priority > 0 ? text : name);
}

/* Classes and levels of linux/ioprio.h; libc has no call for it. */
static void put_io_priority(void) {
  enum { ONE_PROCESS = 1, CLASS_SHIFT = 13, LEVELS = 8 };
  static const char *const classes[] = {"none", "realtime", "best-effort", "idle"};
  const long priority = syscall(SYS_ioprio_get, ONE_PROCESS, 0);
  const long class = priority >> CLASS_SHIFT;
  char text[64];

  if (priority < 0 || class > 3) {
    put_null("io_priority");
    return;
  }
  snprintf(text, sizeof text, "%s:%ld", classes[class], priority % LEVELS);
  put_text("io_priority", class == 1 || class == 2 ? text : classes[class]);
}

static void put_cpus(void) {
  cpu_set_t set;

  begin_list("cpu_affinity", ON_ONE_LINE);
  if (sched_getaffinity(0, sizeof set, &set) == 0) {
    for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
      if (CPU_ISSET(cpu, &set)) put_number(NULL, cpu);
    }
  }
  end_list();
}

static void put_oom_score(void) {
  const char *score = line_of("/proc/self/oom_score_adj");

  if (score == NULL)
    put_null("oom_score_adjust");
  else
    put_number("oom_score_adjust", atoi(score));
}

/* To ask for it is to set it. */
static void put_umask(void) {
  const mode_t mask = umask(0);
  char text[8];

  umask(mask);
  snprintf(text, sizeof text, "%04o", mask & 0777);
  put_text("umask", text);
}

/* What an exec does not end, and nobody expects. */
static void put_leftovers(void) {
  struct itimerval timer = {{0, 0}, {0, 0}};
  int death_signal = 0;

  getitimer(ITIMER_REAL, &timer);
  prctl(PR_GET_PDEATHSIG, &death_signal);
  put_flag("has_alarm", timer.it_value.tv_sec != 0 || timer.it_value.tv_usec != 0);
  put_number("parent_death_signal", death_signal);
  put_flag("dumpable", prctl(PR_GET_DUMPABLE) == 1);
  put_number("personality", personality(0xffffffff));
  put_number("timer_slack_ns", prctl(PR_GET_TIMERSLACK));
}

void put_place(void) {
  put_number("nice", getpriority(PRIO_PROCESS, 0));
  put_scheduling();
  put_cpus();
  put_io_priority();
  put_oom_score();
  put_umask();
  put_leftovers();
}
