#pragma once
#include <cstdint>
#include <optional>
#include <ostream>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "server/auth.h"
#include "server/log.h"
#include "store/file_bytes.h"

namespace offerd {

// The configuration file with its defaults filled in and the files it names read; the meaning of each field is documented
// once, in proto/offerd/v1/config.proto.
struct ServerConfig {
  enum class Clock : uint8_t { kWall, kRequest };
  enum class Durability : uint8_t { kAsync, kWritten, kSynced };
  struct Tls {
    std::string certificate_pem;
    std::string key_pem;
    std::string client_ca_pem;  // empty: clients show no certificate
  };

  std::string store_path;
  std::string listen = "127.0.0.1:7070";
  std::string metrics_listen = "127.0.0.1:9464";  // empty = none
  std::string unix_socket;                        // empty = none
  std::optional<Tls> tls;
  std::vector<RoleToken> tokens;  // empty = no authentication
  bool allow_insecure_remote = false;
  Clock clock = Clock::kWall;
  Durability durability = Durability::kWritten;
  std::string salt = "offerd";
  std::string currency = "EUR";

  int completion_queues = 1;
  int max_in_flight = 10'000;
  int max_turn_wait_ms = 100;
  int max_queued_records = 65'536;
  std::string tables_path;  // never empty once checked
  TableMemory table_memory = TableMemory::kCopied;
  int64_t max_queued_bytes = 268'435'456;
  std::vector<RateLimit> rate_limits;

  int64_t profile_bytes = 16'384;
  int64_t max_open_decisions = 200'000;
  int64_t request_id_lifetime_seconds = 600;
  int64_t event_id_lifetime_seconds = 7'776'000;
  int64_t max_stored_replies = 200'000;

  int64_t snapshot_interval_seconds = 900;
  int snapshots_kept = 3;
  int64_t min_free_bytes = 67'108'864;
  int64_t log_retention_seconds = 2'592'000;  // 0 = what bases need
  std::string backup_path;  // empty = none
  LogLevel log_level = LogLevel::kInfo;
};

// InvalidArgument names every problem at once, a line each: "FIELD: expected ..., found ...", or "line N: ..." where the
// text itself is wrong. The values of tokens are never shown. NotFound when the file cannot be read.
absl::StatusOr<ServerConfig> LoadConfig(const std::string& path);       // also looks at the folders it names
absl::StatusOr<ServerConfig> ParseConfig(absl::string_view textproto);  // reads the token and TLS files it names

// --check_config: writes "PATH: sound", or every problem, a line each. True when sound.
bool CheckConfig(const std::string& path, std::ostream& out);

}  // namespace offerd
