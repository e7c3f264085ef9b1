#include "server/utf8.h"

#include <cstdint>
#include <cstring>

namespace offerd {
namespace {

// Length of the valid character at `p`, which has `n` > 0 bytes to go; 0 when there is none. Unicode 15, table 3-7.
size_t CharacterLength(const unsigned char* p, size_t n) {
  const unsigned char a = p[0];
  if (a < 0x80) return 1;
  size_t length = 0;
  unsigned char low = 0x80, high = 0xbf;
  if (a >= 0xc2 && a <= 0xdf) {
    length = 2;
  } else if (a >= 0xe0 && a <= 0xef) {
    length = 3;
    if (a == 0xe0) low = 0xa0;
    if (a == 0xed) high = 0x9f;
  } else if (a >= 0xf0 && a <= 0xf4) {
    length = 4;
    if (a == 0xf0) low = 0x90;
    if (a == 0xf4) high = 0x8f;
  }
  if (length == 0 || n < length || p[1] < low || p[1] > high) return 0;
  for (size_t i = 2; i < length; ++i) {
    if ((p[i] & 0xc0) != 0x80) return 0;
  }
  return length;
}

}  // namespace

bool IsValidUtf8(absl::string_view text) {
  const auto* p = reinterpret_cast<const unsigned char*>(text.data());
  size_t n = text.size();
  while (n > 0) {
    while (n >= 8) {
      uint64_t word;
      std::memcpy(&word, p, 8);
      if (word & 0x8080808080808080u) break;
      p += 8;
      n -= 8;
    }
    if (n == 0) break;
    const size_t length = CharacterLength(p, n);
    if (length == 0) return false;
    p += length;
    n -= length;
  }
  return true;
}

std::string CutUtf8(absl::string_view text, size_t max_bytes) {
  std::string out;
  size_t i = 0;
  while (i < text.size()) {
    const size_t length = CharacterLength(reinterpret_cast<const unsigned char*>(text.data()) + i, text.size() - i);
    const absl::string_view next = length == 0 ? absl::string_view("\xef\xbf\xbd") : text.substr(i, length);
    if (out.size() + next.size() > max_bytes) break;
    out.append(next.data(), next.size());
    i += length == 0 ? 1 : length;
  }
  return out;
}

}  // namespace offerd
