#pragma once
#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "cli/cluster_mean.h"
#include "cli/play_visit.h"
#include "cli/text.h"

namespace offerd::cli {

// What one run of `play` measured, visit by visit.
//
// hit         an offer of the slate covers an item of the basket
// value       revenue of the covered lines in major units, at most value_cap
// learned     the placement's own answer; every other name is a policy asked with validate_only
class PlayResults {
 public:
  PlayResults(const std::vector<std::string>& compared, double value_cap);

  // A visit that was ranked. answers[0] is the placement's, the others in the order of `compared`.
  void AddVisit(const Visit& visit, const std::vector<v1::RankOffersResponse>& answers, const OfferBook& book, std::chrono::nanoseconds rank_time);
  void AddUnrankedVisit() { ++unranked_; }
  void AddEvent(const v1::EventResult& result, bool retried = false);  // retried: an attempt before this answer failed

  int64_t visits() const { return visits_; }
  int64_t refused_events() const { return refused_; }
  int64_t repeated() const { return repeated_; }

  static std::string ProgressHeader(const std::vector<std::string>& compared);
  std::string Progress() const;
  Json Summary() const;                          // of --output
  std::string InWords(const OfferBook& book) const;  // the final table and what it means

 private:
  struct Arm {
    std::string name;
    ClusterMean reward;
    ClusterMean value;
    ClusterMean slate_hits;  // a visit with any hit in the slate
    ClusterMean reward_difference;  // learned - this one; empty for learned
    ClusterMean value_difference;
  };
  struct Outcome {
    double reward = 0;
    double value = 0;
    double slate_hit = 0;
  };
  Outcome Judge(const v1::RankOffersResponse& answer, const v1::Event& purchase, const OfferBook& book) const;
  std::string Explain(const OfferBook& book) const;
  double Percentile(double share) const;  // of the RankOffers latencies, microseconds
  double CallsPerSecond() const;

  const double value_cap_;
  std::vector<Arm> arms_;
  ClusterMean explored_;       // reward of visits whose slot 1 was EXPLORATION
  ClusterMean best_estimate_;  // reward of visits whose slot 1 was BEST_ESTIMATE
  std::vector<int64_t> rank_nanos_;
  int64_t visits_ = 0;
  int64_t unranked_ = 0;
  int64_t acknowledged_ = 0;
  int64_t applied_ = 0;
  int64_t duplicates_ = 0;
  int64_t late_ = 0;
  int64_t orphans_ = 0;
  int64_t refused_ = 0;
  int64_t repeated_ = 0;
  int64_t empty_slates_ = 0;
  std::optional<std::pair<Visit, v1::RankOffersResponse>> last_hit_;
};

}  // namespace offerd::cli
