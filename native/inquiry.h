// Questions that may never be answered: asked one after the other on a thread that nobody waits for, and the
// answers are there as they come.
#pragma once

#include "aside.h"

#include <functional>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

template <typename Question, typename Answer>
class Inquiry {
 public:
  Inquiry() = default;
  Inquiry(const Inquiry &) = delete;
  Inquiry &operator=(const Inquiry &) = delete;
  ~Inquiry() { give_up(); }

  // In place of those before, of which nothing is heard any more.
  void begin(std::vector<Question> questions, std::function<Answer(const Question &)> ask, Kind kind) {
    give_up();
    state_ = std::make_shared<State>();
    run_later(
        [state = state_, questions = std::move(questions), ask = std::move(ask)] {
          ask_all(state.get(), questions, ask);
          const std::lock_guard<std::mutex> lock(state->mutex);
          state->is_done = true;
        },
        kind);
  }

  // Nobody is asked any more. Whoever is being asked now may answer yet.
  void give_up() {
    if (state_ == nullptr) return;
    const std::lock_guard<std::mutex> lock(state_->mutex);
    state_->is_over = true;
  }

  // All were asked; or, after it was given up, nobody is being asked any more.
  bool is_done() const {
    if (state_ == nullptr) return true;
    const std::lock_guard<std::mutex> lock(state_->mutex);
    return state_->is_done;
  }

  std::vector<Answer> so_far() const {
    if (state_ == nullptr) return {};
    const std::lock_guard<std::mutex> lock(state_->mutex);
    return state_->answers;
  }

 private:
  struct State {
    std::mutex mutex;
    std::vector<Answer> answers;
    bool is_over = false;
    bool is_done = false;
  };

  static void ask_all(State *state, const std::vector<Question> &questions,
                      const std::function<Answer(const Question &)> &ask) {
    for (const Question &question : questions) {
      if (is_over(state)) return;
      Answer answer = ask(question);
      const std::lock_guard<std::mutex> lock(state->mutex);
      state->answers.push_back(std::move(answer));
    }
  }

  static bool is_over(State *state) {
    const std::lock_guard<std::mutex> lock(state->mutex);
    return state->is_over;
  }

  std::shared_ptr<State> state_;
};
