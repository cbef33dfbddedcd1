// Plans: what TypeScript lists is checked and laid out in memory that children only read. The order of the
// steps is not judged here; what no child could carry out, or could not safely, is an error of ours and
// thrown as a TypeError.
#include "plan.h"

#include "addon.h"

#include <math.h>
#include <sched.h>
#include <sys/prctl.h>
#include <unistd.h>

namespace {

using Handle = std::shared_ptr<Plan>;

// Beyond it a number of JavaScript's may not be the one that was meant.
constexpr double kLargest = 9007199254740991;

constexpr int kNamespaces =
    CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP | CLONE_NEWUSER;

struct OpFacts {
  const char *name;
  size_t arguments;
};

// By ChildOp.
constexpr OpFacts kOps[] = {{"none", 0},
#define X(op, name, arguments) {name, arguments},
                            STDIOD_STEPS(X)
#undef X
};

// kOpNone: no plan may list it.
ChildOp op_called(const std::string &name) {
  for (int op = kFirstListed; op <= kLastListed; ++op) {
    if (name == kOps[op].name) return static_cast<ChildOp>(op);
  }
  return kOpNone;
}

// The elements of an array of integers; null: it is none.
bool read_numbers(const Napi::Value &value, std::vector<int64_t> *numbers) {
  if (value.IsUndefined()) return true;
  if (!value.IsArray()) return false;
  const auto array = value.As<Napi::Array>();
  for (uint32_t i = 0; i < array.Length(); ++i) {
    const Napi::Value element = array.Get(i);
    if (!element.IsNumber()) return false;
    const double number = element.As<Napi::Number>().DoubleValue();
    if (number != trunc(number) || fabs(number) > kLargest) return false;
    numbers->push_back(static_cast<int64_t>(number));
  }
  return true;
}

// The child runs in our memory: an option that belongs to the memory and not to the process would be set for
// us.
bool is_own_option(int64_t option) {
  return option == PR_CAP_AMBIENT || option == PR_SET_KEEPCAPS;
}

// What is wrong with it, or null. {op, args?: number[], list?: number[]}
const char *read_step(const Napi::Object &from, Plan *plan) {
  const ChildOp op = op_called(from.Get("op").ToString());
  std::vector<int64_t> numbers, list;
  if (op == kOpNone) return "is no step that a plan may list";
  if (!read_numbers(from.Get("args"), &numbers) || !read_numbers(from.Get("list"), &list))
    return "needs whole numbers";
  if (numbers.size() != kOps[op].arguments) return "needs another number of arguments";
  if (op == kOpPrctl && !is_own_option(numbers[0])) return "would change the memory that we share";
  plan->lists.emplace_back(list.begin(), list.end());
  ChildStep step = {op, {}, plan->lists.back().data(), list.size()};
  for (size_t i = 0; i < numbers.size(); ++i) step.arguments[i] = numbers[i];
  plan->steps.push_back(step);
  if (op == kOpUid) plan->user = static_cast<uid_t>(numbers[0]);
  return nullptr;
}

// Whether all of them are what a child can do; else an error waits in JavaScript.
bool read_steps(const Napi::Array &steps, Plan *plan) {
  for (uint32_t i = 0; i < steps.Length(); ++i) {
    const auto step = steps.Get(i).As<Napi::Object>();
    const char *wrong = read_step(step, plan);
    if (wrong == nullptr) continue;
    const std::string name = step.Get("op").ToString();
    Napi::TypeError::New(steps.Env(), name + " " + wrong).ThrowAsJavaScriptException();
    return false;
  }
  plan->view.steps = plan->steps.data();
  plan->view.step_count = plan->steps.size();
  return true;
}

std::vector<std::string> strings_of(const Napi::Array &array) {
  std::vector<std::string> result;
  for (uint32_t i = 0; i < array.Length(); ++i) result.push_back(array.Get(i).ToString());
  return result;
}

// Whether they are namespaces and nothing else; else an error waits in JavaScript. How much a child shares
// with us is not for plans to say.
bool read_clone_flags(const Napi::Value &value, Plan *plan) {
  plan->clone_flags = value.IsNumber() ? value.As<Napi::Number>().Int32Value() : 0;
  if ((plan->clone_flags & ~kNamespaces) == 0) return true;
  Napi::TypeError::New(value.Env(), "cloneFlags are namespaces only").ThrowAsJavaScriptException();
  return false;
}

void read_sandbox(const Napi::Value &value, Plan *plan) {
  plan->has_sandbox = value.IsExternal();
  plan->sandbox = sandbox_of(value);
}

// Empty where there is none.
std::string text_of(const Napi::Object &options, const char *name) {
  return options.Has(name) ? options.Get(name).ToString() : std::string();
}

ChildText view_of(const std::string &text) {
  return ChildText{text.c_str(), text.size()};
}

// preparePlan({path, argv, environment: string[], apparmor?, selinux?, root?, directory, steps, stderrFd,
// stderrFile?, oomScore?, isWait, isBlind?, isParked?, cloneFlags?, sandbox?, hasGroup?, isApart?}) → plan
Napi::Value PreparePlan(const Napi::CallbackInfo &info) {
  const auto options = info[0].As<Napi::Object>();
  auto plan = std::make_shared<Plan>();
  plan->user = geteuid();
  if (!read_steps(options.Get("steps").As<Napi::Array>(), plan.get())) return info.Env().Undefined();
  if (!read_clone_flags(options.Get("cloneFlags"), plan.get())) return info.Env().Undefined();
  read_sandbox(options.Get("sandbox"), plan.get());
  plan->path = options.Get("path").ToString();
  plan->directory = options.Get("directory").ToString();
  plan->words = strings_of(options.Get("argv").As<Napi::Array>());
  plan->variables = strings_of(options.Get("environment").As<Napi::Array>());
  for (const std::string &word : plan->words) plan->argv.push_back(word.c_str());
  plan->argv.push_back(nullptr);
  plan->view.path = plan->path.c_str();
  plan->stderr_file = text_of(options, "stderrFile");
  plan->view.stderr_file = plan->stderr_file.c_str();
  plan->apparmor = text_of(options, "apparmor");
  plan->view.apparmor = view_of(plan->apparmor);
  plan->selinux = text_of(options, "selinux");
  plan->view.selinux = view_of(plan->selinux);
  plan->root = text_of(options, "root");
  plan->view.root = plan->root.c_str();
  plan->stderr_fd = options.Get("stderrFd").ToNumber().Int32Value();
  const Napi::Value score = options.Get("oomScore");
  plan->oom_score = score.IsNumber() ? score.As<Napi::Number>().Int32Value() : kNoScore;
  plan->view.is_lent = options.Get("isWait").ToBoolean();
  plan->is_blind = options.Get("isBlind").ToBoolean();
  plan->is_parked = options.Get("isParked").ToBoolean();
  plan->view.is_kept = plan->view.is_lent || plan->is_blind;
  plan->has_group = options.Get("hasGroup").ToBoolean();
  plan->is_apart = options.Get("isApart").ToBoolean();
  auto *held = new Handle(std::move(plan));
  return Napi::External<Handle>::New(info.Env(), held, [](Napi::Env, Handle *old) { delete old; });
}

// The name of each ChildOp, by number.
Napi::Array step_names(Napi::Env env) {
  Napi::Array names = Napi::Array::New(env);
  uint32_t op = 0;
  for (const OpFacts &facts : kOps) names.Set(op++, facts.name);
  return names;
}

}  // namespace

std::shared_ptr<Plan> plan_of(const Napi::Value &handle) {
  return *handle.As<Napi::External<Handle>>().Data();
}

void init_plan(Napi::Env env, Napi::Object exports) {
  exports.Set("preparePlan", Napi::Function::New(env, PreparePlan));
  exports.Set("stepNames", step_names(env));
}
