/* The idle session of the memory benchmark: greets with one byte, then blocks until its client hangs up.
   Linked statically, so that thousands of them stay cheap. */
#include <unistd.h>

int main(void) {
  char byte = '+';
  if (write(STDOUT_FILENO, &byte, 1) != 1) return 1;
  while (read(STDIN_FILENO, &byte, 1) > 0) continue;
  return 0;
}
