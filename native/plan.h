// What every child of a service does, as the addon keeps it: prepared once, spawned for each connection.
#pragma once

#include <napi.h>

#include <memory>
#include <string>
#include <vector>

#include "child.h"
#include "sandbox.h"

constexpr int kNoScore = 1 << 20;

// Owns what `view` points to. Nothing of it changes any more: children read it while we go on.
struct Plan {
  std::string path;
  std::string root;
  std::string directory;
  std::string stderr_file;
  std::string apparmor;
  std::string selinux;
  std::vector<std::string> words;
  std::vector<std::string> variables;
  std::vector<const char *> argv;
  std::vector<std::vector<gid_t>> lists;
  std::vector<ChildStep> steps;
  // Namespaces that the child gets of its own, as clone(2) is told.
  int clone_flags;
  // oom_score_adj; kNoScore: stdiod's own.
  int oom_score;
  // What its children join, as long as it is there: whoever made it closes it.
  bool has_sandbox = false;
  std::weak_ptr<Sandbox> sandbox;
  // Each child is born in a control group that comes with its start.
  bool has_group;
  // It has a copy of our memory instead of the memory itself.
  bool is_apart;
  // Under which its children run.
  uid_t user;
  // It runs before the program: the connection is not for it. Its fd 0 is `stderr_fd`, and 1 is as 2.
  bool is_blind;
  // It waits for a connection, which comes later: its fd 3 is a control socket that comes with its start.
  bool is_parked;
  // What becomes fd 2: -1 for the connection itself.
  int stderr_fd;
  ChildPlan view = {};
};

// Of what preparePlan returned.
std::shared_ptr<Plan> plan_of(const Napi::Value &handle);
