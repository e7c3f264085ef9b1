#pragma once
#include <chrono>
#include <cstddef>
#include <string>

namespace offerd::client {

// What a client may be told. Files are PEM.
struct Options {
  std::string server = "127.0.0.1:7070";
  std::string token;     // sent as "authorization: Bearer TOKEN"
  std::string tls_ca;    // authority that signed the server's certificate; empty = plain text
  std::string tls_cert;  // the caller's own certificate and key, for a server that asks for one
  std::string tls_key;
  std::chrono::milliseconds timeout{10'000};  // of one call, all its attempts and pauses together
  int max_attempts = 5;
  std::chrono::milliseconds first_backoff{100};  // before the second attempt; doubles, halved at random at most
  std::chrono::milliseconds max_backoff{5'000};
  size_t max_unacknowledged = 1'000;               // batches that a feedback stream keeps
  std::chrono::milliseconds ack_timeout{10'000};  // without an acknowledgement a feedback stream then connects anew
};

}  // namespace offerd::client
