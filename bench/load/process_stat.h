#pragma once
#include <cstdint>

namespace offerd {

struct ProcessStat {
  double cpu_seconds = 0;  // user and system, of all threads
  int64_t resident_bytes = 0;
};

// From /proc/PID/stat, in ticks of 10 ms. All 0 where there is no such process.
ProcessStat ReadProcessStat(int pid);

}  // namespace offerd
