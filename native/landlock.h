// Which files a program may read and write: the half that is done once for a service. The other one is a
// child's, in child.cc.
#pragma once

#include <string>
#include <vector>

#include "sandbox-fault.h"

struct FileRules {
  // Read and execute, with all that is beneath.
  std::vector<std::string> read_only;
  std::vector<std::string> read_write;
};

// The version of the kernel's Landlock; 0: it has none, or it is switched off.
int landlock_version();

// A ruleset in which nothing else is allowed; -1: see `fault`. It opens what the rules name.
int open_ruleset(const FileRules &rules, Fault *fault);
