#pragma once
#include <Eigen/Dense>
#include <cstdint>
#include <vector>

#include "core/learn/linear_statistics.h"

namespace offerd {

// The slow twin of LinearStatistics and LinearPolicy: keeps every slot with its last reward and computes everything
// anew, in long double where that is cheap, with Eigen's general solver.
struct LinearReference {
  struct Slot {
    Eigen::VectorXf x;
    SlotWeight weight;
    double reward;
  };
  std::vector<Slot> slots;

  using Matrix = Eigen::Matrix<long double, Eigen::Dynamic, Eigen::Dynamic>;
  using Vector = Eigen::Matrix<long double, Eigen::Dynamic, 1>;

  Matrix Gram(int d) const {
    Matrix gram = Matrix::Zero(d, d);
    for (const Slot& slot : slots) {
      const Vector x = slot.x.cast<long double>();
      gram += static_cast<long double>(slot.weight.forgetting) * slot.weight.examination * (x * x.transpose());
    }
    return gram;
  }
  Vector RewardX(int d) const {
    Vector sum = Vector::Zero(d);
    for (const Slot& slot : slots) {
      sum += static_cast<long double>(slot.weight.forgetting) * slot.reward * slot.x.cast<long double>();
    }
    return sum;
  }
  double RewardSquared() const {
    long double sum = 0;
    for (const Slot& s : slots)
      sum += static_cast<long double>(s.weight.forgetting) * s.reward * s.reward / s.weight.examination;
    return static_cast<double>(sum);
  }
  double TotalWeight() const {
    long double sum = 0;
    for (const Slot& slot : slots) sum += slot.weight.forgetting;
    return static_cast<double>(sum);
  }
  Matrix V(int d, double lambda, double to_T) const {
    return Matrix::Identity(d, d) * static_cast<long double>(lambda) + to_T * Gram(d);
  }
  Vector Theta(int d, double lambda, double to_T) const {
    const Vector b = to_T * RewardX(d);
    return V(d, lambda, to_T).fullPivLu().solve(b);
  }
  // From the residuals themselves: sum f e (r / e - theta'x)^2.
  double Sigma(int d, double lambda, double to_T, double s0) const {
    const Vector theta = Theta(d, lambda, to_T);
    long double sum = static_cast<long double>(s0) * s0;
    for (const Slot& s : slots) {
      const long double residual =
          s.reward / static_cast<long double>(s.weight.examination) - theta.dot(s.x.cast<long double>());
      sum += to_T * s.weight.forgetting * s.weight.examination * residual * residual;
    }
    return static_cast<double>(std::sqrt(sum / (to_T * TotalWeight() + 1)));
  }
};

}  // namespace offerd
