#pragma once
#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "offerd/v1/table_manifest.pb.h"

namespace offerd {

inline constexpr char kTableFormat[] = "offerd-table";
inline constexpr uint32_t kTableFormatVersion = 1;

// manifest.json of one folder, and manifest.xxh3 beside it: the checksum of its bytes in 16 hexadecimal digits.
struct ManifestFile {
  v1::TableManifest manifest;
  uint64_t checksum = 0;
};

// Both files, durable when it returns. The same manifest gives the same bytes.
absl::Status WriteManifest(const std::string& folder, const v1::TableManifest& manifest);

// Errors  DataLoss: a file is missing, or the manifest is not the one of the checksum. InvalidArgument: it is no JSON
// of this
//         format, is of another version of it, or has fields it does not know.
absl::StatusOr<ManifestFile> ReadManifest(const std::string& folder);

}  // namespace offerd
