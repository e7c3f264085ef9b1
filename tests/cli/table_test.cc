#include <grpcpp/grpcpp.h>

#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "cli/offerctl.h"
#include "cli/text.h"
#include "gmock/gmock.h"
#include "offerd/v1/admin_service.grpc.pb.h"
#include "temp_file.h"
#include "tests/support/temporary_folder.h"

// offerctl build and offerctl table as they are called; what they do is tested in tables/.
namespace offerd::cli {
namespace {

using ::testing::HasSubstr;

// Knows one table with versions 1 to 3.
class FakeTables final : public v1::AdminService::Service {
 public:
  FakeTables() {
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port_);
    builder.RegisterService(this);
    server_ = builder.BuildAndStart();
  }
  ~FakeTables() override { server_->Shutdown(); }
  std::string address() const { return "127.0.0.1:" + std::to_string(port_); }

 private:
  grpc::Status PublishTable(grpc::ServerContext*, const v1::PublishTableRequest* request,
                            v1::TableStatus* response) override {
    if (request->version() > 3) return grpc::Status(grpc::StatusCode::NOT_FOUND, "no version");
    Fill(request->name(), request->version() == 0 ? 3 : request->version(), response);
    return grpc::Status::OK;
  }
  grpc::Status RollBackTable(grpc::ServerContext*, const v1::RollBackTableRequest* request,
                             v1::TableStatus* response) override {
    Fill(request->name(), request->version() == 0 ? 2 : request->version(), response);
    return grpc::Status::OK;
  }
  grpc::Status ListTables(grpc::ServerContext*, const v1::ListTablesRequest*,
                          v1::ListTablesResponse* response) override {
    Fill("t", 3, response->add_tables());
    response->add_tables()->set_name("t.US");
    return grpc::Status::OK;
  }
  static void Fill(const std::string& name, uint64_t version, v1::TableStatus* status) {
    status->set_name(name);
    status->set_version(version);
    status->set_kind("cosine");
    status->set_checksum("0123456789abcdef");
    status->set_items(4000);
    status->set_is_loaded(true);
    status->add_previous_versions(1);
    for (const uint64_t available : {1, 2, 3}) status->add_available_versions(available);
  }

  int port_ = 0;
  std::unique_ptr<grpc::Server> server_;
};

struct Result {
  int code = 0;
  std::string out, err;
};

Result RunOffer(const std::vector<std::string>& arguments) {
  std::ostringstream out, err;
  Session session{.out = out, .err = err, .err_is_terminal = false, .connection = {}, .json = false, .action = nullptr};
  const int code = RunOfferctl(arguments, session);
  return {code, out.str(), err.str()};
}

TEST(TableCommandTest, PublishAndRollBackNameTheVersionInForce) {
  FakeTables server;
  EXPECT_EQ(RunOffer({"--server", server.address(), "table", "publish", "t"}).out,
            "table t (cosine): published, version 3, 4,000 items, 0 entries, checksum 0123456789abcdef\n");
  EXPECT_THAT(RunOffer({"--server", server.address(), "table", "publish", "t", "1"}).out,
              HasSubstr("published, version 1,"));
  EXPECT_THAT(RunOffer({"--server", server.address(), "table", "rollback", "t"}).out, HasSubstr("rolled back, version 2,"));
  EXPECT_EQ(Json::parse(RunOffer({"--server", server.address(), "--json", "table", "rollback", "t", "1"}).out)["version"],
            1);
  const Result missing = RunOffer({"--server", server.address(), "table", "publish", "t", "9"});
  EXPECT_EQ(missing.code, 1);
  EXPECT_THAT(missing.err, HasSubstr("NOT_FOUND"));
  EXPECT_EQ(RunOffer({"table", "publish"}).code, 2);
  EXPECT_EQ(RunOffer({"table", "publish", "t", "newest"}).code, 2);
}

TEST(TableCommandTest, ListWithoutAFolderAsksTheServer) {
  FakeTables server;
  const Result listed = RunOffer({"--server", server.address(), "table", "list"});
  EXPECT_THAT(listed.out, HasSubstr("t             3  cosine  4,000"));
  EXPECT_THAT(listed.out, HasSubstr("1 2 3"));
  const Json json = Json::parse(RunOffer({"--server", server.address(), "table", "list", "--json"}).out);
  EXPECT_EQ(json["tables"][0]["previous_versions"], Json::parse("[1]"));
  EXPECT_EQ(json["tables"][1]["version"], 0);
}

TEST(TableCommandTest, BuildThenListShowDiffAndVerify) {
  const TempFile input("basket,item\n1,a\n1,b\n2,a\n2,b\n2,c\n");
  const TemporaryFolder folder;
  const std::string tables = folder.path("tables");
  const Result built = RunOffer({"build", "t", "--input", input.path(), "--columns", "basket=basket,item=item", "--kind",
                            "count", "--tables", tables});
  EXPECT_EQ(built.code, 0) << built.err;
  EXPECT_EQ(RunOffer({"build", "t", "--input", input.path(), "--columns", "basket=basket,item=item", "--kind", "jaccard",
                 "--parameters", "k=1,min_support=2", "--tables", tables, "--json"})
                .code,
            0);
  EXPECT_EQ(Json::parse(RunOffer({"table", "list", "--tables", tables, "--json"}).out)["tables"][1]["kind"], "jaccard");
  EXPECT_THAT(RunOffer({"table", "show", "a", "--tables", tables, "--table", "t", "--version", "1"}).out,
              HasSubstr("1  b         2"));
  EXPECT_THAT(RunOffer({"table", "diff", "1", "2", "--tables", tables, "--table", "t"}).out, HasSubstr("items lost    0"));
  EXPECT_EQ(RunOffer({"table", "verify", "--tables", tables}).code, 0);
}

TEST(TableCommandTest, AFolderThatIsNotThereIsAFailureAndAnEmptyOneIsNot) {
  const TemporaryFolder folder;
  for (const std::string command : {"list", "verify"}) {
    const Result missing = RunOffer({"table", command, "--tables", "/nowhere/tables"});
    EXPECT_EQ(missing.code, 1) << command;
    EXPECT_THAT(missing.err, HasSubstr("there is no folder '/nowhere/tables'"));
    const Result empty = RunOffer({"table", command, "--tables", folder.path("")});
    EXPECT_EQ(empty.code, 0) << command;
    EXPECT_THAT(empty.out, HasSubstr("no tables in"));
  }
}

TEST(TableCommandTest, NumbersThatMeanNothingAreRefused) {
  const TempFile file("basket,item\n1,a\n1,b\n");
  const auto evaluate = [&](std::vector<std::string> more) {
    more.insert(more.begin(), {"evaluate", "baskets", "--baskets", file.path(), "--columns", "basket=basket,item=item", "--test-every", "2", "--method", "popular"});
    return RunOffer(more);
  };
  for (const std::string memory : {"0", "-1", "much", "", "0GB"}) {
    const Result result = evaluate({"--memory", memory});
    EXPECT_EQ(result.code, 2) << memory;
    EXPECT_THAT(result.err, HasSubstr("is no number of bytes above 0, such as 8GB")) << memory;
  }
  for (const std::string cutoffs : {"1,,2", "", "0", "-5", "ten", "5,"}) {
    const Result result = evaluate({"--k", cutoffs});
    EXPECT_EQ(result.code, 2) << cutoffs;
    EXPECT_THAT(result.err, HasSubstr("whole numbers from 1 on, separated by commas, such as 5,10,20")) << cutoffs;
  }
  EXPECT_NE(evaluate({"--memory", "8GB", "--k", "5,10", "--k", "20"}).code, 2);
  EXPECT_EQ(RunOffer({"build", "t", "--input", file.path(), "--columns", "basket=basket,item=item", "--kind", "ease", "--memory", "0", "--tables", "/nowhere/t"}).code, 2);
}

TEST(TableCommandTest, WrongUsageIsTwoAndFailureIsOne) {
  const TempFile input("basket,item\n1,a\n");
  const std::vector<std::string> build = {
      "build", "t", "--input", input.path(), "--tables", "/nowhere/tables", "--columns", "basket=basket,item=item"};
  const auto with = [&build](std::vector<std::string> more) {
    more.insert(more.begin(), build.begin(), build.end());
    return RunOffer(more).code;
  };
  EXPECT_EQ(with({}), 2);
  EXPECT_EQ(with({"--kind", "popular"}), 2);
  EXPECT_EQ(with({"--kind", "cosine", "--parameters", "depth=3"}), 2);
  EXPECT_EQ(with({"--kind", "cosine", "--half-life", "3"}), 2);
  EXPECT_EQ(with({"--config", "/nowhere/config"}), 1);
  EXPECT_EQ(RunOffer({"build", "t", "--kind", "cosine", "--tables", "x"}).code, 2);
  EXPECT_EQ(RunOffer({"table", "diff", "1", "2", "--tables", "/nowhere"}).code, 2);
  EXPECT_EQ(RunOffer({"table", "diff", "1", "2", "--tables", "/nowhere", "--table", "t"}).code, 1);
  EXPECT_EQ(RunOffer({"table", "verify", "--tables", "/nowhere", "--version", "3"}).code, 2);
  EXPECT_EQ(RunOffer({"table", "show", "a", "--tables", "/nowhere", "--table", "../t"}).code, 1);
}

}  // namespace
}  // namespace offerd::cli
