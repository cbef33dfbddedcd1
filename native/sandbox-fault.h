// What went wrong while a sandbox was made.
#pragma once

#include <errno.h>

#include <atomic>
#include <string>

struct Fault {
  // The call, and what it was about; empty: nothing went wrong.
  std::string call;
  int error = 0;
  // The path in hand: where it hangs, if it does. Null: none.
  std::atomic<const std::string *> path{nullptr};
};

// To be returned at once: errno is that of the call.
inline bool fail(Fault *fault, const std::string &call) {
  fault->error = errno;
  fault->call = call;
  return false;
}
