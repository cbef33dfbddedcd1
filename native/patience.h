// How long the main thread waits for what others can hold up: a second at once, then a tenth of the time; and
// when that is used up, a moment each time.
#pragma once

#include <algorithm>
#include <chrono>

class Patience {
 public:
  // Milliseconds, for the next time.
  double limit() const { return std::clamp(kBurstMs - debt(), kLeastMs, kLongestMs); }

  // It took so long.
  void spend(double took_ms) {
    if (took_ms < kSlowMs) return;
    debt_ms_ = debt() + took_ms;
    at_ = Clock::now();
  }

 private:
  using Clock = std::chrono::steady_clock;

  // Far more than any of this takes when nobody is in the way, on a busy machine too.
  static constexpr double kLongestMs = 500;
  // What takes longer than this is held up by somebody.
  static constexpr double kSlowMs = 50;
  static constexpr double kBurstMs = 1000;
  static constexpr double kShare = 0.1;
  static constexpr double kLeastMs = 20;

  double debt() const {
    const std::chrono::duration<double, std::milli> since = Clock::now() - at_;
    return std::max(0.0, debt_ms_ - since.count() * kShare);
  }

  double debt_ms_ = 0;
  Clock::time_point at_ = Clock::now();
};
