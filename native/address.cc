// See address.h.
#include "address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <algorithm>
#include <string>

namespace {

constexpr size_t kPathStart = offsetof(sockaddr_un, sun_path);

bool read_v4(const std::string &text, int port, Address *address) {
  if (inet_pton(AF_INET, text.c_str(), &address->v4.sin_addr) != 1) return false;
  address->v4.sin_family = AF_INET;
  address->v4.sin_port = htons(static_cast<uint16_t>(port));
  address->length = sizeof address->v4;
  return true;
}

bool read_v6(const std::string &text, int port, Address *address) {
  const size_t percent = text.find('%');
  if (inet_pton(AF_INET6, text.substr(0, percent).c_str(), &address->v6.sin6_addr) != 1) return false;
  address->v6.sin6_family = AF_INET6;
  address->v6.sin6_port = htons(static_cast<uint16_t>(port));
  address->length = sizeof address->v6;
  if (percent == std::string::npos) return true;
  address->v6.sin6_scope_id = if_nametoindex(text.substr(percent + 1).c_str());
  if (address->v6.sin6_scope_id == 0) errno = ENODEV;
  return address->v6.sin6_scope_id != 0;
}

// In the abstract namespace (`@name`) the length counts and there is no NUL at the end.
bool read_path(const std::string &path, Address *address) {
  const bool is_abstract = !path.empty() && path[0] == '@';
  const size_t room = sizeof address->local.sun_path - (is_abstract ? 0 : 1);
  if (path.empty() || path.size() > room) return false;
  address->local.sun_family = AF_UNIX;
  memcpy(address->local.sun_path, path.data(), path.size());
  if (is_abstract) address->local.sun_path[0] = 0;
  address->length = static_cast<socklen_t>(kPathStart + path.size() + (is_abstract ? 0 : 1));
  return true;
}

void write_v6(const Address &address, char (&text)[kAddressText]) {
  inet_ntop(AF_INET6, &address.v6.sin6_addr, text, sizeof text);
  char interface[IF_NAMESIZE];
  if (address.v6.sin6_scope_id == 0 || if_indextoname(address.v6.sin6_scope_id, interface) == nullptr) return;
  const size_t end = strlen(text);
  snprintf(text + end, sizeof text - end, "%%%s", interface);
}

void write_path(const Address &address, char (&text)[kAddressText]) {
  const char *path = address.local.sun_path;
  const size_t length = address.length > kPathStart ? address.length - kPathStart : 0;
  const bool is_abstract = length > 0 && path[0] == 0;
  const size_t shown = is_abstract ? length : strnlen(path, length);
  std::replace_copy(path, path + shown, text, '\0', '@');
  text[shown] = 0;
}

}  // namespace

bool read_address(const Napi::Object &from, Address *address) {
  *address = Address();
  errno = EINVAL;
  const std::string family = from.Get("family").ToString();
  if (family == "unix") return read_path(from.Get("path").ToString(), address);
  const int64_t port = from.Get("port").ToNumber().Int64Value();
  if (family == "vsock") {
    address->vm.svm_family = AF_VSOCK;
    address->vm.svm_port = static_cast<unsigned>(port);
    address->vm.svm_cid = VMADDR_CID_ANY;
    address->length = sizeof address->vm;
    return true;
  }
  const std::string text = from.Get("address").ToString();
  return read_v4(text, static_cast<int>(port), address) || read_v6(text, static_cast<int>(port), address);
}

void write_text(const Address &address, char (&text)[kAddressText]) {
  text[0] = 0;
  switch (address.generic.sa_family) {
    case AF_INET:
      inet_ntop(AF_INET, &address.v4.sin_addr, text, sizeof text);
      return;
    case AF_INET6:
      write_v6(address, text);
      return;
    case AF_UNIX:
      write_path(address, text);
      return;
    case AF_VSOCK:
      snprintf(text, sizeof text, "%u", address.vm.svm_cid);
      return;
    default:
      return;
  }
}

int type_of(const std::string &name) {
  if (name == "datagram") return SOCK_DGRAM;
  return name == "seqpacket" ? SOCK_SEQPACKET : SOCK_STREAM;
}

int64_t port_of(const Address &address) {
  switch (address.generic.sa_family) {
    case AF_INET:
      return ntohs(address.v4.sin_port);
    case AF_INET6:
      return ntohs(address.v6.sin6_port);
    case AF_VSOCK:
      return address.vm.svm_port;
    default:
      return 0;
  }
}
