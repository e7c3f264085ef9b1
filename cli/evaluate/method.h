#pragma once
#include <cstdint>
#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "cli/evaluate/dataset.h"
#include "cli/evaluate/method_spec.h"
#include "cli/evaluate/parallel.h"
#include "core/similarity/session_neighbours.h"  // ScoredItem

namespace offerd::evaluate {

// What a list is asked for. Items that training does not know (>= num_items) may be among `items` and tell a method nothing.
//
// sessions       items: the clicks so far, the last one last. Nothing is removed from the answer.
// leave-one-out  items: the rest of the cart, with its user. The cart is removed from the answer.
// next-basket    items, weights: what the user bought before and in how many baskets, in order of first appearance. Nothing is
//                removed.
// users          items: what the user has in training. They are removed.
struct Query {
  Protocol protocol = Protocol::kSessions;
  absl::Span<const TableItem> items;
  absl::Span<const float> weights;  // empty: 1 each
  uint32_t user = kNoUser;
  TimeMicros time = 0;

  bool removes_items() const { return protocol == Protocol::kLeaveOneOut || protocol == Protocol::kUsers; }
};

// Answers queries of one thread; holds its work space.
class Recommender {
 public:
  virtual ~Recommender() = default;

  // At most `count` training items, best first, none twice; fewer where a method has nothing to say of the rest. Score
  // descending, then item number, unless a method defines its ties otherwise.
  virtual void Recommend(const Query& query, size_t count, std::vector<ScoredItem>* answer) = 0;
};

// A method, trained. The training data must outlive it.
//
// Threads  Immutable; each thread takes a recommender of its own.
class Method {
 public:
  virtual ~Method() = default;
  virtual std::unique_ptr<Recommender> NewRecommender() const = 0;
};

struct TrainingLimits {
  uint64_t memory_bytes = 0;  // for methods that could take more than there is (EASE); 0 = no limit
};

// Errors  InvalidArgument where the method cannot be built from these data (repeat without users), ResourceExhausted where it
//         does not fit the limits.
absl::StatusOr<std::unique_ptr<Method>> TrainMethod(const MethodSpec& spec, const Training& training, const TrainingLimits& limits,
                                                    const Workers& workers);

}  // namespace offerd::evaluate
