#pragma once
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "cli/evaluate/dataset.h"

namespace offerd::evaluate {

struct SessionFiles {
  std::string train;
  std::string test;     // empty: none
  FileOptions options;  // roles session, item; time (without it the order of the file is the order of time)
};

// Sessions are numbered by id, clicks are in order of time (equal times: in the order of the file). A line without a readable
// time counts at the time of the line before it in its session.
absl::StatusOr<Dataset> ReadSessions(const SessionFiles& files);

// Makes the last `share` of the sessions, by their last clicks, the test, in place of the test there is. Sessions that end at the
// same moment stay together.
void SplitSessions(double share, Dataset* data);

struct BasketFile {
  std::string path;
  FileOptions options;          // roles basket, item; user, time
  bool one_basket_a_line = false;  // no header, no roles: cells are items, the line number from 0 is the time in seconds
};

// Which baskets train and which test.
struct BasketSplit {
  Protocol protocol = Protocol::kLeaveOneOut;
  std::optional<TimeMicros> test_from;  // training: before
  std::optional<TimeMicros> test_to;    // baskets from then on are as if they were not in the file
  int64_t test_every = 0;               // in place of test_from: the last of every so many baskets, in order of time, is test
  double test_share = 0;                // in place of both: so much of the baskets, the last in order of time, is test
};

// A basket is a basket id of one user; its time is the earliest of its lines.
absl::StatusOr<Dataset> ReadBaskets(const BasketFile& file, const BasketSplit& split);

struct UserFiles {
  std::string train;
  std::string test;     // empty: none
  FileOptions options;  // roles user, item
};
absl::StatusOr<Dataset> ReadUsers(const UserFiles& files);

}  // namespace offerd::evaluate
