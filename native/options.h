// Socket options by the kernel's name.
#pragma once

#include <napi.h>

#include <string>
#include <vector>

// As setsockopt takes it, so that any thread can set it.
struct Setting {
  // The call that fails where it cannot be set.
  const char *name;
  int level;
  int number;
  // Its bytes.
  std::string value;
};

Setting flag(int level, int number, bool is_on);

// Reads each option of `{SO_MARK: 7, SO_BINDTODEVICE: "eth0", …}`; returns the call that failed, with errno
// set, or null.
const char *read_options(int family, const Napi::Object &options, std::vector<Setting> *settings);

// Likewise.
const char *set_options(int fd, const std::vector<Setting> &settings);
