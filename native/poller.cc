// Which listeners have a client waiting: one epoll set of our own below libuv's, so that one call into
// JavaScript tells of all. Called by src/listener on the main thread.
#include "addon.h"
#include "error.h"

#include <errno.h>
#include <sys/epoll.h>
#include <unistd.h>
#include <uv.h>

#include <algorithm>

namespace {

// One call tells as many as this or as `ready` has room for; the rest follow in the next turn of the loop,
// and epoll rotates its ready list.
constexpr size_t kBatch = 64;
// After a failure, which would come again at once and for ever.
constexpr uint64_t kRestMs = 250;

struct Poller {
  Napi::Env env;
  // The epoll set; watched by libuv through `handle`.
  int set;
  uv_poll_t handle;
  // Runs while the set is left alone.
  uv_timer_t rest;
  Napi::AsyncContext context;
  // onReady(count): the first `count` entries of `ready` are descriptors; false: the set is left alone for a
  // moment.
  Napi::FunctionReference on_ready;
  Napi::Reference<Napi::Int32Array> ready;
  // How many of them.
  int room;
};

// An error thrown by JavaScript below a libuv callback has no caller: it goes to the process, which ends
// loudly.
void report_uncaught(Napi::Env env) {
  if (env.IsExceptionPending()) napi_fatal_exception(env, env.GetAndClearPendingException().Value());
}

void on_poll(uv_poll_t *, int, int);

void on_rested(uv_timer_t *timer) {
  auto *poller = static_cast<Poller *>(timer->data);
  if (poller->set >= 0) uv_poll_start(&poller->handle, UV_READABLE, on_poll);
}

void leave_alone(Poller *poller) {
  if (poller->set < 0) return;
  uv_poll_stop(&poller->handle);
  uv_timer_start(&poller->rest, on_rested, kRestMs, 0);
}

// Whether to go on.
bool report_ready(Poller *poller, const epoll_event *events, int count) {
  Napi::HandleScope scope(poller->env);
  Napi::Int32Array ready = poller->ready.Value();
  for (int i = 0; i < count; ++i) ready[static_cast<size_t>(i)] = events[i].data.fd;
  const Napi::Value result = poller->on_ready.MakeCallback(
      poller->env.Global(), {Napi::Number::New(poller->env, count)}, poller->context);
  const bool goes_on = result.IsEmpty() || !result.IsBoolean() || result.ToBoolean();
  report_uncaught(poller->env);
  return goes_on;
}

void on_poll(uv_poll_t *handle, int status, int) {
  auto *poller = static_cast<Poller *>(handle->data);
  epoll_event events[kBatch];
  const int count = status < 0 ? -1 : epoll_wait(poller->set, events, poller->room, 0);
  if (count == 0) return;
  if (count < 0 || !report_ready(poller, events, count)) leave_alone(poller);
}

Poller *poller_of(const Napi::CallbackInfo &info) {
  return static_cast<Poller *>(info.Data());
}

// watch(fd): level-triggered.
void Watch(const Napi::CallbackInfo &info) {
  epoll_event event = {};
  event.events = EPOLLIN;
  event.data.fd = info[0].ToNumber().Int32Value();
  if (epoll_ctl(poller_of(info)->set, EPOLL_CTL_ADD, event.data.fd, &event) < 0) {
    throw_system_error(info.Env(), errno, "epoll_ctl");
  }
}

// unwatch(fd): also needed before a close, because a child that has not exec'ed yet may hold the socket too.
void Unwatch(const Napi::CallbackInfo &info) {
  if (epoll_ctl(poller_of(info)->set, EPOLL_CTL_DEL, info[0].ToNumber().Int32Value(), nullptr) < 0) {
    throw_system_error(info.Env(), errno, "epoll_ctl");
  }
}

void ClosePoller(const Napi::CallbackInfo &info) {
  Poller *poller = poller_of(info);
  if (poller->set < 0) return;
  uv_poll_stop(&poller->handle);
  uv_close(reinterpret_cast<uv_handle_t *>(&poller->handle), nullptr);
  uv_close(reinterpret_cast<uv_handle_t *>(&poller->rest), nullptr);
  close(poller->set);
  poller->set = -1;
}

// 0: it is no array of the right kind, or an empty one.
int room_of(const Napi::Value &ready) {
  if (!ready.IsTypedArray() || ready.As<Napi::TypedArray>().TypedArrayType() != napi_int32_array) return 0;
  return static_cast<int>(std::min(kBatch, ready.As<Napi::Int32Array>().ElementLength()));
}

// openPoller(ready: Int32Array, onReady) → {watch, unwatch, close}. The poller itself lives as long as the
// process.
Napi::Value OpenPoller(const Napi::CallbackInfo &info) {
  Napi::Env env = info.Env();
  const int room = room_of(info[0]);
  if (room == 0) {
    Napi::TypeError::New(env, "ready has no room for descriptors").ThrowAsJavaScriptException();
    return env.Undefined();
  }
  const int set = epoll_create1(EPOLL_CLOEXEC);
  if (set < 0) {
    throw_system_error(env, errno, "epoll_create1");
    return env.Undefined();
  }
  auto *poller = new Poller{env, set, {}, {}, Napi::AsyncContext(env, "stdiod:poller"), {}, {}, room};
  poller->ready = Napi::Reference<Napi::Int32Array>::New(info[0].As<Napi::Int32Array>(), 1);
  poller->on_ready = Napi::Persistent(info[1].As<Napi::Function>());
  poller->handle.data = poller;
  poller->rest.data = poller;
  uv_loop_t *loop = nullptr;
  napi_get_uv_event_loop(env, &loop);
  uv_timer_init(loop, &poller->rest);
  const int error = uv_poll_init(loop, &poller->handle, set);
  if (error < 0) {
    close(set);
    throw_system_error(env, -error, "uv_poll_init");
    return env.Undefined();
  }
  uv_poll_start(&poller->handle, UV_READABLE, on_poll);
  Napi::Object result = Napi::Object::New(env);
  result.Set("watch", Napi::Function::New(env, Watch, "watch", poller));
  result.Set("unwatch", Napi::Function::New(env, Unwatch, "unwatch", poller));
  result.Set("close", Napi::Function::New(env, ClosePoller, "close", poller));
  return result;
}

}  // namespace

void init_poller(Napi::Env env, Napi::Object exports) {
  exports.Set("openPoller", Napi::Function::New(env, OpenPoller));
}
