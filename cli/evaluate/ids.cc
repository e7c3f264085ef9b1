#include "cli/evaluate/ids.h"

#include <algorithm>

#include "absl/hash/hash.h"
#include "absl/strings/ascii.h"

namespace offerd::evaluate {
namespace {

bool IsWholeNumber(absl::string_view id) {
  if (!id.empty() && id[0] == '-') id.remove_prefix(1);
  return !id.empty() && std::all_of(id.begin(), id.end(), [](char c) { return absl::ascii_isdigit(static_cast<unsigned char>(c)); });
}

// A whole number of any length, taken apart so that it compares by value.
struct Whole {
  explicit Whole(absl::string_view id) : is_negative(id[0] == '-'), digits(id.substr(is_negative ? 1 : 0)) {
    while (digits.size() > 1 && digits[0] == '0') digits.remove_prefix(1);
  }
  friend bool operator<(const Whole& a, const Whole& b) {
    if (a.is_negative != b.is_negative) return a.is_negative;
    const absl::string_view small = a.is_negative ? b.digits : a.digits;
    const absl::string_view large = a.is_negative ? a.digits : b.digits;
    return small.size() != large.size() ? small.size() < large.size() : small < large;
  }
  bool is_negative;
  absl::string_view digits;
};

// A hash in place of the folded text: two of a hundred million ids meet by chance once in a thousand files.
uint64_t FoldedHash(absl::string_view id, std::string* folded) {
  folded->clear();
  for (const char c : id) {
    const auto byte = static_cast<unsigned char>(c);
    if (!absl::ascii_isspace(byte)) folded->push_back(absl::ascii_tolower(byte));
  }
  return absl::Hash<std::string>()(*folded);
}

bool CanBeSpeltOtherwise(char c) {
  return absl::ascii_isalpha(static_cast<unsigned char>(c)) || absl::ascii_isspace(static_cast<unsigned char>(c));
}

}  // namespace

size_t IdTable::Hash::operator()(absl::string_view id) const { return absl::Hash<absl::string_view>()(id); }

IdTable::IdTable() : numbers_(0, Hash{this}, Equal{this}) {}

absl::string_view IdTable::operator[](uint32_t number) const {
  return absl::string_view(bytes_).substr(begins_[number], begins_[number + 1] - begins_[number]);
}

uint32_t IdTable::Add(absl::string_view id) {
  const auto found = numbers_.find(id);
  if (found != numbers_.end()) return *found;
  const auto number = static_cast<uint32_t>(size());
  bytes_.append(id.data(), id.size());
  begins_.push_back(bytes_.size());
  numbers_.insert(number);
  return number;
}

void IdTable::Sort(std::vector<uint32_t>* numbers) const {
  const auto is_whole = [this](uint32_t number) { return IsWholeNumber((*this)[number]); };
  if (!std::all_of(numbers->begin(), numbers->end(), is_whole)) {
    std::sort(numbers->begin(), numbers->end(), [this](uint32_t a, uint32_t b) { return (*this)[a] < (*this)[b]; });
    return;
  }
  // Different spellings of one number ("7", "007") stay two ids.
  std::sort(numbers->begin(), numbers->end(), [this](uint32_t a, uint32_t b) {
    const Whole first((*this)[a]), second((*this)[b]);
    if (first < second) return true;
    return !(second < first) && (*this)[a] < (*this)[b];
  });
}

size_t IdTable::CountLookalikes() const {
  if (std::none_of(bytes_.begin(), bytes_.end(), CanBeSpeltOtherwise)) return 0;
  absl::flat_hash_set<uint64_t> seen;
  std::string folded;
  size_t lookalikes = 0;
  for (uint32_t number = 0; number < size(); ++number) {
    if (!seen.insert(FoldedHash((*this)[number], &folded)).second) ++lookalikes;
  }
  return lookalikes;
}

}  // namespace offerd::evaluate
