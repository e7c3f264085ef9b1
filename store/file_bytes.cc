#include "store/file_bytes.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/status_macros.h"

namespace offerd {
namespace {

constexpr size_t kChunkBytes = size_t{16}
                               << 20;  // one call of read or write: progress shows in errors, and no 2 GB limit

absl::Status Failed(absl::string_view what, const std::string& path) {
  return absl::ErrnoToStatus(errno, absl::StrCat(what, " '", path, "'"));
}

// A descriptor that is closed at the end of its scope.
class File {
 public:
  File(const std::string& path, int flags) : descriptor_(open(path.c_str(), flags | O_CLOEXEC, 0644)) {}
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  ~File() {
    if (descriptor_ >= 0) close(descriptor_);
  }
  bool is_open() const { return descriptor_ >= 0; }
  int descriptor() const { return descriptor_; }

 private:
  const int descriptor_;
};

absl::Status ReadAll(const File& file, const std::string& path, char* data, size_t size) {
  for (size_t done = 0; done < size;) {
    const ssize_t read_now = read(file.descriptor(), data + done, std::min(size - done, kChunkBytes));
    if (read_now < 0 && errno == EINTR) continue;
    if (read_now < 0) return Failed("cannot read", path);
    if (read_now == 0) return absl::DataLossError(absl::StrCat("'", path, "' was cut while it was read"));
    done += static_cast<size_t>(read_now);
  }
  return absl::OkStatus();
}

absl::StatusOr<char*> Reserve(const File& file, const std::string& path, size_t size, TableMemory memory) {
  void* const data = memory == TableMemory::kMapped
                         ? mmap(nullptr, size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, file.descriptor(), 0)
                         : mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (data == MAP_FAILED) return Failed("no memory for", path);
  if (memory == TableMemory::kCopied)
    madvise(data, size, MADV_HUGEPAGE);  // a wish: without it queries are slower, not wrong
  return static_cast<char*>(data);
}

}  // namespace

absl::StatusOr<FileBytes> FileBytes::Read(const std::string& path, TableMemory memory, size_t max_bytes) {
  const File file(path, O_RDONLY | O_NONBLOCK);  // a pipe opens at once, and is refused next
  struct stat info = {};
  if (!file.is_open() || fstat(file.descriptor(), &info) != 0) return Failed("cannot open", path);
  if (!S_ISREG(info.st_mode)) return absl::InvalidArgumentError(absl::StrCat("'", path, "' is no file"));
  const auto size = static_cast<size_t>(info.st_size);
  if (size > max_bytes) {
    return absl::InvalidArgumentError(absl::StrCat("'", path, "' has ", size, " bytes, expected at most ", max_bytes));
  }
  if (size == 0) return FileBytes();
  ASSIGN_OR_RETURN(char* const data, Reserve(file, path, size, memory));
  FileBytes bytes(data, size);
  if (memory == TableMemory::kCopied) {
    RETURN_IF_ERROR(ReadAll(file, path, data, size));
    mprotect(data, size, PROT_READ);
  }
  return bytes;
}

FileBytes::FileBytes(FileBytes&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}

FileBytes& FileBytes::operator=(FileBytes&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}

FileBytes::~FileBytes() {
  if (data_ != nullptr) munmap(data_, size_);
}

absl::Status WriteFileDurably(const std::string& path, absl::string_view bytes) {
  const File file(path, O_WRONLY | O_CREAT | O_EXCL);
  if (!file.is_open()) return Failed("cannot create", path);
  for (size_t done = 0; done < bytes.size();) {
    const ssize_t written = write(file.descriptor(), bytes.data() + done, std::min(bytes.size() - done, kChunkBytes));
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return Failed("cannot write", path);
    done += static_cast<size_t>(written);
  }
  return fsync(file.descriptor()) == 0 ? absl::OkStatus() : Failed("cannot sync", path);
}

absl::Status SyncDirectory(const std::string& path) {
  const File directory(path, O_RDONLY | O_DIRECTORY);
  if (!directory.is_open()) return Failed("cannot open", path);
  return fsync(directory.descriptor()) == 0 ? absl::OkStatus() : Failed("cannot sync", path);
}

absl::StatusOr<DirectoryClaim> DirectoryClaim::Wait(const std::string& path) {
  const int file = open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (file < 0) return Failed("cannot open", path);
  DirectoryClaim claim(file);
  while (flock(file, LOCK_EX) != 0) {
    if (errno != EINTR) return Failed("cannot lock", path);
  }
  return claim;
}

DirectoryClaim::DirectoryClaim(DirectoryClaim&& other) noexcept : file_(std::exchange(other.file_, -1)) {}

DirectoryClaim::~DirectoryClaim() {
  if (file_ >= 0) close(file_);
}

}  // namespace offerd
