#include "core/learn/linear_statistics.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "absl/strings/str_cat.h"
#include "core/check.h"
#include "core/hash.h"
#include "core/status_macros.h"

namespace offerd {
namespace {

// False for NaN too.
bool IsSum(double value) { return std::abs(value) <= LinearStatistics::kLargestSum; }

absl::Status SumTooLarge() { return absl::OutOfRangeError("a learned sum would leave the range of +-1e300"); }

uint64_t HashColumn(const double* values, Eigen::Index size, uint64_t seed, std::vector<double>& buffer) {
  buffer.resize(size);
  for (Eigen::Index i = 0; i < size; ++i) buffer[i] = values[i] + 0.0;  // -0.0 becomes 0.0
  return StableHash(absl::string_view(reinterpret_cast<const char*>(buffer.data()), size * sizeof(double)), seed);
}

}  // namespace

LinearStatistics::LinearStatistics(int dim) {
  CHECK(dim >= 1 && dim <= kMaxDim);
  gram_ = Eigen::MatrixXd::Zero(dim, dim);
  reward_x_ = Eigen::VectorXd::Zero(dim);
  x_ = Eigen::VectorXd::Zero(dim);
}

absl::StatusOr<LinearStatistics> LinearStatistics::FromParts(const Eigen::Ref<const Eigen::MatrixXd>& gram_lower,
                                                             const Eigen::Ref<const Eigen::VectorXd>& reward_x,
                                                             double reward_squared, double total_weight,
                                                             int64_t num_shown) {
  const Eigen::Index dim = reward_x.size();
  if (dim < 1 || dim > kMaxDim) {
    return absl::InvalidArgumentError(absl::StrCat("linear statistics: expected 1 to 512 dimensions, found ", dim));
  }
  if (gram_lower.rows() != dim || gram_lower.cols() != dim) {
    return absl::InvalidArgumentError(absl::StrCat("linear statistics: expected a gram matrix of ", dim, " x ", dim,
                                                   ", found ", gram_lower.rows(), " x ", gram_lower.cols()));
  }
  LinearStatistics result(static_cast<int>(dim));
  bool valid = IsSum(reward_squared) && IsSum(total_weight) && total_weight >= 0 && num_shown >= 0;
  for (Eigen::Index j = 0; j < dim; ++j) {
    valid = valid && IsSum(reward_x[j]) && gram_lower(j, j) >= 0;
    for (Eigen::Index i = j; i < dim; ++i) {
      valid = valid && IsSum(gram_lower(i, j));
      result.gram_(i, j) = gram_lower(i, j);
    }
  }
  if (!valid)
    return absl::InvalidArgumentError("linear statistics: a stored sum is not finite, or negative where it cannot be");
  result.reward_x_ = reward_x;
  result.reward_squared_ = reward_squared;
  result.total_weight_ = total_weight;
  result.num_shown_ = num_shown;
  return result;
}

absl::Status LinearStatistics::CheckSlot(const Eigen::Ref<const Eigen::VectorXf>& x, SlotWeight weight) const {
  if (x.size() != dim()) {
    return absl::InvalidArgumentError(absl::StrCat("x: expected ", dim(), " numbers, found ", x.size()));
  }
  if (!((x.array() * 0.0f).sum() == 0)) return absl::InvalidArgumentError("x: a number is not finite");
  if (!(weight.forgetting > 0) || !std::isfinite(weight.forgetting)) {
    return absl::InvalidArgumentError(absl::StrCat("forgetting: expected (0, inf), found ", weight.forgetting));
  }
  if (!(weight.examination > 0 && weight.examination <= 1)) {
    return absl::InvalidArgumentError(absl::StrCat("examination: expected (0, 1], found ", weight.examination));
  }
  return absl::OkStatus();
}

absl::Status LinearStatistics::AddShown(const Eigen::Ref<const Eigen::VectorXf>& x, SlotWeight weight,
                                        double default_reward) {
  RETURN_IF_ERROR(CheckSlot(x, weight));
  if (!std::isfinite(default_reward)) return absl::InvalidArgumentError("default reward: not finite");
  const double gram_weight = weight.forgetting * weight.examination;
  const double reward_weight = weight.forgetting * default_reward;
  const double reward_squared =
      reward_squared_ + weight.forgetting * (default_reward * default_reward) / weight.examination;
  const double total_weight = total_weight_ + weight.forgetting;
  x_ = x.cast<double>();
  // The largest entries of the gram matrix stand on its diagonal, so that looking there is enough.
  bool fits = IsSum(reward_squared) && IsSum(total_weight) && IsSum(gram_weight) && IsSum(reward_weight);
  for (Eigen::Index i = 0; i < x_.size(); ++i) {
    fits &= IsSum(gram_(i, i) + gram_weight * (x_[i] * x_[i]));
    fits &= IsSum(reward_x_[i] + reward_weight * x_[i]);
  }
  if (!fits) return SumTooLarge();
  for (Eigen::Index j = 0; j < x_.size(); ++j) {
    if (x_[j] == 0) continue;  // one-hot columns are mostly zero
    const Eigen::Index rest = x_.size() - j;
    gram_.col(j).tail(rest) += (gram_weight * x_[j]) * x_.tail(rest);
  }
  reward_x_ += reward_weight * x_;
  reward_squared_ = reward_squared;
  total_weight_ = total_weight;
  ++num_shown_;
  return absl::OkStatus();
}

absl::Status LinearStatistics::ApplyReward(const Eigen::Ref<const Eigen::VectorXf>& x, SlotWeight weight,
                                           double old_reward, double new_reward) {
  RETURN_IF_ERROR(CheckSlot(x, weight));
  if (!std::isfinite(old_reward) || !std::isfinite(new_reward)) return absl::InvalidArgumentError("reward: not finite");
  const double reward_weight = weight.forgetting * (new_reward - old_reward);
  const double reward_squared =
      reward_squared_ + weight.forgetting * (new_reward * new_reward - old_reward * old_reward) / weight.examination;
  x_ = x.cast<double>();
  bool fits = IsSum(reward_squared) && IsSum(reward_weight);
  for (Eigen::Index i = 0; i < x_.size(); ++i) fits &= IsSum(reward_x_[i] + reward_weight * x_[i]);
  if (!fits) return SumTooLarge();
  reward_x_ += reward_weight * x_;
  reward_squared_ = reward_squared;
  return absl::OkStatus();
}

absl::Status LinearStatistics::Merge(const LinearStatistics& other) {
  if (other.dim() != dim()) {
    return absl::InvalidArgumentError(absl::StrCat("merge: expected ", dim(), " dimensions, found ", other.dim()));
  }
  bool fits = IsSum(reward_squared_ + other.reward_squared_) && IsSum(total_weight_ + other.total_weight_);
  for (Eigen::Index j = 0; j < dim(); ++j) {
    fits &= IsSum(reward_x_[j] + other.reward_x_[j]);
    for (Eigen::Index i = j; i < dim(); ++i) fits &= IsSum(gram_(i, j) + other.gram_(i, j));
  }
  if (!fits) return SumTooLarge();
  gram_ += other.gram_;
  reward_x_ += other.reward_x_;
  reward_squared_ += other.reward_squared_;
  total_weight_ += other.total_weight_;
  num_shown_ += other.num_shown_;
  return absl::OkStatus();
}

void LinearStatistics::ScaleByPowerOfTwo(int exponent) {
  exponent = std::clamp(exponent, -4000, 4000);  // beyond it everything is 0, or too large
  while (exponent != 0) {
    const int step = std::clamp(exponent, -1000, 1000);  // 2^step is a normal number
    const double factor = std::ldexp(1.0, step);
    gram_ *= factor;
    reward_x_ *= factor;
    reward_squared_ *= factor;
    total_weight_ *= factor;
    exponent -= step;
    if (step > 0) {
      CHECK(IsSum(gram_.cwiseAbs().maxCoeff()) && IsSum(reward_x_.cwiseAbs().maxCoeff()) && IsSum(reward_squared_) &&
            IsSum(total_weight_));
    }
  }
}

uint64_t LinearStatistics::Checksum() const {
  std::vector<double> buffer;
  uint64_t hash = MixHash(static_cast<uint64_t>(dim()), static_cast<uint64_t>(num_shown_));
  for (Eigen::Index j = 0; j < dim(); ++j) hash = HashColumn(gram_.col(j).data() + j, dim() - j, hash, buffer);
  hash = HashColumn(reward_x_.data(), dim(), hash, buffer);
  const double scalars[] = {reward_squared_, total_weight_};
  return HashColumn(scalars, 2, hash, buffer);
}

}  // namespace offerd
