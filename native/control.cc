// Descriptors that arrive with a message are ours to close, wanted or not.
#include "control.h"

#include <stddef.h>
#include <string.h>
#include <unistd.h>

namespace {

// SCM_PIDFD; libc's header may be older than the kernel.
constexpr int kPidfd = 0x04;

void close_each(const cmsghdr *entry) {
  const size_t count = (entry->cmsg_len - CMSG_LEN(0)) / sizeof(int);
  for (size_t i = 0; i < count; ++i) {
    int fd;
    memcpy(&fd, CMSG_DATA(entry) + i * sizeof fd, sizeof fd);
    close(fd);
  }
}

}  // namespace

bool close_descriptors(msghdr *message) {
  bool were_any = false;
  for (cmsghdr *entry = CMSG_FIRSTHDR(message); entry != nullptr; entry = CMSG_NXTHDR(message, entry)) {
    const bool has_some = entry->cmsg_type == SCM_RIGHTS || entry->cmsg_type == kPidfd;
    if (entry->cmsg_level != SOL_SOCKET || !has_some) continue;
    close_each(entry);
    were_any = true;
  }
  return were_any;
}
