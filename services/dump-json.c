/*
 * Writes JSON, indented for people, and reads the small files of /proc. Bytes that are no UTF-8 become
 * \udc80 to \udcff, as Python has it (surrogateescape): no two texts look alike.
 */

#include "dump.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { DEEPEST = 8, LONGEST_LINE = 8192 };

static FILE *out;
static char *text;
static size_t text_length;

/* The objects and lists that are open. */
static struct {
  Layout layout;
  bool has_members;
} open_ones[DEEPEST];
static int depth;

void begin_json(void) {
  out = open_memstream(&text, &text_length);
  if (out == NULL) abort();
}

char *take_json(size_t *length) {
  fputc('\n', out);
  const bool is_whole = !ferror(out) && fclose(out) == 0;
  *length = text_length;
  return is_whole ? text : NULL;
}

/* Of the four bytes at the most that make a character, or 0: this is none. */
static size_t length_of_character(const unsigned char *bytes) {
  static const struct {
    unsigned char first, last, second_from, second_to;
    size_t length;
  } kinds[] = {{0x00, 0x7f, 0, 0, 1},       {0xc2, 0xdf, 0x80, 0xbf, 2}, {0xe0, 0xe0, 0xa0, 0xbf, 3},
               {0xe1, 0xec, 0x80, 0xbf, 3}, {0xed, 0xed, 0x80, 0x9f, 3}, {0xee, 0xef, 0x80, 0xbf, 3},
               {0xf0, 0xf0, 0x90, 0xbf, 4}, {0xf1, 0xf3, 0x80, 0xbf, 4}, {0xf4, 0xf4, 0x80, 0x8f, 4}};
  for (size_t i = 0; i < sizeof kinds / sizeof *kinds; ++i) {
    if (bytes[0] < kinds[i].first || bytes[0] > kinds[i].last) continue;
    if (kinds[i].length == 1) return 1;
    if (bytes[1] < kinds[i].second_from || bytes[1] > kinds[i].second_to) return 0;
    for (size_t k = 2; k < kinds[i].length; ++k) {
      if ((bytes[k] & 0xc0) != 0x80) return 0;
    }
    return kinds[i].length;
  }
  return 0;
}

static void write_character(const unsigned char *bytes, size_t length) {
  if (length == 0)
    fprintf(out, "\\udc%02x", bytes[0]);
  else if (bytes[0] == '"' || bytes[0] == '\\')
    fprintf(out, "\\%c", bytes[0]);
  else if (bytes[0] < 0x20 || bytes[0] == 0x7f)
    fprintf(out, "\\u%04x", bytes[0]);
  else
    fwrite(bytes, 1, length, out);
}

static void write_string(const char *string) {
  const unsigned char *at = (const unsigned char *)string;

  fputc('"', out);
  while (*at != '\0') {
    const size_t length = length_of_character(at);
    write_character(at, length);
    at += length == 0 ? 1 : length;
  }
  fputc('"', out);
}

static void begin_line(void) {
  if (open_ones[depth].layout == ON_ONE_LINE) return;
  fprintf(out, "\n%*s", 2 * depth, "");
}

static void begin_member(const char *name) {
  if (depth == 0) return;
  if (open_ones[depth].has_members) fputs(open_ones[depth].layout == ON_ONE_LINE ? ", " : ",", out);
  open_ones[depth].has_members = true;
  begin_line();
  if (name == NULL) return;
  write_string(name);
  fputs(": ", out);
}

static void begin(const char *name, Layout layout, char bracket) {
  const bool is_inside_line = depth > 0 && open_ones[depth].layout == ON_ONE_LINE;

  begin_member(name);
  fputc(bracket, out);
  if (++depth == DEEPEST) abort();
  open_ones[depth].layout = is_inside_line ? ON_ONE_LINE : layout;
  open_ones[depth].has_members = false;
}

static void end(char bracket) {
  const bool is_on_lines = open_ones[depth].layout == ON_LINES && open_ones[depth].has_members;

  --depth;
  if (is_on_lines) fprintf(out, "\n%*s", 2 * depth, "");
  fputc(bracket, out);
}

void begin_object(const char *name, Layout layout) {
  begin(name, layout, '{');
}

void end_object(void) {
  end('}');
}

void begin_list(const char *name, Layout layout) {
  begin(name, layout, '[');
}

void end_list(void) {
  end(']');
}

void put_text(const char *name, const char *string) {
  begin_member(name);
  if (string == NULL)
    fputs("null", out);
  else
    write_string(string);
}

void put_number(const char *name, long long number) {
  begin_member(name);
  fprintf(out, "%lld", number);
}

void put_flag(const char *name, bool is_on) {
  begin_member(name);
  fputs(is_on ? "true" : "false", out);
}

void put_null(const char *name) {
  put_text(name, NULL);
}

const char *line_of(const char *path) {
  static char line[LONGEST_LINE];
  FILE *file = fopen(path, "re");
  const bool has_line = file != NULL && fgets(line, sizeof line, file) != NULL;

  if (file != NULL) fclose(file);
  if (!has_line) return NULL;
  line[strcspn(line, "\n")] = '\0';
  return line;
}

const char *target_of(const char *path) {
  static char target[LONGEST_LINE];
  const ssize_t length = readlink(path, target, sizeof target - 1);

  if (length < 0) return NULL;
  target[length] = '\0';
  return target;
}

const char *status_of(const char *name) {
  static char line[LONGEST_LINE];
  const size_t length = strlen(name);
  const char *value = NULL;
  FILE *file = fopen("/proc/self/status", "re");

  if (file == NULL) return NULL;
  while (value == NULL && fgets(line, sizeof line, file) != NULL) {
    if (strncmp(line, name, length) == 0 && line[length] == ':') value = line + length + 1;
  }
  fclose(file);
  if (value == NULL) return NULL;
  line[strcspn(line, "\n")] = '\0';
  return value + strspn(value, " \t");
}
