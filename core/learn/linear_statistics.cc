#include "core/learn/linear_statistics.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <utility>
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

// Four doubles that are multiplied and added at once, and how many of them.
constexpr int kLanes = 4;
constexpr size_t kGroups = 4;
constexpr Eigen::Index kAtOnce = kLanes * static_cast<Eigen::Index>(kGroups);
typedef double Lanes __attribute__((vector_size(kLanes * sizeof(double))));

inline void AddScaledLanes(double factor, const double* from, Lanes& sum) {
  Lanes x;
  std::memcpy(&x, from, sizeof(x));
  sum += factor * x;
}

// to[0..] += the sum of factors[s] * rows[s][i..] for as many groups of lanes as there are indices, in the order of s.
template <size_t... kGroup>
void AddScaledGroups(const std::vector<const double*>& rows, const std::vector<double>& factors, Eigen::Index i, double* to,
                     std::index_sequence<kGroup...>) {
  Lanes sums[sizeof...(kGroup)];
  std::memcpy(sums, to, sizeof(sums));
  for (size_t s = 0; s < rows.size(); ++s) {
    const double factor = factors[s];
    const double* from = rows[s] + i;
    (AddScaledLanes(factor, from + kGroup * kLanes, sums[kGroup]), ...);
  }
  std::memcpy(to, sums, sizeof(sums));
}

// The same for i in [begin, end).
void AddScaledRows(const std::vector<const double*>& rows, const std::vector<double>& factors, Eigen::Index begin,
                   Eigen::Index end, double* to) {
  Eigen::Index i = begin;
  for (; i + kAtOnce <= end; i += kAtOnce) {
    AddScaledGroups(rows, factors, i, to + i, std::make_index_sequence<kGroups>());
  }
  for (; i + kLanes <= end; i += kLanes) AddScaledGroups(rows, factors, i, to + i, std::make_index_sequence<1>());
  for (; i < end; ++i) {
    for (size_t s = 0; s < rows.size(); ++s) to[i] += factors[s] * rows[s][i];
  }
}

uint64_t HashColumn(const double* values, Eigen::Index size, uint64_t seed, std::vector<double>& buffer) {
  buffer.resize(size);
  for (Eigen::Index i = 0; i < size; ++i) buffer[i] = values[i] + 0.0;  // -0.0 becomes 0.0
  return StableHash(absl::string_view(reinterpret_cast<const char*>(buffer.data()), size * sizeof(double)), seed);
}

}  // namespace

LinearStatistics::LinearStatistics(int dim) {
  CHECK(dim >= 1 && dim <= kMaxDim);
  gram_ = dim > kMaxFullDim ? Eigen::MatrixXd::Zero(dim + 1, 2) : Eigen::MatrixXd::Zero(dim, dim);
  reward_x_ = Eigen::VectorXd::Zero(dim);
}

absl::StatusOr<LinearStatistics> LinearStatistics::FromParts(const Eigen::Ref<const Eigen::MatrixXd>& gram,
                                                             const Eigen::Ref<const Eigen::VectorXd>& reward_x,
                                                             double reward_squared, double total_weight,
                                                             int64_t num_shown) {
  const Eigen::Index dim = reward_x.size();
  if (dim < 1 || dim > kMaxDim) {
    return absl::InvalidArgumentError(
        absl::StrCat("linear statistics: expected 1 to ", kMaxDim, " dimensions, found ", dim));
  }
  LinearStatistics result(static_cast<int>(dim));
  if (gram.rows() != result.gram_.rows() || gram.cols() != result.gram_.cols()) {
    return absl::InvalidArgumentError(absl::StrCat("linear statistics: expected a gram matrix of ", result.gram_.rows(), " x ",
                                                   result.gram_.cols(), ", found ", gram.rows(), " x ", gram.cols()));
  }
  bool valid = IsSum(reward_squared) && IsSum(total_weight) && total_weight >= 0 && num_shown >= 0;
  const bool is_full = !result.is_diagonal();
  for (Eigen::Index j = 0; j < gram.cols(); ++j) {
    for (Eigen::Index i = is_full ? j : 0; i < gram.rows(); ++i) {
      valid = valid && IsSum(gram(i, j)) && (gram(i, j) >= 0 || (is_full ? i != j : j != 0));  // sums of squares
      result.gram_(i, j) = gram(i, j);
    }
  }
  for (Eigen::Index j = 0; j < dim; ++j) valid = valid && IsSum(reward_x[j]);
  if (!valid)
    return absl::InvalidArgumentError("linear statistics: a stored sum is not finite, or negative where it cannot be");
  result.reward_x_ = reward_x;
  result.reward_squared_ = reward_squared;
  result.total_weight_ = total_weight;
  result.num_shown_ = num_shown;
  return result;
}

absl::Status LinearStatistics::CheckSlot(absl::Span<const float> x, SlotWeight weight) const {
  if (static_cast<int>(x.size()) != dim()) {
    return absl::InvalidArgumentError(absl::StrCat("x: expected ", dim(), " numbers, found ", x.size()));
  }
  if (!((Eigen::Map<const Eigen::ArrayXf>(x.data(), static_cast<Eigen::Index>(x.size())) * 0.0f).sum() == 0)) {
    return absl::InvalidArgumentError("x: a number is not finite");
  }
  if (!(weight.forgetting > 0) || !std::isfinite(weight.forgetting)) {
    return absl::InvalidArgumentError(absl::StrCat("forgetting: expected (0, inf), found ", weight.forgetting));
  }
  if (!(weight.examination > 0 && weight.examination <= 1)) {
    return absl::InvalidArgumentError(absl::StrCat("examination: expected (0, 1], found ", weight.examination));
  }
  return absl::OkStatus();
}

absl::Status LinearStatistics::AddShown(absl::Span<const ShownSlot> slots) {
  double reward_squared = reward_squared_;
  double total_weight = total_weight_;
  bool fits = true;
  x_.resize(static_cast<Eigen::Index>(slots.size()), dim());
  weights_.resize(slots.size());
  next_reward_x_ = reward_x_;
  Eigen::VectorXd& squares = next_squares_;
  if (is_diagonal()) {
    squares = gram_.col(0).head(dim());
  } else {
    squares = gram_.diagonal();
  }
  for (size_t s = 0; s < slots.size(); ++s) {
    const auto& [x, weight, reward] = slots[s];
    RETURN_IF_ERROR(CheckSlot(x, weight));
    if (!std::isfinite(reward)) return absl::InvalidArgumentError("default reward: not finite");
    weights_[s] = weight.forgetting * weight.examination;
    const double reward_weight = weight.forgetting * reward;
    reward_squared += weight.forgetting * (reward * reward) / weight.examination;
    total_weight += weight.forgetting;
    fits &= IsSum(weights_[s]) && IsSum(reward_weight);
    double* to = x_.data() + static_cast<Eigen::Index>(s) * dim();
    for (size_t k = 0; k < x.size(); ++k) to[k] = x[k];
    if (reward_weight != 0) next_reward_x_ += reward_weight * x_.row(static_cast<Eigen::Index>(s)).transpose();
    for (int k = 0; k < dim(); ++k) squares[k] += weights_[s] * (to[k] * to[k]);
  }
  // The largest entries of the gram matrix stand on its diagonal, so that looking there is enough.
  fits &= IsSum(reward_squared) && IsSum(total_weight);
  for (int k = 0; k < dim(); ++k) fits &= IsSum(squares[k]) && IsSum(next_reward_x_[k]);
  if (!fits) return SumTooLarge();
  if (is_diagonal()) {
    gram_.col(0).head(dim()) = squares;
    AddMoments(slots);
  } else {
    AddProducts(slots.size());
  }
  reward_x_ = next_reward_x_;
  reward_squared_ = reward_squared;
  total_weight_ = total_weight;
  num_shown_ += static_cast<int64_t>(slots.size());
  return absl::OkStatus();
}

// Lower half of gram += sum over slots of weight x x', slot by slot for each entry.
void LinearStatistics::AddProducts(size_t slots) {
  const Eigen::Index d = dim();
  for (Eigen::Index j = 0; j < d; ++j) {
    rows_.clear();
    factors_.clear();
    for (size_t s = 0; s < slots; ++s) {
      const double* x = x_.data() + static_cast<Eigen::Index>(s) * d;
      if (x[j] == 0) continue;  // one-hot columns are mostly zero
      rows_.push_back(x);
      factors_.push_back(weights_[s] * x[j]);
    }
    if (rows_.empty()) continue;
    AddScaledRows(rows_, factors_, j, d, gram_.data() + j * d);
  }
}

void LinearStatistics::AddMoments(absl::Span<const ShownSlot> slots) {
  const Eigen::Index d = dim();
  for (size_t s = 0; s < slots.size(); ++s) {
    gram_.col(1).head(d) += weights_[s] * x_.row(static_cast<Eigen::Index>(s)).transpose();
    gram_(d, 0) += weights_[s];
    gram_(d, 1) += slots[s].weight.forgetting * slots[s].default_reward;
  }
}

absl::Status LinearStatistics::ApplyReward(const Eigen::Ref<const Eigen::VectorXf>& x, SlotWeight weight,
                                           double old_reward, double new_reward) {
  RETURN_IF_ERROR(CheckSlot({x.data(), static_cast<size_t>(x.size())}, weight));
  if (!std::isfinite(old_reward) || !std::isfinite(new_reward)) return absl::InvalidArgumentError("reward: not finite");
  const double reward_weight = weight.forgetting * (new_reward - old_reward);
  const double reward_squared =
      reward_squared_ + weight.forgetting * (new_reward * new_reward - old_reward * old_reward) / weight.examination;
  bool fits = IsSum(reward_squared) && IsSum(reward_weight);
  for (Eigen::Index i = 0; i < x.size(); ++i) fits &= IsSum(reward_x_[i] + reward_weight * static_cast<double>(x[i]));
  if (!fits) return SumTooLarge();
  for (Eigen::Index i = 0; i < x.size(); ++i) reward_x_[i] += reward_weight * static_cast<double>(x[i]);
  if (is_diagonal()) gram_(dim(), 1) += reward_weight;
  reward_squared_ = reward_squared;
  return absl::OkStatus();
}

LinearStatistics::Centred LinearStatistics::Centre() const {
  constexpr double kNeverVaried = 1e-9;  // of the sum of squares: rounding
  const Eigen::Index d = dim();
  CHECK(is_diagonal());
  Centred centred{gram_.col(0).head(d), reward_x_, Eigen::VectorXd::Zero(d), 0, reward_squared_, -1};
  const double weight = gram_(d, 0);
  if (!(weight > 0)) return centred;
  Eigen::VectorXd varied = centred.squares;
  for (Eigen::Index k = 0; k < d; ++k) {
    varied[k] = std::max(0.0, gram_(k, 0) - gram_(k, 1) * (gram_(k, 1) / weight));
    const bool is_constant = gram_(k, 0) > 0 && varied[k] <= kNeverVaried * gram_(k, 0);
    if (is_constant && centred.constant < 0) centred.constant = static_cast<int>(k);
  }
  if (centred.constant < 0) return centred;
  const double reward = gram_(d, 1);
  centred.squares = varied;
  centred.mean = gram_.col(1).head(d) / weight;
  centred.mean_reward = reward / weight;
  centred.reward_squared = std::max(0.0, reward_squared_ - reward * centred.mean_reward);
  for (Eigen::Index k = 0; k < d; ++k) centred.reward_x[k] -= centred.mean[k] * reward;
  return centred;
}

absl::Status LinearStatistics::Merge(const LinearStatistics& other) {
  if (other.dim() != dim()) {
    return absl::InvalidArgumentError(absl::StrCat("merge: expected ", dim(), " dimensions, found ", other.dim()));
  }
  bool fits = IsSum(reward_squared_ + other.reward_squared_) && IsSum(total_weight_ + other.total_weight_);
  for (Eigen::Index j = 0; j < dim(); ++j) fits &= IsSum(reward_x_[j] + other.reward_x_[j]);
  for (Eigen::Index j = 0; j < gram_.cols(); ++j) {
    for (Eigen::Index i = 0; i < gram_.rows(); ++i) fits &= IsSum(gram_(i, j) + other.gram_(i, j));
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
  for (Eigen::Index j = 0; j < gram_.cols(); ++j) {
    const Eigen::Index first = is_diagonal() ? 0 : j;
    hash = HashColumn(gram_.col(j).data() + first, gram_.rows() - first, hash, buffer);
  }
  hash = HashColumn(reward_x_.data(), dim(), hash, buffer);
  const double scalars[] = {reward_squared_, total_weight_};
  return HashColumn(scalars, 2, hash, buffer);
}

}  // namespace offerd
