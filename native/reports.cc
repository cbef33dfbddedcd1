// What children of ours say to us: one socket pair for all of them. Its writing end is fd 2 of each such
// child; with each message the kernel tells who wrote it, and nobody but root can lie about that. Called by
// src/child on the main thread.
#include "addon.h"
#include "address.h"
#include "error.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

namespace {

// Of one message; the rest of a longer one is lost.
constexpr size_t kLongest = 1024;
// Together with what the kernel adds to each message: some 300 of them wait at most. Who writes more waits
// for us to read.
constexpr int kQueueBytes = 128 * 1024;

// Out of the way of connections: only the writing end is for children.
int move_up(int fd) {
  const int moved = fcntl(fd, F_DUPFD_CLOEXEC, kListenerBase);
  if (moved < 0) return fd;
  close(fd);
  return moved;
}

// openReports() → {reader, writer}
Napi::Value OpenReports(const Napi::CallbackInfo &info) {
  Napi::Env env = info.Env();
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) < 0) {
    throw_system_error(env, errno, "socketpair");
    return env.Undefined();
  }
  const int on = 1;
  setsockopt(ends[0], SOL_SOCKET, SO_PASSCRED, &on, sizeof on);
  setsockopt(ends[1], SOL_SOCKET, SO_SNDBUF, &kQueueBytes, sizeof kQueueBytes);
  Napi::Object result = Napi::Object::New(env);
  result.Set("reader", move_up(ends[0]));
  result.Set("writer", ends[1]);
  return result;
}

void close_all(const cmsghdr *entry) {
  for (size_t at = CMSG_LEN(0); at + sizeof(int) <= entry->cmsg_len; at += sizeof(int)) {
    int fd;
    memcpy(&fd, reinterpret_cast<const char *>(entry) + at, sizeof fd);
    close(fd);
  }
}

// The writer's pid; 0 when the kernel does not tell. There is no room for descriptors, so that none should
// come.
pid_t read_control(msghdr *message) {
  pid_t pid = 0;
  for (cmsghdr *entry = CMSG_FIRSTHDR(message); entry != nullptr; entry = CMSG_NXTHDR(message, entry)) {
    if (entry->cmsg_level != SOL_SOCKET) continue;
    if (entry->cmsg_type == SCM_RIGHTS) close_all(entry);
    if (entry->cmsg_type != SCM_CREDENTIALS) continue;
    ucred writer;
    memcpy(&writer, CMSG_DATA(entry), sizeof writer);
    pid = writer.pid;
  }
  return pid;
}

// openPipe() → {reader, writer}: what one child says. The reader is ours and never waits.
Napi::Value OpenPipe(const Napi::CallbackInfo &info) {
  Napi::Env env = info.Env();
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) < 0) {
    throw_system_error(env, errno, "pipe2");
    return env.Undefined();
  }
  const int reader = move_up(ends[0]);
  fcntl(reader, F_SETFL, O_NONBLOCK);
  Napi::Object result = Napi::Object::New(env);
  result.Set("reader", reader);
  result.Set("writer", ends[1]);
  return result;
}

// readPipe(reader) → text; empty: it has come to its end; null: nothing is there
Napi::Value ReadPipe(const Napi::CallbackInfo &info) {
  char text[kLongest];
  const ssize_t length = read(info[0].ToNumber().Int32Value(), text, sizeof text);
  if (length < 0) return info.Env().Null();
  return Napi::String::New(info.Env(), text, static_cast<size_t>(length));
}

// readReport(reader) → {pid, text}, or null: nobody has said anything
Napi::Value ReadReport(const Napi::CallbackInfo &info) {
  Napi::Env env = info.Env();
  char text[kLongest];
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(ucred))];
  iovec part = {text, sizeof text};
  msghdr message = {nullptr, 0, &part, 1, control, sizeof control, 0};
  const ssize_t length = recvmsg(info[0].ToNumber().Int32Value(), &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  if (length < 0) return env.Null();
  Napi::Object result = Napi::Object::New(env);
  result.Set("pid", read_control(&message));
  result.Set("text", Napi::String::New(env, text, static_cast<size_t>(length)));
  return result;
}

}  // namespace

void init_reports(Napi::Env env, Napi::Object exports) {
  exports.Set("openReports", Napi::Function::New(env, OpenReports));
  exports.Set("openPipe", Napi::Function::New(env, OpenPipe));
  exports.Set("readPipe", Napi::Function::New(env, ReadPipe));
  exports.Set("readReport", Napi::Function::New(env, ReadReport));
}
