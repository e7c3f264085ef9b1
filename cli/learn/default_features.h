#pragma once
#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "cli/learn/stream.h"
#include "core/features/feature_list.h"

namespace offerd::learn {

// The fact that holds a candidate's own id where candidates have no features.
inline constexpr char kIdFact[] = "id";
inline constexpr size_t kMostIds = 64;
inline constexpr int kMostColumns = 512;

// The feature list where none is declared, from what a stream holds: a constant, every candidate feature, every product of a
// context feature and a candidate feature. A text value is one column. Where candidates have no features and at most kMostIds
// ids occur, their ids take the place of candidate features. Numbers are divided by their root mean square (of those that are not
// zero), so that one ridge suits all columns.
class DefaultFeatures {
 public:
  void Add(const StreamDecision& decision);

  struct Result {
    FeatureList list;
    int columns = 0;
    // Said to the user: products left out because the columns would be more than kMostColumns, widest first, and texts that have no column.
    std::vector<std::string> notes;
  };
  Result Make() const;

  // What a stream holds of one name, and what becomes of it.
  struct Seen {
    int64_t numbers = 0;  // that are not zero
    double squares = 0;
    int64_t zeros = 0;
    std::map<std::string, int64_t> texts;
    bool has_numbers() const { return numbers + zeros > 0; }
  };
  using Names = std::vector<std::pair<std::string, Seen>>;  // in order of first appearance
  struct Part {
    Feature feature;
    int columns = 0;
  };

 private:
  static void Count(const std::vector<NamedValue>& features, Names* names);
  std::vector<Part> CandidateParts(std::vector<std::string>* notes) const;
  void FitParts(std::vector<Part>* parts, int* columns, std::vector<std::string>* notes) const;

  Names context_, candidates_;
  std::map<std::string, int64_t> ids_;
  bool too_many_ids_ = false;
};

}  // namespace offerd::learn
