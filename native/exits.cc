// What the kernel tells of each thread of our children when it ends: taskstats, a family of generic netlink.
// It tells of all threads of the machine; a filter lets through those whose process is our child. Called by
// src/child on the main thread; takes CAP_NET_ADMIN. What is asked here is answered within the call.
#include "addon.h"
#include "aside.h"
#include "error.h"
#include "netlink.h"
#include "path.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/genetlink.h>
#include <linux/taskstats.h>
#include <stdint.h>

#include <algorithm>
#include <memory>
#include <string>

namespace {

// Of the process, of its thread, the most memory that the process had, KiB.
constexpr size_t kFields = 3;

// In struct taskstats since version 12 (Linux 5.18), which not every header has.
constexpr size_t kProcessAt = 368;
constexpr uint16_t kLeastVersion = 12;

// Where the parent stands in a message: behind two headers, the head of one attribute, a thread's number, and
// the head of another.
constexpr uint32_t kParentAt = NLMSG_HDRLEN + GENL_HDRLEN + NLA_HDRLEN + (NLA_HDRLEN + sizeof(uint32_t)) +
                               NLA_HDRLEN + offsetof(taskstats, ac_ppid);

constexpr char kProcessors[] = "/sys/devices/system/cpu/possible";

std::string attribute_of(uint16_t type, const std::string &text) {
  const nlattr head = {static_cast<uint16_t>(NLA_HDRLEN + text.size() + 1), type};
  std::string result(reinterpret_cast<const char *>(&head), sizeof head);
  result.append(text.c_str(), text.size() + 1);
  result.resize(NLA_ALIGN(result.size()));
  return result;
}

// What it is asked is answered before send returns. 0 or an errno; the answer, if it is wanted, is the first
// that is no news of somebody's end.
int request(int fd, uint16_t family, uint8_t command, const std::string &attributes, uint16_t *answer) {
  nlmsghdr header = {};
  header.nlmsg_len = static_cast<uint32_t>(NLMSG_HDRLEN + GENL_HDRLEN + attributes.size());
  header.nlmsg_type = family;
  header.nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
  header.nlmsg_seq = 1;
  const genlmsghdr command_header = {command, 1, 0};
  std::string message(reinterpret_cast<const char *>(&header), sizeof header);
  message.append(reinterpret_cast<const char *>(&command_header), sizeof command_header);
  message += attributes;
  if (send(fd, message.data(), message.size(), 0) < 0) return errno;
  int result = ETIMEDOUT;
  for (int batch = 0; batch < 16 && result == ETIMEDOUT; ++batch) {
    const size_t count = read_news(fd, [&](const nlmsghdr &reply, const char *body, size_t length) {
      if (reply.nlmsg_seq != header.nlmsg_seq) return;
      if (reply.nlmsg_type == NLMSG_ERROR && length >= sizeof(int)) {
        memcpy(&result, body, sizeof result);
        result = -result;
      } else if (answer != nullptr && length > GENL_HDRLEN) {
        const char *id = find_attribute(body + GENL_HDRLEN, length - GENL_HDRLEN, CTRL_ATTR_FAMILY_ID,
                                        sizeof *answer, nullptr);
        if (id != nullptr) memcpy(answer, id, sizeof *answer);
      }
    });
    if (count == 0) break;
  }
  return result;
}

std::string read_processors() {
  char text[256];
  const int fd = open(kProcessors, O_RDONLY | O_CLOEXEC);
  const ssize_t length = fd < 0 ? 0 : read(fd, text, sizeof text);
  if (fd >= 0) close(fd);
  std::string result(text, length > 0 ? static_cast<size_t>(length) : 0);
  while (!result.empty() && result.back() == '\n') result.pop_back();
  return result;
}

// `0-3`; where it cannot be read, the first alone would be wrong. Once: whoever can list a folder on the way
// can keep others from looking there.
const std::string &processors() {
  static std::string known;
  if (!known.empty()) return known;
  const auto text = std::make_shared<std::string>();
  const auto look = [text] { *text = read_processors(); };
  if (run_in_folder(place_of(folder_of(kProcessors)), look) == Outcome::kDone) known = *text;
  return known;
}

// The kernel throws away the news about those who are nobody of ours.
int hear_children_only(int fd) {
  sock_filter code[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, kParentAt),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, htonl(static_cast<uint32_t>(getpid())), 0, 1),
      BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
      BPF_STMT(BPF_RET | BPF_K, 0),
  };
  const sock_fprog program = {sizeof code / sizeof *code, code};
  return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program) < 0 ? errno : 0;
}

int subscribe(int fd) {
  uint16_t family = 0;
  const std::string name = attribute_of(CTRL_ATTR_FAMILY_NAME, TASKSTATS_GENL_NAME);
  const int error = request(fd, GENL_ID_CTRL, CTRL_CMD_GETFAMILY, name, &family);
  if (error != 0) return error;
  const std::string all = attribute_of(TASKSTATS_CMD_ATTR_REGISTER_CPUMASK, processors());
  const int refused = request(fd, family, TASKSTATS_CMD_GET, all, nullptr);
  return refused != 0 ? refused : hear_children_only(fd);
}

// One whose layout is another than ours has something else in the place of the thread's number.
void write_record(double *record, const char *body, size_t length) {
  std::fill_n(record, kFields, 0);
  if (length < GENL_HDRLEN) return;
  size_t size = 0;
  const char *thread =
      find_attribute(body + GENL_HDRLEN, length - GENL_HDRLEN, TASKSTATS_TYPE_AGGR_PID, 1, &size);
  if (thread == nullptr) return;
  const char *number = find_attribute(thread, size, TASKSTATS_TYPE_PID, sizeof(uint32_t), nullptr);
  const char *stats =
      find_attribute(thread, size, TASKSTATS_TYPE_STATS, kProcessAt + sizeof(uint32_t), nullptr);
  if (number == nullptr || stats == nullptr) return;
  uint16_t version = 0;
  uint32_t pid = 0, same = 0, process = 0;
  uint64_t peak = 0;
  memcpy(&version, stats, sizeof version);
  memcpy(&pid, number, sizeof pid);
  memcpy(&same, stats + offsetof(taskstats, ac_pid), sizeof same);
  memcpy(&process, stats + kProcessAt, sizeof process);
  memcpy(&peak, stats + offsetof(taskstats, hiwater_rss), sizeof peak);
  if (version < kLeastVersion || pid != same) return;
  record[0] = process;
  record[1] = pid;
  record[2] = static_cast<double>(peak);
}

// openExits() → a descriptor to be watched.
Napi::Value OpenExits(const Napi::CallbackInfo &info) {
  const int fd = open_news(NETLINK_GENERIC);
  const int error = fd < 0 ? errno : subscribe(fd);
  if (error == 0) return Napi::Number::New(info.Env(), fd);
  if (fd >= 0) close(fd);
  throw_system_error(info.Env(), error, "taskstats");
  return info.Env().Undefined();
}

// readExits(fd, records: Float64Array) → how many records
Napi::Value ReadExits(const Napi::CallbackInfo &info) {
  return read_records(info, kFields, write_record);
}

}  // namespace

void init_exits(Napi::Env env, Napi::Object exports) {
  exports.Set("openExits", Napi::Function::New(env, OpenExits));
  exports.Set("readExits", Napi::Function::New(env, ReadExits));
  exports.Set("exitFields", static_cast<double>(kFields));
}
