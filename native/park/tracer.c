// The tracer, a process of its own. It stops each thread of the program, and of what that starts, at each
// system call; the first that would touch the connection is taken back before it is made. If we end, whatever
// we trace ends with us (PTRACE_O_EXITKILL): there is no program that is parked by half.
#include "tracer.h"

#include <dirent.h>
#include <elf.h>
#include <errno.h>
#include <linux/audit.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include "obstacles.h"
#include "parked.h"
#include "touch.h"

#define SYSCALL_STOP (SIGTRAP | 0x80)
#define SYSCALL_BYTES 0x050fUL
#define SYSCALL_LENGTH 2
// A signal that no mask holds back, or a stop: more of them in a row are none of chance.
#define MOST_STOPS 100
#define MOST_OTHERS 4096
// PTRACE_SYSCALL_INFO_ENTRY; the names of the two headers that have it exclude each other.
#define CALL_BEGINS 1
#define GET_CALL 0x420e
#define X32_BIT 0x40000000UL

void give_up(int control, const char *reason) {
  char message[256];
  const int length = snprintf(message, sizeof message, "cold %s", reason);
  send(control, message, (size_t)length, MSG_NOSIGNAL | MSG_DONTWAIT);
  _exit(1);
}

__attribute__((noreturn)) static void fail(const struct Order *order, const char *reason) {
  give_up(order->control, reason);
}

static void check(const struct Order *order, long result) {
  if (result < 0)
    fail(order,
         errno == ESRCH ? "it ended while it was parked" : "the kernel does not let it be changed (ptrace)");
}

// --- A stopped thread ---

static struct user_regs_struct registers_of(const struct Order *order, pid_t tid) {
  struct user_regs_struct registers;
  struct iovec part = {&registers, sizeof registers};
  check(order, ptrace(PTRACE_GETREGSET, tid, NT_PRSTATUS, &part));
  return registers;
}

static void set_registers(const struct Order *order, pid_t tid, const struct user_regs_struct *registers) {
  struct iovec part = {(void *)registers, sizeof *registers};
  check(order, ptrace(PTRACE_SETREGSET, tid, NT_PRSTATUS, &part));
}

// Goes on to the next begin or end of a system call. All signals are blocked: what comes else is a stop.
static void run_to_call(const struct Order *order, pid_t tid) {
  for (int stops = 0; stops < MOST_STOPS; ++stops) {
    int status = 0;
    check(order, ptrace(PTRACE_SYSCALL, tid, 0, 0));
    if (waitpid(tid, &status, __WALL) != tid || !WIFSTOPPED(status))
      fail(order, "it ended while it was parked");
    if (WSTOPSIG(status) == SYSCALL_STOP) return;
  }
  fail(order, "somebody stops it again and again");
}

// Has it make a system call of ours, with its own instruction. It stands behind one; its registers are not
// kept.
static long inject(const struct Order *order, pid_t tid, const struct user_regs_struct *own, long number,
                   const unsigned long args[6]) {
  struct user_regs_struct registers = *own;
  registers.rip = own->rip - SYSCALL_LENGTH;
  registers.rax = (unsigned long)number;
  registers.orig_rax = ~0UL;
  registers.rdi = args[0];
  registers.rsi = args[1];
  registers.rdx = args[2];
  registers.r10 = args[3];
  registers.r8 = args[4];
  registers.r9 = args[5];
  set_registers(order, tid, &registers);
  run_to_call(order, tid);
  run_to_call(order, tid);
  registers = registers_of(order, tid);
  return (long)registers.rax;
}

static void poke(const struct Order *order, pid_t tid, unsigned long to, const void *from, size_t size) {
  for (size_t at = 0; at < size; at += sizeof(long)) {
    long word = 0;
    memcpy(&word, (const char *)from + at, size - at < sizeof word ? size - at : sizeof word);
    check(order, ptrace(PTRACE_POKEDATA, tid, to + at, word));
  }
}

static long peek(const struct Order *order, pid_t tid, unsigned long from) {
  errno = 0;
  const long word = ptrace(PTRACE_PEEKDATA, tid, from, 0);
  if (errno != 0) fail(order, "its memory cannot be read");
  return word;
}

// --- The touch ---

// The call is not made: none has this number.
static void take_back(const struct Order *order, pid_t tid, struct user_regs_struct *own) {
  *own = registers_of(order, tid);
  const unsigned long bytes = (unsigned long)peek(order, tid, own->rip - SYSCALL_LENGTH) & 0xffff;
  if (bytes != SYSCALL_BYTES) fail(order, "it makes system calls in a way that is not known");
  struct user_regs_struct none = *own;
  none.orig_rax = ~0UL;
  set_registers(order, tid, &none);
  run_to_call(order, tid);
}

// Nowhere where it is to be executed, it may be written.
static unsigned long map_memory(const struct Order *order, pid_t tid, const struct user_regs_struct *own) {
  const unsigned long place[] = {0, PARKED_SIZE, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, ~0UL, 0};
  const long base = inject(order, tid, own, SYS_mmap, place);
  if (base < 0 && base > -4096) fail(order, "it has no room in its memory (mmap)");
  const unsigned long data[] = {
      (unsigned long)base + PARKED_PAGE, PARKED_SIZE - PARKED_PAGE, PROT_READ | PROT_WRITE, 0, 0, 0};
  if (inject(order, tid, own, SYS_mprotect, data) != 0) fail(order, "its memory cannot be set up (mprotect)");
  return (unsigned long)base;
}

// Of a clone the C library has to know the number, and keeps it where the kernel writes it; else a signal to
// itself would reach the template.
static unsigned long tid_address(const struct Order *order, pid_t tid, const struct user_regs_struct *own,
                                 unsigned long scratch) {
  if (!order->is_template) return 0;
  const unsigned long question[] = {PR_GET_TID_ADDRESS, scratch, 0, 0, 0, 0};
  if (inject(order, tid, own, SYS_prctl, question) != 0)
    fail(order, "the kernel does not tell what a template has to know (CONFIG_CHECKPOINT_RESTORE): use pool");
  const unsigned long address = (unsigned long)peek(order, tid, scratch);
  if (address == 0) return 0;
  if ((pid_t)peek(order, tid, address) != tid)
    fail(order, "its C library knows its own number by heart: use pool");
  return address;
}

static void keep_registers(struct Parked *parked, const struct user_regs_struct *own) {
  parked->r15 = own->r15;
  parked->r14 = own->r14;
  parked->r13 = own->r13;
  parked->r12 = own->r12;
  parked->rbp = own->rbp;
  parked->rbx = own->rbx;
  parked->r10 = own->r10;
  parked->r9 = own->r9;
  parked->r8 = own->r8;
  parked->rax = own->orig_rax;
  parked->rdx = own->rdx;
  parked->rsi = own->rsi;
  parked->rdi = own->rdi;
  parked->rsp = own->rsp;
  parked->flags = own->eflags;
  parked->call = own->rip - SYSCALL_LENGTH;
}

static void enter(const struct Order *order, pid_t tid, const struct user_regs_struct *own,
                  unsigned long base) {
  struct user_regs_struct registers = *own;
  registers.orig_rax = ~0UL;
  registers.rip = base;
  registers.rdi = base + PARKED_PAGE;
  registers.rsp = base + PARKED_SIZE;
  // As a function may expect it: forwards (System V ABI, 3.2.1).
  registers.eflags &= ~0x400UL;
  set_registers(order, tid, &registers);
}

// A thread that stops at a touch as well would find no connection there. False: it is not ours.
static int release_thread(const struct Order *order, pid_t tid) {
  int status = 0;
  if (ptrace(PTRACE_INTERRUPT, tid, 0, 0) < 0 || waitpid(tid, &status, __WALL) != tid) return 0;
  if (!WIFSTOPPED(status)) return 1;
  struct CallStop stop;
  const int signal = WSTOPSIG(status);
  const int is_plain = status >> 16 == 0 && signal != SYSCALL_STOP;
  if (signal == SYSCALL_STOP && ptrace(GET_CALL, tid, sizeof stop, &stop) > 0 && stop.op == CALL_BEGINS &&
      is_touch(order->pid, &stop, order))
    fail(order, "several of its threads use the connection at once");
  ptrace(PTRACE_DETACH, tid, 0, is_plain ? signal : 0);
  return 1;
}

// @return whether there was one
static int release_some(const struct Order *order, pid_t tid) {
  char path[64];
  snprintf(path, sizeof path, "/proc/%d/task", order->pid);
  DIR *folder = opendir(path);
  if (folder == NULL) fail(order, "its threads cannot be looked at");
  int were_any = 0;
  for (struct dirent *entry = readdir(folder); entry != NULL; entry = readdir(folder)) {
    const pid_t other = atoi(entry->d_name);
    if (other > 0 && other != tid) were_any |= release_thread(order, other);
  }
  closedir(folder);
  return were_any;
}

// Until the last of them is released, there may be new ones; whom a released one starts is not ours.
static void release_others(const struct Order *order, pid_t tid) {
  for (int rounds = 0; rounds < MOST_STOPS; ++rounds) {
    if (!release_some(order, tid)) return;
  }
  fail(order, "it starts threads again and again");
}

static void park(const struct Order *order, pid_t tid) {
  struct user_regs_struct own;
  struct Parked parked;
  memset(&parked, 0, sizeof parked);
  const char *obstacle = find_obstacle(order);
  if (obstacle == NULL && order->is_template) obstacle = list_files(order, &parked);
  if (obstacle != NULL) fail(order, obstacle);
  const unsigned long all = ~0UL;
  check(order, ptrace(PTRACE_GETSIGMASK, tid, sizeof parked.signals, &parked.signals));
  check(order, ptrace(PTRACE_SETSIGMASK, tid, sizeof all, &all));
  take_back(order, tid, &own);
  const unsigned long base = map_memory(order, tid, &own);
  keep_registers(&parked, &own);
  parked.control = order->control;
  parked.is_template = order->is_template;
  find_places(order, &parked);
  parked.tid_address = tid_address(order, tid, &own, base + PARKED_PAGE);
  poke(order, tid, base, __start_parked, (size_t)(__stop_parked - __start_parked));
  poke(order, tid, base + PARKED_PAGE, &parked, sizeof parked);
  enter(order, tid, &own, base);
}

// --- The way there ---

// Processes that the program has started, as far as we have heard of them.
struct Others {
  pid_t pids[MOST_OTHERS];
  int count;
};

static int is_own_thread(const struct Order *order, pid_t tid) {
  char path[64];
  snprintf(path, sizeof path, "/proc/%d/task/%d", order->pid, tid);
  return access(path, F_OK) == 0;
}

static void add(const struct Order *order, struct Others *others, pid_t tid) {
  if (is_own_thread(order, tid)) return;
  if (others->count == MOST_OTHERS) fail(order, "it has started too many processes");
  others->pids[others->count++] = tid;
}

static void forget(struct Others *others, pid_t tid) {
  for (int i = 0; i < others->count; ++i) {
    if (others->pids[i] == tid) others->pids[i--] = others->pids[--others->count];
  }
}

// We may have heard of an end before we heard of its begin.
static int are_any_alive(const struct Others *others) {
  for (int i = 0; i < others->count; ++i) {
    if (ptrace(PTRACE_INTERRUPT, others->pids[i], 0, 0) == 0) return 1;
  }
  return 0;
}

// Ends a thread's call when it is the first touch: the program is parked then.
static int try_park(const struct Order *order, struct Others *others, pid_t tid) {
  struct CallStop stop;
  if (ptrace(GET_CALL, tid, sizeof stop, &stop) < 0) return 0;
  if (stop.op != CALL_BEGINS) return 0;
  if (stop.arch != AUDIT_ARCH_X86_64 || (stop.number & X32_BIT) != 0) fail(order, "it is a 32-bit program");
  if (!is_touch(tid, &stop, order)) return 0;
  if (!is_own_thread(order, tid))
    fail(order, "a process that it starts uses the connection before it does itself");
  if (are_any_alive(others))
    fail(order, "processes that it has started are still there when it uses the connection");
  release_others(order, tid);
  park(order, tid);
  return 1;
}

// Under a tracer an exec gives no rights (execve(2)): what it starts would be another program than without
// us.
static void refuse_new_rights(const struct Order *order, pid_t tid) {
  char path[64];
  struct stat facts;
  snprintf(path, sizeof path, "/proc/%d/exe", tid);
  if (stat(path, &facts) == 0 && (facts.st_mode & (S_ISUID | S_ISGID)) != 0)
    fail(order, "it is set-user-ID or set-group-ID");
}

static int event_of(int status) {
  return status >> 16;
}

static int is_stop_signal(int signal) {
  return signal == SIGSTOP || signal == SIGTSTP || signal == SIGTTIN || signal == SIGTTOU;
}

// After a stop that is none of a system call.
static void go_on(const struct Order *order, struct Others *others, pid_t tid, int status) {
  const int event = event_of(status), signal = WSTOPSIG(status);
  unsigned long fresh = 0;
  if (event == PTRACE_EVENT_EXEC) refuse_new_rights(order, tid);
  if ((event == PTRACE_EVENT_FORK || event == PTRACE_EVENT_VFORK || event == PTRACE_EVENT_CLONE) &&
      ptrace(PTRACE_GETEVENTMSG, tid, 0, &fresh) == 0)
    add(order, others, (pid_t)fresh);
  if (event == PTRACE_EVENT_STOP && is_stop_signal(signal))
    ptrace(PTRACE_LISTEN, tid, 0, 0);
  else
    ptrace(PTRACE_SYSCALL, tid, 0, event == 0 ? signal : 0);
}

void trace_until_touch(const struct Order *order) {
  static struct Others others;
  int status = 0;
  for (pid_t tid = waitpid(-1, &status, __WALL); tid > 0; tid = waitpid(-1, &status, __WALL)) {
    if (!WIFSTOPPED(status)) {
      forget(&others, tid);
      continue;
    }
    if (WSTOPSIG(status) != SYSCALL_STOP)
      go_on(order, &others, tid, status);
    else if (!try_park(order, &others, tid))
      ptrace(PTRACE_SYSCALL, tid, 0, 0);
    else
      _exit(ptrace(PTRACE_DETACH, tid, 0, 0) < 0);
  }
}
