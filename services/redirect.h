/*
 * What the files of redirect share. One process forwards one connection: it connects to the target
 * (redirect-connect.c), moves bytes both ways (redirect-relay.c), and says how that went (redirect-words.c).
 */

#ifndef REDIRECT_H
#define REDIRECT_H

#include <stdint.h>

/* The client. */
enum { CLIENT_IN = 0, CLIENT_OUT = 1 };

/* What the process ends with; from 64 on as in sysexits.h. */
enum {
  DONE = 0,   /* both directions ended as they should */
  BROKEN = 1, /* the connection broke */
  WRONG_USAGE = 2,
  NO_SUCH_NAME = 68, /* the target's name stands for no address */
  UNREACHABLE = 69,  /* nobody answers there */
  TOO_LATE = 75,     /* the target took too long */
};

/* A signal asks us to go; not a status, but the signal that we then die by. */
enum { TOLD_TO_GO = -1 };

/* Bytes of one connection. */
typedef struct {
  uint64_t in;  /* from the client */
  uint64_t out; /* to the client */
} Traffic;

/* Opens a non-blocking socket to HOST:PORT, [V6]:PORT, unix:/path or unix:@name. Returns a status. */
int connect_target(const char *target, int *socket);

/* Forwards until both sides have ended, or one has broken. Returns a status, or TOLD_TO_GO. */
int relay(int target, Traffic *traffic);

/* Says `redirect: WHAT OBJECT: WHY` on stderr. */
void complain(const char *what, const char *object, const char *why);

/* For a super-server that keeps accounts: says on stderr what went through. */
void account(const Traffic *traffic);

#endif
