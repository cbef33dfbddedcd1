// Which listeners have a client waiting: one epoll set of our own beside libuv's, so that one call into
// JavaScript tells of all. Called by src/listener on the main thread.
//
// It is not a part of libuv's set: to add to a set that is in another one takes a lock which all of the
// machine share, and any user can hold it. So a thread waits for it, and tells libuv's loop. It does that
// once, and then the loop looks by itself in each of its turns, for as long as something is there: a busy
// server wakes nobody.
#include "addon.h"
#include "error.h"
#include "own-thread.h"

#include <errno.h>
#include <semaphore.h>
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
  // The epoll set.
  int set;
  // For the thread, which waits for it once after each post.
  sem_t may_wait;
  // The thread's word that something is there.
  uv_async_t wake;
  // Runs while the loop looks by itself: keeps it from waiting.
  uv_idle_t busy;
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

// --- The thread ---

void wait_once(int set) {
  epoll_event event;
  while (epoll_wait(set, &event, 1, -1) < 0 && errno == EINTR) {
  }
}

void *wait_for_clients(void *argument) {
  auto *poller = static_cast<Poller *>(argument);
  for (;;) {
    wait_once(poller->set);
    uv_async_send(&poller->wake);
    while (sem_wait(&poller->may_wait) < 0) {
    }
  }
}

// --- The main thread ---

// An error thrown by JavaScript below a libuv callback has no caller: it goes to the process, which ends
// loudly.
void report_uncaught(Napi::Env env) {
  if (env.IsExceptionPending()) napi_fatal_exception(env, env.GetAndClearPendingException().Value());
}

void let_wait(Poller *poller) {
  uv_idle_stop(&poller->busy);
  sem_post(&poller->may_wait);
}

void on_rested(uv_timer_t *timer) {
  let_wait(static_cast<Poller *>(timer->data));
}

void leave_alone(Poller *poller) {
  uv_idle_stop(&poller->busy);
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

void look(Poller *poller) {
  epoll_event events[kBatch];
  const int count = epoll_wait(poller->set, events, poller->room, 0);
  if (count == 0)
    let_wait(poller);
  else if (count < 0 || !report_ready(poller, events, count))
    leave_alone(poller);
}

void on_busy(uv_idle_t *handle) {
  look(static_cast<Poller *>(handle->data));
}

void on_wake(uv_async_t *handle) {
  auto *poller = static_cast<Poller *>(handle->data);
  uv_idle_start(&poller->busy, on_busy);
  look(poller);
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

// 0: it is no array of the right kind, or an empty one.
int room_of(const Napi::Value &ready) {
  if (!ready.IsTypedArray() || ready.As<Napi::TypedArray>().TypedArrayType() != napi_int32_array) return 0;
  return static_cast<int>(std::min(kBatch, ready.As<Napi::Int32Array>().ElementLength()));
}

// 0 or an errno.
int start_looking(Poller *poller) {
  uv_loop_t *loop = nullptr;
  napi_get_uv_event_loop(poller->env, &loop);
  uv_timer_init(loop, &poller->rest);
  uv_idle_init(loop, &poller->busy);
  const int error = uv_async_init(loop, &poller->wake, on_wake);
  if (error < 0) return -error;
  sem_init(&poller->may_wait, 0, 0);
  return start_thread(wait_for_clients, poller) ? 0 : EAGAIN;
}

// openPoller(ready: Int32Array, onReady) → {watch, unwatch}. It lives as long as the process.
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
  auto *poller = new Poller{env, set, {}, {}, {}, {}, Napi::AsyncContext(env, "stdiod:poller"), {}, {}, room};
  poller->ready = Napi::Reference<Napi::Int32Array>::New(info[0].As<Napi::Int32Array>(), 1);
  poller->on_ready = Napi::Persistent(info[1].As<Napi::Function>());
  poller->wake.data = poller->busy.data = poller->rest.data = poller;
  const int error = start_looking(poller);
  if (error != 0) {
    throw_system_error(env, error, "pthread_create");
    return env.Undefined();
  }
  Napi::Object result = Napi::Object::New(env);
  result.Set("watch", Napi::Function::New(env, Watch, "watch", poller));
  result.Set("unwatch", Napi::Function::New(env, Unwatch, "unwatch", poller));
  return result;
}

}  // namespace

void init_poller(Napi::Env env, Napi::Object exports) {
  exports.Set("openPoller", Napi::Function::New(env, OpenPoller));
}
