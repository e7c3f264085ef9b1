#pragma once
#include <Eigen/Core>
#include <cmath>

#include "core/types.h"

namespace offerd {

// Replaces the lower half of a symmetric positive definite matrix by its Cholesky factor L, so that matrix = L L'. The
// upper half is neither read nor written. False if the matrix is not positive definite or not finite; it is then
// spoilt.
//
// Why not Eigen's: its blocked kernels use fused multiply-add where the build has it, and split sums by the size of the
// machine's cache, so the last bits depend on both. Here every sum has one order, and replays agree between builds.
// Cost     d^3 / 3; measured at d = 512 in bench/.
inline bool FactorizeCholesky(Eigen::MatrixXd& matrix) {
  const Eigen::Index d = matrix.rows();
  for (Eigen::Index j = 0; j < d; ++j) {
    const Eigen::Index rest = d - j;
    auto column = matrix.col(j).tail(rest);
    Eigen::Index k = 0;
    for (; k + 4 <= j; k += 4) {
      column -= matrix(j, k) * matrix.col(k).tail(rest) + matrix(j, k + 1) * matrix.col(k + 1).tail(rest) +
                matrix(j, k + 2) * matrix.col(k + 2).tail(rest) + matrix(j, k + 3) * matrix.col(k + 3).tail(rest);
    }
    for (; k < j; ++k) column -= matrix(j, k) * matrix.col(k).tail(rest);
    const double pivot = matrix(j, j);
    if (!(pivot > 0) || !std::isfinite(pivot)) return false;
    column *= 1 / std::sqrt(pivot);
    if (!(column[0] > 0) || !std::isfinite(column[0])) return false;
  }
  return true;
}

// y becomes L^-1 y.
inline void SolveLower(const Eigen::MatrixXd& lower, Eigen::VectorXd& y) {
  const Eigen::Index d = lower.rows();
  for (Eigen::Index j = 0; j < d; ++j) {
    y[j] /= lower(j, j);
    if (y[j] != 0) y.tail(d - j - 1) -= y[j] * lower.col(j).tail(d - j - 1);
  }
}

// Every column of y (d x k) becomes L^-1 of it. Elementwise along a row: a column does not depend on the others.
inline void SolveLower(const Eigen::MatrixXd& lower, RowMatrix& y) {
  const Eigen::Index d = lower.rows();
  for (Eigen::Index i = 0; i < d; ++i) {
    auto row = y.row(i);
    Eigen::Index j = 0;
    for (; j + 4 <= i; j += 4) {
      row -= lower(i, j) * y.row(j) + lower(i, j + 1) * y.row(j + 1) + lower(i, j + 2) * y.row(j + 2) +
             lower(i, j + 3) * y.row(j + 3);
    }
    for (; j < i; ++j) row -= lower(i, j) * y.row(j);
    row /= lower(i, i);
  }
}

// Every column of y (d x k) becomes L'^-1 of it.
inline void SolveLowerTransposed(const Eigen::MatrixXd& lower, RowMatrix& y) {
  const Eigen::Index d = lower.rows();
  for (Eigen::Index j = d - 1; j >= 0; --j) {
    auto row = y.row(j);
    Eigen::Index i = j + 1;
    for (; i + 4 <= d; i += 4) {
      row -= lower(i, j) * y.row(i) + lower(i + 1, j) * y.row(i + 1) + lower(i + 2, j) * y.row(i + 2) +
             lower(i + 3, j) * y.row(i + 3);
    }
    for (; i < d; ++i) row -= lower(i, j) * y.row(i);
    row /= lower(j, j);
  }
}

}  // namespace offerd
