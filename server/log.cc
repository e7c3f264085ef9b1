#include "server/log.h"

#include <unistd.h>

#include <cmath>
#include <ctime>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "core/check.h"
#include "server/utf8.h"

namespace offerd {
namespace {

constexpr size_t kMaxTextBytes = 1000;
constexpr size_t kMaxLineBytes = 4000;  // below PIPE_BUF: one write is one line, whoever else writes

std::atomic<LogLevel> log_level{LogLevel::kInfo};

absl::string_view LevelText(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug: return "debug";
    case LogLevel::kInfo: return "info";
    case LogLevel::kWarning: return "warning";
    case LogLevel::kError: return "error";
  }
  return "error";
}

void AppendJsonText(absl::string_view text, std::string* out) {
  const std::string clean = CutUtf8(text, kMaxTextBytes);
  out->push_back('"');
  for (const char c : clean) {
    switch (c) {
      case '"': *out += "\\\""; break;
      case '\\': *out += "\\\\"; break;
      case '\n': *out += "\\n"; break;
      case '\r': *out += "\\r"; break;
      case '\t': *out += "\\t"; break;
      default:
        if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
          absl::StrAppendFormat(out, "\\u%04x", static_cast<unsigned char>(c));
        } else {
          out->push_back(c);
        }
    }
  }
  out->push_back('"');
}

struct ValueWriter {
  std::string* out;
  void operator()(absl::string_view v) const { AppendJsonText(v, out); }
  void operator()(int64_t v) const { absl::StrAppend(out, v); }
  void operator()(uint64_t v) const { absl::StrAppend(out, v); }
  void operator()(double v) const {
    if (std::isfinite(v)) {
      absl::StrAppendFormat(out, "%.17g", v);
    } else {
      *out += "null";
    }
  }
  void operator()(bool v) const { *out += v ? "true" : "false"; }
};

std::string TimeText(int64_t micros) {
  int64_t seconds = micros / 1'000'000;
  int64_t rest = micros % 1'000'000;
  if (rest < 0) {
    rest += 1'000'000;
    --seconds;
  }
  const std::time_t time = static_cast<std::time_t>(seconds);
  std::tm parts{};
  gmtime_r(&time, &parts);
  return absl::StrFormat("%04d-%02d-%02dT%02d:%02d:%02d.%06dZ", parts.tm_year + 1900, parts.tm_mon + 1, parts.tm_mday,
                         parts.tm_hour, parts.tm_min, parts.tm_sec, rest);
}

}  // namespace

std::string FormatLogLine(LogLevel level, absl::string_view event, std::initializer_list<LogField> fields,
                          int64_t now_micros) {
  std::string line = absl::StrCat("{\"time\":\"", TimeText(now_micros), "\",\"level\":\"", LevelText(level), "\",\"event\":");
  AppendJsonText(event, &line);
  for (const LogField& field : fields) {
    DCHECK(field.name != "customer_id" && field.name != "customer");  // never the id of a person
    const size_t before = line.size();
    line.push_back(',');
    AppendJsonText(field.name, &line);
    line.push_back(':');
    std::visit(ValueWriter{&line}, field.value);
    if (line.size() > kMaxLineBytes - 20) {
      line.resize(before);
      line += ",\"cut\":true";
      break;
    }
  }
  line += "}\n";
  return line;
}

void SetLogLevel(LogLevel level) { log_level.store(level, std::memory_order_relaxed); }

void Log(LogLevel level, absl::string_view event, std::initializer_list<LogField> fields) {
  if (level < log_level.load(std::memory_order_relaxed)) return;
  std::timespec now{};
  std::timespec_get(&now, TIME_UTC);
  const std::string line = FormatLogLine(level, event, fields, now.tv_sec * int64_t{1'000'000} + now.tv_nsec / 1000);
  const ssize_t written = ::write(STDERR_FILENO, line.data(), line.size());
  static_cast<void>(written);  // nobody is left to tell
}

}  // namespace offerd
