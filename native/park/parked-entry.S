// Begin and end of the code in a parked program. It is entered with the address of its data in rdi and a stack of its
// own, and left by the very call that was taken back: at a `syscall` instruction rcx is dead, so it carries the jump.
#include "parked.h"

  .section parked, "ax", @progbits
  .globl parked_entry
  .hidden parked_entry
  .type parked_entry, @function
parked_entry:
  movq %rdi, %rbx
  call parked_run
  // Signals come back on the program's own stack, below what it may use without saying so: a handler may need more
  // room than ours has.
  movq PARKED_RSP(%rbx), %rsp
  subq $256, %rsp
  andq $-16, %rsp
  movl $14, %eax
  movl $2, %edi
  leaq PARKED_SIGNALS(%rbx), %rsi
  xorl %edx, %edx
  movl $8, %r10d
  syscall
  movq %rbx, %rdi
  pushq PARKED_FLAGS(%rdi)
  popfq
  movq PARKED_R15(%rdi), %r15
  movq PARKED_R14(%rdi), %r14
  movq PARKED_R13(%rdi), %r13
  movq PARKED_R12(%rdi), %r12
  movq PARKED_RBP(%rdi), %rbp
  movq PARKED_RBX(%rdi), %rbx
  movq PARKED_R10(%rdi), %r10
  movq PARKED_R9(%rdi), %r9
  movq PARKED_R8(%rdi), %r8
  movq PARKED_RAX(%rdi), %rax
  movq PARKED_RDX(%rdi), %rdx
  movq PARKED_RSI(%rdi), %rsi
  movq PARKED_RSP(%rdi), %rsp
  movq PARKED_CALL(%rdi), %rcx
  movq PARKED_RDI(%rdi), %rdi
  jmp *%rcx
  .size parked_entry, . - parked_entry
  .section .note.GNU-stack, "", @progbits
