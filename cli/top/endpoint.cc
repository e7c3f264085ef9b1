#include "cli/top/endpoint.h"

#include <exception>

#include <httplib.h>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "core/status_macros.h"

namespace offerd::cli::top {
namespace {

constexpr size_t kMaxBytes = size_t{64} << 20;
constexpr char kKnown[] = "offerd_build_info";  // every offerd has it

std::string InWords(httplib::Error error) {
  switch (error) {
    case httplib::Error::Connection: return "nothing that takes a connection";
    case httplib::Error::ConnectionTimeout: return "no connection within the time";
    case httplib::Error::Read: return "no HTTP answer, or not within the time";
    default: return absl::StrCat("the error ", httplib::to_string(error));
  }
}

absl::StatusOr<std::string> Get(const std::string& host, int port, double timeout_seconds) try {
  const int64_t micros = absl::ToInt64Microseconds(absl::Seconds(timeout_seconds));
  const time_t seconds = micros / 1'000'000, rest = micros % 1'000'000;
  httplib::Client client(host, port);
  client.set_connection_timeout(seconds, rest);
  client.set_read_timeout(seconds, rest);
  client.set_write_timeout(seconds, rest);
  std::string body;
  const httplib::Result result = client.Get("/metrics", [&body](const char* bytes, size_t size) {
    if (body.size() + size > kMaxBytes) return false;
    body.append(bytes, size);
    return true;
  });
  if (!result && result.error() == httplib::Error::Canceled) return absl::FailedPreconditionError("more than 64 MiB");
  if (!result) return absl::UnavailableError(InWords(result.error()));
  if (result->status != 200) return absl::FailedPreconditionError(absl::StrCat("HTTP status ", result->status));
  return body;
} catch (const std::exception& error) {  // httplib throws where a system call or an allocation does
  return absl::UnavailableError(absl::StrCat("the error ", error.what()));
}

absl::StatusOr<Samples> Read(const std::string& host, int port, double timeout_seconds) {
  ASSIGN_OR_RETURN(const std::string text, Get(host, port, timeout_seconds));
  ASSIGN_OR_RETURN(Samples samples, Samples::Parse(text));
  if (samples.Of(kKnown).empty()) {
    return absl::FailedPreconditionError(absl::StrCat(samples.families().size(), " metrics without ", kKnown));
  }
  return samples;
}

}  // namespace

absl::StatusOr<Endpoint> Endpoint::Parse(absl::string_view address) {
  Endpoint endpoint;
  const size_t colon = address.rfind(':');
  absl::string_view host = address.substr(0, colon == absl::string_view::npos ? 0 : colon);
  const bool has_brackets = host.size() > 2 && absl::StartsWith(host, "[") && absl::EndsWith(host, "]");
  if (has_brackets) host = host.substr(1, host.size() - 2);
  const bool is_host = !host.empty() && host.find_first_of("/[]@ \t") == absl::string_view::npos && (has_brackets || !absl::StrContains(host, ':'));
  const absl::string_view digits = colon == absl::string_view::npos ? absl::string_view() : address.substr(colon + 1);
  const bool is_port = !digits.empty() && digits.size() <= 5 && absl::ascii_isdigit(static_cast<unsigned char>(digits[0])) &&
                       absl::SimpleAtoi(digits, &endpoint.port_) && endpoint.port_ >= 1 && endpoint.port_ <= 65'535;
  if (!is_host || !is_port) {
    return absl::InvalidArgumentError(absl::StrCat("expected host:port with a port of 1 to 65535, found \"", absl::CHexEscape(address), "\""));
  }
  endpoint.address_ = std::string(address);
  endpoint.host_ = std::string(host);
  return endpoint;
}

absl::StatusOr<Samples> Endpoint::Fetch(double timeout_seconds) const {
  absl::StatusOr<Samples> samples = Read(host_, port_, timeout_seconds);
  if (samples.ok()) return samples;
  constexpr char kExpected[] = "/metrics: expected the metrics of offerd (metrics_listen of its configuration), found ";
  return absl::Status(samples.status().code(), absl::StrCat("http://", address_, kExpected, samples.status().message()));
}

}  // namespace offerd::cli::top
