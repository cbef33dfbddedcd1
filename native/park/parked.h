// What the tracer leaves in a parked program, and what the code there finds: one page of code, one of data,
// and a stack. Shared by tracer.c, which fills it in, and parked.c, which runs there.
#pragma once

#define PARKED_PAGE 4096UL
// The code, the data, and the stack above them.
#define PARKED_STACK_PAGES 2UL
#define PARKED_SIZE ((2 + PARKED_STACK_PAGES) * PARKED_PAGE)

// parked-entry.S knows these places.
#define PARKED_R15 0
#define PARKED_R14 8
#define PARKED_R13 16
#define PARKED_R12 24
#define PARKED_RBP 32
#define PARKED_RBX 40
#define PARKED_R10 48
#define PARKED_R9 56
#define PARKED_R8 64
#define PARKED_RAX 72
#define PARKED_RDX 80
#define PARKED_RSI 88
#define PARKED_RDI 96
#define PARKED_RSP 104
#define PARKED_FLAGS 112
#define PARKED_CALL 120
#define PARKED_SIGNALS 128

#ifndef __ASSEMBLER__

#define MOST_REOPENED 16

// A file that each clone opens for itself: who shares a description shares its offset.
struct Reopened {
  int fd;
  // For open(2) and for dup3(2).
  int flags;
  int close_on_exec;
  long offset;
};

struct Parked {
  // As they were when the call was taken back; rcx and r11 are dead there. `call` is the address of its
  // instruction.
  unsigned long r15, r14, r13, r12, rbp, rbx, r10, r9, r8, rax, rdx, rsi, rdi, rsp, flags, call;
  // The program's own.
  unsigned long signals;
  int control;
  int is_template;
  // Which of 0, 1 and 2 are to become the connection: bit by bit.
  int places;
  // And which of these the program has marked to be closed at an exec.
  int closing_places;
  // Where libc keeps the thread's number; 0: nowhere.
  unsigned long tid_address;
  unsigned long robust_list, robust_length;
  int was_dumpable;
  // ITIMER_REAL as setitimer(2) has it: interval and value, seconds and microseconds.
  long alarm[4];
  int reopened_count;
  struct Reopened reopened[MOST_REOPENED];
};

// The code from its entry to its end, as it is to be mapped.
extern const char __start_parked[], __stop_parked[];

#endif
