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
  // In place of those before, of which nothing is heard any more.
  void begin(std::vector<Question> questions, std::function<Answer(const Question &)> ask) {
    if (state_ != nullptr) {
      const std::lock_guard<std::mutex> lock(state_->mutex);
      state_->is_over = true;
    }
    state_ = std::make_shared<State>();
    run_later(
        [state = state_, questions = std::move(questions), ask = std::move(ask)] {
          for (const Question &question : questions) {
            if (is_over(state.get())) return;
            Answer answer = ask(question);
            const std::lock_guard<std::mutex> lock(state->mutex);
            state->answers.push_back(std::move(answer));
          }
        },
        Kind::kProcess);
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
  };

  static bool is_over(State *state) {
    const std::lock_guard<std::mutex> lock(state->mutex);
    return state->is_over;
  }

  std::shared_ptr<State> state_;
};
