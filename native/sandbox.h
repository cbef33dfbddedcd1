// What all children of a service join, made once: see sandbox.cc.
#pragma once

#include <napi.h>

#include <memory>
#include <vector>

// Owns its descriptors; children that are in their set-up hold it too.
struct Sandbox {
  Sandbox() = default;
  Sandbox(const Sandbox &) = delete;
  Sandbox &operator=(const Sandbox &) = delete;
  ~Sandbox();

  // Of namespaces, in the order in which they are joined.
  std::vector<int> namespaces;
  // Of files that may be read and written (landlock.h); -1: all.
  int ruleset = -1;
};

// Of what openSandbox returned; null: it was closed, or `handle` is none.
std::shared_ptr<Sandbox> sandbox_of(const Napi::Value &handle);
