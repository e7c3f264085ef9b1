#include "server/config.h"

#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "tests/server/test_certificate.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temporary_folder.h"

namespace offerd {
namespace {

constexpr char kToken[] = "0123456789abcdef";

class ConfigTest : public ::testing::Test {
 protected:
  std::string Write(const std::string& name, const std::string& content) {
    const std::string path = absl::StrCat(::testing::TempDir(), "/offerd_config_", getpid(), "_", name);
    std::ofstream(path, std::ios::binary) << content;
    paths_.push_back(path);
    return path;
  }
  void TearDown() override {
    for (const std::string& path : paths_) unlink(path.c_str());
  }

  // Every problem of `text` with a store path, a line each.
  static std::vector<std::string> Problems(const std::string& text) {
    const auto config = ParseConfig("store_path: \"s\" " + text);
    if (config.ok()) return {};
    return absl::StrSplit(config.status().message(), '\n');
  }
  static void ExpectProblem(const std::string& text, const std::string& line) {
    EXPECT_THAT(Problems(text), ::testing::ElementsAre(::testing::HasSubstr(line))) << text;
  }

 private:
  std::vector<std::string> paths_;
};

TEST_F(ConfigTest, OnlyTheStoreIsRequiredAndTheRestHasDefaults) {
  const auto config = ParseConfig("store_path: \"data\"");
  ASSERT_OK(config);
  EXPECT_EQ(config->store_path, "data");
  EXPECT_EQ(config->listen, "127.0.0.1:7070");
  EXPECT_EQ(config->metrics_listen, "127.0.0.1:9464");
  EXPECT_EQ(config->unix_socket, "");
  EXPECT_FALSE(config->tls.has_value());
  EXPECT_TRUE(config->tokens.empty());
  EXPECT_EQ(config->clock, ServerConfig::Clock::kWall);
  EXPECT_EQ(config->durability, ServerConfig::Durability::kWritten);
  EXPECT_EQ(config->table_memory, TableMemory::kCopied);
  EXPECT_EQ(config->salt, "offerd");
  EXPECT_EQ(config->currency, "EUR");
  EXPECT_EQ(config->completion_queues, 1);
  EXPECT_EQ(config->max_in_flight, 10'000);
  EXPECT_EQ(config->max_queued_records, 65'536);
  EXPECT_EQ(config->profile_bytes, 16'384);
  EXPECT_EQ(config->max_open_decisions, 200'000);
  EXPECT_EQ(config->request_id_lifetime_seconds, 600);
  EXPECT_EQ(config->event_id_lifetime_seconds, 7'776'000);
  EXPECT_EQ(config->max_stored_replies, 200'000);
  EXPECT_EQ(config->snapshot_interval_seconds, 900);
  EXPECT_EQ(config->snapshots_kept, 3);
  EXPECT_EQ(config->min_free_bytes, 67'108'864);
  EXPECT_EQ(config->backup_path, "");
  EXPECT_EQ(config->log_level, LogLevel::kInfo);
}

TEST_F(ConfigTest, EveryFieldIsRead) {
  const std::string certificate = Write("cert", kTestCertificate);
  const std::string key = Write("key", kTestKey);
  const std::string token = Write("token", "fedcba9876543210\nsecond line\n");
  const auto config = ParseConfig(absl::StrCat(
      "store_path: 'a' listen: '0.0.0.0:1' metrics_listen: 'off' tls { certificate_file: '", certificate, "' key_file: '", key,
      "' client_ca_file: '", certificate, "' } tokens { role: ADMIN token: '", kToken, "' } tokens { role: FRONTEND token_file: '",
      token, "' } allow_insecure_remote: true clock: REQUEST durability: SYNCED table_memory: MAPPED salt: 'x' currency: 'CHF' completion_queues: 2 "
      "max_in_flight: 3 max_queued_records: 4 rate_limits { role: FEEDBACK requests_per_second: 5 burst: 6 } profile_bytes: 256 "
      "max_open_decisions: 100 request_id_lifetime_seconds: 7 event_id_lifetime_seconds: 8 max_stored_replies: 100 "
      "snapshot_interval_seconds: 9 snapshots_kept: 10 min_free_bytes: 1048576 backup_path: 'b' log_level: ERROR "
      "unix_socket: '/run/offerd.sock'"));
  ASSERT_OK(config);
  EXPECT_EQ(config->metrics_listen, "");
  EXPECT_EQ(config->tls->certificate_pem, kTestCertificate);
  EXPECT_EQ(config->tls->key_pem, kTestKey);
  EXPECT_EQ(config->tls->client_ca_pem, kTestCertificate);
  ASSERT_EQ(config->tokens.size(), 2u);
  EXPECT_EQ(config->tokens[0].role, Role::kAdmin);
  EXPECT_EQ(config->tokens[0].token, kToken);
  EXPECT_EQ(config->tokens[1].token, "fedcba9876543210");
  EXPECT_EQ(config->clock, ServerConfig::Clock::kRequest);
  EXPECT_EQ(config->durability, ServerConfig::Durability::kSynced);
  EXPECT_EQ(config->table_memory, TableMemory::kMapped);
  EXPECT_EQ(config->completion_queues, 2);
  EXPECT_EQ(config->max_in_flight, 3);
  EXPECT_EQ(config->max_queued_records, 4);
  ASSERT_EQ(config->rate_limits.size(), 1u);
  EXPECT_EQ(config->rate_limits[0].burst, 6);
  EXPECT_EQ(config->event_id_lifetime_seconds, 8);
  EXPECT_EQ(config->snapshots_kept, 10);
  EXPECT_EQ(config->min_free_bytes, 1'048'576);
  EXPECT_EQ(config->backup_path, "b");
  EXPECT_EQ(config->unix_socket, "/run/offerd.sock");
  EXPECT_EQ(config->log_level, LogLevel::kError);
}

TEST_F(ConfigTest, EveryProblemIsReportedAtOnce) {
  const auto config = ParseConfig(
      "listn: 'x'\ncompletion_queues: 65\ncurrency: 'euro'\nbogus { a: 1 }\nlisten: '0.0.0.0:7070'\n"
      "rate_limits { role: ADMIN }\nprofile_bytes: -1\n");
  ASSERT_FALSE(config.ok());
  const std::vector<std::string> lines = absl::StrSplit(config.status().message(), '\n');
  using ::testing::HasSubstr;
  EXPECT_THAT(lines, ::testing::UnorderedElementsAre(
                         HasSubstr("line 1: Message type \"offerd.v1.Config\" has no field named \"listn\""),
                         HasSubstr("line 4: Message type \"offerd.v1.Config\" has no field named \"bogus\""),
                         HasSubstr("store_path: expected the folder of the store, found none"),
                         HasSubstr("completion_queues: expected 1 to 64, found 65"),
                         HasSubstr("currency: expected three capital letters of ISO 4217, found \"euro\""),
                         HasSubstr("tls: expected"), HasSubstr("tokens: expected"),
                         HasSubstr("rate_limits[0].requests_per_second: expected above 0"),
                         HasSubstr("profile_bytes: expected 256 to 1048576, found -1")));
}

TEST_F(ConfigTest, TextThatDoesNotParseNamesTheLine) {
  EXPECT_THAT(ParseConfig("store_path: 'a'\nlisten: {"), StatusIs(absl::StatusCode::kInvalidArgument, "line 2: "));
  EXPECT_THAT(ParseConfig("store_path: 'a'\nclock: SUN"), StatusIs(absl::StatusCode::kInvalidArgument, "line 2: "));
  EXPECT_THAT(ParseConfig("store_path: 'a'\nstore_path: 'b'"), StatusIs(absl::StatusCode::kInvalidArgument, "line 2: "));
  EXPECT_THAT(ParseConfig("completion_queues: 99999999999"), StatusIs(absl::StatusCode::kInvalidArgument, "line 1: "));
}

TEST_F(ConfigTest, NumbersOutOfRange) {
  const struct { const char* field; const char* low; const char* high; } kRanges[] = {
      {"completion_queues", "-1", "65"}, {"max_in_flight", "-1", "1000001"}, {"max_turn_wait_ms", "-1", "60001"}, {"max_queued_records", "-1", "100000001"},
      {"profile_bytes", "255", "1048577"}, {"max_open_decisions", "99", "100000001"},
      {"request_id_lifetime_seconds", "-1", "86401"}, {"event_id_lifetime_seconds", "-1", "315360001"},
      {"max_stored_replies", "99", "100000001"}, {"snapshot_interval_seconds", "-1", "315360001"}, {"snapshots_kept", "-1", "101"},
      {"min_free_bytes", "1048575", nullptr}};
  for (const auto& range : kRanges) {
    ExpectProblem(absl::StrCat(range.field, ": ", range.low), absl::StrCat(range.field, ": expected "));
    if (range.high != nullptr) {
      ExpectProblem(absl::StrCat(range.field, ": ", range.high), absl::StrCat(range.field, ": expected "));
    }
  }
}

TEST_F(ConfigTest, Enumerations) {
  ExpectProblem("clock: 9", "clock: expected WALL or REQUEST, found 9");
  ExpectProblem("table_memory: 9", "table_memory: expected COPIED or MAPPED, found 9");
  ExpectProblem("durability: 9", "durability: expected ASYNC, WRITTEN or SYNCED, found 9");
  ExpectProblem("log_level: 9", "log_level: expected DEBUG, INFO, WARNING or ERROR, found 9");
}

TEST_F(ConfigTest, Addresses) {
  for (const char* listen : {"localhost", ":7070", "a:", "a:x", "a:70000", "a:-1", "1:2:3", "[::1]", "[x]:1", "a b:1", "a:1 ", "::1:5"}) {
    ExpectProblem(absl::StrCat("allow_insecure_remote: true listen: '", listen, "'"), "listen: expected host:port");
    ExpectProblem(absl::StrCat("metrics_listen: '", listen, "'"), "metrics_listen: expected host:port");
  }
  for (const char* listen : {"127.0.0.1:0", "127.9.9.9:65535", "localhost:1", "LocalHost:1", "[::1]:7070"}) {
    EXPECT_THAT(Problems(absl::StrCat("listen: '", listen, "'")), ::testing::IsEmpty()) << listen;
  }
  ExpectProblem("listen: '127.0.0.1:5' metrics_listen: '127.0.0.1:5'", "metrics_listen: expected another address");
}

TEST_F(ConfigTest, RemoteAddressesAskForEncryptionAndTokens) {
  const std::string certificate = Write("cert", kTestCertificate);
  const std::string key = Write("key", kTestKey);
  const std::string tls = absl::StrCat(" tls { certificate_file: '", certificate, "' key_file: '", key, "' }");
  const std::string tokens = absl::StrCat(" tokens { role: ADMIN token: '", kToken, "' }");
  for (const char* listen : {"0.0.0.0:1", "10.0.0.1:1", "shop.example:1", "[::]:1", "127.0.0.1.example:1", "127.0.0.256:1"}) {
    const std::string text = absl::StrCat("listen: '", listen, "'");
    EXPECT_EQ(Problems(text).size(), 2u) << listen;
    ExpectProblem(text + tokens, "tls: expected");
    ExpectProblem(text + tls, "tokens: expected");
    EXPECT_THAT(Problems(text + tls + tokens), ::testing::IsEmpty());
    EXPECT_THAT(Problems(text + " allow_insecure_remote: true"), ::testing::IsEmpty());
  }
}

TEST_F(ConfigTest, TlsFiles) {
  const std::string certificate = Write("cert", kTestCertificate);
  const std::string junk = Write("junk", "nothing");
  ExpectProblem(absl::StrCat("tls { certificate_file: '", certificate, "' }"), "tls.key_file: expected the path of a PEM file");
  ExpectProblem(absl::StrCat("tls { certificate_file: '", certificate, "' key_file: '/no/such/file' }"),
                "tls.key_file: expected a readable PEM file");
  ExpectProblem(absl::StrCat("tls { certificate_file: '", certificate, "' key_file: '", certificate, "' }"),
                "tls.key_file: expected a PEM file with a PRIVATE KEY");
  EXPECT_EQ(Problems(absl::StrCat("tls { certificate_file: '", junk, "' key_file: '", junk, "' client_ca_file: '", junk, "' }")).size(), 3u);
  EXPECT_EQ(Problems(absl::StrCat("tls { certificate_file: '", ::testing::TempDir(), "' }")).size(), 2u);  // a folder
}

TEST_F(ConfigTest, Tokens) {
  const std::string short_file = Write("short", "abc\n0123456789abcdef\n");
  ExpectProblem("tokens { token: '0123456789abcdef' }", "tokens[0].role: expected");
  ExpectProblem("tokens { role: 9 token: '0123456789abcdef' }", "tokens[0].role: expected");
  ExpectProblem("tokens { role: ADMIN }", "tokens[0]: expected one of token and token_file, found neither");
  ExpectProblem("tokens { role: ADMIN token: '0123456789abcdef' token_file: 'x' }", "found both");
  ExpectProblem("tokens { role: ADMIN token: '0123456789abcde' }", "tokens[0].token: expected at least 16 bytes, found 15");
  ExpectProblem("tokens { role: ADMIN token_file: '/no/such/file' }", "tokens[0].token_file: expected a readable file");
  ExpectProblem(absl::StrCat("tokens { role: ADMIN token_file: '", short_file, "' }"),
                "tokens[0].token_file: expected at least 16 bytes, found 3");
  ExpectProblem("tokens { role: ADMIN token: '0123456789 abcdef' }", "printable ASCII");
  ExpectProblem("tokens { role: ADMIN token: '0123456789abcdef' } tokens { role: FRONTEND token: '0123456789abcdef' }",
                "tokens[1].token: expected a token of its own");
  for (const std::string& line : Problems("tokens { role: ADMIN token: 'secret' }")) {
    EXPECT_THAT(line, ::testing::Not(::testing::HasSubstr("secret")));
  }
}

// Every place where a token may stand by mistake: no message repeats it.
TEST_F(ConfigTest, ParseErrorsDoNotRepeatTheText) {
  for (const char* text : {"tokens { role: ADMIN token: s3cret_token_0123 }", "tokens { role: s3cret_token_0123 token: 'x' }",
                           "tokens { role: ADMIN token 's3cret_token_0123' }", "tokens { role: ADMIN 's3cret_token_0123' }",
                           "tokens s3cret_token_0123", "tokens: 's3cret_token_0123'", "tokens { role: ADMIN token: 's3cret_token_0123",
                           "tokens { role: ADMIN token: 'a\ns3cret_token_0123: 1 }", "clock: s3cret_token_0123", "max_in_flight: s3cret_token_0123",
                           "allow_insecure_remote: s3cret_token_0123", "allow_insecure_remote: 's3cret_token_0123'",
                           "rate_limits { requests_per_second: s3cret_token_0123 }", "tls: s3cret_token_0123"}) {
    const std::vector<std::string> lines = Problems(text);
    EXPECT_FALSE(lines.empty()) << text;
    for (const std::string& line : lines) {
      EXPECT_THAT(line, ::testing::Not(::testing::HasSubstr("s3cret"))) << text;
      EXPECT_THAT(line, ::testing::HasSubstr("line ")) << text;
    }
  }
}

TEST_F(ConfigTest, AWrongChoiceNamesItsFieldItsLineAndTheChoices) {
  EXPECT_THAT(ParseConfig("store_path: 'a'\nclock: SUN\n\ndurability: SYNCED\n"),
              StatusIs(absl::StatusCode::kInvalidArgument, "line 2: clock: expected WALL or REQUEST"));
  EXPECT_THAT(ParseConfig("store_path: 'a'\ntokens {\n  role: BOSS\n  token: '0123456789abcdef' }"),
              StatusIs(absl::StatusCode::kInvalidArgument, "line 3: role: expected FRONTEND, FEEDBACK, CATALOGUE or ADMIN"));
}

TEST_F(ConfigTest, RateLimits) {
  ExpectProblem("rate_limits { requests_per_second: 1 }", "rate_limits[0].role");
  ExpectProblem("rate_limits { role: ADMIN requests_per_second: -1 }", "rate_limits[0].requests_per_second");
  ExpectProblem("rate_limits { role: ADMIN requests_per_second: nan }", "rate_limits[0].requests_per_second");
  ExpectProblem("rate_limits { role: ADMIN requests_per_second: inf }", "rate_limits[0].requests_per_second");
  ExpectProblem("rate_limits { role: ADMIN requests_per_second: 1 burst: 0.5 }", "rate_limits[0].burst");
  ExpectProblem("rate_limits { role: ADMIN requests_per_second: 1 } rate_limits { role: ADMIN requests_per_second: 2 }",
                "rate_limits[1].role: expected one limit a role, found a second one for ADMIN");
  const auto config = ParseConfig("store_path: 's' rate_limits { role: ADMIN requests_per_second: 0.5 } "
                                  "rate_limits { role: FRONTEND requests_per_second: 50 }");
  ASSERT_OK(config);
  EXPECT_EQ(config->rate_limits[0].burst, 1);   // a bucket that holds less lets nothing through
  EXPECT_EQ(config->rate_limits[1].burst, 50);  // one second's worth
}

TEST_F(ConfigTest, Paths) {
  ExpectProblem(absl::StrCat("salt: '", std::string(257, 'x'), "'"), "salt: expected at most 256 bytes");
}

TEST_F(ConfigTest, SocketPaths) {
  const std::string longest = "/" + std::string(106, 'x');
  for (const std::string& sound : {std::string("/run/offerd/offerd.sock"), std::string("/a_b-C.1"), longest}) {
    EXPECT_THAT(Problems(absl::StrCat("unix_socket: '", sound, "'")), ::testing::IsEmpty()) << sound;
  }
  for (const std::string& wrong : {longest + "x", std::string("offerd.sock"), std::string("/run/"), std::string("/a b"), std::string("/a%20b"),
                                   std::string("unix:/a"), std::string("/a?b"), std::string("/a#b"), std::string("/\xc3\xa9")}) {
    ExpectProblem(absl::StrCat("unix_socket: '", wrong, "'"), "unix_socket: expected an absolute path of at most 107 bytes");
  }
}

TEST_F(ConfigTest, AKeyOfAnotherCertificate) {
  const std::string certificate = Write("cert", kTestCertificate);
  const std::string key = Write("other_key", kOtherKey);
  ExpectProblem(absl::StrCat("tls { certificate_file: '", certificate, "' key_file: '", key, "' }"),
                "tls.key_file: expected the key of the first certificate, found one of another");
}

TEST_F(ConfigTest, FoldersOnThisMachine) {
  const TemporaryFolder folder;
  const std::string file = folder.path("file"), store = folder.path("store");
  std::ofstream(file) << "mine";
  std::filesystem::create_directory(store);
  std::filesystem::create_symlink(store, folder.path("link"));
  const auto expect = [&](const std::string& text, const std::string& line) {
    EXPECT_THAT(LoadConfig(Write("paths", text)), StatusIs(absl::StatusCode::kInvalidArgument, line)) << text;
  };
  expect(absl::StrCat("store_path: '", folder.path("no/store"), "'"), "store_path: expected a folder whose parent is there");
  expect(absl::StrCat("store_path: '", file, "'"), "store_path: expected a folder, found");
  expect(absl::StrCat("store_path: '", store, "' tables_path: '", file, "'"), "tables_path: expected a folder, found");
  expect(absl::StrCat("store_path: '", store, "' backup_path: '", file, "'"), "backup_path: expected a folder, found");
  expect(absl::StrCat("store_path: '", store, "' unix_socket: '", folder.path("no/offerd.sock"), "'"), "unix_socket: expected a path in a folder that is there");
  for (const std::string& same : {store, store + "/", folder.path("store/../store"), folder.path("link"), folder.path("./link/")}) {
    expect(absl::StrCat("store_path: '", store, "' backup_path: '", same, "'"), "backup_path: expected another folder");
  }
  for (const std::string& sound : {store, store + "/", folder.path("new"), folder.path("new/")}) {
    EXPECT_OK(LoadConfig(Write("paths", absl::StrCat("store_path: '", sound, "' backup_path: '", folder.path("backups"), "'"))));
  }
}

TEST_F(ConfigTest, FilesAreLoadedAndChecked) {
  const std::string good = Write("good", "store_path: 'x'\n");
  const std::string bad = Write("bad", "snapshots_kept: 101\n");
  EXPECT_OK(LoadConfig(good));
  EXPECT_THAT(LoadConfig("/no/such/file"), StatusIs(absl::StatusCode::kNotFound, "--config: expected a readable file"));
  std::ostringstream out;
  EXPECT_TRUE(CheckConfig(good, out));
  EXPECT_EQ(out.str(), good + ": sound\n");
  out.str("");
  EXPECT_FALSE(CheckConfig(bad, out));
  EXPECT_EQ(out.str(), bad + ": store_path: expected the folder of the store, found none\n" + bad +
                           ": snapshots_kept: expected 1 to 100, found 101\n");
}

}  // namespace
}  // namespace offerd
