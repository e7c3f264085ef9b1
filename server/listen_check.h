#pragma once
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace offerd {

// Could a server listen on this host:port right now? Binds it and lets it go, so that a start that cannot succeed changes
// nothing. Unavailable names the field and why.
absl::Status CheckCanListen(absl::string_view field, const std::string& address);

// Could a server make its Unix domain socket at this path right now? It may where nothing is, or the socket of a server that is gone,
// which the new one replaces. Changes nothing. Unavailable names the field and why: something else is there, or a server answers.
absl::Status CheckCanListenAt(absl::string_view field, const std::string& path);

}  // namespace offerd
