#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "core/features/feature_list.h"

namespace offerd {

// Turns the facts about one candidate into one row of d numbers, as a declared list of features says.
//
// Shapes   d = dim(), 1 to 512. Columns stand in the order of the list.
// Threads  Immutable once made; safe to share.
// Errors   Make: InvalidArgument names the feature, what was expected and what was found. EncodeRow cannot fail.
// Cost     EncodeRow O(d), without allocation.
class Encoder {
 public:
  static constexpr int kMaxDim = 512;
  // No column is written outside +-kLargestValue, so that products and sums of columns stay finite.
  static constexpr double kLargestValue = 1e18;

  static absl::StatusOr<Encoder> Make(FeatureList list);

  int dim() const { return static_cast<int>(column_names_.size()); }

  // The distinct facts that it reads, in order of first mention; the `facts` of EncodeRow stand in this order.
  absl::Span<const FactName> facts() const { return facts_; }

  // "name", "name=value", "name[lo,hi)", "a*b".
  absl::Span<const std::string> column_names() const { return column_names_; }

  const FeatureList& list() const { return list_; }

  // A hash of the list in canonical text: part of the model version. Two lists have the same one only if they encode
  // every row alike (fields that a feature's kind ignores do not count).
  uint64_t fingerprint() const { return fingerprint_; }

  // facts.size() == this->facts().size(), row.size() == dim(). Every column is written.
  void EncodeRow(absl::Span<const Fact> facts, absl::Span<float> row) const;

 private:
  struct Value {  // of a one-hot feature
    std::string text;
    double number = 0;
    bool is_number = false;  // text is the shortest decimal text of `number`
    int column = 0;
  };
  struct Block {  // the columns of one feature, with all that a row needs of it
    Feature::Kind kind = Feature::Kind::kConstant;
    Transform transform = Transform::kIdentity;
    bool is_hidden = false;  // numeric and one-hot: only crosses read it
    int feature = 0;
    int fact = -1;
    int begin = 0, size = 0;
    double min = 0, max = 0;  // numeric, after the bounds of the transform, as are the next
    double scale = 1, multiplier = 1, missing_value = 0;
    int left = -1, right = -1;  // cross: blocks
    std::vector<Value> values;  // one-hot, sorted by text
  };

  Encoder() = default;
  absl::Status Add(const Feature& feature);
  absl::Status AddCross(const Feature& feature, Block& block);
  int FactIndex(const FactName& name);
  int FindBlock(absl::string_view name) const;
  static float NumericColumn(const Block& block, const Fact& fact);
  static int OneHotColumn(const Block& block, const Fact& fact);  // -1: none
  struct Hidden {  // the one column of a hidden block that is not zero
    int column = -1;
    float value = 0;
  };
  Hidden HiddenColumns(const Block& block, absl::Span<const Fact> facts) const;
  void EncodeCross(const Block& block, absl::Span<const Fact> facts, absl::Span<float> row) const;

  FeatureList list_;
  std::vector<Block> blocks_;
  std::vector<FactName> facts_;
  std::vector<std::string> column_names_;
  uint64_t fingerprint_ = 0;
};

}  // namespace offerd
