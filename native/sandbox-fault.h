// What went wrong while a sandbox was made.
#pragma once

#include <errno.h>

#include <string>

struct Fault {
  // The call, and what it was about; empty: nothing went wrong.
  std::string call;
  int error = 0;
};

// To be returned at once: errno is that of the call.
inline bool fail(Fault *fault, const std::string &call) {
  fault->error = errno;
  fault->call = call;
  return false;
}
