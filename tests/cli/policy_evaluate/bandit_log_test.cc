#include "cli/policy_evaluate/bandit_log.h"

#include "tests/cli/temp_file.h"
#include "tests/support/status_matchers.h"

namespace offerd::cli {
namespace {

using absl::StatusCode;
using ::testing::HasSubstr;

constexpr char kHeader[] = "decision,action,position,propensity,reward,target_probability\n";

// All decisions of a log, or the first error.
absl::StatusOr<std::vector<LoggedDecision>> ReadAll(const std::string& bytes) {
  const TempFile file(bytes);
  auto log = BanditLog::Open(file.path(), RewardRange{-100, 100});
  if (!log.ok()) return log.status();
  std::vector<LoggedDecision> decisions;
  while (true) {
    LoggedDecision decision;
    const absl::StatusOr<bool> read = (*log)->Next(&decision);
    if (!read.ok()) return read.status();
    if (!*read) return decisions;
    decisions.push_back(decision);
  }
}

std::string Rows(const std::string& rows) { return kHeader + rows; }

TEST(BanditLogTest, RowsThatStandTogetherAreOneDecisionInOrderOfPosition) {
  const auto decisions = ReadAll(Rows("d1,a,2,0.5,1,0.25\nd1,b,1,0.25,0,1\nd2,a,1,1e-1,-2.5,0\n"));
  ASSERT_OK(decisions);
  ASSERT_EQ(decisions->size(), 2u);
  const LoggedDecision& first = (*decisions)[0];
  EXPECT_EQ(first.id, "d1");
  ASSERT_EQ(first.actions.size(), 2u);
  EXPECT_EQ(first.actions[0].position, 1);
  EXPECT_EQ(first.actions[0].propensity, 0.25);
  EXPECT_EQ(first.actions[1].reward, 1);
  EXPECT_EQ(first.actions[1].target_probability, 0.25);
  EXPECT_EQ(first.first_line, 2);
  EXPECT_EQ(first.last_line, 3);
  EXPECT_FALSE(first.customer.has_value());
  EXPECT_EQ((*decisions)[1].actions[0].propensity, 0.1);
  EXPECT_EQ((*decisions)[1].actions[0].reward, -2.5);
}

TEST(BanditLogTest, ColumnsMayStandInAnyOrderWithOthersBetween) {
  const auto decisions = ReadAll(
      "\xef\xbb\xbf" "q_target,reward,note,position,customer,action,decision,target_probability,propensity,q_logged\r\n"
      "0.4,1,\"x,y\",1,anna,a,d1,0.5,0.2,0.3\r\n\r\n0.4,1,,1,bert,a,d2,0.5,0.2,0.3\r\n0.4,1,,1,anna,a,d3,0.5,0.2,0.3\r\n"
      "0.4,1,,1,,a,d4,0.5,0.2,0.3\r\n0.4,1,,1,,a,d5,0.5,0.2,0.3\r\n");
  ASSERT_OK(decisions);
  ASSERT_EQ(decisions->size(), 5u);
  EXPECT_EQ((*decisions)[0].actions[0].q_logged, 0.3);
  EXPECT_EQ((*decisions)[0].actions[0].q_target, 0.4);
  EXPECT_EQ((*decisions)[0].customer, (*decisions)[2].customer);
  EXPECT_NE((*decisions)[0].customer, (*decisions)[1].customer);
  EXPECT_NE((*decisions)[3].customer, (*decisions)[4].customer);  // nobody is not somebody
}

TEST(BanditLogTest, CompressedLogsAreRead) {
  std::string text = kHeader;
  for (int i = 0; i < 5000; ++i) text += std::to_string(i) + ",a,1,0.5,1,0.5\n";
  EXPECT_EQ(ReadAll(Gzip(text))->size(), 5000u);
  EXPECT_EQ(ReadAll(Zstd(text))->size(), 5000u);
  EXPECT_THAT(ReadAll(Gzip(text).substr(0, 3000)), StatusIs(StatusCode::kDataLoss, "end early"));
}

TEST(BanditLogTest, HeadersThatWillNotDoAreErrors) {
  const std::pair<const char*, const char*> kCases[] = {
      {"", "expected a header with column names, got an empty file"},
      {"decision,action,position,reward,target_probability\n", "line 1: expected a column propensity, got decision,action"},
      {"decision,action,position,propensity,reward,target_probability,reward\n", "expected one column reward, got two"},
      {"decision,action,position,propensity,reward,target_probability,q_logged\n", "expected q_logged and q_target together"},
  };
  for (const auto& [text, message] : kCases) EXPECT_THAT(ReadAll(text), StatusIs(StatusCode::kInvalidArgument, message));
}

TEST(BanditLogTest, BadRowsAreErrorsWithLineFieldExpectedAndFound) {
  const std::pair<const char*, const char*> kCases[] = {
      {"d,a,1,0,1,0.5\n", "line 2: propensity: expected above 0 and at most 1, got 0"},
      {"d,a,1,1.2,1,0.5\n", "line 2: propensity: expected above 0 and at most 1, got 1.2"},
      {"d,a,1,,1,0.5\n", "line 2: propensity: expected a number, got nothing"},
      {"d,a,1,0.5%,1,0.5\n", "line 2: propensity: expected a number, got \"0.5%\""},
      {"d,a,1,nan,1,0.5\n", "line 2: propensity: expected above 0"},
      {"d,a,1,0.5,,0.5\n", "line 2: reward: expected a number, got nothing"},
      {"d,a,1,0.5,inf,0.5\n", "line 2: reward: expected a finite number"},
      {"d,a,1,0.5,101,0.5\n", "line 2: reward: expected in the declared range from -100 to 100, got 101"},
      {"d,a,1,0.5,1,-0.5\n", "line 2: target_probability: expected from 0 to 1, got -0.5"},
      {"d,a,1,0.5,1,1.01\n", "line 2: target_probability: expected from 0 to 1, got 1.01"},
      {"d,a,0,0.5,1,0.5\n", "line 2: position: expected a whole number from 1 to 1000, got 0"},
      {"d,a,1.5,0.5,1,0.5\n", "line 2: position: expected a whole number from 1 to 1000, got 1.5"},
      {"d,a,1001,0.5,1,0.5\n", "line 2: position: expected a whole number from 1 to 1000, got 1001"},
      {",a,1,0.5,1,0.5\n", "line 2: decision: expected an id, got nothing"},
      {"d,,1,0.5,1,0.5\n", "line 2: action: expected an id, got nothing"},
      {"d,a,1,0.5,1\n", "line 2: expected 6 cells, got 5"},
      {"d,a,1,0.5,1,0.5\ne,\"a,1,0.5,1,0.5\n", "line 3: a quote is not closed"},
      // Rows that contradict each other.
      {"d,a,1,0.5,1,0.5\ne,a,1,0.5,1,0.5\nd,b,2,0.5,1,0.5\n", "line 4: decision: expected one that was not before (rows of a "
                                                                   "decision stand together), got d again"},
      {"d,a,1,0.5,1,0.5\nd,a,1,0.5,1,0.5\n", "line 3: decision: expected one row, that of the shown action, got two of decision d, "
                                                 "position 1 (lines 2 and 3)"},
      {"d,a,1,0.5,1,0.6\nd,b,1,0.5,1,0.5\n", "line 3: target_probability: expected at most 1 over the rows of decision d, position 1 "
                                                 "(lines 2 and 3), got a sum of 1.1"},
      {"d,a,1,0.5,1,0.5\nd,a,1,0.4,1,0.5\n", "line 3: propensity: expected 0.5, that of the same action of decision d, position 1 "
                                                 "(lines 2 and 3), got 0.4"},
      {"d,a,1,0.7,1,0.5\nd,b,1,0.4,1,0.5\n", "line 3: propensity: expected at most 1 over the rows of decision d, position 1 "
                                                 "(lines 2 and 3), got a sum of 1.1"},
  };
  for (const auto& [rows, message] : kCases) {
    EXPECT_THAT(ReadAll(Rows(rows)), StatusIs(StatusCode::kInvalidArgument, message)) << rows;
  }
}

TEST(BanditLogTest, ADecisionHasOneCustomer) {
  EXPECT_THAT(ReadAll("decision,action,position,propensity,reward,target_probability,customer\n"
                      "d,a,1,0.5,1,0.5,anna\nd,b,2,0.5,1,0.5,bert\n"),
              StatusIs(StatusCode::kInvalidArgument, "line 3: customer: expected that of line 2 of the same decision, got another"));
}

}  // namespace
}  // namespace offerd::cli
