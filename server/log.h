#pragma once
#include <atomic>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <variant>

#include "absl/strings/string_view.h"

namespace offerd {

enum class LogLevel : uint8_t { kDebug, kInfo, kWarning, kError };

struct LogField {
  using Value = std::variant<absl::string_view, int64_t, uint64_t, double, bool>;
  LogField(absl::string_view n, const char* v) : name(n), value(absl::string_view(v)) {}
  LogField(absl::string_view n, absl::string_view v) : name(n), value(v) {}
  LogField(absl::string_view n, const std::string& v) : name(n), value(absl::string_view(v)) {}
  LogField(absl::string_view n, int v) : name(n), value(int64_t{v}) {}
  LogField(absl::string_view n, int64_t v) : name(n), value(v) {}
  LogField(absl::string_view n, uint64_t v) : name(n), value(v) {}
  LogField(absl::string_view n, double v) : name(n), value(v) {}
  LogField(absl::string_view n, bool v) : name(n), value(v) {}

  absl::string_view name;
  Value value;
};

// Writes one line of JSON to stderr: {"time":"2024-05-01T12:00:00.000000Z","level":"info","event":"started","port":7070}.
// `event` is snake_case and constant; a field is never the id of a person (its name is checked against the obvious ones).
//
// Threads  Any. A line is one write(2) of at most 4,000 bytes, so lines do not mix; longer texts are cut.
void Log(LogLevel level, absl::string_view event, std::initializer_list<LogField> fields = {});

// Lines below `level` are dropped; kInfo until told otherwise.
void SetLogLevel(LogLevel level);

// What Log writes, with the newline. Bytes that are not UTF-8 come out as U+FFFD, numbers that are not finite as null.
std::string FormatLogLine(LogLevel level, absl::string_view event, std::initializer_list<LogField> fields,
                          int64_t now_micros);

}  // namespace offerd
