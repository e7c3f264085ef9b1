#pragma once
#include "core/types.h"

namespace offerd {

// When something is due again, by a clock that may be set: set back, the wait begins anew and is never longer than it was.
//
// Threads  Not safe.
class Due {
 public:
  // Due at once until told otherwise.
  void Wait(TimeMicros now, TimeMicros micros) {
    since_ = now;
    wait_ = micros;
  }
  bool Is(TimeMicros now) {
    if (now < since_) since_ = now;
    return now - since_ >= wait_;
  }

 private:
  TimeMicros since_ = 0;
  TimeMicros wait_ = 0;
};

}  // namespace offerd
