/*
 * What the files of builtin share. One process serves one connection (builtin-stream.c) or one datagram
 * socket (builtin-datagram.c); what is said to the client is the same for both (builtin-answers.c).
 */

#ifndef BUILTIN_H
#define BUILTIN_H

#include <stdbool.h>
#include <stddef.h>

enum { ANSWER_SIZE = 512 }; /* bytes: no answer of ours is longer, but for an echo */

typedef struct {
  const char *quotes;       /* qotd's file; NULL for all others */
  bool amplify;             /* a datagram may get a longer one in return */
  int rate;                 /* answers to datagrams of one host… */
  int rate_seconds;         /* …in so many seconds */
  int idle_seconds;         /* without a datagram for so long, the process ends */
  bool refused_port[65536]; /* source ports whose datagrams get no answer */
} Options;

/*
 * Turns the request into the answer, in the same place, which has room for ANSWER_SIZE bytes at least.
 * Returns the length of the answer; 0 means none.
 */
typedef size_t Answer(char *bytes, size_t length, const Options *options);

/* Serves the connection on stdin and stdout to its end, and returns the exit status. */
typedef int Stream(Answer *answer, const Options *options);

Answer answer_echo, answer_nothing, answer_chargen, answer_daytime, answer_time, answer_quote;
Stream stream_echo, stream_discard, stream_chargen, stream_answer;

/* Answers datagrams on stdin until none has come for a while, and returns the exit status. */
int serve_datagrams(Answer *answer, Options *options);

/* One byte of the endless text of RFC 864: lines of 72 characters, each beginning one character later. */
char chargen_byte(size_t offset);
enum {
  CHARGEN_LINE = 72 + 2,
  CHARGEN_LINES = 95,
  CHARGEN_PAGE = CHARGEN_LINE * CHARGEN_LINES
}; /* then it repeats */

#endif
