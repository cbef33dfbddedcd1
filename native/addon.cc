// The addon's front door: collects the exports of the other files.
#include "addon.h"

static Napi::Object Init(Napi::Env env, Napi::Object exports) {
  init_accounts(env, exports);
  init_aside(env, exports);
  init_closings(env, exports);
  init_descriptors(env, exports);
  init_diag(env, exports);
  init_exits(env, exports);
  init_handover(env, exports);
  init_lent(env, exports);
  init_line(env, exports);
  init_output(env, exports);
  init_parked(env, exports);
  init_path(env, exports);
  init_plan(env, exports);
  init_poller(env, exports);
  init_processes(env, exports);
  init_reaper(env, exports);
  init_reports(env, exports);
  init_sandbox(env, exports);
  init_socket(env, exports);
  init_spawn(env, exports);
  return exports;
}

NODE_API_MODULE(NODE_GYP_MODULE_NAME, Init)
