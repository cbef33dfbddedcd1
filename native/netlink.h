// What the kernel tells of by itself over netlink(7), to whoever listens: many messages in one call, and only
// its own. The socket's buffer bounds what waits; what has no room there is lost.
#pragma once

#include "addon.h"
#include "address.h"
#include "descriptor.h"

#include <linux/netlink.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstddef>

// Of the messages themselves and of what the kernel needs for each: a thousand or so.
constexpr int kNewsBuffer = 1 << 20;
// Read in one call.
constexpr size_t kNewsBatch = 64;
// Of one message; the kernel's are a third of that.
constexpr size_t kLongestNews = 4096;

// -1: errno tells why. Only a socket that is bound hears anything.
inline int open_news(int protocol) {
  const int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol);
  if (fd < 0) return -1;
  sockaddr_nl own = {};
  own.nl_family = AF_NETLINK;
  if (bind(fd, reinterpret_cast<sockaddr *>(&own), sizeof own) < 0) {
    close(fd);
    return -1;
  }
  // Without the right to more than others have it stays at that.
  if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &kNewsBuffer, sizeof kNewsBuffer) < 0)
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &kNewsBuffer, sizeof kNewsBuffer);
  return move_descriptor(fd, kListenerBase);
}

// Calls on_message(header, body, length of the body) for each whole message of the kernel's. Returns how many
// came, whoever sent them; 0 also when some were lost (ENOBUFS), for the rest of which it is called again.
template <typename OnMessage>
size_t read_news(int fd, const OnMessage &on_message) {
  alignas(nlmsghdr) static char bytes[kNewsBatch][kLongestNews];
  sockaddr_nl senders[kNewsBatch] = {};
  iovec parts[kNewsBatch];
  mmsghdr messages[kNewsBatch] = {};
  for (size_t i = 0; i < kNewsBatch; ++i) {
    parts[i] = {bytes[i], kLongestNews};
    messages[i].msg_hdr = {&senders[i], sizeof senders[i], &parts[i], 1, nullptr, 0, 0};
  }
  const int count = recvmmsg(fd, messages, kNewsBatch, MSG_DONTWAIT, nullptr);
  for (int i = 0; i < count; ++i) {
    nlmsghdr header;
    const size_t length = messages[i].msg_len;
    if (senders[i].nl_pid != 0 || (messages[i].msg_hdr.msg_flags & MSG_TRUNC) != 0) continue;
    if (length < NLMSG_HDRLEN) continue;
    memcpy(&header, bytes[i], sizeof header);
    if (header.nlmsg_len < NLMSG_HDRLEN || header.nlmsg_len > length) continue;
    on_message(header, bytes[i] + NLMSG_HDRLEN, header.nlmsg_len - NLMSG_HDRLEN);
  }
  return count > 0 ? static_cast<size_t>(count) : 0;
}

// readX(fd, records: Float64Array) → how many records of `fields` numbers were written; as many as there is
// room for: there may be more. What has no room is lost.
inline Napi::Value read_records(const Napi::CallbackInfo &info, size_t fields,
                                void (*write)(double *record, const char *body, size_t length)) {
  auto records = info[1].As<Napi::Float64Array>();
  const size_t room = records.ElementLength() / fields;
  double *next = records.Data();
  size_t count = 0;
  read_news(info[0].ToNumber().Int32Value(), [&](const nlmsghdr &, const char *body, size_t length) {
    if (count < room) write(next + fields * count++, body, length);
  });
  return Napi::Number::New(info.Env(), static_cast<double>(count));
}

// The content of the first attribute of this type that is at least so long; null: there is none.
inline const char *find_attribute(const char *attributes, size_t length, int type, size_t least,
                                  size_t *size) {
  for (size_t at = 0; at + NLA_HDRLEN <= length;) {
    nlattr attribute;
    memcpy(&attribute, attributes + at, sizeof attribute);
    if (attribute.nla_len < NLA_HDRLEN || at + attribute.nla_len > length) break;
    const size_t content = attribute.nla_len - size_t{NLA_HDRLEN};
    if ((attribute.nla_type & NLA_TYPE_MASK) == type && content >= least) {
      if (size != nullptr) *size = content;
      return attributes + at + NLA_HDRLEN;
    }
    at += NLA_ALIGN(attribute.nla_len);
  }
  return nullptr;
}
