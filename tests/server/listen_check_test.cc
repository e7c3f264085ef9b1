#include "server/listen_check.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "absl/strings/str_cat.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temporary_folder.h"

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

// A Unix domain socket that listens while it lives and stays in the file system afterwards, as after a crash.
class SocketAt {
 public:
  explicit SocketAt(const std::string& path) : descriptor_(socket(AF_UNIX, SOCK_STREAM, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    EXPECT_EQ(bind(descriptor_, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    EXPECT_EQ(listen(descriptor_, 1), 0);
  }
  ~SocketAt() { close(descriptor_); }

 private:
  const int descriptor_;
};

TEST(ListenCheckTest, ASocketPathIsFreeWhereNothingAnswers) {
  const TemporaryFolder folder;
  const std::string path = folder.path("offerd.sock");
  EXPECT_OK(CheckCanListenAt("unix_socket", path)) << "nothing is there";
  {
    const SocketAt living(path);
    EXPECT_THAT(CheckCanListenAt("unix_socket", path), StatusIs(absl::StatusCode::kUnavailable, "unix_socket: expected"));
    EXPECT_THAT(CheckCanListenAt("unix_socket", path), StatusIs(absl::StatusCode::kUnavailable, path + ": another server answers there"));
  }
  EXPECT_OK(CheckCanListenAt("unix_socket", path)) << "the socket of a server that is gone";
  EXPECT_TRUE(std::filesystem::is_socket(path)) << "looking at it changes nothing";
}

TEST(ListenCheckTest, WhatIsNoSocketIsNeverTaken) {
  const TemporaryFolder folder;
  const std::string file = folder.path("file"), link = folder.path("link"), socket = folder.path("offerd.sock");
  std::ofstream(file) << "mine";
  { const SocketAt dead(socket); }
  std::filesystem::create_symlink(socket, link);
  for (const std::string& taken : {file, link, folder.path("")}) {
    EXPECT_THAT(CheckCanListenAt("unix_socket", taken), StatusIs(absl::StatusCode::kUnavailable, taken + ": it is there and is no socket"));
  }
}

TEST(ListenCheckTest, AForeignAddressIsRefused) {
  EXPECT_THAT(CheckCanListen("listen", "192.0.2.1:7070"), StatusIs(absl::StatusCode::kUnavailable, "listen: expected"));
  EXPECT_THAT(CheckCanListen("listen", "no-such-host.invalid:7070"), StatusIs(absl::StatusCode::kUnavailable, "listen: expected"));
}

}  // namespace
}  // namespace offerd
