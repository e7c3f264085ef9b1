#pragma once
#include <cstdint>
#include <string>
#include <utility>

#include <Eigen/Core>
#include "absl/strings/string_view.h"

namespace offerd {

// A string that names one kind of thing. Two kinds do not mix. 1 to 256 bytes of valid UTF-8 once past the edge; compared by bytes.
template <typename Tag>
class Id {
 public:
  Id() = default;
  explicit Id(absl::string_view value) : value_(value.data(), value.size()) {}
  const std::string& value() const { return value_; }
  bool empty() const { return value_.empty(); }
  friend bool operator==(const Id& a, const Id& b) { return a.value_ == b.value_; }
  friend bool operator<(const Id& a, const Id& b) { return a.value_ < b.value_; }
  template <typename H>
  friend H AbslHashValue(H h, const Id& id) {
    return H::combine(std::move(h), id.value_);
  }

 private:
  std::string value_;
};

using CustomerId = Id<struct CustomerTag>;
using DecisionId = Id<struct DecisionTag>;
using EventId = Id<struct EventTag>;
using ItemId = Id<struct ItemTag>;
using OfferId = Id<struct OfferTag>;

// Dense numbers that the log hands out in order of first appearance; stable for the life of a store.
enum class ItemIndex : uint32_t {};
enum class OfferIndex : uint32_t {};
enum class NameIndex : uint32_t {};  // a category or a brand
inline constexpr NameIndex kNoName{0xffffffffu};
inline constexpr ItemIndex kNoItem{0xffffffffu};
inline constexpr OfferIndex kNoOffer{0xffffffffu};

using RowMatrix = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using FloatRowMatrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

// Position of a record in the log; the first record is 1, 0 means "before everything".
using Sequence = uint64_t;

// Time inside core and the log: microseconds since the Unix epoch, UTC. A plain number, so that stored bytes, arithmetic
// and replays are exact.
using TimeMicros = int64_t;
inline constexpr TimeMicros kMicrosPerSecond = 1'000'000;
inline constexpr TimeMicros kMicrosPerDay = 86'400 * kMicrosPerSecond;

}  // namespace offerd
