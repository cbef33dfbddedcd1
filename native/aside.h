// Work on sockets and pipes that others hold too, or have put something into: it may wait in the kernel, so
// the main thread has it done.
#pragma once

#include <functional>

enum class Outcome {
  kDone,
  // It goes on, and may do so for ever. It owns all that it touches, and nothing of that must be looked at.
  kLate,
  // Nothing was done: something else that was to be done with this socket is late still.
  kNotTried
};

// What holds up the one does not hold up the other.
enum class Kind { kSocket, kPipe };

// Runs `work` on another thread and waits for it, though not for long. `fd` is what it is about; -1:
// something that has no number afterwards.
Outcome run_aside(int fd, std::function<void()> work, Kind kind = Kind::kSocket);

// The same with a descriptor of its own: what comes late goes on when `fd` has been closed and its number may
// be that of another socket.
Outcome look_aside(int fd, std::function<void(int own)> work);

// Runs `work` on another thread, after all that was given to it before, and does not wait.
void run_later(std::function<void()> work, Kind kind = Kind::kSocket);

// Closes a descriptor without waiting for it.
void close_later(int fd, Kind kind = Kind::kSocket);
