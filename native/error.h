// The one shape in which C++ reports a failed system call: an Error with `code`, `errno` and `syscall`, as
// Node's own have.
#pragma once

#include <napi.h>

// Throws into JavaScript; the caller returns at once. `error` is a positive errno.
void throw_system_error(Napi::Env env, int error, const char *syscall);
