#include "store/keys.h"

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

namespace offerd {

absl::string_view FamilyName(Family family) {
  switch (family) {
    case Family::kLog:
      return "log";
    case Family::kDecisions:
      return "decisions";
    case Family::kSeen:
      return "seen";
    case Family::kPolicies:
      return "policies";
    case Family::kProfiles:
      return "profiles";
    case Family::kCatalog:
      return "catalog";
    case Family::kTables:
      return "tables";
    case Family::kMeta:
      return "meta";
  }
  return "unknown";
}

void KvBatch::Put(Family family, absl::string_view key, std::string value) {
  operations_.push_back({Kind::kPut, family, std::string(key), std::move(value)});
}

void KvBatch::Delete(Family family, absl::string_view key) {
  operations_.push_back({Kind::kDelete, family, std::string(key), {}});
}

void KvBatch::DeleteRange(Family family, absl::string_view from, absl::string_view to) {
  operations_.push_back({Kind::kDeleteRange, family, std::string(from), std::string(to)});
}

std::string NumberKey(absl::string_view prefix, uint64_t number) {
  std::string key(prefix);
  for (int shift = 56; shift >= 0; shift -= 8) key.push_back(static_cast<char>(number >> shift & 0xff));
  return key;
}

std::string NumberKey(uint64_t number) { return NumberKey("", number); }

std::string BaseKey(Sequence base, uint64_t number) { return NumberKey(NumberKey(base), number); }

std::optional<uint64_t> ReadNumber(absl::string_view key) {
  if (key.size() < 8) return std::nullopt;
  uint64_t number = 0;
  for (size_t i = 0; i < 8; ++i) number = number << 8 | static_cast<unsigned char>(key[i]);
  return number;
}

std::string AfterPrefix(absl::string_view prefix) {
  std::string after(prefix);
  while (!after.empty() && static_cast<unsigned char>(after.back()) == 0xff) after.pop_back();
  if (!after.empty()) after.back() = static_cast<char>(static_cast<unsigned char>(after.back()) + 1);
  return after;
}

std::string KeyText(Family family, absl::string_view key) {
  switch (family) {
    case Family::kLog:
      if (key.size() == 8) return absl::StrCat("record ", *ReadNumber(key));
      break;
    case Family::kPolicies:
    case Family::kProfiles:
    case Family::kCatalog:
      if (key.size() == 16) return absl::StrCat("base ", *ReadNumber(key), " record ", *ReadNumber(key.substr(8)));
      break;
    case Family::kMeta:
      for (const absl::string_view prefix : {kBasePrefix, kBaseStatePrefix, kErasurePrefix}) {
        absl::string_view rest = key;
        // What follows the number may name a person.
        if (absl::ConsumePrefix(&rest, prefix) && rest.size() >= 8) return absl::StrCat(prefix, *ReadNumber(rest));
      }
      break;
    default:
      break;
  }
  return absl::CEscape(key);
}

}  // namespace offerd
