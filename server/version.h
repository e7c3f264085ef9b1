#pragma once

namespace offerd {

inline constexpr char kVersion[] = "0.1.0";  // a test compares it with CMakeLists.txt

}  // namespace offerd
