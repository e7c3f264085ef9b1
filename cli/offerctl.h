#pragma once
#include <string>
#include <vector>

#include "cli/session.h"

namespace offerd::cli {

// The global options and every command of the table.
void BuildApp(CLI::App& app, Session& session);

// One run. Returns the exit code: 0 done, 1 failed (one line on session.err), 2 wrong usage.
int RunOfferctl(const std::vector<std::string>& arguments, Session& session);

}  // namespace offerd::cli
