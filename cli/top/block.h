#pragma once
#include <string>

#include "cli/format.h"
#include "cli/top/interval.h"

namespace offerd::cli::top {

// An interval for people: some lines on the whole server, then tables of methods, timings, placements, policies and guards, those that have
// something to show. `address` is the endpoint that was read. Control characters in names become '?', so that no name can steer a terminal.
std::string ToBlock(const Interval& interval, const std::string& address);

// The same for programs, with seconds, bytes and counts instead of words; what is not known is null.
Json ToJson(const Interval& interval, const std::string& address);

// As much of a block as a terminal shows without moving: lines are cut between characters, and where there are too many the last one says so.
std::string FitTo(const std::string& block, int rows, int columns);

}  // namespace offerd::cli::top
