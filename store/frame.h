#pragma once
#include <cstdint>
#include <cstring>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "core/hash.h"
#include "store/keys.h"
#include "store/kv.h"

// Every value of every family: one format byte, eight bytes XXH3 of the payload (little-endian), the payload.
namespace offerd {

inline constexpr char kFrameFormat = 1;
inline constexpr size_t kFrameHeaderSize = 9;

// Completes a frame of which only the payload is written yet.
inline void FillFrameHeader(std::string& framed) {
  const uint64_t hash = StableHash(absl::string_view(framed).substr(kFrameHeaderSize));
  framed[0] = kFrameFormat;
  for (size_t i = 0; i < 8; ++i) framed[1 + i] = static_cast<char>(hash >> (8 * i) & 0xff);
}

inline std::string Frame(absl::string_view payload) {
  std::string framed(kFrameHeaderSize + payload.size(), '\0');
  std::memcpy(framed.data() + kFrameHeaderSize, payload.data(), payload.size());
  FillFrameHeader(framed);
  return framed;
}

// The payload, inside `framed`. DataLoss names family and key, and why; the key is read only then.
inline absl::StatusOr<absl::string_view> Unframe(Family family, absl::string_view key, absl::string_view framed) {
  const auto damaged = [&](absl::string_view why) {
    return absl::DataLossError(absl::StrCat(FamilyName(family), " ", KeyText(family, key), ": ", why));
  };
  if (framed.size() < kFrameHeaderSize) return damaged("value is cut short");
  if (framed[0] != kFrameFormat) return damaged("unknown format byte");
  uint64_t hash = 0;
  for (size_t i = 0; i < 8; ++i) hash |= uint64_t{static_cast<unsigned char>(framed[1 + i])} << (8 * i);
  const absl::string_view payload = framed.substr(kFrameHeaderSize);
  if (StableHash(payload) != hash) return damaged("checksum does not match");
  return payload;
}

}  // namespace offerd
