#pragma once
#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <string>

#include <zlib.h>
#include <zstd.h>

#include "gtest/gtest.h"

namespace offerd::cli {

// A file with given bytes, gone with the object.
class TempFile {
 public:
  explicit TempFile(const std::string& bytes) {
    static int number = 0;
    path_ = ::testing::TempDir() + "offerctl_test_" + std::to_string(getpid()) + "_" + std::to_string(++number);
    std::ofstream(path_, std::ios::binary) << bytes;
  }
  ~TempFile() { std::remove(path_.c_str()); }
  TempFile(const TempFile&) = delete;
  TempFile& operator=(const TempFile&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

inline std::string Gzip(const std::string& text) {
  z_stream stream = {};
  EXPECT_EQ(deflateInit2(&stream, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
  std::string out(deflateBound(&stream, text.size()) + 64, '\0');
  std::string in = text;
  stream.next_in = reinterpret_cast<Bytef*>(in.data());
  stream.avail_in = static_cast<uInt>(in.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  EXPECT_EQ(deflate(&stream, Z_FINISH), Z_STREAM_END);
  out.resize(out.size() - stream.avail_out);
  deflateEnd(&stream);
  return out;
}

inline std::string Zstd(const std::string& text) {
  std::string out(ZSTD_compressBound(text.size()), '\0');
  out.resize(ZSTD_compress(out.data(), out.size(), text.data(), text.size(), 3));
  return out;
}

// Lines that do not compress to nothing, so that a cut falls among them: "number,hash\n".
inline std::string ManyLines(int count) {
  std::string text;
  unsigned value = 12345;
  for (int i = 1; i <= count; ++i) {
    value = value * 1103515245u + 12345u;
    text += std::to_string(i) + "," + std::to_string(value) + "\n";
  }
  return text;
}

}  // namespace offerd::cli
