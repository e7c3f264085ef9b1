#include "bench/load/process_stat.h"

#include <unistd.h>

#include <fstream>
#include <iterator>
#include <sstream>
#include <string>

#include "absl/strings/str_cat.h"

namespace offerd {

ProcessStat ReadProcessStat(int pid) {
  ProcessStat out;
  std::ifstream in(absl::StrCat("/proc/", pid, "/stat"));
  const std::string text((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
  const size_t end_of_name = text.rfind(')');
  if (end_of_name == std::string::npos) return out;
  std::istringstream fields(text.substr(end_of_name + 1));
  std::string field;
  for (int number = 3; fields >> field; ++number) {  // numbers as in proc(5)
    if (number == 14 || number == 15) out.cpu_seconds += std::stod(field) / static_cast<double>(sysconf(_SC_CLK_TCK));
    if (number == 24) out.resident_bytes = std::stoll(field) * sysconf(_SC_PAGESIZE);
  }
  return out;
}

}  // namespace offerd
