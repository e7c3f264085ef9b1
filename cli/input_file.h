#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace offerd::cli {

// The bytes of a plain, gzip or zstd file; which one is told by the first bytes, not by the name. Several gzip members or
// zstd frames after each other are one file. A pipe is a file too: nothing seeks.
//
// Errors  NotFound or PermissionDenied from Open. DataLoss from Read when compressed data end early, are damaged or are
//         followed by something else; bytes before that have been delivered.
class InputFile {
 public:
  static absl::StatusOr<std::unique_ptr<InputFile>> Open(const std::string& path);
  virtual ~InputFile() = default;

  // Up to `size` bytes into `buffer`; 0 = the end.
  virtual absl::StatusOr<size_t> Read(char* buffer, size_t size) = 0;
};

// Physical lines of a file with their numbers.
class LineReader {
 public:
  explicit LineReader(std::unique_ptr<InputFile> file);

  // The next line with its terminator, which only the last line may lack. False = the end. An error names the line that
  // was being read; its piece is not returned.
  absl::StatusOr<bool> Next(std::string* line);

  int64_t line_number() const { return line_number_; }  // of the line returned last; the first is 1

  static constexpr size_t kMaxLineBytes = 64 << 20;

 private:
  std::unique_ptr<InputFile> file_;
  std::string buffer_;
  size_t begin_ = 0;
  bool at_end_ = false;
  absl::Status failure_;
  int64_t line_number_ = 0;
};

absl::StatusOr<std::string> ReadWholeFile(const std::string& path);

}  // namespace offerd::cli
