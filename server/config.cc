#include "server/config.h"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <initializer_list>
#include <limits>
#include <sstream>
#include <utility>

#include <google/protobuf/io/tokenizer.h>
#include <google/protobuf/text_format.h>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "offerd/v1/config.pb.h"
#include "server/config_checks.h"
#include "server/utf8.h"

namespace offerd {
namespace {

constexpr size_t kMinTokenBytes = 16;
constexpr size_t kMaxFileBytes = 1 << 20;
constexpr size_t kMaxSocketPathBytes = 107;  // sockaddr_un

class Problems {
 public:
  void Add(absl::string_view field, absl::string_view expected, absl::string_view found) {
    lines_.push_back(absl::StrCat(field, ": expected ", expected, ", found ", found));
  }
  void AddLine(std::string line) { lines_.push_back(std::move(line)); }
  bool empty() const { return lines_.empty(); }
  absl::Status ToStatus() const {
    return empty() ? absl::OkStatus() : absl::InvalidArgumentError(absl::StrJoin(lines_, "\n"));
  }

 private:
  std::vector<std::string> lines_;
};

// "WALL or REQUEST" of the field `clock`, wherever in the message it is; empty: no such field.
std::string ChoicesOf(const google::protobuf::Descriptor* type, absl::string_view field_name) {
  for (int i = 0; i < type->field_count(); ++i) {
    const google::protobuf::FieldDescriptor* field = type->field(i);
    if (field->message_type() != nullptr) {
      std::string choices = ChoicesOf(field->message_type(), field_name);
      if (!choices.empty()) return choices;
    }
    if (field->enum_type() == nullptr || field->name() != field_name) continue;
    std::string choices;
    const int count = field->enum_type()->value_count();
    for (int j = 1; j < count; ++j) {  // 0 is UNSPECIFIED
      absl::StrAppend(&choices, j == 1 ? "" : j + 1 == count ? " or " : ", ", field->enum_type()->value(j)->name());
    }
    return choices;
  }
  return "";
}

// Unknown fields come as warnings, so that the parser goes on to the next; to us they are errors.
//
// What the text says may be a token in the wrong place, so no message repeats more of it than the names of fields, and not even
// those once an error has shaken the text: then the middle of a token may look like a name.
class ParseProblems : public google::protobuf::io::ErrorCollector {
 public:
  ParseProblems(absl::string_view text, Problems* problems) : text_(text), problems_(*problems) {}
  void AddError(int line, google::protobuf::io::ColumnNumber column, const std::string& message) override {
    if (!AddEnumError(line, column, message)) Add(line, message.substr(0, FirstQuoteOfText(message)));
    is_shaken_ = true;
  }
  void AddWarning(int line, google::protobuf::io::ColumnNumber /*column*/, const std::string& message) override {
    Add(line, is_shaken_ ? "a field that is not known" : message);
  }

 private:
  void Add(int line, absl::string_view what) { problems_.AddLine(absl::StrCat("line ", line + 1, ": ", what)); }

  static size_t FirstQuoteOfText(const std::string& message) {
    size_t end = message.size();
    for (const char* before : {", got: ", ", found ", ". Value: ", " (", " of \"", " named \""}) end = std::min(end, message.find(before));
    return end;
  }

  // Unknown enumeration value of "X" for field "clock". The parser says so at the token after the value.
  bool AddEnumError(int line, int column, absl::string_view message) {
    constexpr absl::string_view kBegin = "Unknown enumeration value of \"", kMiddle = "\" for field \"";
    const size_t middle = message.rfind(kMiddle);
    if (!absl::StartsWith(message, kBegin) || middle == absl::string_view::npos || is_shaken_) return false;
    const absl::string_view value = message.substr(kBegin.size(), middle - kBegin.size());
    absl::string_view field = message.substr(middle + kMiddle.size());
    field = field.substr(0, field.find('"'));
    const std::string choices = ChoicesOf(v1::Config::descriptor(), field);
    if (choices.empty()) return false;
    Add(LineOf(value, line, column), absl::StrCat(field, ": expected ", choices, ", found something else"));
    return true;
  }

  // The line on which `value` stands last before a place; the place's own where it does not.
  int LineOf(absl::string_view value, int line, int column) const {
    size_t begin = 0;
    for (int i = 0; i < line && begin != absl::string_view::npos; ++i) {
      begin = text_.find('\n', begin);
      if (begin != absl::string_view::npos) ++begin;
    }
    if (begin == absl::string_view::npos) return line;
    const size_t end = std::min(text_.size(), begin + static_cast<size_t>(std::max(column, 0)));
    const size_t at = text_.substr(0, end).rfind(value);
    if (at == absl::string_view::npos) return line;
    return static_cast<int>(std::count(text_.begin(), text_.begin() + static_cast<ptrdiff_t>(at), '\n'));
  }

  const absl::string_view text_;
  Problems& problems_;
  bool is_shaken_ = false;
};

struct Address {
  std::string host;
  int port = 0;
  bool is_loopback = false;
};

bool IsHostText(absl::string_view host, bool is_bracketed) {
  if (host.empty()) return false;
  for (const char c : host) {
    const bool is_fine = is_bracketed ? absl::ascii_isxdigit(static_cast<unsigned char>(c)) || c == ':' || c == '.' || c == '%'
                                      : absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '.' || c == '-' || c == '_';
    if (!is_fine) return false;
  }
  return true;
}

bool IsLoopback(absl::string_view host) {
  if (absl::EqualsIgnoreCase(host, "localhost") || host == "::1") return true;
  const std::vector<absl::string_view> parts = absl::StrSplit(host, '.');
  if (parts.size() != 4 || parts[0] != "127") return false;
  for (const absl::string_view part : parts) {
    int number = 0;
    if (!absl::SimpleAtoi(part, &number) || number < 0 || number > 255) return false;
  }
  return true;
}

std::optional<Address> ParseAddress(absl::string_view text) {
  Address address;
  absl::string_view host, port;
  const bool is_bracketed = absl::StartsWith(text, "[");
  if (is_bracketed) {
    const size_t end = text.find("]:");
    if (end == absl::string_view::npos) return std::nullopt;
    host = text.substr(1, end - 1);
    port = text.substr(end + 2);
  } else {
    const size_t colon = text.find(':');
    if (colon == absl::string_view::npos) return std::nullopt;
    host = text.substr(0, colon);
    port = text.substr(colon + 1);
  }
  if (!IsHostText(host, is_bracketed) || port.empty() || port.size() > 5) return std::nullopt;
  for (const char c : port) {
    if (!absl::ascii_isdigit(static_cast<unsigned char>(c))) return std::nullopt;
  }
  if (!absl::SimpleAtoi(port, &address.port) || address.port > 65535) return std::nullopt;
  address.host = std::string(host);
  address.is_loopback = IsLoopback(host);
  return address;
}

std::optional<std::string> ReadFile(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) return std::nullopt;
  std::string content(kMaxFileBytes + 1, '\0');
  in.read(content.data(), static_cast<std::streamsize>(content.size()));
  if (in.bad() || (in.fail() && !in.eof()) || in.gcount() > static_cast<std::streamsize>(kMaxFileBytes)) return std::nullopt;
  content.resize(static_cast<size_t>(in.gcount()));
  return content;
}

// One pass over the message; every method reports what is wrong and leaves the default in place.
class Reader {
 public:
  explicit Reader(Problems* problems) : problems_(*problems) {}

  template <typename T>
  void Number(absl::string_view field, T value, T low, T high, T* out) {
    if (value == 0) return;
    if (value < low || value > high) {
      const std::string expected = high == std::numeric_limits<T>::max() ? absl::StrCat(low, " or more") : absl::StrCat(low, " to ", high);
      problems_.Add(field, expected, absl::StrCat(value));
      return;
    }
    *out = value;
  }

  std::optional<Address> HostPort(absl::string_view field, const std::string& text) {
    std::optional<Address> address = ParseAddress(text);
    if (!address.has_value()) problems_.Add(field, "host:port with a port of 0 to 65535", Quoted(text));
    return address;
  }

  std::string PemFile(absl::string_view field, const std::string& path, absl::string_view kind) {
    if (path.empty()) {
      problems_.Add(field, "the path of a PEM file", "none");
      return "";
    }
    std::optional<std::string> content = ReadFile(path);
    if (!content.has_value()) {
      problems_.Add(field, "a readable PEM file of at most 1 MiB", Quoted(path));
      return "";
    }
    if (!absl::StrContains(*content, absl::StrCat(kind, "-----"))) {
      problems_.Add(field, absl::StrCat("a PEM file with a ", kind), Quoted(path));
      return "";
    }
    return *std::move(content);
  }

  std::optional<Role> ReadRole(const std::string& field, v1::Config::Role role) {
    switch (role) {
      case v1::Config::FRONTEND: return Role::kFrontend;
      case v1::Config::FEEDBACK: return Role::kFeedback;
      case v1::Config::CATALOGUE: return Role::kCatalogue;
      case v1::Config::ADMIN: return Role::kAdmin;
      default: break;
    }
    problems_.Add(field, "FRONTEND, FEEDBACK, CATALOGUE or ADMIN",
                  role == v1::Config::ROLE_UNSPECIFIED ? std::string("none") : absl::StrCat(static_cast<int>(role)));
    return std::nullopt;
  }

  static std::string Quoted(absl::string_view text) { return absl::StrCat("\"", CutUtf8(text, 200), "\""); }

 private:
  Problems& problems_;
};

// gRPC takes it as a part of a URI, so it keeps to letters that mean themselves there.
bool IsSocketPath(const std::string& path) {
  const auto is_plain = [](char c) { return absl::ascii_isalnum(static_cast<unsigned char>(c)) || absl::StrContains("._-/", c); };
  return path.size() <= kMaxSocketPathBytes && path.front() == '/' && path.back() != '/' && std::all_of(path.begin(), path.end(), is_plain);
}

void ReadTokens(const v1::Config& proto, Reader& reader, Problems& problems, ServerConfig* config) {
  for (int i = 0; i < proto.tokens_size(); ++i) {
    const v1::Config::Token& given = proto.tokens(i);
    const std::string field = absl::StrCat("tokens[", i, "]");
    const std::optional<Role> role = reader.ReadRole(field + ".role", given.role());
    std::string token = given.token();
    std::string from = ".token";
    if (given.token().empty() == given.token_file().empty()) {
      problems.Add(field, "one of token and token_file", given.token().empty() ? "neither" : "both");
      continue;
    }
    if (!given.token_file().empty()) {
      from = ".token_file";
      const std::optional<std::string> content = ReadFile(given.token_file());
      if (!content.has_value()) {
        problems.Add(field + from, "a readable file", Reader::Quoted(given.token_file()));
        continue;
      }
      token = std::string(absl::StripAsciiWhitespace(content->substr(0, content->find('\n'))));
    }
    if (token.size() < kMinTokenBytes) {
      problems.Add(field + from, absl::StrCat("at least ", kMinTokenBytes, " bytes"), absl::StrCat(token.size()));
      continue;
    }
    bool is_printable = true;
    for (const char c : token) is_printable = is_printable && absl::ascii_isgraph(static_cast<unsigned char>(c));
    if (!is_printable) {
      problems.Add(field + from, "printable ASCII without spaces, as a header carries it", "other bytes");
      continue;
    }
    bool is_new = true;
    for (const RoleToken& other : config->tokens) is_new = is_new && other.token != token;
    if (!is_new) {
      problems.Add(field + from, "a token of its own", "that of an earlier entry");
      continue;
    }
    if (role.has_value()) config->tokens.push_back({*role, std::move(token)});
  }
}

void ReadRateLimits(const v1::Config& proto, Reader& reader, Problems& problems, ServerConfig* config) {
  bool is_taken[kNumRoles] = {};
  for (int i = 0; i < proto.rate_limits_size(); ++i) {
    const v1::Config::RateLimit& given = proto.rate_limits(i);
    const std::string field = absl::StrCat("rate_limits[", i, "]");
    const std::optional<Role> role = reader.ReadRole(field + ".role", given.role());
    const double rate = given.requests_per_second();
    const bool is_rate_good = std::isfinite(rate) && rate > 0 && rate <= 1e9;
    if (!is_rate_good) problems.Add(field + ".requests_per_second", "above 0 and at most 1e9", absl::StrCat(rate));
    const double burst = given.burst() == 0 ? std::max(1.0, rate) : given.burst();
    const bool is_burst_good = !is_rate_good || (std::isfinite(burst) && burst >= 1 && burst <= 1e9);
    if (!is_burst_good) problems.Add(field + ".burst", "1 to 1e9", absl::StrCat(burst));
    if (!role.has_value()) continue;
    bool& taken = is_taken[static_cast<int>(*role)];
    if (taken) problems.Add(field + ".role", "one limit a role", absl::StrCat("a second one for ", RoleText(*role)));
    if (!taken && is_rate_good && is_burst_good) config->rate_limits.push_back({*role, rate, burst});
    taken = true;
  }
}

void ReadAddresses(const v1::Config& proto, Reader& reader, Problems& problems, ServerConfig* config) {
  if (!proto.listen().empty()) config->listen = proto.listen();
  const std::optional<Address> listen = reader.HostPort("listen", config->listen);
  if (proto.metrics_listen() == "off") {
    config->metrics_listen.clear();
  } else {
    if (!proto.metrics_listen().empty()) config->metrics_listen = proto.metrics_listen();
    const std::optional<Address> metrics = reader.HostPort("metrics_listen", config->metrics_listen);
    if (listen.has_value() && metrics.has_value() && listen->port != 0 && listen->port == metrics->port &&
        listen->host == metrics->host) {
      problems.Add("metrics_listen", "another address than listen", Reader::Quoted(config->metrics_listen));
    }
  }
  config->unix_socket = proto.unix_socket();
  if (!config->unix_socket.empty() && !IsSocketPath(config->unix_socket)) {
    problems.Add("unix_socket", absl::StrCat("an absolute path of at most ", kMaxSocketPathBytes, " bytes of letters, digits and ._-/"),
                 Reader::Quoted(config->unix_socket));
  }
  if (proto.has_tls()) {
    ServerConfig::Tls tls;
    tls.certificate_pem = reader.PemFile("tls.certificate_file", proto.tls().certificate_file(), "CERTIFICATE");
    tls.key_pem = reader.PemFile("tls.key_file", proto.tls().key_file(), "PRIVATE KEY");
    if (!KeyFitsCertificate(tls.certificate_pem, tls.key_pem)) {
      problems.Add("tls.key_file", "the key of the first certificate", "one of another");
    }
    if (!proto.tls().client_ca_file().empty()) {
      tls.client_ca_pem = reader.PemFile("tls.client_ca_file", proto.tls().client_ca_file(), "CERTIFICATE");
    }
    config->tls = std::move(tls);
  }
  config->allow_insecure_remote = proto.allow_insecure_remote();
  if (!listen.has_value() || listen->is_loopback || config->allow_insecure_remote) return;
  const std::string address = absl::StrCat(Reader::Quoted(config->listen), ", which is not loopback");
  if (!proto.has_tls()) problems.Add("tls", "a certificate and key (or allow_insecure_remote) to listen on " + address, "none");
  if (proto.tokens_size() == 0) problems.Add("tokens", "at least one (or allow_insecure_remote) to listen on " + address, "none");
}

void ReadChoices(const v1::Config& proto, Problems& problems, ServerConfig* config) {
  switch (proto.clock()) {
    case v1::Config::CLOCK_UNSPECIFIED:
    case v1::Config::WALL: config->clock = ServerConfig::Clock::kWall; break;
    case v1::Config::REQUEST: config->clock = ServerConfig::Clock::kRequest; break;
    default: problems.Add("clock", "WALL or REQUEST", absl::StrCat(static_cast<int>(proto.clock())));
  }
  switch (proto.durability()) {
    case v1::Config::ASYNC: config->durability = ServerConfig::Durability::kAsync; break;
    case v1::Config::DURABILITY_UNSPECIFIED:
    case v1::Config::WRITTEN: config->durability = ServerConfig::Durability::kWritten; break;
    case v1::Config::SYNCED: config->durability = ServerConfig::Durability::kSynced; break;
    default: problems.Add("durability", "ASYNC, WRITTEN or SYNCED", absl::StrCat(static_cast<int>(proto.durability())));
  }
  switch (proto.table_memory()) {
    case v1::Config::TABLE_MEMORY_UNSPECIFIED:
    case v1::Config::COPIED: config->table_memory = TableMemory::kCopied; break;
    case v1::Config::MAPPED: config->table_memory = TableMemory::kMapped; break;
    default: problems.Add("table_memory", "COPIED or MAPPED", absl::StrCat(static_cast<int>(proto.table_memory())));
  }
  switch (proto.log_level()) {
    case v1::Config::DEBUG: config->log_level = LogLevel::kDebug; break;
    case v1::Config::LOG_LEVEL_UNSPECIFIED:
    case v1::Config::INFO: config->log_level = LogLevel::kInfo; break;
    case v1::Config::WARNING: config->log_level = LogLevel::kWarning; break;
    case v1::Config::ERROR: config->log_level = LogLevel::kError; break;
    default: problems.Add("log_level", "DEBUG, INFO, WARNING or ERROR", absl::StrCat(static_cast<int>(proto.log_level())));
  }
}

void ReadTexts(const v1::Config& proto, Problems& problems, ServerConfig* config) {
  config->store_path = proto.store_path();
  if (proto.store_path().empty()) problems.Add("store_path", "the folder of the store", "none");
  if (!proto.salt().empty()) config->salt = proto.salt();
  if (config->salt.size() > 256) problems.Add("salt", "at most 256 bytes", absl::StrCat(config->salt.size()));
  if (!proto.currency().empty()) config->currency = proto.currency();
  bool is_currency = config->currency.size() == 3;
  for (const char c : config->currency) is_currency = is_currency && c >= 'A' && c <= 'Z';
  if (!is_currency) problems.Add("currency", "three capital letters of ISO 4217", Reader::Quoted(config->currency));
  config->tables_path = proto.tables_path().empty() ? absl::StrCat(config->store_path, "/tables") : proto.tables_path();
  config->backup_path = proto.backup_path();
}

void ReadNumbers(const v1::Config& proto, Reader& reader, ServerConfig* config) {
  constexpr int64_t kManySeconds = 315'360'000;  // ten years
  constexpr int64_t kMany = 100'000'000;
  reader.Number("completion_queues", proto.completion_queues(), 1, 64, &config->completion_queues);
  reader.Number("max_in_flight", proto.max_in_flight(), 1, 1'000'000, &config->max_in_flight);
  reader.Number("max_turn_wait_ms", proto.max_turn_wait_ms(), 1, 60'000, &config->max_turn_wait_ms);
  reader.Number("max_queued_records", proto.max_queued_records(), 1, 100'000'000, &config->max_queued_records);
  reader.Number("max_queued_bytes", proto.max_queued_bytes(), int64_t{1} << 20, int64_t{1} << 40, &config->max_queued_bytes);
  const auto number = [&](absl::string_view field, int64_t value, int64_t low, int64_t high, int64_t* out) {
    reader.Number<int64_t>(field, value, low, high, out);
  };
  number("profile_bytes", proto.profile_bytes(), 256, 1'048'576, &config->profile_bytes);
  number("max_open_decisions", proto.max_open_decisions(), 100, kMany, &config->max_open_decisions);
  number("request_id_lifetime_seconds", proto.request_id_lifetime_seconds(), 1, 86'400, &config->request_id_lifetime_seconds);
  number("event_id_lifetime_seconds", proto.event_id_lifetime_seconds(), 1, kManySeconds, &config->event_id_lifetime_seconds);
  number("max_stored_replies", proto.max_stored_replies(), 100, kMany, &config->max_stored_replies);
  number("snapshot_interval_seconds", proto.snapshot_interval_seconds(), 1, kManySeconds, &config->snapshot_interval_seconds);
  reader.Number("snapshots_kept", proto.snapshots_kept(), 1, 100, &config->snapshots_kept);
  if (proto.has_log_retention_seconds()) {
    config->log_retention_seconds = 0;  // 0 says something here: only what bases need
    number("log_retention_seconds", proto.log_retention_seconds(), 0, kManySeconds, &config->log_retention_seconds);
  }
  number("min_free_bytes", proto.min_free_bytes(), 1'048'576, std::numeric_limits<int64_t>::max(), &config->min_free_bytes);
}

// False: the text does not parse, and what it leaves behind is a part of the message about which more complaints would only
// mislead.
bool ReadText(absl::string_view textproto, Problems& problems, ServerConfig& config) {
  v1::Config proto;
  ParseProblems collector(textproto, &problems);
  google::protobuf::TextFormat::Parser parser;
  parser.RecordErrorsTo(&collector);
  parser.AllowUnknownField(true);  // reported as warnings, see ParseProblems
  if (!parser.ParseFromString(std::string(textproto), &proto)) return false;
  Reader reader(&problems);
  ReadTexts(proto, problems, &config);
  ReadAddresses(proto, reader, problems, &config);
  ReadTokens(proto, reader, problems, &config);
  ReadChoices(proto, problems, &config);
  ReadNumbers(proto, reader, &config);
  ReadRateLimits(proto, reader, problems, &config);
  return true;
}

absl::StatusOr<ServerConfig> OrProblems(const Problems& problems, ServerConfig config) {
  if (!problems.empty()) return problems.ToStatus();
  return config;
}

}  // namespace

absl::StatusOr<ServerConfig> ParseConfig(absl::string_view textproto) {
  Problems problems;
  ServerConfig config;
  (void)ReadText(textproto, problems, config);
  return OrProblems(problems, std::move(config));
}

absl::StatusOr<ServerConfig> LoadConfig(const std::string& path) {
  const std::optional<std::string> text = ReadFile(path);
  if (!text.has_value()) {
    return absl::NotFoundError(absl::StrCat("--config: expected a readable file of at most 1 MiB, found ", Reader::Quoted(path)));
  }
  Problems problems;
  ServerConfig config;
  if (ReadText(*text, problems, config)) {
    for (const PathProblem& problem : CheckPaths(config)) problems.Add(problem.field, problem.expected, problem.found);
  }
  return OrProblems(problems, std::move(config));
}

bool CheckConfig(const std::string& path, std::ostream& out) {
  const absl::StatusOr<ServerConfig> config = LoadConfig(path);
  if (config.ok()) {
    out << path << ": sound\n";
    return true;
  }
  for (const absl::string_view line : absl::StrSplit(config.status().message(), '\n')) {
    out << path << ": " << line << '\n';
  }
  return false;
}

}  // namespace offerd
