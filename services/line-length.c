/*
 * line-length: answers each line with the number of its characters, and at the end of the input writes the
 * totals to stderr. A character is a Unicode code point of UTF-8 text; the newline that ends a line is not
 * counted.
 *
 * Try it:  printf 'one\nzwölf\n' | dist/services/line-length
 */

#include <stdbool.h>
#include <stdio.h>

/* The first byte of a UTF-8 character starts it; all others look like 10xxxxxx. */
static bool starts_character(int byte) {
  return (byte & 0xC0) != 0x80;
}

/* Reads one line, however long, and counts its characters. Returns false when there is no further line. */
static bool read_line(unsigned long *length) {
  int byte = getchar();
  if (byte == EOF) return false;
  for (*length = 0; byte != '\n' && byte != EOF; byte = getchar()) *length += starts_character(byte);
  return true;
}

int main(void) {
  unsigned long lines = 0, chars = 0, length;

  /* Left alone, C collects output to a socket until it has some KiB; a client wants its answer after every
   * line. */
  setvbuf(stdout, NULL, _IOLBF, BUFSIZ);

  while (read_line(&length)) {
    printf("%lu\n", length);
    lines += 1;
    chars += length;
  }
  fprintf(stderr, "lines = %lu chars = %lu\n", lines, chars);
  return ferror(stdin) || ferror(stdout);
}
