#include "server/listen_check.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "absl/strings/str_cat.h"
#include "tests/support/status_matchers.h"

namespace offerd {
namespace {

// Listens on a port of its own while it lives.
class Listener {
 public:
  Listener() : descriptor_(socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    EXPECT_EQ(bind(descriptor_, reinterpret_cast<sockaddr*>(&address), size), 0);
    EXPECT_EQ(listen(descriptor_, 1), 0);
    EXPECT_EQ(getsockname(descriptor_, reinterpret_cast<sockaddr*>(&address), &size), 0);
    port_ = ntohs(address.sin_port);
  }
  ~Listener() { close(descriptor_); }
  int port() const { return port_; }

 private:
  const int descriptor_;
  int port_ = 0;
};

TEST(ListenCheckTest, ATakenPortIsNamedAndAFreeOneStaysFree) {
  std::string address;
  {
    const Listener listener;
    address = absl::StrCat("127.0.0.1:", listener.port());
    for (const std::string& taken : {address, absl::StrCat("localhost:", listener.port())}) {
      EXPECT_THAT(CheckCanListen("metrics_listen", taken),
                  StatusIs(absl::StatusCode::kUnavailable, absl::StrCat("metrics_listen: expected a free address of this machine, found ", taken)));
    }
  }
  EXPECT_OK(CheckCanListen("listen", address));
  EXPECT_OK(CheckCanListen("listen", address)) << "looking at it does not take it";
  EXPECT_OK(CheckCanListen("listen", "127.0.0.1:0"));
}

TEST(ListenCheckTest, AForeignAddressIsRefused) {
  EXPECT_THAT(CheckCanListen("listen", "192.0.2.1:7070"), StatusIs(absl::StatusCode::kUnavailable, "listen: expected"));
  EXPECT_THAT(CheckCanListen("listen", "no-such-host.invalid:7070"), StatusIs(absl::StatusCode::kUnavailable, "listen: expected"));
}

}  // namespace
}  // namespace offerd
