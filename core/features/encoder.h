#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "core/features/fact_columns.h"
#include "core/features/feature_list.h"
#include "core/types.h"

namespace offerd {

// Memory of Encoder::Encode, reused. One per thread.
struct EncoderScratch {
  FloatRowMatrix columns;          // every column that is made, those only crosses read included, x n
  std::vector<uint8_t> is_shared;  // of such a column: the same for all candidates
};

// Turns the facts about candidates into rows of d numbers, as a declared list of features says.
//
// Shapes   d = dim(), 1 to 2,048; n candidates. Columns stand in the order of the list.
// Threads  Immutable once made; safe to share.
// Errors   Make: InvalidArgument names the feature, what was expected and what was found. Encode cannot fail.
// Cost     Encode O(n d), a column at a time: what all candidates share is worked out once. No allocation once the scratch has
//          the size. A row does not depend on the other candidates.
class Encoder {
 public:
  static constexpr int kMaxDim = 2048;
  // No column is written outside +-kLargestValue, so that products and sums of columns stay finite.
  static constexpr double kLargestValue = 1e18;

  static absl::StatusOr<Encoder> Make(FeatureList list);

  int dim() const { return static_cast<int>(column_names_.size()); }

  // The distinct facts that it reads, in order of first mention; the `facts` of Encode stand in this order.
  absl::Span<const FactName> facts() const { return facts_; }

  // "name", "name=value", "name[lo,hi)", "a*b".
  absl::Span<const std::string> column_names() const { return column_names_; }

  const FeatureList& list() const { return list_; }

  // A hash of the list in canonical text: part of the model version. Two lists have the same one only if they encode
  // every row alike (fields that a feature's kind ignores do not count).
  uint64_t fingerprint() const { return fingerprint_; }

  // facts.num_facts() == this->facts().size(). rows becomes n x d.
  void Encode(const FactColumns& facts, EncoderScratch& scratch, FloatRowMatrix& rows) const;

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
    int begin = 0, size = 0;  // among dim() columns, or among the hidden ones
    double min = 0, max = 0;  // numeric, after the bounds of the transform, as are the next
    double scale = 1, multiplier = 1, missing_value = 0;
    int left = -1, right = -1;  // cross: blocks
    std::vector<Value> values;  // one-hot, sorted by text
  };
  class Columns;  // one call of Encode

  Encoder() = default;
  absl::Status Add(const Feature& feature);
  absl::Status AddCross(const Feature& feature, Block& block);
  int FactIndex(const FactName& name);
  int FindBlock(absl::string_view name) const;

  FeatureList list_;
  std::vector<Block> blocks_;
  std::vector<FactName> facts_;
  std::vector<std::string> column_names_;
  int num_hidden_ = 0;  // columns that only crosses read
  uint64_t fingerprint_ = 0;
};

}  // namespace offerd
