#pragma once
#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace offerd {

// Where the bytes of a table live. Both are read in full and verified before use.
enum class TableMemory {
  kCopied,  // in memory of this process, huge pages where the system gives them: nothing done to the files later
            // reaches it
  kMapped,  // in the page cache: no second copy, but whoever changes or cuts the file afterwards changes or kills the
            // reader
};

// A whole file in memory, read-only by contract, page-aligned, released with the object.
//
// Errors  NotFound, PermissionDenied, ... as the system says, naming the file. InvalidArgument: no regular file (a pipe is
//         not waited for), or more than `max_bytes`, and then nothing was read. An empty file is fine: no bytes.
class FileBytes {
 public:
  static absl::StatusOr<FileBytes> Read(const std::string& path, TableMemory memory, size_t max_bytes = SIZE_MAX);

  FileBytes() = default;
  FileBytes(FileBytes&& other) noexcept;
  FileBytes& operator=(FileBytes&& other) noexcept;
  ~FileBytes();

  absl::string_view view() const { return {data_, size_}; }

 private:
  FileBytes(char* data, size_t size) : data_(data), size_(size) {}

  char* data_ = nullptr;
  size_t size_ = 0;
};

// A new file with these bytes, on disk when it returns; AlreadyExists when there is one.
absl::Status WriteFileDurably(const std::string& path, absl::string_view bytes);

// Makes the names in a directory durable: files made in it, renamed into it, removed from it.
absl::Status SyncDirectory(const std::string& path);

// Holds a directory against other writers, processes or objects, while it lives.
class DirectoryClaim {
 public:
  // Waits for the other writer.
  static absl::StatusOr<DirectoryClaim> Wait(const std::string& path);

  DirectoryClaim(DirectoryClaim&& other) noexcept;
  DirectoryClaim& operator=(DirectoryClaim&&) = delete;
  ~DirectoryClaim();

 private:
  explicit DirectoryClaim(int file) : file_(file) {}
  int file_ = -1;
};

}  // namespace offerd
