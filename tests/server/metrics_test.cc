#include "server/metrics.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <set>
#include <sstream>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "offerd/v1/feedback_service.pb.h"
#include "offerd/v1/offer_service.pb.h"
#include "tests/support/status_matchers.h"

namespace offerd {
namespace {

constexpr int64_t kNow = 1'700'000'000'000'000;

int64_t Now() { return kNow; }

bool HasLine(const std::string& text, const std::string& line) { return absl::StrCat("\n", text).find("\n" + line + "\n") != std::string::npos; }

std::string Get(int port, const std::string& path) {
  const int fd = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  EXPECT_EQ(connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
  const std::string request = absl::StrCat("GET ", path, " HTTP/1.0\r\n\r\n");
  EXPECT_EQ(write(fd, request.data(), request.size()), static_cast<ssize_t>(request.size()));
  std::string answer;
  char buffer[4096];
  for (ssize_t n; (n = read(fd, buffer, sizeof(buffer))) > 0;) answer.append(buffer, static_cast<size_t>(n));
  close(fd);
  return answer;
}

TEST(MetricsTest, SumsOfManyThreadsAreExactAlsoWhileScraped) {
  Metrics metrics("1", Now);
  const DecisionLabel label = metrics.LabelOf("home", "main");
  constexpr int kThreads = 4, kCalls = 20'000;
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&metrics, label] {
      for (int i = 0; i < kCalls; ++i) {
        metrics.RecordRequest(Method::kRankOffers, i % 4 == 0 ? 8 : 0, i % 300);
        metrics.Add(Counter::kDroppedDecisions, 2);
        metrics.RecordDecision(label);
        metrics.RecordEvent(v1::PURCHASE, v1::APPLIED);
        metrics.RecordShed(ShedReason::kRateLimit);
      }
    });
  }
  uint64_t before = 0;
  for (int i = 0; i < 20; ++i) {  // never goes back
    const uint64_t seen = metrics.requests(Method::kRankOffers, 0);
    EXPECT_GE(seen, before);
    before = seen;
    metrics.ToText();
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(metrics.requests(Method::kRankOffers, 0), uint64_t{kThreads} * kCalls * 3 / 4);
  EXPECT_EQ(metrics.requests(Method::kRankOffers, 8), uint64_t{kThreads} * kCalls / 4);
  EXPECT_EQ(metrics.counter(Counter::kDroppedDecisions), uint64_t{kThreads} * kCalls * 2);
  EXPECT_EQ(metrics.decisions(label), uint64_t{kThreads} * kCalls);
  EXPECT_EQ(metrics.events(v1::PURCHASE, v1::APPLIED), uint64_t{kThreads} * kCalls);
  EXPECT_EQ(metrics.shed(ShedReason::kRateLimit), uint64_t{kThreads} * kCalls);
}

TEST(MetricsTest, CountsOfThreadsThatEndedStay) {
  Metrics metrics("1", Now);
  for (int i = 0; i < 200; ++i) {
    std::thread([&metrics] { metrics.Add(Counter::kGateLeaks); }).join();
  }
  EXPECT_EQ(metrics.counter(Counter::kGateLeaks), 200u);
}

TEST(MetricsTest, TwoOfThemDoNotMix) {
  Metrics a("1", Now), b("1", Now);
  for (int i = 0; i < 10; ++i) {
    a.Add(Counter::kGateLeaks);
    b.Add(Counter::kGateLeaks, 5);
  }
  EXPECT_EQ(a.counter(Counter::kGateLeaks), 10u);
  EXPECT_EQ(b.counter(Counter::kGateLeaks), 50u);
  auto c = std::make_unique<Metrics>("1", Now);
  c->Add(Counter::kGateLeaks);
  c = std::make_unique<Metrics>("1", Now);  // at the same address, perhaps
  c->Add(Counter::kGateLeaks);
  EXPECT_EQ(c->counter(Counter::kGateLeaks), 1u);
}

TEST(MetricsTest, BucketsIncludeTheirUpperBound) {
  Metrics metrics("1", Now);
  const std::vector<int64_t> values = {-5, 0, 1, 49, 50, 51, 100, 101, 1000, 1001, 9'999'999, 10'000'000, 10'000'001, INT64_MAX / 1000};
  for (const int64_t value : values) metrics.Record(Timer::kStoreWrite, value);
  const std::string text = metrics.ToText();
  const auto expect = [&](const std::string& bound, int64_t micros) {
    int count = 0;
    for (const int64_t value : values) count += value <= micros;
    EXPECT_TRUE(HasLine(text, absl::StrCat("offerd_store_write_duration_seconds_bucket{le=\"", bound, "\"} ", count))) << bound << text;
  };
  expect("5e-05", 50);
  expect("0.0001", 100);
  expect("0.001", 1000);
  expect("0.0015", 1500);
  expect("5", 5'000'000);
  expect("10", 10'000'000);
  expect("+Inf", INT64_MAX);
  EXPECT_TRUE(HasLine(text, absl::StrCat("offerd_store_write_duration_seconds_count ", values.size())));
}

TEST(MetricsTest, TextNamesEveryMetric) {
  Metrics metrics("1.2.3", Now);
  metrics.SetSnapshotTime(kNow - 5'000'000);
  metrics.RecordRequest(Method::kActivate, 14, 400'000);
  metrics.RecordDecision(metrics.LabelOf("home \"x\"\n", "main"));
  metrics.RecordNote(v1::RankOffersResponse::NO_CANDIDATES);
  metrics.RecordEvent(v1::CLICK, v1::LATE);
  metrics.RecordPublication("main", 1500);
  metrics.Set(Gauge::kLearnerLagSeconds, 0.25);
  metrics.Adjust(Gauge::kOpenStreams, 2);
  metrics.Adjust(Gauge::kOpenStreams, -1);
  const std::string text = metrics.ToText();
  for (const char* name : metric::kAll) EXPECT_THAT(text, ::testing::HasSubstr(absl::StrCat("# TYPE ", name, " ")));
  EXPECT_TRUE(HasLine(text, "offerd_requests_total{method=\"Activate\",code=\"UNAVAILABLE\"} 1"));
  EXPECT_THAT(text, ::testing::HasSubstr("offerd_request_duration_seconds_bucket{method=\"Activate\",outcome=\"error\",le=\"0.5\"} 1"));
  EXPECT_TRUE(HasLine(text, "offerd_decisions_total{placement=\"home \\\"x\\\"\\n\",policy=\"main\"} 1"));
  EXPECT_TRUE(HasLine(text, "offerd_decision_notes_total{note=\"NO_CANDIDATES\"} 1"));
  EXPECT_TRUE(HasLine(text, "offerd_events_total{kind=\"CLICK\",fate=\"LATE\"} 1"));
  EXPECT_TRUE(HasLine(text, "offerd_publications_total{policy=\"main\"} 1"));
  EXPECT_TRUE(HasLine(text, "offerd_learner_lag_seconds 0.25"));
  EXPECT_TRUE(HasLine(text, "offerd_open_streams 1"));
  EXPECT_TRUE(HasLine(text, "offerd_snapshot_age_seconds 5"));
  EXPECT_TRUE(HasLine(text, "offerd_build_info{version=\"1.2.3\"} 1"));
}

TEST(MetricsTest, OneFamilyEachAndNothingUnnamed) {
  Metrics metrics("1", Now);
  metrics.SetSnapshotTime(1);
  std::set<std::string> known(std::begin(metric::kAll), std::end(metric::kAll)), seen;
  std::istringstream lines(metrics.ToText());
  for (std::string line; std::getline(lines, line);) {
    if (line.rfind("# TYPE ", 0) != 0) continue;
    const std::string name = line.substr(7, line.find(' ', 7) - 7);
    EXPECT_TRUE(known.contains(name)) << name;
    EXPECT_TRUE(seen.insert(name).second) << name;
  }
  EXPECT_EQ(seen.size(), known.size());
}

TEST(MetricsTest, LabelsAreBounded) {
  Metrics metrics("1", Now);
  std::set<int> labels;
  for (int i = 0; i < 1500; ++i) labels.insert(static_cast<int>(metrics.LabelOf("placement", absl::StrCat("policy", i))));
  EXPECT_EQ(labels.size(), 1001u);
  EXPECT_EQ(metrics.LabelOf("placement", "policy3"), metrics.LabelOf("placement", "policy3"));
  EXPECT_NE(metrics.LabelOf("placement", "policy3"), metrics.LabelOf("placementp", "olicy3"));
  metrics.RecordDecision(metrics.LabelOf("placement", "policy1499"));
  EXPECT_TRUE(HasLine(metrics.ToText(), "offerd_decisions_total{placement=\"other\",policy=\"other\"} 1"));
}

TEST(MetricsTest, NumbersOutOfRangeAreCountedOrDropped) {
  Metrics metrics("1", Now);
  metrics.RecordRequest(Method::kGetLimits, 77, 1);
  metrics.RecordRequest(Method::kGetLimits, -1, 1);
  EXPECT_EQ(metrics.requests(Method::kGetLimits, 2), 2u);
  metrics.RecordNote(-1);
  metrics.RecordNote(1000);
  metrics.RecordEvent(1000, 1000);
  EXPECT_EQ(metrics.events(0, 0), 1u);
}

TEST(MetricsExporterTest, ServesWhatIsCountedAndAsksFirst) {
  Metrics metrics("1", Now);
  metrics.OnScrape([&metrics] { metrics.Set(Gauge::kItems, 42); });
  const auto exporter = MetricsExporter::Start("127.0.0.1:0", &metrics);
  ASSERT_OK(exporter);
  ASSERT_GT((*exporter)->port(), 0);
  const std::string answer = Get((*exporter)->port(), "/metrics");
  EXPECT_THAT(answer, ::testing::HasSubstr("200 OK"));
  EXPECT_THAT(answer, ::testing::HasSubstr("\nofferd_items 42\n"));
}

TEST(MetricsExporterTest, ATakenPortIsAnError) {
  Metrics metrics("1", Now);
  const auto first = MetricsExporter::Start("127.0.0.1:0", &metrics);
  ASSERT_OK(first);
  const std::string address = absl::StrCat("127.0.0.1:", (*first)->port());
  EXPECT_THAT(MetricsExporter::Start(address, &metrics), StatusIs(absl::StatusCode::kUnavailable, address));
}

}  // namespace
}  // namespace offerd
