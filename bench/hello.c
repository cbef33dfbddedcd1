/* The served program of every benchmark: an ordinary, dynamically linked program that answers and ends.
   Runs once per connection, as the child of whichever contender is being measured. */
#include <unistd.h>

int main(void) {
  static const char reply[] = "hello\n";
  ssize_t n = write(STDOUT_FILENO, reply, sizeof reply - 1);
  return n == (ssize_t)(sizeof reply - 1) ? 0 : 1;
}
