// What the files of a mount namespace look like to a service's children.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "sandbox-fault.h"

struct Credential {
  std::string name;
  std::string contents;
};

// Files that are one user's alone.
struct Credentials {
  // Where they are; empty: there are none.
  std::string folder;
  uid_t uid = 0;
  gid_t gid = 0;
  std::vector<Credential> files;
};

struct MountWishes {
  Credentials credentials;

  // /tmp and /var/tmp are theirs.
  bool has_own_tmp = false;
  // No device works but those that keep nothing and lead nowhere.
  bool has_no_devices = false;
  // /proc shows whoever is not root the processes of their own user.
  bool has_own_processes = false;
  // Files and folders in whose place there is nothing to see.
  std::vector<std::string> hidden;
};

// In the mount namespace of the calling thread, which must be its own.
bool make_mounts(const MountWishes &wishes, Fault *fault);
