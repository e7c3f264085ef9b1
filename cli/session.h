#pragma once
#include <functional>
#include <memory>
#include <ostream>
#include <string>

#include "CLI/CLI.hpp"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "cli/client.h"

namespace offerd::cli {

// What one run of offerctl shares between its commands: the global options, where output goes, and the command that the
// command line chose. Parsing fills it; then `action` runs.
struct Session {
  std::ostream& out;
  std::ostream& err;
  bool err_is_terminal = false;

  ConnectionOptions connection;
  bool json = false;
  std::function<absl::Status()> action;

  absl::StatusOr<std::unique_ptr<Client>> Connect() const;  // says on `err` what ConnectionWarning has to say
};

// The command line asks for something that does not exist: exit code 2 instead of 1.
absl::Status UsageError(absl::string_view message);
bool IsUsageError(const absl::Status& status);

// Adds a command and says what it does when chosen. `run` keeps what the options were parsed into.
CLI::App* AddCommand(CLI::App& parent, const char* name, const char* description, Session& session,
                     std::function<absl::Status()> run);

// Adds --memory: bytes above 0 with or without a unit, such as 8GB. Without the option `bytes` stays.
CLI::Option* AddMemoryOption(CLI::App* command, uint64_t* bytes, const char* what);

}  // namespace offerd::cli
