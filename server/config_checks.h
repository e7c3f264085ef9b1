#pragma once
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "server/config.h"

// What a configuration that reads well may still have wrong about the machine it is for.
namespace offerd {

// Does the first certificate belong to the key? True also where either cannot be read: that is for others to say.
bool KeyFitsCertificate(const std::string& certificate_pem, const std::string& key_pem);

struct PathProblem {
  std::string field;
  std::string expected;
  std::string found;
};
// Paths that cannot work: a store without a parent folder, files where folders should be, one folder for two purposes.
std::vector<PathProblem> CheckPaths(const ServerConfig& config);

}  // namespace offerd
