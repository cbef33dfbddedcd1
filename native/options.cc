// See options.h. src/service/socket-options.ts has the same names.
#include "options.h"

#include <errno.h>
#include <linux/in6.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>

#include <string>

namespace {

struct Option {
  const char *name;
  int level;
  int number;
  // Its counterpart on an IPv6 socket; 0: the same.
  int level6;
  int number6;
};

constexpr Option kOptions[] = {
    {"SO_BINDTODEVICE", SOL_SOCKET, SO_BINDTODEVICE, 0, 0},
    {"SO_REUSEPORT", SOL_SOCKET, SO_REUSEPORT, 0, 0},
    {"SO_MARK", SOL_SOCKET, SO_MARK, 0, 0},
    {"SO_RCVBUF", SOL_SOCKET, SO_RCVBUF, 0, 0},
    {"SO_SNDBUF", SOL_SOCKET, SO_SNDBUF, 0, 0},
    {"IP_FREEBIND", IPPROTO_IP, IP_FREEBIND, IPPROTO_IPV6, IPV6_FREEBIND},
    {"IP_TRANSPARENT", IPPROTO_IP, IP_TRANSPARENT, IPPROTO_IPV6, IPV6_TRANSPARENT},
    {"IP_TOS", IPPROTO_IP, IP_TOS, IPPROTO_IPV6, IPV6_TCLASS},
    {"IPV6_V6ONLY", IPPROTO_IPV6, IPV6_V6ONLY, 0, 0},
    {"TCP_KEEPIDLE", IPPROTO_TCP, TCP_KEEPIDLE, 0, 0},
    {"TCP_KEEPINTVL", IPPROTO_TCP, TCP_KEEPINTVL, 0, 0},
    {"TCP_KEEPCNT", IPPROTO_TCP, TCP_KEEPCNT, 0, 0},
    {"TCP_USER_TIMEOUT", IPPROTO_TCP, TCP_USER_TIMEOUT, 0, 0},
    {"TCP_DEFER_ACCEPT", IPPROTO_TCP, TCP_DEFER_ACCEPT, 0, 0},
    {"TCP_FASTOPEN", IPPROTO_TCP, TCP_FASTOPEN, 0, 0},
};

const Option *find_option(const std::string &name) {
  for (const Option &option : kOptions) {
    if (name == option.name) return &option;
  }
  return nullptr;
}

std::string bytes_of(int number) {
  return std::string(reinterpret_cast<const char *>(&number), sizeof number);
}

Setting setting_of(int family, const Option &option, const Napi::Value &value) {
  if (value.IsString()) {
    const std::string text = value.ToString();
    return {option.name, option.level, option.number, std::string(text.c_str(), text.size() + 1)};
  }
  const bool is_v6 = family == AF_INET6 && option.number6 != 0;
  return {option.name, is_v6 ? option.level6 : option.level, is_v6 ? option.number6 : option.number,
          bytes_of(value.ToNumber().Int32Value())};
}

}  // namespace

Setting flag(int level, int number, bool is_on) {
  return {"setsockopt", level, number, bytes_of(is_on ? 1 : 0)};
}

const char *read_options(int family, const Napi::Object &options, std::vector<Setting> *settings) {
  const Napi::Array names = options.GetPropertyNames();
  for (uint32_t i = 0; i < names.Length(); ++i) {
    const std::string name = names.Get(i).ToString();
    const Option *option = find_option(name);
    if (option == nullptr) {
      errno = ENOPROTOOPT;
      return "setsockopt";
    }
    // Means something to IPv6 alone; a wildcard is one socket of each family with the same options.
    if (option->level == IPPROTO_IPV6 && family != AF_INET6) continue;
    settings->push_back(setting_of(family, *option, options.Get(name)));
  }
  return nullptr;
}

const char *set_options(int fd, const std::vector<Setting> &settings) {
  for (const Setting &setting : settings) {
    const auto length = static_cast<socklen_t>(setting.value.size());
    if (setsockopt(fd, setting.level, setting.number, setting.value.data(), length) < 0) return setting.name;
  }
  return nullptr;
}
