#include <algorithm>

#include "cli/text.h"
#include "fake_server.h"
#include "gmock/gmock.h"
#include "temp_file.h"
#include "tests/server/test_certificate.h"

// The packaged c-ares keeps 10 bytes of every name that it was asked for; sanitizers are told, nobody else reads this.
extern "C" const char* __lsan_default_suppressions();
extern "C" const char* __lsan_default_suppressions() { return "leak:libcares.so"; }

namespace offerd::cli {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

TEST(CommandsTest, RankPrintsSlotsReasonsAndNotesInWords) {
  FakeServer server;
  const RunResult result = RunOn(server, {"rank", "--placement", "home", "--customer", "7", "--candidates", "o1,o2", "--context", "evening=1", "--context",
                                          "store=north", "--slots", "2", "--request-id", "r1", "--as-of", "2017-11-06"});
  EXPECT_EQ(result.code, 0) << result.err;
  EXPECT_THAT(result.out, HasSubstr("       1  o1     0.2500       0.5000  expected to earn most"));
  EXPECT_THAT(result.out, HasSubstr("decision d-r1"));
  EXPECT_THAT(result.out, HasSubstr("note: nothing is known of this customer"));
  const v1::RankOffersRequest& request = server.ranked.at(0);
  EXPECT_EQ(request.context(0).number(), 1);
  EXPECT_EQ(request.context(1).text(), "north");
  EXPECT_EQ(request.slate_size(), 2);
  EXPECT_EQ(FormatCount(request.as_of().seconds()), "1,509,926,400");
}

TEST(CommandsTest, RankInJsonHasNumbersAsNumbers) {
  FakeServer server;
  const Json json = Json::parse(RunOn(server, {"rank", "--json", "--placement", "home", "--candidates", "o1", "--slots", "1", "--validate-only"}).out);
  EXPECT_EQ(json["slots"][0]["offer_id"], "o1");
  EXPECT_EQ(json["slots"][0]["probability"], 0.5);
  EXPECT_EQ(json["slots"][0]["reason"], "BEST_ESTIMATE");
  EXPECT_EQ(json["model_version"], 3);
  EXPECT_EQ(json["notes"][0], "UNKNOWN_CUSTOMER");
}

TEST(CommandsTest, ServerErrorIsOneLineWithCodeAndFields) {
  FakeServer server;
  const RunResult result = RunOn(server, {"rank", "--placement", "wrong"});
  EXPECT_EQ(result.code, 1);
  EXPECT_EQ(result.out, "");
  EXPECT_EQ(result.err, "offerctl: INVALID_ARGUMENT from " + server.address() + ": 1 field is wrong; candidates[3].offer_id: empty\n");
}

TEST(CommandsTest, AFieldThatTheMessageNamesIsNotSaidTwice) {
  google::rpc::BadRequest bad_request;
  auto* violation = bad_request.add_field_violations();
  violation->set_field("placement.policy");
  violation->set_description("expected a policy that was set before");
  violation = bad_request.add_field_violations();
  violation->set_field("placement.name");
  violation->set_description("empty");
  google::rpc::Status details;
  details.add_details()->PackFrom(bad_request);
  const absl::Status status = FromGrpc(grpc::Status(
      grpc::StatusCode::INVALID_ARGUMENT, "placement.policy: expected a policy that was set before (2 problems)", details.SerializeAsString()));
  EXPECT_EQ(status.message(), "placement.policy: expected a policy that was set before (2 problems); placement.name: empty");
}

TEST(CommandsTest, AWordThatIsNoCommandIsNamed) {
  EXPECT_THAT(RunWith({"dance"}).err, HasSubstr("offerctl dance: there is no such command; there are import, "));
  EXPECT_THAT(RunWith({"table", "dance"}).err, HasSubstr("offerctl table dance: there is no such command; there are list, "));
  EXPECT_THAT(RunWith({"--json", "dance", "--tables", "x"}).err, HasSubstr("offerctl dance: "));
}

TEST(CommandsTest, NoServerIsOneLine) {
  const RunResult result = RunWith({"--server", "127.0.0.1:1", "--timeout", "1", "status"});
  EXPECT_EQ(result.code, 1);
  EXPECT_THAT(result.err, HasSubstr("offerctl: UNAVAILABLE from 127.0.0.1:1"));
  EXPECT_EQ(std::count(result.err.begin(), result.err.end(), '\n'), 1);
}

TEST(CommandsTest, WrongUsageIsTwoAndHelpIsZero) {
  EXPECT_EQ(RunWith({}).code, 2);
  EXPECT_EQ(RunWith({"dance"}).code, 2);
  EXPECT_EQ(RunWith({"rank"}).code, 2);
  EXPECT_EQ(RunWith({"placement"}).code, 2);
  EXPECT_EQ(RunWith({"rank", "--placement", "p", "--context", "x"}).code, 2);
  EXPECT_EQ(RunWith({"rank", "--placement", "p", "--as-of", "soon"}).code, 2);
  EXPECT_EQ(RunWith({"feedback", "--kind", "buy", "--event-id", "e"}).code, 2);
  EXPECT_EQ(RunWith({"feedback", "--kind", "purchase", "--event-id", "e", "--line", "a:b"}).code, 2);
  EXPECT_EQ(RunWith({"rank", "--help"}).code, 0);
}

TEST(CommandsTest, TokenGoesIntoTheMetadata) {
  FakeServer server;
  RunOn(server, {"--token", "secret", "rank", "--placement", "p"});
  EXPECT_EQ(server.last_authorization, "Bearer secret");
  const TempFile token("from-file\nrest\n");
  RunOn(server, {"rank", "--placement", "p", "--token-file", token.path()});
  EXPECT_EQ(server.last_authorization, "Bearer from-file");
  EXPECT_EQ(RunOn(server, {"rank", "--placement", "p", "--token-file", "/nowhere/token"}).code, 1);
}

TEST(CommandsTest, ATokenThatNoHeaderCarriesIsRefusedAndNotPrinted) {
  for (const std::string text : {"\xef\xbb\xbfsecret", "sec\xc3\xa9ret", "sec\tret", "sec\x7fret"}) {
    const TempFile token(text + "\n");
    const RunResult result = RunWith({"--server", "127.0.0.1:1", "status", "--token-file", token.path()});
    EXPECT_EQ(result.code, 1);
    EXPECT_THAT(result.err, HasSubstr(token.path() + ": a token is of printable ASCII characters"));
    EXPECT_THAT(result.err, Not(HasSubstr("ret")));
  }
  const RunResult result = RunWith({"--server", "127.0.0.1:1", "status", "--token", "sec\nret"});
  EXPECT_EQ(result.code, 1);
  EXPECT_THAT(result.err, HasSubstr("--token: a token is of printable ASCII characters"));
  EXPECT_EQ(RunWith({"--token", "a", "--token-file", "b", "status"}).code, 2) << "one of the two";
}

// Speaks TLS with a certificate for localhost; a client must show the same one where asked for.
class TlsServer final : public v1::AdminService::Service {
 public:
  explicit TlsServer(bool asks_for_certificate) {
    grpc::SslServerCredentialsOptions options(asks_for_certificate ? GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY
                                                                   : GRPC_SSL_DONT_REQUEST_CLIENT_CERTIFICATE);
    options.pem_key_cert_pairs = {{kTestKey, kTestCertificate}};
    if (asks_for_certificate) options.pem_root_certs = kTestCertificate;
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:0", grpc::SslServerCredentials(options), &port_);
    builder.RegisterService(this);
    server_ = builder.BuildAndStart();
  }
  ~TlsServer() override { server_->Shutdown(); }
  std::string address() const { return "localhost:" + std::to_string(port_); }

 private:
  int port_ = 0;
  std::unique_ptr<grpc::Server> server_;
};

TEST(CommandsTest, PlainTextToATlsServerSaysWhatToDo) {
  TlsServer server(false);
  const TempFile certificate(kTestCertificate);
  const RunResult plain = RunWith({"--server", server.address(), "status"});
  EXPECT_EQ(plain.code, 1);
  EXPECT_THAT(plain.err, HasSubstr("if the server uses TLS, give --tls-ca"));
  EXPECT_THAT(RunWith({"--server", server.address(), "--tls-ca", certificate.path(), "status"}).err, HasSubstr("UNIMPLEMENTED")) << "it was reached";
}

TEST(CommandsTest, AClientCertificateIsShownWhereItIsGiven) {
  TlsServer server(true);
  const TempFile certificate(kTestCertificate), key(kTestKey);
  const std::vector<std::string> base = {"--server", server.address(), "--tls-ca", certificate.path(), "--timeout", "5", "status"};
  EXPECT_THAT(RunWith(base).err, Not(HasSubstr("UNIMPLEMENTED"))) << "refused without";
  std::vector<std::string> with = base;
  with.insert(with.end(), {"--tls-cert", certificate.path(), "--tls-key", key.path()});
  EXPECT_THAT(RunWith(with).err, HasSubstr("UNIMPLEMENTED")) << "reached with";
  EXPECT_EQ(RunWith({"--tls-cert", certificate.path(), "--tls-key", key.path(), "status"}).code, 2) << "needs --tls-ca";
  EXPECT_EQ(RunWith({"--tls-ca", certificate.path(), "--tls-cert", certificate.path(), "status"}).code, 2) << "needs --tls-key";
  const TempFile rubbish("no PEM\n");
  EXPECT_THAT(RunWith({"--tls-ca", rubbish.path(), "status"}).err, HasSubstr(rubbish.path() + ": expected PEM with a block CERTIFICATE"));
}

TEST(CommandsTest, ATokenInPlainTextToAnotherMachineIsWarnedOf) {
  ConnectionOptions options;
  options.token_file = "token";
  for (const char* server : {"localhost:7070", "127.0.0.1:7070", "127.1.2.3:1", "[::1]:7070", "unix:/run/offerd", "dns:///localhost:1", "ipv6:[::1]:7070"}) {
    options.server = server;
    EXPECT_EQ(ConnectionWarning(options), "") << server;
  }
  for (const char* server : {"10.0.0.1:7070", "offers.example.com:7070", "localhost.example.com:7070"}) {
    options.server = server;
    EXPECT_THAT(ConnectionWarning(options), HasSubstr("in plain text: give --tls-ca")) << server;
  }
  options.tls_ca = "ca.pem";
  EXPECT_EQ(ConnectionWarning(options), "");
  options = {};
  options.server = "10.0.0.1:7070";
  EXPECT_EQ(ConnectionWarning(options), "") << "no token";
  EXPECT_THAT(RunWith({"--server", "192.0.2.1:1", "--timeout", "0.1", "--token", "t", "status"}).err, HasSubstr("warning: the token goes to 192.0.2.1:1"));
}

TEST(CommandsTest, FeedbackSendsOneEventAndTellsItsFate) {
  FakeServer server;
  const std::vector<std::string> arguments = {"feedback", "--kind", "purchase", "--event-id", "e1", "--customer", "7", "--decision", "d", "--order", "o",
                                              "--line", "sku:1:2:3.45", "--line", "milk", "--time", "1509944400"};
  const RunResult result = RunOn(server, arguments);
  EXPECT_EQ(result.code, 0) << result.err;
  EXPECT_EQ(result.out, "event e1: applied, log record 1\n");
  ASSERT_EQ(server.events.size(), 1u);
  EXPECT_EQ(server.events[0].lines(0).item_id(), "sku:1");
  EXPECT_EQ(server.events[0].lines(0).quantity(), 2);
  EXPECT_EQ(server.events[0].lines(0).revenue_micros(), 3'450'000);
  EXPECT_EQ(server.events[0].lines(1).item_id(), "milk");
  EXPECT_THAT(RunOn(server, arguments).out, HasSubstr("already known"));
  const RunResult refused = RunOn(server, {"feedback", "--kind", "click", "--event-id", "bad"});
  EXPECT_EQ(refused.code, 1);
  EXPECT_THAT(refused.err, HasSubstr("INVALID_ARGUMENT"));
}

TEST(CommandsTest, PlacementSetListDelete) {
  FakeServer server;
  const TempFile file("name: \"home\" policy: \"taste\" mode: LIVE slate_size: 5");
  EXPECT_EQ(RunOn(server, {"placement", "set", file.path()}).out, "placement home: policy taste, live, 5 slots\n");
  EXPECT_THAT(RunOn(server, {"placement", "list"}).out, HasSubstr("home       taste   live"));
  EXPECT_EQ(RunOn(server, {"placement", "delete", "home"}).code, 0);
  const RunResult missing = RunOn(server, {"placement", "delete", "away"});
  EXPECT_EQ(missing.code, 1);
  EXPECT_THAT(missing.err, HasSubstr("NOT_FOUND"));
  const TempFile wrong("name: \"home\"\nslate_sise: 5");
  const RunResult unknown = RunOn(server, {"placement", "set", wrong.path()});
  EXPECT_EQ(unknown.code, 1);
  EXPECT_THAT(unknown.err, HasSubstr(":2:"));
  EXPECT_THAT(unknown.err, HasSubstr("slate_sise"));
}

TEST(CommandsTest, PolicySetListPublishRollback) {
  FakeServer server;
  const TempFile file("name: \"taste\" linear { ridge: 100 features { features { name: \"one\" constant {} } } }");
  EXPECT_THAT(RunOn(server, {"policy", "set", file.path()}).out, HasSubstr("policy taste (linear): set"));
  EXPECT_THAT(RunOn(server, {"policy", "list"}).out, HasSubstr("taste   linear"));
  EXPECT_EQ(Json::parse(RunOn(server, {"policy", "publish", "taste", "--json"}).out)["version"], 12);
  EXPECT_THAT(RunOn(server, {"policy", "rollback", "taste", "--version", "9"}).out, HasSubstr("version 9, pinned"));
}

TEST(CommandsTest, SnapshotCreateListVerify) {
  FakeServer server;
  EXPECT_EQ(Json::parse(RunOn(server, {"snapshot", "create", "--json"}).out)["sequence"], 41);
  EXPECT_THAT(RunOn(server, {"snapshot", "list"}).out, HasSubstr("41"));
  EXPECT_EQ(RunOn(server, {"snapshot", "verify", "--sequence", "41"}).code, 0);
  server.snapshot_state = "damaged";
  const RunResult damaged = RunOn(server, {"snapshot", "verify"});
  EXPECT_EQ(damaged.code, 1);
  EXPECT_THAT(damaged.err, HasSubstr("damaged"));
}

TEST(CommandsTest, StatusInJsonHasTheAgreedShape) {
  FakeServer server;
  Json json = Json::parse(RunOn(server, {"status", "--json"}).out);
  EXPECT_EQ(json["events"]["acknowledged"], 0) << "there although the server said nothing of events";
  EXPECT_EQ(json["policies"], Json::array());
  server.status.set_ready(true);
  server.status.set_last_sequence(1'234'567);
  server.status.mutable_events()->set_applied(5);
  auto* policy = server.status.add_policies();
  policy->mutable_policy()->set_name("taste");
  policy->mutable_policy()->set_version(4);
  policy->set_state_checksum("0123456789abcdef");
  policy->set_shown(99);
  json = Json::parse(RunOn(server, {"--json", "status"}).out);
  EXPECT_EQ(json["ready"], true);
  EXPECT_EQ(json["last_sequence"], 1'234'567);
  for (const char* fate : {"acknowledged", "applied", "duplicate", "orphan", "late", "refused"}) EXPECT_TRUE(json["events"][fate].is_number()) << fate;
  for (const char* number : {"decisions", "gate_leaks", "customers", "items", "offers", "uptime_seconds"}) EXPECT_TRUE(json[number].is_number()) << number;
  EXPECT_EQ(json["policies"][0]["name"], "taste");
  EXPECT_EQ(json["policies"][0]["version"], 4);
  EXPECT_EQ(json["policies"][0]["state_checksum"], "0123456789abcdef");
  EXPECT_EQ(json["policies"][0]["shown"], 99);
  EXPECT_THAT(RunOn(server, {"status"}).out, HasSubstr("1,234,567 records"));
}

}  // namespace
}  // namespace offerd::cli
