#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmath>
#include <thread>

#include "absl/strings/str_cat.h"
#include "cli/top/block.h"
#include "cli/top/endpoint.h"
#include "cli/top/interval.h"
#include "cli/top/samples.h"
#include "fake_server.h"
#include "gmock/gmock.h"

namespace offerd::cli::top {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

Samples Parsed(const std::string& text) {
  absl::StatusOr<Samples> samples = Samples::Parse(text);
  EXPECT_TRUE(samples.ok()) << samples.status();
  return samples.ok() ? *samples : Samples();
}

std::string ErrorOf(const std::string& text) { return std::string(Samples::Parse(text).status().message()); }

TEST(TopSamplesTest, NamesLabelsAndValuesAreRead) {
  const Samples samples = Parsed(
      "# HELP a_total Some text {with=\"braces\"}\n# TYPE a_total counter\n\n"
      "a_total 3\n"
      "  b:c{x=\"1\",y=\"two words, and a }\",} 1.5e3 1700000000000\n"
      "b:c { x = \"2\" }\t-4\r\n"
      "empty{} 7");
  EXPECT_EQ(samples.Value("a_total"), 3);
  EXPECT_EQ(samples.Value("empty"), 7);
  EXPECT_EQ(samples.Value("b:c"), std::nullopt) << "it has labels";
  EXPECT_EQ(samples.Of("b:c"), (Family{{{{"x", "1"}, {"y", "two words, and a }"}}, 1500}, {{{"x", "2"}}, -4}}));
  EXPECT_TRUE(samples.Of("nothing").empty());
}

TEST(TopSamplesTest, EscapesInValuesOfLabelsAreUndone) {
  const Samples samples = Parsed("a{x=\"back\\\\slash \\\"quoted\\\" new\\nline \\\\n\"} 1\n");
  EXPECT_EQ(samples.Of("a").begin()->first.at("x"), "back\\slash \"quoted\" new\nline \\n");
}

TEST(TopSamplesTest, InfinitiesAndNaNAreValues) {
  const Samples samples = Parsed("a +Inf\nb -Inf\nc NaN\nd Nan\n");
  EXPECT_EQ(samples.Value("a"), INFINITY);
  EXPECT_EQ(samples.Value("b"), -INFINITY);
  EXPECT_TRUE(std::isnan(*samples.Value("c")));
  EXPECT_TRUE(std::isnan(*samples.Value("d"))) << "as prometheus-cpp writes it";
}

TEST(TopSamplesTest, ABadLineIsNamed) {
  EXPECT_EQ(ErrorOf("a 1\n\n<html>\n"), "line 3: expected the name of a metric, found \"<html>\"");
  EXPECT_EQ(ErrorOf("a\n"), "line 1: expected a number, found \"\"");
  EXPECT_EQ(ErrorOf("a one\n"), "line 1: expected a number, found \"one\"");
  EXPECT_EQ(ErrorOf("a 1 soon\n"), "line 1: expected one number and perhaps a time in milliseconds, found \"1 soon\"");
  EXPECT_THAT(ErrorOf("a 1 2 3\n"), StartsWith("line 1: expected one number"));
  EXPECT_EQ(ErrorOf("a{x=\"1\" 2\n"), "line 1: expected , or }, found \"2\"");
  EXPECT_EQ(ErrorOf("a{x=\"1} 2\n"), "line 1: expected a closing quote, found \"\"");
  EXPECT_EQ(ErrorOf("a{x=\"\\t\"} 2\n"), "line 1: expected \\, \" or n behind a backslash, found \"t\\\"} 2\"");
  EXPECT_THAT(ErrorOf("a{1=\"x\"} 2\n"), StartsWith("line 1: expected the name of a label or }"));
  EXPECT_THAT(ErrorOf("a{x:y=\"x\"} 2\n"), StartsWith("line 1: expected =")) << "only names of metrics hold colons";
  EXPECT_EQ(ErrorOf("a{x=\"1\",x=\"2\"} 2\n"), "line 1: the label x comes twice");
  EXPECT_EQ(ErrorOf("a{x=\"1\"} 2\na{x=\"1\"} 3\n"), "line 2: this series of a came before");
  EXPECT_EQ(ErrorOf("a_bucket{le=\"wide\"} 2\n"), "line 1: expected a bucket with a number as le");
  EXPECT_EQ(ErrorOf("a_bucket 2\n"), "line 1: expected a bucket with a number as le");
}

TEST(TopSamplesTest, NoPrefixOfASampleCrashes) {
  const std::string text = "a_bucket{le=\"+Inf\",x=\"\\\\\\\"\"} 1 2\n";
  for (size_t length = 0; length < text.size(); ++length) static_cast<void>(Samples::Parse(text.substr(0, length)).ok());
}

TEST(TopSamplesTest, RisesCountNewSeriesFromZero) {
  const Samples before = Parsed("a_total{x=\"1\"} 3\n"), after = Parsed("a_total{x=\"1\"} 10\na_total{x=\"2\"} 4\n");
  EXPECT_EQ(Rises(before, after, "a_total"), (Family{{{{"x", "1"}}, 7}, {{{"x", "2"}}, 4}}));
  EXPECT_FALSE(HasRestarted(before, after));
}

TEST(TopSamplesTest, ARestartShowsInTheStartTimeOrInACounterThatFellOrIsGone) {
  EXPECT_TRUE(HasRestarted(Parsed("a_total 3\n"), Parsed("a_total 2\n")));
  EXPECT_TRUE(HasRestarted(Parsed("a_total{x=\"1\"} 3\n"), Parsed("a_total{x=\"2\"} 3\n")));
  EXPECT_TRUE(HasRestarted(Parsed("a_count 3\n"), Parsed("b 3\n")));
  EXPECT_FALSE(HasRestarted(Parsed("a_total 0\n"), Parsed("b 0\n")));
  EXPECT_FALSE(HasRestarted(Parsed("a 3\n"), Parsed("a 2\n"))) << "a gauge may fall";
  EXPECT_TRUE(HasRestarted(Parsed("process_start_time_seconds 10\na_total 1\n"), Parsed("process_start_time_seconds 11\na_total 5\n")));
}

// 10 calls up to 1 ms, 20 in 1 to 2, none in 2 to 5, 10 above 5.
TEST(TopSamplesTest, QuantilesAreLinearWithinTheirBucket) {
  const Buckets buckets = {{1, 10}, {2, 30}, {5, 30}, {INFINITY, 40}};
  EXPECT_EQ(QuantileOf(buckets, 0.125), (Quantile{0.5, false}));  // rank 5 of 10 in 0 to 1
  EXPECT_EQ(QuantileOf(buckets, 0.25), (Quantile{1, false}));     // rank 10: the end of the first
  EXPECT_EQ(QuantileOf(buckets, 0.5), (Quantile{1.5, false}));    // rank 20: 10 of 20 in 1 to 2
  EXPECT_EQ(QuantileOf(buckets, 0.75), (Quantile{2, false}));     // rank 30: not in the empty bucket
  EXPECT_EQ(QuantileOf(buckets, 0.99), (Quantile{5, true}));
  EXPECT_EQ(QuantileOf(buckets, 0), (Quantile{0, false}));
  EXPECT_EQ(QuantileOf({{1, 0}, {2, 4}, {INFINITY, 4}}, 0), (Quantile{1, false})) << "the first bucket is empty";
  EXPECT_EQ(QuantileOf({{1, 0}, {INFINITY, 0}}, 0.5), std::nullopt);
  EXPECT_EQ(QuantileOf({}, 0.5), std::nullopt);
}

TEST(TopSamplesTest, BucketsAddTheSeriesThatFit) {
  const Samples samples = Parsed(
      "d_bucket{m=\"a\",o=\"ok\",le=\"1\"} 1\nd_bucket{m=\"a\",o=\"ok\",le=\"+Inf\"} 2\n"
      "d_bucket{m=\"a\",o=\"error\",le=\"1\"} 4\nd_bucket{m=\"a\",o=\"error\",le=\"+Inf\"} 8\nd_bucket{m=\"b\",o=\"ok\",le=\"1\"} 16\n");
  EXPECT_EQ(BucketsOf(samples.Of("d_bucket"), {{"m", "a"}}), (Buckets{{1, 5}, {INFINITY, 10}}));
  EXPECT_EQ(BucketsOf(samples.Of("d_bucket"), {{"m", "a"}, {"o", "ok"}}), (Buckets{{1, 1}, {INFINITY, 2}}));
}

constexpr char kBefore[] = R"(offerd_build_info{version="0.1.0"} 1
process_start_time_seconds 1000
process_cpu_seconds_total 5
process_resident_memory_bytes 40000000
offerd_requests_total{method="RankOffers",code="OK"} 100
offerd_requests_total{method="SendFeedback",code="OK"} 7
offerd_request_duration_seconds_bucket{method="RankOffers",outcome="ok",le="0.001"} 100
offerd_request_duration_seconds_bucket{method="RankOffers",outcome="ok",le="0.002"} 100
offerd_request_duration_seconds_bucket{method="RankOffers",outcome="ok",le="+Inf"} 100
offerd_shed_requests_total{reason="in_flight"} 0
offerd_shed_requests_total{reason="rate_limit"} 2
offerd_decisions_total{placement="home",policy="taste"} 100
offerd_decisions_total{placement="aside",policy="fixed"} 9
offerd_events_total{kind="PURCHASE",fate="APPLIED"} 7
offerd_publications_total{policy="taste"} 3
offerd_dropped_decisions_total 1
)";
constexpr char kAfter[] = R"(offerd_build_info{version="0.1.0"} 1
process_start_time_seconds 1000
process_cpu_seconds_total 6
process_resident_memory_bytes 42000000
offerd_requests_total{method="RankOffers",code="OK"} 140
offerd_requests_total{method="RankOffers",code="INVALID_ARGUMENT"} 4
offerd_requests_total{method="SendFeedback",code="OK"} 7
offerd_request_duration_seconds_bucket{method="RankOffers",outcome="ok",le="0.001"} 120
offerd_request_duration_seconds_bucket{method="RankOffers",outcome="ok",le="0.002"} 136
offerd_request_duration_seconds_bucket{method="RankOffers",outcome="ok",le="+Inf"} 140
offerd_shed_requests_total{reason="in_flight"} 0
offerd_shed_requests_total{reason="rate_limit"} 5
offerd_requests_in_flight 2
offerd_open_streams 1
offerd_decision_queue_records 12
offerd_feedback_queue_records 3
offerd_learner_lag_records 1500
offerd_learner_lag_seconds 0.25
offerd_open_decisions 99
offerd_dropped_decisions_total 3
offerd_decisions_total{placement="home",policy="taste"} 140
offerd_decisions_total{placement="aside",policy="fixed"} 9
offerd_events_total{kind="PURCHASE",fate="APPLIED"} 9
offerd_events_total{kind="CLICK",fate="LATE"} 1
offerd_publications_total{policy="taste"} 5
offerd_store_error 0
offerd_last_sequence 1234
offerd_guard_gain{placement="home"} 0.125
offerd_guard_gain_lower_bound{placement="home"} -0.25
offerd_guard_gain_upper_bound{placement="home"} Nan
offerd_guard_below_floor{placement="home"} 0
)";

Reading At(double seconds, const std::string& text) {
  return {.steady_seconds = seconds, .unix_seconds = 2000 + seconds, .samples = Parsed(text), .state = std::nullopt, .no_state_because = "UNAVAILABLE"};
}

ServerState State(int64_t shown) {
  return {.is_ready = true, .store_error = "", .policies = {{"taste", 5, shown, 0.5, 200, 150}}, .guards = {{"home", true, "", 80}}};
}

TEST(TopBlockTest, ABlockSaysWhatHappenedBetweenTwoReadings) {
  Reading before = At(10, kBefore), after = At(14, kAfter);
  before.state = State(300);
  after.state = State(420);
  after.no_state_because.clear();
  EXPECT_EQ(ToBlock(Measure(before, after), "h:1"),
            "server     0.1.0 at h:1, up 17 min, ready, 0.25 cores, 42 MB\n"
            "measured   over 4.0 s\n"
            "calls      11.0/s, 2 in flight, streams 1\n"
            "shed       0.75/s: rate_limit 0.75\n"
            "queues     12 decisions, 3 feedback and settings\n"
            "learner    1,500 records behind, the oldest 0.250 s\n"
            "decisions  10.0/s, 99 open, 3 dropped (+2)\n"
            "events     0.75/s: APPLIED 0.50, LATE 0.25; CLICK 0.25, PURCHASE 0.50\n"
            "store      healthy, record 1,234, no snapshot\n"
            "\n"
            "method      calls/s  p50 ms  p99 ms  errors/s\n"
            "RankOffers     11.0   1.000  > 2     INVALID_ARGUMENT 1.00\n"
            "\n"
            "placement  policy  version  decisions/s  decisions\n"
            "home       taste         5         10.0        140\n"
            "aside      fixed         -            0          9\n"
            "\n"
            "policy  version  publications/s  shown  shown/s  deviation  agrees with fixed\n"
            "taste         5            0.50    420     30.0     0.5000      75.0 % of 200\n"
            "\n"
            "guard of  gain a decision    lower  upper  decisions  state\n"
            "home               0.1250  -0.2500      -         80  on\n");
}

TEST(TopBlockTest, WithoutStatusTheRestIsShownAndTheReasonSaid) {
  const std::string block = ToBlock(Measure(At(10, kBefore), At(14, kAfter)), "h:1");
  EXPECT_THAT(block, HasSubstr("\nno status  UNAVAILABLE\n"));
  EXPECT_THAT(block, HasSubstr("\ntaste         -            0.50      -        -          -                  -\n"));
}

TEST(TopBlockTest, AfterARestartEverythingCountsSinceTheStart) {
  Reading after = At(14, "process_start_time_seconds 2013\nofferd_requests_total{method=\"RankOffers\",code=\"OK\"} 300\n");
  Interval interval = Measure(At(10, kBefore), after);
  EXPECT_TRUE(interval.has_restarted);
  EXPECT_EQ(interval.seconds, 1);
  EXPECT_EQ(interval.methods.at("RankOffers").per_second, 300);
  EXPECT_THAT(ToBlock(interval, "h:1"), HasSubstr("over 1.0 s, since the server restarted\n"));
  after.unix_seconds = 1900;  // a clock that is behind the server's
  EXPECT_EQ(Measure(At(10, kBefore), after).seconds, 4);
}

TEST(TopBlockTest, JsonHasTheSameInPlainUnits) {
  const Json json = Json::parse(ToJson(Measure(At(10, kBefore), At(14, kAfter)), "h:1").dump());
  EXPECT_EQ(json["methods"][0]["method"], "RankOffers");
  EXPECT_EQ(json["methods"][0]["errors_per_second"]["INVALID_ARGUMENT"], 1);
  EXPECT_EQ(json["methods"][0]["ok"]["p50_seconds"], 0.001);
  EXPECT_EQ(json["methods"][0]["ok"]["p99_is_above"], true);
  EXPECT_EQ(json["gauges"]["decision_queue_records"], 12);
  EXPECT_EQ(json["rises"]["dropped_decisions_total"], 2);
  EXPECT_EQ(json["decisions"][1]["per_second"], 10);
  EXPECT_TRUE(json["guards"][0]["upper_bound"].is_null()) << "NaN is not known";
  EXPECT_TRUE(json["ready"].is_null());
}

TEST(TopBlockTest, ANameCannotSteerTheTerminal) {
  const std::string text = absl::StrCat(kAfter, "offerd_decisions_total{placement=\"a\x1b[2Jb\\nc\",policy=\"p\"} 1\n");
  EXPECT_THAT(ToBlock(Measure(At(10, kBefore), At(14, text)), "h:1"), HasSubstr("a?[2Jb?c"));
}

TEST(TopBlockTest, ABlockIsCutToTheTerminalBetweenCharacters) {
  EXPECT_EQ(FitTo("one\ntwo\n", 3, 80), "one\ntwo\n");
  EXPECT_EQ(FitTo("one\ntwo\nthree\nfour\n", 4, 80), "one\ntwo\n... and 2 more lines; a higher window shows them\n");
  EXPECT_EQ(FitTo("\xc3\xa9\xc3\xa9\xc3\xa9x\n", 3, 2), "\xc3\xa9\xc3\xa9\n");
  EXPECT_EQ(FitTo("a\nb\n", 1, 1), ".\n");
}

TEST(TopEndpointTest, AnAddressIsHostAndPort) {
  for (const std::string good : {"127.0.0.1:9464", "localhost:1", "[::1]:65535"}) EXPECT_TRUE(Endpoint::Parse(good).ok()) << good;
  for (const std::string bad : {"", "9464", ":9464", "host:", "host:0", "host:65536", "host:+1", "host: 1", "::1:9464", "http://host:1", "[]:1", "a@b:1"}) {
    EXPECT_FALSE(Endpoint::Parse(bad).ok()) << bad;
  }
}

// Answers one connection after the other with the next of its texts; the last one is repeated.
class TextServer {
 public:
  explicit TextServer(std::vector<std::string> answers) : answers_(std::move(answers)), socket_(socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(address);
    EXPECT_EQ(bind(socket_, reinterpret_cast<sockaddr*>(&address), size), 0);
    EXPECT_EQ(getsockname(socket_, reinterpret_cast<sockaddr*>(&address), &size), 0);
    EXPECT_EQ(listen(socket_, 8), 0);
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] { Serve(); });
  }
  ~TextServer() {
    shutdown(socket_, SHUT_RDWR);
    thread_.join();
    close(socket_);
  }
  std::string address() const { return absl::StrCat("127.0.0.1:", port_); }

  static std::string Ok(const std::string& body) {
    return absl::StrCat("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: ", body.size(), "\r\n\r\n", body);
  }

 private:
  void Serve() {
    for (size_t i = 0;; ++i) {
      const int connection = accept(socket_, nullptr, nullptr);
      if (connection < 0) return;
      std::string request;
      char bytes[1024];
      while (request.find("\r\n\r\n") == std::string::npos) {
        const ssize_t count = recv(connection, bytes, sizeof(bytes), 0);
        if (count <= 0) break;
        request.append(bytes, static_cast<size_t>(count));
      }
      const std::string& answer = answers_[std::min(i, answers_.size() - 1)];
      send(connection, answer.data(), answer.size(), MSG_NOSIGNAL);
      close(connection);
    }
  }

  const std::vector<std::string> answers_;
  const int socket_;
  int port_ = 0;
  std::thread thread_;
};

TEST(TopCommandTest, OnceShowsOneIntervalAndWhatTheStatusAdds) {
  FakeServer server;
  server.status.set_ready(true);
  v1::PolicyStatus* policy = server.status.add_policies();
  policy->mutable_policy()->set_name("taste");
  policy->mutable_policy()->set_version(5);
  const TextServer metrics({TextServer::Ok(kBefore), TextServer::Ok(kAfter)});
  const RunResult result = RunOn(server, {"top", "--once", "--interval", "0.1", "--metrics", metrics.address(), "--json"});
  ASSERT_EQ(result.code, 0) << result.err;
  const Json json = Json::parse(result.out);
  EXPECT_EQ(json["ready"], true);
  EXPECT_EQ(json["methods"][0]["method"], "RankOffers");
  EXPECT_EQ(json["policies"][0]["version"], 5);
  EXPECT_EQ(json["no_status_because"], "");
}

TEST(TopCommandTest, WithoutGrpcTheMetricsAreShown) {
  const TextServer metrics({TextServer::Ok(kBefore), TextServer::Ok(kAfter)});
  const RunResult result = RunWith({"--server", "127.0.0.1:1", "top", "--once", "--interval", "0.1", "--metrics", metrics.address()});
  EXPECT_EQ(result.code, 0) << result.err;
  EXPECT_THAT(result.out, HasSubstr("\nno status  UNAVAILABLE from 127.0.0.1:1"));
  EXPECT_THAT(result.out, HasSubstr("\nRankOffers "));
}

TEST(TopCommandTest, OnceFailsWhereTheMetricsAreNot) {
  const RunResult nobody = RunWith({"top", "--once", "--metrics", "127.0.0.1:1"});
  EXPECT_EQ(nobody.code, 1);
  EXPECT_EQ(nobody.err,
            "offerctl: http://127.0.0.1:1/metrics: expected the metrics of offerd (metrics_listen of its configuration), "
            "found nothing that takes a connection\n");
  const auto error_for = [](const std::string& answer) {
    const TextServer server({answer});
    const RunResult result = RunWith({"top", "--once", "--metrics", server.address()});
    EXPECT_EQ(result.code, 1);
    return result.err;
  };
  EXPECT_THAT(error_for("HTTP/1.1 404 Not Found\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"), HasSubstr("found HTTP status 404\n"));
  EXPECT_THAT(error_for(TextServer::Ok("a 1\n<html>\n")), HasSubstr("found line 2: expected the name of a metric"));
  EXPECT_THAT(error_for(TextServer::Ok("node_load1 1\n")), HasSubstr("found 1 metrics without offerd_build_info\n"));
  EXPECT_THAT(error_for("\x16\x03"), HasSubstr("found no HTTP answer"));
}

TEST(TopCommandTest, WrongUsageIsTwo) {
  EXPECT_EQ(RunWith({"top", "--metrics", "9464"}).code, 2);
  EXPECT_EQ(RunWith({"top", "--interval", "0.01"}).code, 2);
  EXPECT_EQ(RunWith({"top", "--interval", "3601"}).code, 2);
  EXPECT_EQ(RunWith({"top", "--interval", "nan"}).code, 2);
}

}  // namespace
}  // namespace offerd::cli::top
