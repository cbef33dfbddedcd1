// Everything between clone and exec. You are in the child: it shares the parent's memory and its thread-local
// storage with live JavaScript, so there is no libc here (its wrappers write errno, and its set*id signal
// Node's threads), no allocation, no lock and no C++ runtime: raw system calls only.
// test/native/child-symbols.test.ts holds the object file to that.
#include "child.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/close_range.h>
#include <linux/prctl.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

namespace {

// --- System calls: the result, or a negative errno. ---

#if defined(__x86_64__)
inline long call(long number, long a = 0, long b = 0, long c = 0, long d = 0, long e = 0, long f = 0) {
  long result;
  register long r10 asm("r10") = d;
  register long r8 asm("r8") = e;
  register long r9 asm("r9") = f;
  asm volatile("syscall"
               : "=a"(result)
               : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
               : "rcx", "r11", "memory");
  return result;
}
#elif defined(__aarch64__)
inline long call(long number, long a = 0, long b = 0, long c = 0, long d = 0, long e = 0, long f = 0) {
  register long x8 asm("x8") = number;
  register long x0 asm("x0") = a;
  register long x1 asm("x1") = b;
  register long x2 asm("x2") = c;
  register long x3 asm("x3") = d;
  register long x4 asm("x4") = e;
  register long x5 asm("x5") = f;
  asm volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5) : "memory");
  return x0;
}
#else
#error \
    "stdiod's child set-up is written for x86-64 and arm64; add the system call instruction of this machine here"
#endif

inline long address(const volatile void *pointer) {
  return reinterpret_cast<long>(pointer);
}

// The kernel's own layout, which is not libc's `struct sigaction`.
struct KernelSigaction {
  void (*handler)(int);
  unsigned long flags;
  void (*restorer)();
  unsigned long mask;
};

constexpr int kSignals = 64;
// Without this flag x86-64 delivers no signal to a handler (SA_RESTORER; libc's header does not have it).
constexpr unsigned long kRestorer = 0x04000000;

constexpr unsigned long set_of(int number) {
  return 1UL << number;
}

constexpr bool is_in(unsigned long set, int number) {
  return number < kSignals && (set & set_of(number)) != 0;
}

// Those whose default is to write a core.
constexpr unsigned long kCoreSignals = set_of(SIGQUIT) | set_of(SIGILL) | set_of(SIGTRAP) | set_of(SIGABRT) |
                                       set_of(SIGBUS) | set_of(SIGFPE) | set_of(SIGSEGV) | set_of(SIGXCPU) |
                                       set_of(SIGXFSZ) | set_of(SIGSYS);

// As a shell tells the death by a signal.
constexpr int kSignalled = 128;
constexpr int kFailed = 127;
constexpr unsigned kGroupBatch = 64;
constexpr int kWordBits = 32;
// IOPRIO_WHO_PROCESS; libc has no header for it.
constexpr long kOneProcess = 1;
constexpr long kRestrictSelf = 446;
constexpr long kDiscard = 1 << 30;
constexpr size_t kScratch = 4096;
constexpr long kErrorFlags = O_WRONLY | O_APPEND | O_CREAT | O_NOCTTY | O_NONBLOCK;
constexpr long kErrorMode = 0640;
constexpr int kMostReads = 256;
constexpr long kSecondUs = 1'000'000;
constexpr long kAlarmUs = 2000;
constexpr long kLongestAlarmUs = 2'000'000;
constexpr long kFirstPauseNs = 5'000'000;
constexpr long kLongestPauseNs = 500'000'000;

// --- What every child does: 0, or a negative errno. ---

// As whoever we are: nobody else may. The kernel makes sure that they are namespaces.
long join_namespaces(const ChildTask *task) {
  for (size_t i = 0; i < task->namespace_count; ++i) {
    const long result = call(SYS_setns, task->namespaces[i], 0);
    if (result < 0) return result;
  }
  return 0;
}

// Copies only the low part of the parent's descriptor table: its cost does not grow with what the parent
// holds above.
long unshare_descriptors(const ChildTask *task) {
  return call(SYS_close_range, task->highest + 1, ~0U, CLOSE_RANGE_UNSHARE);
}

[[noreturn]] void leave(int status) {
  for (;;) call(SYS_exit_group, status);
}

// It does not return, so it needs no restorer either.
[[noreturn]] void on_core_signal(int number) {
  leave(kSignalled + number);
}

// It only ends a wait.
void on_alarm(int) {}

#if defined(__x86_64__)
// The way back from a handler (rt_sigreturn), which libc has of its own and keeps to itself.
extern "C" __attribute__((visibility("hidden"))) void stdiod_return_from_signal();
asm(".text\n"
    ".type stdiod_return_from_signal, @function\n"
    "stdiod_return_from_signal:\n"
    "  mov $15, %eax\n"
    "  syscall\n");
constexpr void (*kReturn)() = stdiod_return_from_signal;
constexpr unsigned long kReturnFlag = kRestorer;
#else
// arm64's kernel brings one along.
constexpr void (*kReturn)() = nullptr;
constexpr unsigned long kReturnFlag = 0;
#endif

// SIGALRM every `us` microseconds, or no more (0); whether it will come.
bool set_alarm(long us) {
  const unsigned long alarm = 1UL << (SIGALRM - 1);
  const KernelSigaction action = {on_alarm, kReturnFlag, kReturn, 0};
  const struct {
    long interval_seconds, interval_us, seconds, us;
  } timer = {us / kSecondUs, us % kSecondUs, us / kSecondUs, us % kSecondUs};
  if (us == 0) {
    call(SYS_setitimer, ITIMER_REAL, address(&timer), 0);
    call(SYS_rt_sigprocmask, SIG_BLOCK, address(&alarm), 0, sizeof alarm);
    return false;
  }
  if (call(SYS_rt_sigaction, SIGALRM, address(&action), 0, sizeof action.mask) < 0) return false;
  if (call(SYS_rt_sigprocmask, SIG_UNBLOCK, address(&alarm), 0, sizeof alarm) < 0) return false;
  return call(SYS_setitimer, ITIMER_REAL, address(&timer), 0) == 0;
}

// Connections of others that were under way when the table was copied. Meanwhile their programs may have
// ended and stdiod may have closed its copies: then ours are the last ones, and to close what lingers
// (SO_LINGER) waits for a stranger, until a signal comes. The kernel itself never says EINTR here, but where
// it asks a supervisor first (seccomp), that one may need longer than our signal.
long close_others(const ChildTask *task) {
  long result = -EINTR;
  for (long us = kAlarmUs; result == -EINTR && us <= kLongestAlarmUs; us *= 10) {
    const bool has_alarm = set_alarm(us);
    result = call(SYS_close_range, task->fd_count + (task->ruleset < 0 ? 0 : 1), ~0U, 0);
    if (has_alarm) set_alarm(0);
  }
  return result;
}

// Ignored signals survive exec (Node ignores SIGPIPE and SIGXFSZ), so each goes back to its default. Those
// whose default is a core get there by exec, which undoes handlers: until then, kernels before 5.16 would end
// every process that shares the memory to be written down, and that is stdiod itself.
long default_signals() {
  for (int number = 1; number <= kSignals; ++number) {
    if (number == SIGKILL || number == SIGSTOP) continue;
    KernelSigaction action;
    action.handler = is_in(kCoreSignals, number) ? on_core_signal : SIG_DFL;
    action.flags = kRestorer;
    action.restorer = nullptr;
    action.mask = 0;
    const long result = call(SYS_rt_sigaction, number, address(&action), 0, sizeof action.mask);
    if (result < 0) return result;
  }
  return 0;
}

// dup3 leaves the copies without close-on-exec. The ruleset comes right behind them, when they are where they
// belong.
long connect_descriptors(const ChildTask *task) {
  for (int fd = 0; fd < task->fd_count; ++fd) {
    const int from = task->fds[fd];
    const long result = from == fd ? call(SYS_fcntl, fd, F_SETFD, 0) : call(SYS_dup3, from, fd, 0);
    if (result < 0) return result;
  }
  if (task->ruleset < 0 || task->ruleset == task->fd_count) return 0;
  return call(SYS_dup3, task->ruleset, task->fd_count, O_CLOEXEC);
}

// Nobody but the child knows its pid before it runs.
void write_pid(char *text) {
  char digits[kPidDigits];
  int count = 0;
  for (long pid = call(SYS_getpid); pid > 0; pid /= 10) digits[count++] = static_cast<char>('0' + pid % 10);
  while (count > 0) *text++ = digits[--count];
  *text = 0;
}

long unblock_signals() {
  const unsigned long all = ~0UL;
  return call(SYS_rt_sigprocmask, SIG_UNBLOCK, address(&all), 0, sizeof all);
}

// --- What a plan lists: 0, or a negative errno. ---

// -1 is what the kernel takes for unlimited. A hard limit that stays caps the soft one.
long set_limit(long resource, long soft, long hard) {
  struct {
    unsigned long soft, hard;
  } limit = {static_cast<unsigned long>(soft), static_cast<unsigned long>(hard)};
  if (hard == kKeep) {
    const long result = call(SYS_prlimit64, 0, resource, 0, address(&limit));
    if (result < 0) return result;
    const auto wanted = static_cast<unsigned long>(soft);
    limit.soft = wanted < limit.hard ? wanted : limit.hard;
  }
  return call(SYS_prlimit64, 0, resource, address(&limit), 0);
}

bool has_groups(const ChildStep *step, const gid_t *actual, size_t count) {
  for (size_t i = 0; i < count; ++i) {
    bool found = false;
    for (size_t k = 0; k < step->count && !found; ++k) found = step->list[k] == actual[i];
    if (!found) return false;
  }
  return true;
}

// The kernel said yes three times; this asks it who we are. A longer list of groups than fits is compared by
// length.
bool is_identity(const ChildStep *step) {
  uid_t uid[3];
  gid_t gid[3];
  if (call(SYS_getresuid, address(&uid[0]), address(&uid[1]), address(&uid[2])) < 0) return false;
  if (call(SYS_getresgid, address(&gid[0]), address(&gid[1]), address(&gid[2])) < 0) return false;
  for (int i = 0; i < 3; ++i) {
    if (uid[i] != step->arguments[0] || gid[i] != step->arguments[1]) return false;
  }
  const long count = call(SYS_getgroups, 0, 0);
  if (count < 0 || static_cast<size_t>(count) > step->count) return false;
  if (static_cast<size_t>(count) > kGroupBatch) return static_cast<size_t>(count) == step->count;
  gid_t actual[kGroupBatch];
  if (call(SYS_getgroups, count, address(actual)) != count) return false;
  return has_groups(step, actual, static_cast<size_t>(count));
}

// With a folder that is outside it could get out again.
long change_root(const ChildTask *task) {
  const long result = call(SYS_chroot, address(task->plan->root));
  const char top[] = "/";
  return result < 0 ? result : call(SYS_chdir, address(top));
}

// As whoever the child has become, so that a link in a folder of theirs leads nowhere where they may not
// write anyway. It waits neither for the reader of a FIFO nor for who holds a lease. Descriptor 2 is the
// lowest that is free.
long open_stderr(const ChildTask *task) {
  call(SYS_close, STDERR_FILENO);
  const long fd = call(SYS_openat, AT_FDCWD, address(task->plan->stderr_file), kErrorFlags, kErrorMode);
  return fd < 0 ? fd : call(SYS_fcntl, fd, F_SETFL, O_APPEND);
}

// What the next exec makes of us, for a security module to carry out. The file is of the one who writes, and
// as long as it is open it is ours; it says no to what it does not know.
long write_attribute(const char *path, const ChildText *text) {
  const long fd = call(SYS_openat, AT_FDCWD, address(path), O_WRONLY | O_CLOEXEC);
  if (fd < 0) return fd;
  const long written = call(SYS_write, fd, address(text->text), static_cast<long>(text->length));
  call(SYS_close, fd);
  if (written < 0) return written;
  return static_cast<size_t>(written) == text->length ? 0 : -EIO;
}

// --- Capabilities, as two words of 32 bits: 0, or a negative errno. ---

bool is_capability_in(const long *words, int number) {
  return (words[number / kWordBits] >> (number % kWordBits) & 1) != 0;
}

// What no exec may bring back. The kernel knows fewer than there is room for: EINVAL ends them.
long bound_capabilities(const long *words) {
  for (int number = 0; number < 2 * kWordBits; ++number) {
    if (is_capability_in(words, number)) continue;
    const long result = call(SYS_prctl, PR_CAPBSET_DROP, number);
    if (result == -EINVAL) return 0;
    if (result < 0) return result;
  }
  return 0;
}

// Those that are raised as ambient ones outlive the exec of a program that has none of its own.
long raise_ambient(const long *words) {
  for (int number = 0; number < 2 * kWordBits; ++number) {
    if (!is_capability_in(words, number)) continue;
    const long result = call(SYS_prctl, PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, number);
    if (result < 0) return result;
    if (call(SYS_prctl, PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, number) != 1) return -EPERM;
  }
  return 0;
}

// Exactly these and no others, in every set; then the kernel is asked.
long set_capabilities(const long *words) {
  __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct sets[2];
  for (int i = 0; i < 2; ++i) {
    const auto word = static_cast<__u32>(words[i]);
    sets[i].effective = sets[i].permitted = sets[i].inheritable = word;
  }
  long result = call(SYS_capset, address(&header), address(sets));
  if (result == 0) result = raise_ambient(words);
  if (result == 0) result = call(SYS_capget, address(&header), address(sets));
  if (result < 0) return result;
  for (int i = 0; i < 2; ++i) {
    if (sets[i].permitted != static_cast<__u32>(words[i])) return -EPERM;
  }
  return 0;
}

// It takes a right that a change of the user has left permitted and made ineffective; `capset` comes later.
long set_secure_bits(long bits) {
  __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct sets[2];
  long result = call(SYS_capget, address(&header), address(sets));
  sets[0].effective |= sets[0].permitted & 1U << CAP_SETPCAP;
  if (result == 0) result = call(SYS_capset, address(&header), address(sets));
  if (result == 0) result = call(SYS_prctl, PR_SET_SECUREBITS, bits);
  if (result < 0) return result;
  return call(SYS_prctl, PR_GET_SECUREBITS) == bits ? 0 : -EPERM;
}

// From here on no exec gives rights: neither a set-user-ID file nor one with capabilities.
long refuse_new_rights() {
  const long result = call(SYS_prctl, PR_SET_NO_NEW_PRIVS, 1);
  if (result < 0) return result;
  return call(SYS_prctl, PR_GET_NO_NEW_PRIVS) == 1 ? 0 : -EPERM;
}

// landlock(7); libc may not know the call, whose number is the same everywhere.
long restrict_files(const ChildTask *task) {
  return call(kRestrictSelf, task->ruleset < 0 ? -1 : task->fd_count, 0);
}

// It holds from the next call on, and for ever. What a child does after it is in no group of calls to deny.
long install_filter(const ChildStep *step) {
  const struct {
    unsigned short length;
    const void *instructions;
  } program = {static_cast<unsigned short>(step->count / 2), step->list};
  return call(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, address(&program));
}

constexpr const char *kAppArmorExec = "/proc/self/attr/apparmor/exec";
constexpr const char *kSelinuxExec = "/proc/self/attr/exec";

long run(const ChildTask *task, const ChildStep *step) {
  const long first = step->arguments[0], second = step->arguments[1];
  switch (step->op) {
    case kOpSession:
      return call(SYS_setsid);
    case kOpLimit:
      return set_limit(first, second, step->arguments[2]);
    case kOpUmask:
      return call(SYS_umask, first);
    case kOpNice:
      return call(SYS_setpriority, PRIO_PROCESS, 0, first);
    case kOpCpus:
      return call(SYS_sched_setaffinity, 0, static_cast<long>(step->count * sizeof step->list[0]),
                  address(step->list));
    case kOpScheduler:
      return call(SYS_sched_setscheduler, 0, first, address(&step->arguments[1]));
    case kOpIoPriority:
      return call(SYS_ioprio_set, kOneProcess, 0, first);
    case kOpPrctl:
      return call(SYS_prctl, first, second);
    case kOpAppArmor:
      return write_attribute(kAppArmorExec, &task->plan->apparmor);
    case kOpSelinux:
      return write_attribute(kSelinuxExec, &task->plan->selinux);
    case kOpRoot:
      return change_root(task);
    case kOpBound:
      return bound_capabilities(step->arguments);
    case kOpGroups:
      return call(SYS_setgroups, static_cast<long>(step->count), address(step->list));
    case kOpGid:
      return call(SYS_setresgid, first, first, first);
    case kOpUid:
      return call(SYS_setresuid, first, first, first);
    case kOpVerify:
      return is_identity(step) ? 0 : -EPERM;
    case kOpSecureBits:
      return set_secure_bits(first);
    case kOpCapabilities:
      return set_capabilities(step->arguments);
    case kOpNoNewRights:
      return refuse_new_rights();
    case kOpStderr:
      return open_stderr(task);
    case kOpDirectory:
      return call(SYS_chdir, address(task->directory));
    case kOpFiles:
      return restrict_files(task);
    case kOpFilter:
      return install_filter(step);
    default:
      return -ENOSYS;
  }
}

// --- The child's life: each returns what failed. ---

// Makes it a process that shares nothing but memory with us.
ChildOp detach(const ChildTask *task, long *error) {
  // As long as the table is the one that we share: what they are known by has high numbers.
  if ((*error = join_namespaces(task)) < 0) return kOpJoin;
  if ((*error = unshare_descriptors(task)) < 0) return kOpUnshare;
  // From here on the parent's close of the connection does not reach us.
  __atomic_store_n(&task->report->unshared, 1, __ATOMIC_RELEASE);
  // Before the ids change: from then on the new user may stop it with SIGSTOP, and what it holds then, it may
  // hold for ever.
  if ((*error = connect_descriptors(task)) < 0) return kOpDescriptors;
  if ((*error = close_others(task)) < 0) return kOpCloseRest;
  *error = default_signals();
  return *error < 0 ? kOpSignals : kOpNone;
}

ChildOp run_plan(const ChildTask *task, long *error) {
  const ChildStep *end = task->plan->steps + task->plan->step_count;
  for (const ChildStep *step = task->plan->steps; step != end; ++step) {
    if ((*error = run(task, step)) < 0) return step->op;
  }
  return kOpNone;
}

// A program that is just being written (ETXTBSY), or whose user has too many processes (EAGAIN): both pass,
// often within milliseconds, and the client need not know. Signals are through by now: a stop ends the wait.
// It returns only when it has failed.
long execute(const ChildTask *task) {
  struct {
    long seconds, nanoseconds;
  } pause = {0, kFirstPauseNs};
  for (int tries = 1;; ++tries) {
    const long error = call(SYS_execve, address(task->plan->path), address(task->argv), address(task->envp));
    if (error != -ETXTBSY && error != -EAGAIN) return error;
    if (tries >= (error == -EAGAIN ? task->tries : kFewTries)) return error;
    call(SYS_nanosleep, address(&pause), 0);
    pause.nanoseconds *= 2;
    if (pause.nanoseconds > kLongestPauseNs) pause.nanoseconds = kLongestPauseNs;
  }
}

ChildOp start_program(const ChildTask *task, long *error) {
  if (task->pid_text != nullptr) write_pid(task->pid_text);
  if ((*error = unblock_signals()) < 0) return kOpUnblock;
  *error = execute(task);
  return kOpExec;
}

// To close a socket with unread bytes resets the connection. The client of a program that could not be
// started is to see an end, not a reset: so the bytes that have come are thrown away first, as `refuse` in
// socket.cc does.
void end_connection(int fd) {
  char scratch[kScratch];
  call(SYS_shutdown, fd, SHUT_WR);
  if (call(SYS_recvfrom, fd, 0, kDiscard, MSG_TRUNC | MSG_DONTWAIT) >= 0) return;
  for (int reads = 0; reads < kMostReads; ++reads) {
    if (call(SYS_recvfrom, fd, address(scratch), sizeof scratch, MSG_DONTWAIT) <= 0) return;
  }
}

}  // namespace

int child_main(void *argument) {
  const auto *task = static_cast<const ChildTask *>(argument);
  long error = 0;
  ChildOp failed = detach(task, &error);
  if (failed == kOpNone) failed = run_plan(task, &error);
  if (failed == kOpNone) failed = start_program(task, &error);
  // Once the descriptors are in their places 0 is the same socket, and its own number is closed.
  if (!task->plan->is_kept) end_connection(failed > kOpDescriptors ? 0 : task->fds[0]);
  task->report->error = static_cast<int>(-error);
  __atomic_store_n(&task->report->step, static_cast<int>(failed), __ATOMIC_RELEASE);
  leave(kFailed);
}
