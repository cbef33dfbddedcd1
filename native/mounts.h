// What the files of a mount namespace look like to a service's children.
#pragma once

#include <string>
#include <vector>

#include "sandbox-fault.h"

struct MountWishes {
  // /tmp and /var/tmp are theirs.
  bool has_own_tmp = false;
  // Files and folders in whose place there is nothing to see.
  std::vector<std::string> hidden;
};

// In the mount namespace of the calling thread, which must be its own.
bool make_mounts(const MountWishes &wishes, Fault *fault);
