#pragma once
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "cli/top/samples.h"

namespace offerd::cli::top {

// Where a server exports its metrics: plain HTTP, the path /metrics.
//
// Errors   Parse refuses what is no host:port with a port of 1 to 65535. Fetch says the address, what was expected and what came:
//          Unavailable where nothing answered, FailedPrecondition where something else than offerd did.
// Cost     One connection a Fetch; at most `timeout_seconds` for connecting and again for each wait, at most 64 MiB.
class Endpoint {
 public:
  static absl::StatusOr<Endpoint> Parse(absl::string_view address);  // "[::1]:9464" has its brackets
  absl::StatusOr<Samples> Fetch(double timeout_seconds) const;
  const std::string& address() const { return address_; }

 private:
  std::string address_, host_;
  int port_ = 0;
};

}  // namespace offerd::cli::top
