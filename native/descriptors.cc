// How many more descriptors this process could have. The kernel has no number for it: the limit may have been
// changed, and what is open stands in a table that takes the longer to read the fuller it is. So some are
// made and closed again. Called by src/server on the main thread.
#include "addon.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>

namespace {

constexpr uint32_t kMost = 64;

// freeDescriptors(most) → as many as there are, up to that. What they lead to is nobody's and can always be
// opened; a child that copies the table meanwhile closes them before it is anybody.
Napi::Value FreeDescriptors(const Napi::CallbackInfo &info) {
  const uint32_t most = std::min(kMost, info[0].ToNumber().Uint32Value());
  int made[kMost];
  uint32_t count = 0;
  for (; count < most; ++count) {
    made[count] = count == 0 ? open("/", O_PATH | O_CLOEXEC) : fcntl(made[0], F_DUPFD_CLOEXEC, 0);
    if (made[count] < 0) break;
  }
  for (uint32_t i = 0; i < count; ++i) close(made[i]);
  return Napi::Number::New(info.Env(), count);
}

}  // namespace

void init_descriptors(Napi::Env env, Napi::Object exports) {
  exports.Set("freeDescriptors", Napi::Function::New(env, FreeDescriptors));
}
