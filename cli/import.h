#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "cli/session.h"

namespace offerd::cli {

struct ImportOptions {
  std::string kind;
  std::string file;
  std::vector<std::string> columns;
  std::string delimiter = "comma";
  std::string on_error = "stop";
  int batch = 500;
  bool history = false;
};

// Reads a file and sends it; prints the summary whatever happens. Every row read is counted as accepted, refused or not
// taken (not sent, or sent without an answer).
absl::Status RunImport(Session& session, const ImportOptions& options);

}  // namespace offerd::cli
