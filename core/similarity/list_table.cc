#include "core/similarity/list_table.h"

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"

namespace offerd {

std::string MarketTableName(absl::string_view name, absl::string_view market) {
  std::string result = absl::StrCat(name, ".");
  for (const char c : market) {
    if (absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '-') {
      result.push_back(c);
    } else {
      absl::StrAppend(&result, "_", absl::Hex(static_cast<unsigned char>(c), absl::kZeroPad2));
    }
  }
  return result;
}

}  // namespace offerd
