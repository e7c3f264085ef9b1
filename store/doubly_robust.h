#pragma once
#include <cstdint>
#include <optional>
#include <vector>

#include <Eigen/Core>

#include "core/eval/cluster_sums.h"

namespace offerd {

// Doubly robust values of several target policies from one log, first slots alone. The reward model is linear in the recorded features and
// fitted on the other half of the customers than those it is used for (cross-fitting), so that it has never seen what it explains.
//
//   v_i = sum over candidates a of q(a) theta'x_a  +  W (r - theta'x_shown)
//
// Source   Dudik, Langford, Li, ICML 2011, section 2 (DR); cross-fitting: Chernozhukov et al., Econometrics Journal 2018, section 3.
// Shapes   d features; t targets.
// Threads  Not safe.
// Cost     (1 + t) d floats a decision are kept, of at most kMostDecisions.
class DoublyRobust {
 public:
  struct Value {
    double reward = 0, reward_error = 0;  // a decision, standard error over customers
    double gain = 0, gain_error = 0;      // over what was earned
  };
  static constexpr size_t kMostDecisions = 200'000;

  // mean_x: t rows, those of the candidates weighed with the target's probabilities. `cluster` tells customers apart.
  struct Decision {
    uint64_t cluster = 0;
    Eigen::VectorXf x;
    Eigen::MatrixXf mean_x;  // t x d
    std::vector<double> weights;  // t
    double reward = 0;
  };
  // False: no more are kept, or its features are others than those of the first.
  bool Add(Decision decision);

  size_t size() const { return decisions_.size(); }
  // Nothing with fewer than two customers in a half, or where no model can be fitted.
  std::optional<std::vector<Value>> Values() const;

 private:
  std::vector<Decision> decisions_;
};

}  // namespace offerd
