/*
 * What the services of builtin say. No function here knows whether a connection or a datagram has asked.
 */

#include "builtin.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <time.h>

size_t answer_echo(char *bytes, size_t length, const Options *options) {
  (void)bytes, (void)options;
  return length;
}

size_t answer_nothing(char *bytes, size_t length, const Options *options) {
  (void)bytes, (void)length, (void)options;
  return 0;
}

char chargen_byte(size_t offset) {
  const size_t line = offset / CHARGEN_LINE, column = offset % CHARGEN_LINE;
  if (column == 72) return '\r';
  if (column == 73) return '\n';
  return (char)(' ' + (line + column) % CHARGEN_LINES);
}

/* RFC 864 wants a random length. Where the request bounds the answer, its length is the better choice. */
size_t answer_chargen(char *bytes, size_t length, const Options *options) {
  (void)length;
  const size_t size = options->amplify ? 1 + (size_t)random() % ANSWER_SIZE : ANSWER_SIZE;
  for (size_t offset = 0; offset < size; offset++) bytes[offset] = chargen_byte(offset);
  return size;
}

/* The form that RFC 867 suggests, in English: the program never calls setlocale. */
size_t answer_daytime(char *bytes, size_t length, const Options *options) {
  (void)length, (void)options;
  const time_t now = time(NULL);
  return strftime(bytes, ANSWER_SIZE, "%A, %B %d, %Y %H:%M:%S-%Z\r\n", localtime(&now));
}

/* Seconds since 1900 in four bytes, the highest first. In 2036 they begin again at 0, as those of NTP do. */
size_t answer_time(char *bytes, size_t length, const Options *options) {
  (void)length, (void)options;
  const uint32_t seconds = (uint32_t)((uint64_t)time(NULL) + 2208988800u); /* from 1900 to 1970 */
  for (int index = 0; index < 4; index++) bytes[index] = (char)(seconds >> (24 - 8 * index));
  return 4;
}

typedef struct {
  char bytes[ANSWER_SIZE];
  size_t length;
  bool full; /* what does not fit is left out */
} Quote;

/* Where `text` may be cut, at or before `length`, with no character of UTF-8 cut in two. */
static size_t whole_characters(const char *text, size_t length) {
  while (length > 0 && (text[length] & 0xC0) == 0x80) length -= 1;
  return length;
}

static void append(Quote *quote, const char *text, size_t length) {
  const size_t room = quote->full ? 0 : ANSWER_SIZE - quote->length;
  if (length > room) {
    quote->full = true;
    length = whole_characters(text, room);
  }
  memcpy(quote->bytes + quote->length, text, length);
  quote->length += length;
}

/* Reads up to a line that is a lone %. Returns false at the end of the file. */
static bool read_quote(FILE *file, Quote *quote) {
  static char *line;
  static size_t size;
  ssize_t length;

  quote->length = 0;
  quote->full = false;
  while ((length = getline(&line, &size, file)) >= 0) {
    while (length > 0 && (line[length - 1] == '\n' || line[length - 1] == '\r')) length -= 1;
    if (length == 1 && *line == '%') return true;
    append(quote, line, (size_t)length);
    append(quote, "\r\n", 2); /* as lines of an Internet protocol end */
  }
  return false;
}

/* Reads all quotes and keeps one: the n-th takes the place of the one before with probability 1/n. */
static long choose_quote(FILE *file, Quote *chosen) {
  Quote quote;
  long seen = 0;
  for (bool more = true; more;) {
    more = read_quote(file, &quote);
    if (quote.length == 0) continue;
    seen += 1;
    if (random() % seen == 0) *chosen = quote;
  }
  return seen;
}

static _Noreturn void give_up(const char *path, const char *problem) {
  fprintf(stderr, "builtin: %s: %s\n", path, problem);
  exit(EXIT_FAILURE);
}

/* The file is read for each answer: what somebody writes into it counts at once. */
size_t answer_quote(char *bytes, size_t length, const Options *options) {
  (void)length;
  FILE *file = fopen(options->quotes, "re");
  if (file == NULL) give_up(options->quotes, strerror(errno));

  Quote chosen;
  const long seen = choose_quote(file, &chosen);
  if (ferror(file)) give_up(options->quotes, strerror(errno));
  fclose(file);
  if (seen == 0) give_up(options->quotes, "there is no quote in it");
  memcpy(bytes, chosen.bytes, chosen.length);
  return chosen.length;
}
