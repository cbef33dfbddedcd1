// What the kernel knows of a connection that a child has and we have not: sock_diag(7), by the socket's
// cookie. Called by src/child on the main thread; the questions are asked on another one. To tell when
// something was sent the kernel takes the socket's lock, which a program can hold for as long as it likes.
#include "addon.h"
#include "inquiry.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <vector>

#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71
#endif

namespace {

constexpr size_t kNumbers = 3;
constexpr double kUnknown = -1;
constexpr double kGone = 0;

struct Question {
  nlmsghdr header;
  inet_diag_req_v2 request;
};

// What is known of one: its state as tcp_states.h has it, and for how many milliseconds nothing was sent and
// nothing received.
struct Answer {
  double numbers[kNumbers];
};

bool set_end(const sockaddr_storage &end, __be16 *port, __be32 *address) {
  if (end.ss_family == AF_INET) {
    const auto &in = reinterpret_cast<const sockaddr_in &>(end);
    *port = in.sin_port;
    address[0] = in.sin_addr.s_addr;
    return true;
  }
  if (end.ss_family != AF_INET6) return false;
  const auto &in6 = reinterpret_cast<const sockaddr_in6 &>(end);
  *port = in6.sin6_port;
  memcpy(address, &in6.sin6_addr, sizeof in6.sin6_addr);
  return true;
}

uint64_t option_of(int fd, int option) {
  uint64_t value = 0;
  socklen_t length = sizeof value;
  return getsockopt(fd, SOL_SOCKET, option, &value, &length) == 0 ? value : 0;
}

int protocol_of(int fd) {
  int protocol = 0;
  socklen_t length = sizeof protocol;
  getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &length);
  return protocol;
}

int open_netlink() {
  return socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
}

// A socket that was passed to us may be of another network namespace, of which our netlink says nothing. A
// kernel before 5.14 does not tell.
bool is_in_our_namespace(int fd) {
  const uint64_t cookie = option_of(fd, SO_NETNS_COOKIE);
  if (cookie == 0) return true;
  static const uint64_t own = [] {
    const int netlink = open_netlink();
    const uint64_t value = option_of(netlink, SO_NETNS_COOKIE);
    if (netlink >= 0) close(netlink);
    return value;
  }();
  return own == 0 || own == cookie;
}

// The peer of a listener, and of a connection that was reset, is nobody.
bool make_question(int fd, Question *question) {
  memset(question, 0, sizeof *question);
  sockaddr_storage local = {}, peer = {};
  socklen_t length = sizeof local;
  if (protocol_of(fd) != IPPROTO_TCP || !is_in_our_namespace(fd)) return false;
  inet_diag_req_v2 *request = &question->request;
  if (getsockname(fd, reinterpret_cast<sockaddr *>(&local), &length) < 0) return false;
  if (!set_end(local, &request->id.idiag_sport, request->id.idiag_src)) return false;
  length = sizeof peer;
  if (getpeername(fd, reinterpret_cast<sockaddr *>(&peer), &length) == 0)
    set_end(peer, &request->id.idiag_dport, request->id.idiag_dst);
  if (local.ss_family == AF_INET6)
    request->id.idiag_if = reinterpret_cast<const sockaddr_in6 &>(local).sin6_scope_id;
  const uint64_t cookie = option_of(fd, SO_COOKIE);
  request->id.idiag_cookie[0] = static_cast<uint32_t>(cookie);
  request->id.idiag_cookie[1] = static_cast<uint32_t>(cookie >> 32);
  request->sdiag_family = static_cast<uint8_t>(local.ss_family);
  request->sdiag_protocol = IPPROTO_TCP;
  request->idiag_ext = 1 << (INET_DIAG_INFO - 1);
  request->idiag_states = ~0U;
  question->header.nlmsg_len = sizeof *question;
  question->header.nlmsg_type = SOCK_DIAG_BY_FAMILY;
  question->header.nlmsg_flags = NLM_F_REQUEST;
  return cookie != 0;
}

Answer read_message(const inet_diag_msg *message, size_t length) {
  Answer answer = {{static_cast<double>(message->idiag_state), kUnknown, kUnknown}};
  const auto *bytes = reinterpret_cast<const char *>(message);
  for (size_t at = NLMSG_ALIGN(sizeof *message); at + sizeof(nlattr) <= length;) {
    nlattr attribute;
    memcpy(&attribute, bytes + at, sizeof attribute);
    if (attribute.nla_len < sizeof attribute || at + attribute.nla_len > length) break;
    if (attribute.nla_type == INET_DIAG_INFO) {
      tcp_info info = {};
      memcpy(&info, bytes + at + NLA_HDRLEN, std::min(sizeof info, attribute.nla_len - size_t{NLA_HDRLEN}));
      answer.numbers[1] = info.tcpi_last_data_sent;
      answer.numbers[2] = info.tcpi_last_data_recv;
    }
    at += NLA_ALIGN(attribute.nla_len);
  }
  return answer;
}

// ENOENT: there is none. ESTALE: another one has its addresses by now. Whatever else it says, or does not
// say, tells nothing.
Answer read_answer(const char *reply, ssize_t length) {
  const Answer unknown = {{kUnknown, kUnknown, kUnknown}};
  nlmsghdr header;
  if (length < static_cast<ssize_t>(sizeof header)) return unknown;
  memcpy(&header, reply, sizeof header);
  if (header.nlmsg_len < sizeof header || header.nlmsg_len > static_cast<size_t>(length)) return unknown;
  const size_t rest = header.nlmsg_len - NLMSG_HDRLEN;
  const char *body = reply + NLMSG_HDRLEN;
  if (header.nlmsg_type == NLMSG_ERROR && rest >= sizeof(nlmsgerr)) {
    const int error = -reinterpret_cast<const nlmsgerr *>(body)->error;
    const bool is_gone = error == ENOENT || error == ESTALE;
    return is_gone ? Answer{{kGone, kUnknown, kUnknown}} : unknown;
  }
  if (header.nlmsg_type != SOCK_DIAG_BY_FAMILY || rest < sizeof(inet_diag_msg)) return unknown;
  return read_message(reinterpret_cast<const inet_diag_msg *>(body), rest);
}

// The reply is there when the request was taken: nothing waits for it.
Answer ask_kernel(int netlink, const Question &question) {
  alignas(nlmsghdr) char reply[4096];
  if (send(netlink, &question, sizeof question, 0) < 0) return read_answer(reply, -1);
  return read_answer(reply, recv(netlink, reply, sizeof reply, MSG_DONTWAIT));
}

// One socket for each: what is left of a reply that did not come in time is nobody's.
Answer ask(const Question &question) {
  const int netlink = open_netlink();
  if (netlink < 0) return Answer{{kUnknown, kUnknown, kUnknown}};
  const Answer answer = ask_kernel(netlink, question);
  close(netlink);
  return answer;
}

using Connections = Inquiry<Question, Answer>;

Connections *connections_of(const Napi::Value &handle) {
  return handle.As<Napi::External<Connections>>().Data();
}

// questionOf(connection) → what to ask with; null: it is no TCP connection of which the kernel tells.
Napi::Value QuestionOf(const Napi::CallbackInfo &info) {
  Question question;
  if (!make_question(info[0].ToNumber().Int32Value(), &question)) return info.Env().Null();
  return Napi::Buffer<char>::Copy(info.Env(), reinterpret_cast<const char *>(&question), sizeof question);
}

// The largest whole number up to which JavaScript tells one from the next.
constexpr uint64_t kLargestCookie = (uint64_t{1} << 53) - 1;

// cookieOf(connection) → the kernel's number for it, which no other socket ever has; 0: it is no TCP
// connection of our network namespace.
Napi::Value CookieOf(const Napi::CallbackInfo &info) {
  const int fd = info[0].ToNumber().Int32Value();
  const bool is_told = protocol_of(fd) == IPPROTO_TCP && is_in_our_namespace(fd);
  const uint64_t cookie = is_told ? option_of(fd, SO_COOKIE) : 0;
  return Napi::Number::New(info.Env(), cookie <= kLargestCookie ? static_cast<double>(cookie) : 0);
}

// canAsk() → whether the kernel tells of TCP sockets: of one that is there.
Napi::Value CanAsk(const Napi::CallbackInfo &info) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in any = {};
  any.sin_family = AF_INET;
  any.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  Question question;
  const bool can = fd >= 0 && bind(fd, reinterpret_cast<sockaddr *>(&any), sizeof any) == 0 &&
                   listen(fd, 1) == 0 && make_question(fd, &question) && ask(question).numbers[0] > kGone;
  if (fd >= 0) close(fd);
  return Napi::Boolean::New(info.Env(), can);
}

// askSockets(questions: Buffer[]) → a handle, with which the others are called.
Napi::Value AskSockets(const Napi::CallbackInfo &info) {
  const auto list = info[0].As<Napi::Array>();
  std::vector<Question> questions(list.Length());
  for (uint32_t i = 0; i < list.Length(); ++i) {
    const auto bytes = list.Get(i).As<Napi::Buffer<char>>();
    memcpy(&questions[i], bytes.Data(), std::min(bytes.Length(), sizeof(Question)));
  }
  auto *asked = new Connections;
  asked->begin(std::move(questions), ask, Kind::kConnection);
  return Napi::External<Connections>::New(info.Env(), asked, [](Napi::Env, Connections *old) { delete old; });
}

// socketsSoFar(handle) → [state, msSinceSent, msSinceReceived][] of those who have been asked; 0: gone; -1:
// unknown.
Napi::Value SocketsSoFar(const Napi::CallbackInfo &info) {
  Napi::Array all = Napi::Array::New(info.Env());
  uint32_t index = 0;
  for (const Answer &answer : connections_of(info[0])->so_far()) {
    Napi::Array one = Napi::Array::New(info.Env(), kNumbers);
    for (uint32_t i = 0; i < kNumbers; ++i) one.Set(i, answer.numbers[i]);
    all.Set(index++, one);
  }
  return all;
}

// giveUpSockets(handle): no further one is asked.
void GiveUpSockets(const Napi::CallbackInfo &info) {
  connections_of(info[0])->give_up();
}

// isAskingSockets(handle) → whether there is a thread that asks.
Napi::Value IsAskingSockets(const Napi::CallbackInfo &info) {
  return Napi::Boolean::New(info.Env(), !connections_of(info[0])->is_done());
}

}  // namespace

void init_diag(Napi::Env env, Napi::Object exports) {
  exports.Set("questionOf", Napi::Function::New(env, QuestionOf));
  exports.Set("cookieOf", Napi::Function::New(env, CookieOf));
  exports.Set("canAskSockets", Napi::Function::New(env, CanAsk));
  exports.Set("askSockets", Napi::Function::New(env, AskSockets));
  exports.Set("socketsSoFar", Napi::Function::New(env, SocketsSoFar));
  exports.Set("giveUpSockets", Napi::Function::New(env, GiveUpSockets));
  exports.Set("isAskingSockets", Napi::Function::New(env, IsAskingSockets));
}
