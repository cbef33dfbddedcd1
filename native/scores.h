// How early the kernel ends a child when memory runs out.
#pragma once

#include <sys/types.h>

// Has the score written, sooner or later, to a child that is not collected yet. False: not now, as too many
// wait for theirs.
bool give_score(pid_t pid, int score);
