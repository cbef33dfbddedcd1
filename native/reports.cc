// What children of ours say to us, over a socket pair. Its writing end is fd 2 of each such child; with each
// message the kernel tells who wrote it, and nobody but root can lie about that. The writing end is lent: its
// holders may shut it down, and send descriptors. Called by src/child on the main thread.
#include "addon.h"
#include "address.h"
#include "aside.h"
#include "descriptor.h"
#include "error.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <map>
#include <memory>
#include <vector>

namespace {

// Of one message; the rest of a longer one is lost.
constexpr size_t kLongest = 1024;
// Together with what the kernel adds to each message: some 300 of them wait at most. Who writes more waits
// for us to read.
constexpr int kQueueBytes = 128 * 1024;

// Since Linux 6.16, and not in every header: whether descriptors may come with a message.
#ifndef SO_PASSRIGHTS
#define SO_PASSRIGHTS 83
#endif

// The writing end under the number that the one before had, so that whoever knows it gets the new one.
int put_in_place(int fd, int place) {
  if (dup3(fd, place, O_CLOEXEC) < 0) return -1;
  close(fd);
  return place;
}

void set_up(const int *ends) {
  const int on = 1, off = 0;
  setsockopt(ends[0], SOL_SOCKET, SO_PASSCRED, &on, sizeof on);
  setsockopt(ends[0], SOL_SOCKET, SO_PASSRIGHTS, &off, sizeof off);
  setsockopt(ends[1], SOL_SOCKET, SO_SNDBUF, &kQueueBytes, sizeof kQueueBytes);
}

// openReports(old writer | null) → {reader, writer}; the new writer takes the number of the old one.
Napi::Value OpenReports(const Napi::CallbackInfo &info) {
  Napi::Env env = info.Env();
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) < 0) {
    throw_system_error(env, errno, "socketpair");
    return env.Undefined();
  }
  set_up(ends);
  const int writer = info[0].IsNumber() ? put_in_place(ends[1], info[0].ToNumber().Int32Value()) : ends[1];
  if (writer < 0) {
    const int error = errno;
    close(ends[0]);
    close(ends[1]);
    throw_system_error(env, error, "dup3");
    return env.Undefined();
  }
  Napi::Object result = Napi::Object::New(env);
  // Out of the way of connections: only the writing end is for children.
  result.Set("reader", move_descriptor(ends[0], kListenerBase));
  result.Set("writer", writer);
  return result;
}

// Whether the kernel tells who wrote the message, which it does not of an end; 0 for a pid that it may not
// tell.
bool read_writer(msghdr *message, pid_t *pid) {
  for (cmsghdr *entry = CMSG_FIRSTHDR(message); entry != nullptr; entry = CMSG_NXTHDR(message, entry)) {
    if (entry->cmsg_level != SOL_SOCKET || entry->cmsg_type != SCM_CREDENTIALS) continue;
    ucred writer;
    memcpy(&writer, CMSG_DATA(entry), sizeof writer);
    *pid = writer.pid;
    return true;
  }
  return false;
}

// Whoever opens /dev/stderr by its name opens the pipe anew and has to be its owner. Where we may not give it
// away, the descriptor still works.
void give_pipe(int fd, const Napi::Value &owner) {
  if (!owner.IsObject()) return;
  const auto ids = owner.As<Napi::Object>();
  if (fchown(fd, ids.Get("uid").ToNumber().Uint32Value(), ids.Get("gid").ToNumber().Uint32Value()) < 0)
    errno = 0;
}

// openPipe({uid, gid} | null) → {reader, writer}: what one child says. The reader is ours and never waits.
Napi::Value OpenPipe(const Napi::CallbackInfo &info) {
  Napi::Env env = info.Env();
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) < 0) {
    throw_system_error(env, errno, "pipe2");
    return env.Undefined();
  }
  const int reader = move_descriptor(ends[0], kListenerBase);
  fcntl(reader, F_SETFL, O_NONBLOCK);
  give_pipe(ends[1], info[0]);
  Napi::Object result = Napi::Object::New(env);
  result.Set("reader", reader);
  result.Set("writer", ends[1]);
  return result;
}

struct Piece {
  explicit Piece(size_t size) : bytes(size) {}
  std::vector<char> bytes;
  // The number that readPipe returns.
  ssize_t length = 0;
  std::atomic<bool> is_there{false};
};

// What was read when nobody waited for it any more, by descriptor.
std::map<int, std::shared_ptr<Piece>> late_pieces;

// What a holder has spliced into it may fail to be read, now and ever after: that is an end as well.
void read_piece(int fd, Piece *piece) {
  piece->length = read(fd, piece->bytes.data(), piece->bytes.size());
  if (piece->length < 0) piece->length = errno == EAGAIN || errno == EINTR ? -1 : 0;
  piece->is_there = true;
}

// Null: somebody holds the kernel's lock of the pipe.
std::shared_ptr<Piece> next_piece(int fd, size_t size) {
  const auto late = late_pieces.find(fd);
  auto piece = late == late_pieces.end() ? std::make_shared<Piece>(size) : late->second;
  if (late != late_pieces.end() && !piece->is_there) return nullptr;
  late_pieces.erase(fd);
  if (piece->is_there) return piece;
  const Outcome outcome = run_aside(
      fd, [fd, piece] { read_piece(fd, piece.get()); }, Kind::kPipe);
  if (outcome == Outcome::kDone) return piece;
  if (outcome == Outcome::kLate) late_pieces[fd] = piece;
  return nullptr;
}

// readPipe(reader, Uint8Array) → bytes; 0: it has come to its end; -1: nothing is there; -2: somebody holds
// the kernel's lock of it. The array must be of the same length each time.
Napi::Value ReadPipe(const Napi::CallbackInfo &info) {
  auto into = info[1].As<Napi::Uint8Array>();
  const auto piece = next_piece(info[0].ToNumber().Int32Value(), into.ElementLength());
  if (piece == nullptr) return Napi::Number::New(info.Env(), -2);
  const size_t length = piece->length > 0 ? static_cast<size_t>(piece->length) : 0;
  memcpy(into.Data(), piece->bytes.data(), std::min(length, into.ElementLength()));
  return Napi::Number::New(info.Env(), static_cast<double>(piece->length));
}

// closePipe(reader) → false: somebody holds the kernel's lock of it, and it is closed when they let go.
Napi::Value ClosePipe(const Napi::CallbackInfo &info) {
  const int fd = info[0].ToNumber().Int32Value();
  late_pieces.erase(fd);
  return Napi::Boolean::New(info.Env(), close_aside(fd, Kind::kPipe) != Outcome::kLate);
}

// letGoOfPipe(fd): an end that a program has had too, which may hold the lock of the pipe; nobody waits for
// it.
void LetGoOfPipe(const Napi::CallbackInfo &info) {
  close_later(info[0].ToNumber().Int32Value(), Kind::kPipe);
}

// countLines(Uint8Array, from, to) → line ends between the two
Napi::Value CountLines(const Napi::CallbackInfo &info) {
  const auto bytes = info[0].As<Napi::Uint8Array>();
  const size_t to = std::min<size_t>(info[2].ToNumber().Uint32Value(), bytes.ElementLength());
  const size_t from = std::min<size_t>(info[1].ToNumber().Uint32Value(), to);
  const auto count = std::count(bytes.Data() + from, bytes.Data() + to, '\n');
  return Napi::Number::New(info.Env(), static_cast<double>(count));
}

Napi::Object report_of(Napi::Env env, pid_t pid, const char *text, ssize_t length, bool is_end) {
  Napi::Object result = Napi::Object::New(env);
  result.Set("pid", pid);
  result.Set("text", Napi::String::New(env, text, static_cast<size_t>(length)));
  result.Set("isEnd", is_end);
  return result;
}

// readReport(reader) → {pid, text, isEnd}, or null: nobody has said anything. isEnd: nothing good comes any
// more. The message is looked at before it is taken. There is no room for descriptors, so none is installed
// (MSG_CTRUNC tells that there are some); whoever takes them lets them go, and the last one to let go of a
// connection may have to wait for it. So a message that has some is left where it is.
Napi::Value ReadReport(const Napi::CallbackInfo &info) {
  Napi::Env env = info.Env();
  const int reader = info[0].ToNumber().Int32Value();
  char text[kLongest];
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(ucred))];
  iovec part = {text, sizeof text};
  msghdr message = {nullptr, 0, &part, 1, control, sizeof control, 0};
  const ssize_t length = recvmsg(reader, &message, MSG_PEEK | MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  if (length < 0 && errno == EAGAIN) return env.Null();
  pid_t pid = 0;
  const bool is_message = length >= 0 && read_writer(&message, &pid);
  if (!is_message || (message.msg_flags & MSG_CTRUNC) != 0) return report_of(env, 0, "", 0, true);
  // One that cannot be taken would be read again and again.
  if (recv(reader, nullptr, 0, MSG_DONTWAIT) < 0) return report_of(env, 0, "", 0, true);
  return report_of(env, pid, text, length, false);
}

}  // namespace

void init_reports(Napi::Env env, Napi::Object exports) {
  exports.Set("openReports", Napi::Function::New(env, OpenReports));
  exports.Set("openPipe", Napi::Function::New(env, OpenPipe));
  exports.Set("readPipe", Napi::Function::New(env, ReadPipe));
  exports.Set("closePipe", Napi::Function::New(env, ClosePipe));
  exports.Set("letGoOfPipe", Napi::Function::New(env, LetGoOfPipe));
  exports.Set("countLines", Napi::Function::New(env, CountLines));
  exports.Set("readReport", Napi::Function::New(env, ReadReport));
}
