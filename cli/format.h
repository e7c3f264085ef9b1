#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

// Results for people and for programs; text.h has what protobuf messages need beside it.
namespace offerd::cli {

using Json = nlohmann::ordered_json;

std::string Dump(const Json& json);  // two spaces, a new line at the end; bytes that are no UTF-8 are replaced

// Rows of equal length under their first; columns of numbers to the right. Empty without rows.
std::string FormatTable(const std::vector<std::vector<std::string>>& rows);

std::string FormatCount(int64_t count);  // "1,234,567"
// At most max_bytes of a text, cut between characters and with " ..." behind where it is longer.
std::string Shortened(std::string text, size_t max_bytes);

std::string FormatNumber(double value);  // up to four significant decimals

}  // namespace offerd::cli
