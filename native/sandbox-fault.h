// What went wrong while a sandbox was made.
#pragma once

#include <errno.h>

#include <atomic>
#include <string>

// What is being made, and where others may be in the way. A bit for each: a sandbox may want several.
enum Stage : unsigned {
  kNamespaces = 1,
  kNetwork = 2,
  kOwnTmp = 4,
  kOwnDevices = 8,
  kOwnProcesses = 16,
  kCredentials = 32,
  // By their paths.
  kPaths = 64
};

struct Fault {
  // The call, and what it was about; empty: nothing went wrong.
  std::string call;
  int error = 0;
  // The path in hand: where it hangs, if it does. Null: none.
  std::atomic<const std::string *> path{nullptr};
  std::atomic<unsigned> stage{0};
};

// To be returned at once: errno is that of the call.
inline bool fail(Fault *fault, const std::string &call) {
  fault->error = errno;
  fault->call = call;
  return false;
}
