#include "cli/input_file.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <utility>

#include <zlib.h>
#include <zstd.h>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "core/status_macros.h"

namespace offerd::cli {
namespace {

constexpr size_t kChunkBytes = 1 << 16;

struct Closer {
  void operator()(std::FILE* file) const { std::fclose(file); }
};
using File = std::unique_ptr<std::FILE, Closer>;

// The bytes as they are. The first ones are looked at before anybody reads; a pipe cannot seek back, so they are kept.
class RawFile {
 public:
  explicit RawFile(File file) : file_(std::move(file)) {}

  // At most kHeadBytes, fewer where the file is shorter. Once, before the first Read.
  absl::StatusOr<absl::string_view> Head() {
    ASSIGN_OR_RETURN(head_end_, ReadFile(head_, kHeadBytes));
    return absl::string_view(head_, head_end_);
  }

  absl::StatusOr<size_t> Read(char* buffer, size_t size) {
    if (head_begin_ == head_end_) return ReadFile(buffer, size);
    const size_t taken = std::min(size, head_end_ - head_begin_);
    std::memcpy(buffer, head_ + head_begin_, taken);
    head_begin_ += taken;
    return taken;
  }

 private:
  static constexpr size_t kHeadBytes = 4;

  absl::StatusOr<size_t> ReadFile(char* buffer, size_t size) {
    const size_t read = std::fread(buffer, 1, size, file_.get());
    if (read < size && std::ferror(file_.get())) return absl::DataLossError(absl::StrCat("reading failed: ", std::strerror(errno)));
    return read;
  }

  File file_;
  char head_[kHeadBytes] = {};
  size_t head_begin_ = 0;
  size_t head_end_ = 0;
};

class PlainFile final : public InputFile {
 public:
  explicit PlainFile(RawFile file) : file_(std::move(file)) {}
  absl::StatusOr<size_t> Read(char* buffer, size_t size) override { return file_.Read(buffer, size); }

 private:
  RawFile file_;
};

class GzipFile final : public InputFile {
 public:
  explicit GzipFile(RawFile file) : file_(std::move(file)), raw_(kChunkBytes, '\0') {}
  ~GzipFile() override { inflateEnd(&stream_); }
  bool Init() { return inflateInit2(&stream_, 15 + 16) == Z_OK; }

  absl::StatusOr<size_t> Read(char* buffer, size_t size) override {
    stream_.next_out = reinterpret_cast<Bytef*>(buffer);
    stream_.avail_out = static_cast<uInt>(size);
    while (stream_.avail_out == size) {
      if (stream_.avail_in == 0) {
        ASSIGN_OR_RETURN(const size_t read, file_.Read(raw_.data(), raw_.size()));
        if (read == 0) {
          if (!member_done_) return absl::DataLossError("the gzip data end early: the file is cut");
          return size_t{0};
        }
        stream_.next_in = reinterpret_cast<Bytef*>(raw_.data());
        stream_.avail_in = static_cast<uInt>(read);
      }
      if (member_done_) {
        if (inflateReset(&stream_) != Z_OK) return absl::InternalError("zlib does not start again");
        member_done_ = false;
      }
      const int result = inflate(&stream_, Z_NO_FLUSH);
      if (result == Z_STREAM_END) {
        member_done_ = true;
      } else if (result != Z_OK && result != Z_BUF_ERROR) {
        return absl::DataLossError(absl::StrCat("the gzip data are damaged: ", stream_.msg != nullptr ? stream_.msg : "no reason given"));
      }
    }
    return size - stream_.avail_out;
  }

 private:
  RawFile file_;
  std::string raw_;
  z_stream stream_ = {};
  bool member_done_ = false;
};

class ZstdFile final : public InputFile {
 public:
  explicit ZstdFile(RawFile file) : file_(std::move(file)), raw_(kChunkBytes, '\0'), stream_(ZSTD_createDStream()) {}
  ~ZstdFile() override { ZSTD_freeDStream(stream_); }

  absl::StatusOr<size_t> Read(char* buffer, size_t size) override {
    ZSTD_outBuffer out = {buffer, size, 0};
    while (out.pos == 0) {
      // Zstandard may hold decompressed bytes after all input is taken: ask it before reading on.
      if (in_.pos == in_.size && !more_inside_) {
        ASSIGN_OR_RETURN(const size_t read, file_.Read(raw_.data(), raw_.size()));
        if (read == 0) {
          if (!frame_done_) return absl::DataLossError("the zstd data end early: the file is cut");
          return size_t{0};
        }
        in_ = {raw_.data(), read, 0};
      }
      const size_t result = ZSTD_decompressStream(stream_, &out, &in_);
      if (ZSTD_isError(result)) return absl::DataLossError(absl::StrCat("the zstd data are damaged: ", ZSTD_getErrorName(result)));
      frame_done_ = result == 0;
      more_inside_ = !frame_done_ && out.pos == out.size;
    }
    return out.pos;
  }

 private:
  RawFile file_;
  std::string raw_;
  ZSTD_DStream* stream_;
  ZSTD_inBuffer in_ = {nullptr, 0, 0};
  bool frame_done_ = false;
  bool more_inside_ = false;
};

}  // namespace

absl::StatusOr<std::unique_ptr<InputFile>> InputFile::Open(const std::string& path) {
  File file(std::fopen(path.c_str(), "rb"));
  if (file == nullptr) return absl::ErrnoToStatus(errno, absl::StrCat(path, ": cannot be opened"));
  RawFile raw(std::move(file));
  const absl::StatusOr<absl::string_view> head = raw.Head();
  if (!head.ok()) return absl::Status(head.status().code(), absl::StrCat(path, ": ", head.status().message()));
  if (absl::StartsWith(*head, "\x1f\x8b")) {
    auto gzip = std::make_unique<GzipFile>(std::move(raw));
    if (!gzip->Init()) return absl::InternalError("zlib does not start");
    return std::unique_ptr<InputFile>(std::move(gzip));
  }
  if (absl::StartsWith(*head, "\x28\xb5\x2f\xfd")) return std::unique_ptr<InputFile>(std::make_unique<ZstdFile>(std::move(raw)));
  return std::unique_ptr<InputFile>(std::make_unique<PlainFile>(std::move(raw)));
}

LineReader::LineReader(std::unique_ptr<InputFile> file) : file_(std::move(file)) {}

absl::StatusOr<bool> LineReader::Next(std::string* line) {
  size_t searched = begin_;
  while (true) {
    const size_t end = buffer_.find('\n', searched);
    if (end != std::string::npos) {
      line->assign(buffer_, begin_, end + 1 - begin_);
      begin_ = end + 1;
      ++line_number_;
      return true;
    }
    if (!failure_.ok()) return failure_;
    if (at_end_) {
      if (begin_ == buffer_.size()) return false;
      line->assign(buffer_, begin_, std::string::npos);
      begin_ = buffer_.size();
      ++line_number_;
      return true;
    }
    buffer_.erase(0, begin_);
    begin_ = 0;
    const size_t held = buffer_.size();
    searched = held;
    if (held > kMaxLineBytes) {
      failure_ = absl::InvalidArgumentError(absl::StrCat("line ", line_number_ + 1, ": longer than ", kMaxLineBytes, " bytes"));
      return failure_;
    }
    buffer_.resize(held + kChunkBytes);
    absl::StatusOr<size_t> read = file_->Read(buffer_.data() + held, kChunkBytes);
    buffer_.resize(held + (read.ok() ? *read : 0));
    if (!read.ok()) {
      failure_ = absl::Status(read.status().code(), absl::StrCat("line ", line_number_ + 1, ": ", read.status().message()));
    } else if (*read == 0) {
      at_end_ = true;
    }
  }
}

absl::StatusOr<std::string> ReadWholeFile(const std::string& path) {
  ASSIGN_OR_RETURN(const std::unique_ptr<InputFile> file, InputFile::Open(path));
  std::string text;
  while (true) {
    const size_t held = text.size();
    text.resize(held + kChunkBytes);
    absl::StatusOr<size_t> read = file->Read(text.data() + held, kChunkBytes);
    if (!read.ok()) return absl::Status(read.status().code(), absl::StrCat(path, ": ", read.status().message()));
    text.resize(held + *read);
    if (*read == 0) return text;
  }
}

}  // namespace offerd::cli
