// clone3(2), for which libc has no wrapper: the child comes back from the system call on another stack, where
// nothing of the caller's is to be found. So the call, and the jump to what the child is to do, are one piece
// of assembler. Called by spawn.cc, for services with a `cgroup` alone.
#include "clone-into.h"

#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <sys/syscall.h>

namespace {

// The kernel's struct clone_args (linux/sched.h), which not every libc's headers go along with.
struct CloneArguments {
  uint64_t flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls, set_tid, set_tid_size,
      cgroup;
};

constexpr uint64_t kIntoCgroup = 0x200000000ULL;

uint64_t address(const void *pointer) {
  return reinterpret_cast<uintptr_t>(pointer);
}

#if defined(__x86_64__)
long clone3(CloneArguments *arguments, int (*entry)(void *), void *argument) {
  long result;
  asm volatile(
      "syscall\n\t"
      "testq %%rax, %%rax\n\t"
      "jnz 1f\n\t"
      "movq %[argument], %%rdi\n\t"
      "callq *%[entry]\n\t"
      "ud2\n"
      "1:"
      : "=a"(result)
      : "a"(static_cast<long>(SYS_clone3)), "D"(arguments),
        "S"(sizeof *arguments), [entry] "r"(entry), [argument] "r"(argument)
      : "rcx", "r11", "memory", "cc");
  return result;
}
#elif defined(__aarch64__)
long clone3(CloneArguments *arguments, int (*entry)(void *), void *argument) {
  register long x8 asm("x8") = SYS_clone3;
  register long x0 asm("x0") = reinterpret_cast<long>(arguments);
  register long x1 asm("x1") = sizeof *arguments;
  asm volatile(
      "svc 0\n\t"
      "cbnz x0, 1f\n\t"
      "mov x0, %[argument]\n\t"
      "blr %[entry]\n\t"
      "brk 0\n"
      "1:"
      : "+r"(x0)
      : "r"(x8), "r"(x1), [entry] "r"(entry), [argument] "r"(argument)
      : "x30", "memory", "cc");
  return x0;
}
#endif

}  // namespace

pid_t clone_into(const CloneInto &how, int (*entry)(void *), void *argument) {
  CloneArguments arguments = {};
  arguments.flags = static_cast<uint64_t>(how.flags) | kIntoCgroup;
  arguments.exit_signal = SIGCHLD;
  arguments.child_tid = address(how.tid);
  arguments.stack = address(how.stack);
  arguments.stack_size = how.stack_size;
  arguments.cgroup = static_cast<uint64_t>(how.group);
  const long result = clone3(&arguments, entry, argument);
  if (result >= 0) return static_cast<pid_t>(result);
  errno = static_cast<int>(-result);
  return -1;
}
