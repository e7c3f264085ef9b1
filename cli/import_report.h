#pragma once
#include <array>
#include <chrono>
#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"
#include "cli/session.h"
#include "cli/text.h"
#include "offerd/v1/feedback_service.pb.h"

namespace offerd::cli {

// What became of the rows of one import: counted here, the first bad rows told at once, a progress line on a terminal.
class ImportReport {
 public:
  ImportReport(Session& session, std::string kind);

  void CountRow();
  void Accept(int64_t rows) { accepted_ += rows; }
  // The first kToldErrors are printed as "line N: reason".
  void Refuse(int64_t line, int64_t rows, absl::string_view reason);
  void CountFate(v1::Fate fate, int64_t events) { fates_[static_cast<size_t>(fate)] += events; }

  int64_t refused() const { return refused_; }
  const std::string& last_reason() const { return last_reason_; }
  void Print();

  static constexpr int kToldErrors = 20;

 private:
  Json Summary() const;

  Session& session_;
  const std::string kind_;
  const std::chrono::steady_clock::time_point start_;
  std::chrono::steady_clock::time_point last_progress_;
  bool progress_shown_ = false;
  int64_t rows_ = 0;
  int64_t accepted_ = 0;
  int64_t refused_ = 0;
  int64_t errors_ = 0;
  std::string last_reason_;
  std::array<int64_t, v1::Fate_ARRAYSIZE> fates_ = {};
};

}  // namespace offerd::cli
