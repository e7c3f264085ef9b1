#include "core/learn/examination.h"

#include <algorithm>
#include <utility>

namespace offerd {

double DeclaredExamination(absl::Span<const double> declared, size_t slot) {
  return declared.empty() ? 1 : declared[std::min(slot, declared.size() - 1)];
}

void ExaminationSums::AddShown(size_t slot, double weight, double estimate, double reward) {
  if (slot >= slots_.size()) slots_.resize(slot + 1);
  slots_[slot].estimate += weight * estimate;
  ApplyReward(slot, weight, 0, reward);
}

void ExaminationSums::ApplyReward(size_t slot, double weight, double old_reward, double new_reward) {
  if (slot >= slots_.size()) return;
  slots_[slot].reward += weight * (new_reward - old_reward);
  if (slot == 0) first_squared_ += weight * weight * (new_reward * new_reward - old_reward * old_reward);
}

double ExaminationSums::NumRewards() const {
  if (slots_.empty() || !(slots_[0].reward > 0 && first_squared_ > 0)) return 0;
  return slots_[0].reward * slots_[0].reward / first_squared_;
}

std::vector<double> ExaminationSums::Weights(absl::Span<const double> declared, size_t slots) const {
  std::vector<double> weights(slots);
  for (size_t k = 0; k < slots; ++k) weights[k] = DeclaredExamination(declared, k);
  if (slots == 0 || NumRewards() < kPriorRewards || !(slots_[0].estimate > 0)) return weights;
  const double first = weights[0];
  const double ratio = slots_[0].reward / slots_[0].estimate;
  const double prior = kPriorRewards * first_squared_ / slots_[0].reward;  // tau Q / R_1
  for (size_t k = 1; k < std::min(slots, slots_.size()); ++k) {
    const auto& [reward, estimate] = slots_[k];
    if (!(estimate > 0)) continue;
    weights[k] = std::clamp((first * reward + prior * weights[k]) / (estimate * ratio + prior), kLeastWeight, 1.0);
  }
  return weights;
}

ExaminationSums ExaminationSums::FromParts(Sequence begun, std::vector<Slot> slots, double first_squared) {
  ExaminationSums sums(begun);
  sums.slots_ = std::move(slots);
  sums.first_squared_ = first_squared;
  return sums;
}

}  // namespace offerd
