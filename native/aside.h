// Work on sockets and pipes that others hold too: it may wait in the kernel, so the main thread has it done,
// and waits for it with a limit. What it need not wait for is in closers.h.
#pragma once

#include "closers.h"

#include <stdint.h>
#include <sys/types.h>

#include <functional>

enum class Outcome {
  kDone,
  // It goes on, and may do so for ever. It owns all that it touches, and nothing of that must be looked at.
  kLate,
  // Nothing was done: something else that was to be done with this socket is late still.
  kNotTried
};

// Runs `work` on another thread and waits for it, though not for long. `fd` is what it is about.
Outcome run_aside(int fd, std::function<void()> work, Kind kind = Kind::kSocket);

// Closes it in the same way; what is not tried is closed sooner or later.
Outcome close_aside(int fd, Kind kind = Kind::kSocket);

// As `run_aside`, with a descriptor of its own: what comes late goes on when `fd` has been closed and its
// number may be that of another socket.
Outcome look_aside(int fd, std::function<void(int own)> work);

// The same for what is done in a folder, or on the way to one. `place` is the same number for the same place.
Outcome run_in_folder(uint64_t place, std::function<void()> work);

// A child that runs as `user` gets this socket: who may lock it is measured with that user's others.
void note_borrower(int fd, uid_t user);
