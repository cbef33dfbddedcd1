// What the kernel tells of each TCP connection of this network namespace when its last holder is gone and
// TCP is through with it: SKNLGRP_INET_TCP_DESTROY of sock_diag(7). Called by src/child on the main thread;
// nothing here takes a lock that others hold.
#include "addon.h"
#include "error.h"
#include "netlink.h"

#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/sock_diag.h>
#include <linux/tcp.h>

#include <algorithm>

#ifndef SOL_NETLINK
#define SOL_NETLINK 270
#endif

namespace {

// Cookie, bytes from the peer, bytes to it, round trip in µs, retransmits.
constexpr size_t kFields = 5;
constexpr double kUnknown = -1;

// All that is read here: since Linux 4.19.
constexpr size_t kLeastInfo = offsetof(tcp_info, tcpi_bytes_retrans) + sizeof(__u64);

bool join(int fd, int group) {
  return setsockopt(fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group, sizeof group) == 0;
}

double cookie_of(const inet_diag_msg &message) {
  return static_cast<double>(message.id.idiag_cookie[1]) * 4294967296.0 +
         static_cast<double>(message.id.idiag_cookie[0]);
}

// The end that we sent is counted like a byte when it is acknowledged, and not when it is sent.
double acknowledged(const tcp_info &info) {
  const bool has_end = info.tcpi_bytes_acked == info.tcpi_bytes_sent - info.tcpi_bytes_retrans + 1;
  return static_cast<double>(info.tcpi_bytes_acked - (has_end ? 1 : 0));
}

// No connection is without a segment from its peer: one that seems to be has been taken apart, counts
// included, by connect(2) to nowhere or a close with SO_LINGER and no time.
bool is_account(const tcp_info &info) {
  return info.tcpi_segs_in > 0;
}

void write_record(double *record, const char *body, size_t length) {
  std::fill_n(record, kFields, kUnknown);
  inet_diag_msg message;
  if (length < sizeof message) return;
  memcpy(&message, body, sizeof message);
  record[0] = cookie_of(message);
  const size_t head = NLMSG_ALIGN(sizeof message);
  size_t size = 0;
  const char *content =
      head > length ? nullptr : find_attribute(body + head, length - head, INET_DIAG_INFO, kLeastInfo, &size);
  if (content == nullptr) return;
  tcp_info info = {};
  memcpy(&info, content, std::min(size, sizeof info));
  if (!is_account(info)) return;
  record[1] = static_cast<double>(info.tcpi_bytes_received);
  record[2] = acknowledged(info);
  record[3] = info.tcpi_rtt;
  record[4] = info.tcpi_total_retrans;
}

// openClosings() → a descriptor to be watched.
Napi::Value OpenClosings(const Napi::CallbackInfo &info) {
  const int fd = open_news(NETLINK_SOCK_DIAG);
  if (fd >= 0 && join(fd, SKNLGRP_INET_TCP_DESTROY) && join(fd, SKNLGRP_INET6_TCP_DESTROY))
    return Napi::Number::New(info.Env(), fd);
  const int error = errno;
  if (fd >= 0) close(fd);
  throw_system_error(info.Env(), error, "netlink");
  return info.Env().Undefined();
}

// readClosings(fd, records: Float64Array) → how many records
Napi::Value ReadClosings(const Napi::CallbackInfo &info) {
  return read_records(info, kFields, write_record);
}

}  // namespace

void init_closings(Napi::Env env, Napi::Object exports) {
  exports.Set("openClosings", Napi::Function::New(env, OpenClosings));
  exports.Set("readClosings", Napi::Function::New(env, ReadClosings));
  exports.Set("closingFields", static_cast<double>(kFields));
}
