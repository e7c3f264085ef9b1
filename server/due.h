#pragma once
#include <cstdint>

namespace offerd {

// When something is due again, by a clock that may be set: set back, the wait begins anew and is never longer than it was.
// Due at once until told to wait.
//
// Threads  Not safe.
class Due {
 public:
  void Wait(int64_t now_micros, int64_t wait_micros) {
    since_micros_ = now_micros;
    wait_micros_ = wait_micros;
  }
  bool Is(int64_t now_micros) {
    if (now_micros < since_micros_) since_micros_ = now_micros;
    return now_micros - since_micros_ >= wait_micros_;
  }

 private:
  int64_t since_micros_ = 0;
  int64_t wait_micros_ = 0;
};

}  // namespace offerd
