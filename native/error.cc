// Turns an errno into the Error that src/native/system-error.ts describes.
#include "error.h"

#include <uv.h>

#include <string>

void throw_system_error(Napi::Env env, int error, const char *syscall) {
  const std::string code = uv_err_name(-error);
  const std::string message = std::string(syscall) + ": " + code + " " + uv_strerror(-error);
  Napi::Error thrown = Napi::Error::New(env, message);
  thrown.Set("code", Napi::String::New(env, code));
  thrown.Set("errno", Napi::Number::New(env, error));
  thrown.Set("syscall", Napi::String::New(env, syscall));
  thrown.ThrowAsJavaScriptException();
}
