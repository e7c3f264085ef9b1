#pragma once
#include <cstddef>
#include <string>

#include "absl/strings/string_view.h"

namespace offerd {

// Well formed by the Unicode standard: no surrogates, no overlong forms, nothing above U+10FFFF. Empty is valid.
//
// Cost  Eight bytes at a time while they are ASCII.
bool IsValidUtf8(absl::string_view text);

// At most max_bytes of `text`, cut between characters, each byte that is part of no valid character replaced by U+FFFD.
std::string CutUtf8(absl::string_view text, size_t max_bytes);

}  // namespace offerd
