#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/string_view.h"

namespace offerd::evaluate {

// Ids of one kind by number, in the order in which they were first seen.
//
// Units  At most 2^32 - 2 ids.
// Cost   An id takes its bytes, 8 for where they begin and about 6 for finding it.
class IdTable {
 public:
  IdTable();
  IdTable(const IdTable&) = delete;
  IdTable& operator=(const IdTable&) = delete;

  uint32_t Add(absl::string_view id);  // the number it has already, or the next one
  absl::string_view operator[](uint32_t number) const;
  size_t size() const { return begins_.size() - 1; }

  // Puts numbers of ids into ascending order of the ids: by value where all of these are whole numbers, else by bytes.
  void Sort(std::vector<uint32_t>* numbers) const;

  // Ids that another id equals once letters are small and blanks are gone. They stay apart: this is for the report.
  size_t CountLookalikes() const;

 private:
  struct Hash {
    using is_transparent = void;
    const IdTable* table;
    size_t operator()(uint32_t number) const { return (*this)((*table)[number]); }
    size_t operator()(absl::string_view id) const;
  };
  struct Equal {
    using is_transparent = void;
    const IdTable* table;
    bool operator()(uint32_t a, uint32_t b) const { return a == b; }
    bool operator()(uint32_t a, absl::string_view b) const { return (*table)[a] == b; }
    bool operator()(absl::string_view a, uint32_t b) const { return a == (*table)[b]; }
  };

  std::string bytes_;
  std::vector<uint64_t> begins_ = {0};
  absl::flat_hash_set<uint32_t, Hash, Equal> numbers_;
};

}  // namespace offerd::evaluate
