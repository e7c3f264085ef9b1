#include "server/listen_check.h"

#include <netdb.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <memory>
#include <system_error>

#include "absl/strings/str_cat.h"

namespace offerd {
namespace {

// 0, or errno.
int TryToListen(const addrinfo& address) {
  const int descriptor = socket(address.ai_family, address.ai_socktype | SOCK_CLOEXEC, address.ai_protocol);
  if (descriptor < 0) return errno;
  const int on = 1;
  setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);  // as the servers do: a port in TIME_WAIT is free
  const bool is_free = bind(descriptor, address.ai_addr, address.ai_addrlen) == 0 && listen(descriptor, 1) == 0;
  const int error = is_free ? 0 : errno;
  close(descriptor);
  return error;
}

// 0: a server answers at this socket; else errno.
int TryToConnect(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) return ENAMETOOLONG;
  path.copy(address.sun_path, path.size());
  const int descriptor = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (descriptor < 0) return errno;
  const bool answers = connect(descriptor, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
  const int error = answers || errno == EAGAIN ? 0 : errno;  // EAGAIN: so many wait for it already
  close(descriptor);
  return error;
}

}  // namespace

absl::Status CheckCanListenAt(absl::string_view field, const std::string& path) {
  const auto fail = [&](const std::string& why) {
    return absl::UnavailableError(
        absl::StrCat(field, ": expected a path where nothing is or the socket of a server that is gone, found ", path, ": ", why));
  };
  struct stat found {};
  if (lstat(path.c_str(), &found) != 0) return errno == ENOENT ? absl::OkStatus() : fail(std::generic_category().message(errno));
  if (!S_ISSOCK(found.st_mode)) return fail("it is there and is no socket");
  const int error = TryToConnect(path);
  if (error == 0) return fail("another server answers there");
  return error == ECONNREFUSED ? absl::OkStatus() : fail(std::generic_category().message(error));
}

absl::Status CheckCanListen(absl::string_view field, const std::string& address) {
  const auto fail = [&](const std::string& why) {
    return absl::UnavailableError(
        absl::StrCat(field, ": expected a free address of this machine, found ", address, " which cannot be used: ", why));
  };
  const size_t colon = address.rfind(':');
  if (colon == std::string::npos) return fail("no port");
  std::string host = address.substr(0, colon);
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') host = host.substr(1, host.size() - 2);
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE;
  addrinfo* found = nullptr;
  const int resolved = getaddrinfo(host.c_str(), address.substr(colon + 1).c_str(), &hints, &found);
  if (resolved != 0) return fail(gai_strerror(resolved));
  const std::unique_ptr<addrinfo, void (*)(addrinfo*)> addresses(found, &freeaddrinfo);
  int error = EADDRNOTAVAIL;
  for (const addrinfo* each = found; each != nullptr; each = each->ai_next) {
    error = TryToListen(*each);
    if (error == 0) return absl::OkStatus();  // one is enough: localhost may name an address family that is off
    if (error == EADDRINUSE) break;
  }
  return fail(std::generic_category().message(error));
}

}  // namespace offerd
