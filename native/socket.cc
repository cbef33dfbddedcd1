// Listening sockets and what is accepted from them. Called by src/listener on the main thread.
// Every descriptor made here is close-on-exec from birth.
#include "addon.h"
#include "address.h"
#include "aside.h"
#include "descriptor.h"
#include "error.h"
#include "options.h"
#include "path.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <memory>
#include <string>
#include <vector>

namespace {

// Below the limit on descriptors, for connections.
constexpr rlim_t kReserve = 8;
constexpr int kFirstConnection = 3;
constexpr size_t kDiscard = size_t{1} << 30;
// A Unix socket holds 416 KiB at the most unless root has allowed more.
constexpr size_t kScratch = 65536;
constexpr int kMostReads = 16;
constexpr int kMostTries = 10;

int set_flag(int fd, int level, int option, bool on) {
  const int value = on ? 1 : 0;
  return setsockopt(fd, level, option, &value, sizeof value);
}

// What accepted sockets inherit, and the backlog: set at birth and when a reload changes it. Read on the main
// thread, for any thread to set.
struct ListenerSettings {
  int type;
  int backlog;
  std::vector<Setting> options;
};

// The call that failed, or null.
const char *read_settings(int family, int type, const Napi::Object &options, ListenerSettings *settings) {
  settings->type = type;
  settings->backlog = options.Get("backlog").ToNumber().Int32Value();
  if (type == SOCK_STREAM && (family == AF_INET || family == AF_INET6)) {
    settings->options.push_back(flag(IPPROTO_TCP, TCP_NODELAY, options.Get("nodelay").ToBoolean()));
    settings->options.push_back(flag(SOL_SOCKET, SO_KEEPALIVE, options.Get("keepalive").ToBoolean()));
  }
  const auto extra = options.Get("extra");
  return extra.IsObject() ? read_options(family, extra.As<Napi::Object>(), &settings->options) : nullptr;
}

// The kernel never says EINTR here, but where it asks a supervisor first (seccomp), a signal may end the
// wait.
int listen_patiently(int fd, int backlog) {
  int result = -1;
  for (int tries = 0; tries < kMostTries; ++tries) {
    result = listen(fd, backlog);
    if (result == 0 || errno != EINTR) break;
  }
  return result;
}

const char *start_listening(int fd, const ListenerSettings &settings) {
  if (settings.type == SOCK_DGRAM) return nullptr;
  return listen_patiently(fd, settings.backlog) < 0 ? "listen" : nullptr;
}

// A bind to a path, which nobody may wait for any more.
struct Binding {
  Binding(int number, const Address &wanted) : socket(number, kListenerBase), address(wanted) {}
  const OwnCopy socket;
  const Address address;
  int error = 0;
  // Whether it is done, or was given up: whoever comes second sees to it.
  std::atomic<bool> is_settled{false};
};

// Nobody has it: the path goes again.
void take_back(const Binding &binding) {
  const std::string path = binding.address.local.sun_path;
  const int folder = open(folder_of(path).c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC);
  const int file = file_of_socket(binding.socket.fd);
  struct stat ours;
  if (folder >= 0 && file >= 0 && fstat(file, &ours) == 0)
    remove_if_same(folder, path.substr(path.rfind('/') + 1), ours.st_dev, ours.st_ino);
  if (file >= 0) close(file);
  if (folder >= 0) close(folder);
}

void bind_path(Binding *binding) {
  const Address &address = binding->address;
  if (bind(binding->socket.fd, &address.generic, address.length) < 0) binding->error = errno;
  if (binding->is_settled.exchange(true) && binding->error == 0) take_back(*binding);
}

// A path leads through folders of others (path.cc).
int bind_patiently(int fd, const Address &address) {
  if (address.generic.sa_family != AF_UNIX || address.local.sun_path[0] == 0)
    return bind(fd, &address.generic, address.length);
  const auto binding = std::make_shared<Binding>(fd, address);
  const uint64_t place = place_of(folder_of(address.local.sun_path));
  const Outcome outcome = run_in_folder(place, [binding] { bind_path(binding.get()); });
  const bool is_done = outcome == Outcome::kDone || binding->is_settled.exchange(true);
  errno = is_done ? binding->error : ETIMEDOUT;
  return errno == 0 ? 0 : -1;
}

const char *bind_and_listen(int fd, const Address &address, int type, const Napi::Object &options) {
  const int family = address.generic.sa_family;
  // For datagrams it would let a second socket steal from the first.
  const bool reuses = type != SOCK_DGRAM && family != AF_UNIX;
  if (reuses && set_flag(fd, SOL_SOCKET, SO_REUSEADDR, true) < 0) return "setsockopt";
  if (family == AF_INET6 && set_flag(fd, IPPROTO_IPV6, IPV6_V6ONLY, true) < 0) return "setsockopt";
  ListenerSettings settings;
  const char *failed = read_settings(family, type, options, &settings);
  if (failed == nullptr) failed = set_options(fd, settings.options);
  if (failed != nullptr) return failed;
  // The kernel gives the path of a Unix socket the permissions that the socket has when it is bound, less the
  // umask.
  const auto mode = options.Get("mode");
  if (family == AF_UNIX && mode.IsNumber() && fchmod(fd, mode.ToNumber().Uint32Value()) < 0) return "fchmod";
  if (bind_patiently(fd, address) < 0) return "bind";
  return options.Get("bindOnly").ToBoolean() ? nullptr : start_listening(fd, settings);
}

// Of those that connections need: with none left, no listener could be served. The kernel gives the lowest
// number that is free.
bool takes_the_last(int fd) {
  rlimit limit;
  return getrlimit(RLIMIT_NOFILE, &limit) == 0 && static_cast<rlim_t>(fd) + kReserve >= limit.rlim_cur;
}

Napi::Object opened(Napi::Env env, int fd, const Address &address) {
  Napi::Object result = Napi::Object::New(env);
  result.Set("fd", fd);
  result.Set("port", port_of(address));
  return result;
}

// openListener({family, type, address, port | path}, {backlog, nodelay, keepalive, extra, mode, bindOnly}) →
// {fd, port}: bound, and listening unless it is for datagrams or only to be bound; non-blocking.
Napi::Value OpenListener(const Napi::CallbackInfo &info) {
  Napi::Env env = info.Env();
  const auto wanted = info[0].As<Napi::Object>();
  const int type = type_of(wanted.Get("type").ToString());
  Address address;
  if (!read_address(wanted, &address)) {
    throw_system_error(env, errno, "bind");
    return env.Undefined();
  }
  const int raw = socket(address.generic.sa_family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (raw < 0) {
    throw_system_error(env, errno, "socket");
    return env.Undefined();
  }
  const int fd = move_descriptor(raw, kListenerBase);
  if (fd == raw && takes_the_last(fd)) {
    close(fd);
    throw_system_error(env, EMFILE, "socket");
    return env.Undefined();
  }
  const char *failed = bind_and_listen(fd, address, type, info[1].As<Napi::Object>());
  address.length = sizeof address.storage;
  if (failed == nullptr && getsockname(fd, &address.generic, &address.length) < 0) failed = "getsockname";
  if (failed != nullptr) {
    const int error = errno;
    close(fd);
    throw_system_error(env, error, failed);
    return env.Undefined();
  }
  return opened(env, fd, address);
}

// Options that are being set. Somebody else may hold the kernel's lock of the socket, or take it between two
// of them.
struct Change {
  ListenerSettings settings;
  const char *failed = nullptr;
  int error = 0;
};

void make(int fd, Change *change) {
  change->failed = set_options(fd, change->settings.options);
  if (change->failed == nullptr) change->failed = start_listening(fd, change->settings);
  change->error = errno;
}

// setListenerOptions(fd, {backlog, nodelay, keepalive, extra}): on a socket that is bound already.
void SetListenerOptions(const Napi::CallbackInfo &info) {
  const int fd = info[0].ToNumber().Int32Value();
  int family = 0, type = 0;
  socklen_t length = sizeof family;
  const bool is_known = getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &family, &length) == 0 &&
                        getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &length) == 0;
  const auto change = std::make_shared<Change>();
  const char *failed = is_known ? nullptr : "getsockopt";
  if (failed == nullptr) failed = read_settings(family, type, info[1].As<Napi::Object>(), &change->settings);
  if (failed != nullptr) {
    throw_system_error(info.Env(), errno, failed);
    return;
  }
  if (look_aside(fd, [change](int own) { make(own, change.get()); }) != Outcome::kDone)
    throw_system_error(info.Env(), ETIMEDOUT, "setsockopt");
  else if (change->failed != nullptr)
    throw_system_error(info.Env(), change->error, change->failed);
}

// The kernel's own word for nobody: 0 would be root.
constexpr ucred kNobody = {0, static_cast<uid_t>(-1), static_cast<gid_t>(-1)};

// Who is at the other end of a Unix socket, as the kernel noted when it connected.
ucred credentials_of(int fd) {
  ucred peer = kNobody;
  socklen_t length = sizeof peer;
  return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) < 0 ? kNobody : peer;
}

// What `accept` writes into its array, in this order.
enum AcceptField {
  kAcceptFd,
  kAcceptPeerPort,
  kAcceptLocalPort,
  kAcceptPid,
  kAcceptUid,
  kAcceptGid,
  kAcceptFields
};

// Unsigned numbers keep their bits: the reader knows which ones are.
int32_t bits(uint64_t number) {
  return static_cast<int32_t>(static_cast<uint32_t>(number));
}

void write_numbers(int32_t *numbers, int fd, const Address &peer, const Address &local) {
  const bool is_unix = local.generic.sa_family == AF_UNIX;
  const ucred who = is_unix ? credentials_of(fd) : ucred{0, 0, 0};
  numbers[kAcceptFd] = fd;
  numbers[kAcceptPeerPort] = bits(static_cast<uint64_t>(port_of(peer)));
  numbers[kAcceptLocalPort] = bits(static_cast<uint64_t>(port_of(local)));
  numbers[kAcceptPid] = who.pid;
  numbers[kAcceptUid] = bits(who.uid);
  numbers[kAcceptGid] = bits(who.gid);
}

// `PEER\0LOCAL`: one string costs a fraction of an object with names.
Napi::Value write_ends(Napi::Env env, const Address &peer, const Address &local) {
  char text[2 * kAddressText];
  char part[kAddressText];
  write_text(peer, part);
  const size_t length = strlen(part);
  memcpy(text, part, length + 1);
  write_text(local, part);
  const size_t rest = strlen(part);
  memcpy(text + length + 1, part, rest);
  return Napi::String::New(env, text, length + 1 + rest);
}

// accept(listener, numbers: Int32Array(acceptFields)) → `PEER\0LOCAL`, or null when nobody waits. The peer
// comes from accept4 itself: once the client has reset the connection getpeername fails.
Napi::Value Accept(const Napi::CallbackInfo &info) {
  Napi::Env env = info.Env();
  auto numbers = info[1].As<Napi::Int32Array>();
  if (numbers.ElementLength() < kAcceptFields) {
    Napi::TypeError::New(env, "accept: the array is too short").ThrowAsJavaScriptException();
    return env.Undefined();
  }
  Address peer;
  peer.length = sizeof peer.storage;
  int fd = accept4(info[0].As<Napi::Number>().Int32Value(), &peer.generic, &peer.length, SOCK_CLOEXEC);
  if (fd < 0) {
    if (errno == EAGAIN) return env.Null();
    throw_system_error(env, errno, "accept4");
    return env.Undefined();
  }
  fd = move_descriptor(fd, kFirstConnection);
  Address local;
  local.length = sizeof local.storage;
  if (getsockname(fd, &local.generic, &local.length) < 0) local = Address{peer.generic.sa_family};
  write_numbers(numbers.Data(), fd, peer, local);
  return write_ends(env, peer, local);
}

// BPF for a TCP listener: drop a segment that has SYN set (byte 13 of the header), let everything else pass.
constexpr int kFlagsOffset = 13;
constexpr int kSyn = 0x02;
sock_filter kDropSyn[] = {
    {BPF_LD | BPF_B | BPF_ABS, 0, 0, kFlagsOffset},
    {BPF_JMP | BPF_JSET | BPF_K, 0, 1, kSyn},
    {BPF_RET | BPF_K, 0, 0, 0},
    {BPF_RET | BPF_K, 0, 0, 0xffffffff},
};

// 0 or an errno.
int hold_off(int fd, bool is_on) {
  const sock_fprog program = {sizeof kDropSyn / sizeof kDropSyn[0], kDropSyn};
  const int unused = 0;
  const int result = is_on ? setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program)
                           : setsockopt(fd, SOL_SOCKET, SO_DETACH_FILTER, &unused, sizeof unused);
  return result < 0 ? errno : 0;
}

// holdOff(listener, on): while on, the kernel ignores new clients (they try again by themselves) and those
// whose handshake is under way still arrive, so that the queue can be emptied before a close.
void HoldOff(const Napi::CallbackInfo &info) {
  const int fd = info[0].ToNumber().Int32Value();
  const bool is_on = info[1].ToBoolean();
  auto error = std::make_shared<int>(0);
  const Outcome outcome = look_aside(fd, [is_on, error](int own) { *error = hold_off(own, is_on); });
  const int failed = outcome == Outcome::kDone ? *error : ETIMEDOUT;
  if (failed != 0) throw_system_error(info.Env(), failed, "setsockopt");
}

// hasWaiting(listener): whether a client is in the queue, without taking it. Where the kernel does not say:
// who believed that there is none would be woken again at once.
Napi::Value HasWaiting(const Napi::CallbackInfo &info) {
  pollfd entry = {info[0].ToNumber().Int32Value(), POLLIN, 0};
  return Napi::Boolean::New(info.Env(), poll(&entry, 1, 0) != 0);
}

// To close a socket with unread bytes resets the connection. TCP throws away any number of them in one call;
// of other families they have to be read, with an end, for a client may go on sending.
void discard(int fd) {
  char scratch[kScratch];
  if (recv(fd, nullptr, kDiscard, MSG_TRUNC | MSG_DONTWAIT) >= 0) return;
  for (int reads = 0; reads < kMostReads; ++reads) {
    if (recv(fd, scratch, sizeof scratch, MSG_DONTWAIT) <= 0) return;
  }
}

void end(int fd) {
  shutdown(fd, SHUT_WR);
  discard(fd);
  close(fd);
}

// refuse(connection): closes it so that the client sees an end and no reset, whatever it has sent already.
// What a client of a Unix socket has sent may be sockets, and to throw those away may wait.
void Refuse(const Napi::CallbackInfo &info) {
  const int fd = info[0].ToNumber().Int32Value();
  if (family_of(fd) == AF_UNIX)
    end_later(fd, [fd] { end(fd); });
  else
    end(fd);
}

// hasTooManyEnding(listener) → whether its next client should wait: of those who have come to this Unix
// socket before, too many are still to be closed.
Napi::Value HasTooManyEnding(const Napi::CallbackInfo &info) {
  return Napi::Boolean::New(info.Env(), has_too_many_ending(info[0].ToNumber().Int32Value()));
}

// close(fd): of a listener, which is closed when this returns, unless somebody else keeps it from that. EINTR
// is not retried: on Linux the descriptor is gone.
void Close(const Napi::CallbackInfo &info) {
  const int fd = info[0].ToNumber().Int32Value();
  // A pipe or a folder waits for nobody.
  if (family_of(fd) == AF_UNSPEC)
    close(fd);
  else
    close_aside(fd);
}

// interfaces() → the names of the network interfaces, of our own network namespace (/sys may show another
// one's).
Napi::Value Interfaces(const Napi::CallbackInfo &info) {
  Napi::Array names = Napi::Array::New(info.Env());
  struct if_nameindex *list = if_nameindex();
  for (const struct if_nameindex *each = list; each != nullptr && each->if_index != 0; each++)
    names.Set(names.Length(), each->if_name);
  if (list != nullptr) if_freenameindex(list);
  return names;
}

// hasInterface(name): its alternative names count as well, which are in no list.
Napi::Value HasInterface(const Napi::CallbackInfo &info) {
  return Napi::Boolean::New(info.Env(), if_nametoindex(info[0].ToString().Utf8Value().c_str()) != 0);
}

}  // namespace

void init_socket(Napi::Env env, Napi::Object exports) {
  exports.Set("interfaces", Napi::Function::New(env, Interfaces));
  exports.Set("hasInterface", Napi::Function::New(env, HasInterface));
  exports.Set("openListener", Napi::Function::New(env, OpenListener));
  exports.Set("setListenerOptions", Napi::Function::New(env, SetListenerOptions));
  exports.Set("acceptFields", static_cast<double>(kAcceptFields));
  exports.Set("accept", Napi::Function::New(env, Accept));
  exports.Set("holdOff", Napi::Function::New(env, HoldOff));
  exports.Set("refuse", Napi::Function::New(env, Refuse));
  exports.Set("hasTooManyEnding", Napi::Function::New(env, HasTooManyEnding));
  exports.Set("hasWaiting", Napi::Function::New(env, HasWaiting));
  exports.Set("close", Napi::Function::New(env, Close));
}
