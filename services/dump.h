/*
 * What the files of dump share. dump-json.c writes; the others each tell a part of what a process finds when
 * it starts, with system calls where there is one, so that most of it is told where there is no /proc either.
 * What cannot be told is null.
 */

#ifndef DUMP_H
#define DUMP_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* How the members of an object or a list are laid out: each on a line of its own, or all on one. */
typedef enum { ON_LINES, ON_ONE_LINE } Layout;

/* All is kept in memory until take_json: what is looked at must not be changed by our own writing. */
void begin_json(void);
/* The text, which is the caller's, and its length; NULL for want of memory. */
char *take_json(size_t *length);

/* The name is NULL for the element of a list. */
void begin_object(const char *name, Layout layout);
void end_object(void);
void begin_list(const char *name, Layout layout);
void end_list(void);
void put_text(const char *name, const char *text); /* NULL: null */
void put_number(const char *name, long long number);
void put_flag(const char *name, bool is_on);
void put_null(const char *name);

/* The first line of a file, or NULL; it stands until the next call. */
const char *line_of(const char *path);
/* What a symbolic link says, or NULL; likewise. */
const char *target_of(const char *path);
/* The value of a line `NAME:\tVALUE` of /proc/self/status, or NULL; likewise. */
const char *status_of(const char *name);

void put_descriptors(void);
void put_ids(void);
void put_rights(void);
void put_confinement(void);
void put_limits(void);
void put_signals(void);
void put_place(void);

#endif
