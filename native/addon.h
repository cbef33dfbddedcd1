// What each file of the addon adds to its exports. src/native/addon.ts has the types of all of it.
#pragma once

#include <napi.h>

void init_accounts(Napi::Env env, Napi::Object exports);
void init_aside(Napi::Env env, Napi::Object exports);
void init_closings(Napi::Env env, Napi::Object exports);
void init_descriptors(Napi::Env env, Napi::Object exports);
void init_diag(Napi::Env env, Napi::Object exports);
void init_exits(Napi::Env env, Napi::Object exports);
void init_handover(Napi::Env env, Napi::Object exports);
void init_lent(Napi::Env env, Napi::Object exports);
void init_line(Napi::Env env, Napi::Object exports);
void init_output(Napi::Env env, Napi::Object exports);
void init_parked(Napi::Env env, Napi::Object exports);
void init_path(Napi::Env env, Napi::Object exports);
void init_plan(Napi::Env env, Napi::Object exports);
void init_poller(Napi::Env env, Napi::Object exports);
void init_processes(Napi::Env env, Napi::Object exports);
void init_reaper(Napi::Env env, Napi::Object exports);
void init_reports(Napi::Env env, Napi::Object exports);
void init_sandbox(Napi::Env env, Napi::Object exports);
void init_socket(Napi::Env env, Napi::Object exports);
void init_spawn(Napi::Env env, Napi::Object exports);
