#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include <gtest/gtest.h>

#include "tests/server/service_fixture.h"
#include "tests/support/temporary_folder.h"

namespace offerd {
namespace {

class ServiceSocketTest : public ServiceTest {
 protected:
  void SetUp() override {
    ServiceTest::SetUp();
    config_.unix_socket = folder_.path("offerd.sock");
  }
  // RankOffers over the socket, on a connection of its own.
  StatusCode RankOverSocket(const std::string& token = "") {
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    const auto channel = grpc::CreateCustomChannel("unix:" + config_.unix_socket, grpc::InsecureChannelCredentials(), arguments);
    grpc::ClientContext context;
    if (!token.empty()) context.AddMetadata("authorization", "Bearer " + token);
    v1::RankOffersResponse response;
    return v1::OfferService::NewStub(channel)->RankOffers(&context, {}, &response).error_code();
  }
  bool IsThere() const { return std::filesystem::is_socket(config_.unix_socket); }

  TemporaryFolder folder_;
};

TEST_F(ServiceSocketTest, AnswersBesideTcpUntilItIsDrained) {
  Start();
  EXPECT_EQ(RankOverSocket(), StatusCode::OK);
  EXPECT_TRUE(RankOffers().ok()) << "TCP";
  EXPECT_TRUE(IsThere());
  EXPECT_EQ(std::filesystem::status(config_.unix_socket).permissions(), std::filesystem::perms(0660)) << "whatever the umask";
  Drain();
  service_.reset();
  EXPECT_FALSE(IsThere());
}

TEST_F(ServiceSocketTest, AsksForTokensButNotForTls) {
  config_.tokens = AllTokens();
  config_.tls = ServerConfig::Tls{kTestCertificate, kTestKey, ""};
  Start();
  EXPECT_EQ(RankOverSocket(), StatusCode::UNAUTHENTICATED);
  EXPECT_EQ(RankOverSocket(kFeedbackToken), StatusCode::PERMISSION_DENIED);
  EXPECT_EQ(RankOverSocket(kFrontendToken), StatusCode::OK);
}

TEST_F(ServiceSocketTest, ReplacesTheSocketOfAServerThatIsGone) {
  const int dead = socket(AF_UNIX, SOCK_STREAM, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  config_.unix_socket.copy(address.sun_path, sizeof address.sun_path - 1);
  ASSERT_EQ(bind(dead, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  close(dead);
  ASSERT_TRUE(IsThere());
  Start();
  EXPECT_EQ(RankOverSocket(), StatusCode::OK);
}

TEST_F(ServiceSocketTest, RefusesAPathThatIsTakenAndLeavesItAlone) {
  const auto now = [] { return int64_t{0}; };
  std::ofstream(config_.unix_socket) << "mine";
  EXPECT_THAT(Service::Start(config_, &handlers_, metrics_.get(), now), StatusIs(absl::StatusCode::kUnavailable, "it is there and is no socket"));
  EXPECT_TRUE(std::filesystem::is_regular_file(config_.unix_socket));
  std::filesystem::remove(config_.unix_socket);
  Start();
  EXPECT_THAT(Service::Start(config_, &handlers_, metrics_.get(), now), StatusIs(absl::StatusCode::kUnavailable, "another server answers there"));
  EXPECT_EQ(RankOverSocket(), StatusCode::OK) << "the first one goes on";
}

TEST_F(ServiceSocketTest, APathThatCannotBeMadeIsAClearError) {
  config_.unix_socket = folder_.path("no/offerd.sock");
  EXPECT_THAT(Service::Start(config_, &handlers_, metrics_.get(), [] { return int64_t{0}; }),
              StatusIs(absl::StatusCode::kUnavailable, "unix_socket: expected a path where a socket can be made"));
}

}  // namespace
}  // namespace offerd
