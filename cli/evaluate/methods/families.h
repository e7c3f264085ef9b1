#pragma once
#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "cli/evaluate/method.h"

// The families of methods, one file each. docs/quality.md defines what each of them computes.
namespace offerd::evaluate {

using MethodOr = absl::StatusOr<std::unique_ptr<Method>>;

MethodOr TrainPopular(const MethodSpec& spec, const Training& training);                                // popular
MethodOr TrainRules(const MethodSpec& spec, const Training& training, const Workers& workers);          // ar, sr
MethodOr TrainPairs(const MethodSpec& spec, const Training& training, const Workers& workers);          // count ... llr
MethodOr TrainEase(const MethodSpec& spec, const Training& training, const TrainingLimits& limits, const Workers& workers);
MethodOr TrainSessionNeighbours(const MethodSpec& spec, const Training& training);                      // vmis
MethodOr TrainRepeat(const MethodSpec& spec, const Training& training);                                 // repeat, repeat_popular
MethodOr TrainBlend(const MethodSpec& spec, const Training& training, const TrainingLimits& limits, const Workers& workers);

// What one training row counts, by its age at the end of training: half after `half_life_days`. Empty where that is 0.
std::vector<double> RecencyWeights(const Training& training, double half_life_days);

// The training items, the most frequent first, then by number.
std::vector<TableItem> ItemsByPopularity(const Training& training);

// The first `count` by score, then number, in that order.
void KeepBest(size_t count, std::vector<ScoredItem>* scored);

}  // namespace offerd::evaluate
