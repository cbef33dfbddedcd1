// Socket options by the kernel's name.
#pragma once

#include <napi.h>

// Sets each option of `{SO_MARK: 7, SO_BINDTODEVICE: "eth0", …}`; returns the call that failed, with errno
// set, or null.
const char *set_options(int fd, int family, const Napi::Object &options);
