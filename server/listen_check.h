#pragma once
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace offerd {

// Could a server listen on this host:port right now? Binds it and lets it go, so that a start that cannot succeed changes
// nothing. Unavailable names the field and why.
absl::Status CheckCanListen(absl::string_view field, const std::string& address);

}  // namespace offerd
