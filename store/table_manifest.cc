#include "store/table_manifest.h"

#include <memory>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "core/status_macros.h"
#include "google/protobuf/io/coded_stream.h"
#include "google/protobuf/io/zero_copy_stream_impl_lite.h"
#include "google/protobuf/util/json_util.h"
#include "google/protobuf/util/type_resolver_util.h"
#include "store/file_bytes.h"
#include "store/table_shards.h"

namespace offerd {
namespace {

namespace json = google::protobuf::util;

constexpr char kTypes[] = "type.googleapis.com";
constexpr size_t kMaxManifestBytes = 1 << 20;

// Maps come in an order of their own in the usual conversion; here by key.
std::string DeterministicBytes(const v1::TableManifest& manifest) {
  std::string bytes;
  google::protobuf::io::StringOutputStream stream(&bytes);
  google::protobuf::io::CodedOutputStream coded(&stream);
  coded.SetSerializationDeterministic(true);
  manifest.SerializeToCodedStream(&coded);
  coded.Trim();
  return bytes;
}

absl::StatusOr<std::string> ToJson(const v1::TableManifest& manifest) {
  const std::unique_ptr<json::TypeResolver> resolver(
      json::NewTypeResolverForDescriptorPool(kTypes, google::protobuf::DescriptorPool::generated_pool()));
  json::JsonPrintOptions options;
  options.add_whitespace = true;
  options.always_print_primitive_fields = true;
  options.preserve_proto_field_names = true;
  std::string text;
  const auto status =
      json::BinaryToJsonString(resolver.get(), absl::StrCat(kTypes, "/", v1::TableManifest::descriptor()->full_name()),
                               DeterministicBytes(manifest), &text, options);
  if (!status.ok()) return absl::InternalError(absl::StrCat("manifest: ", status.ToString()));
  return text;
}

absl::StatusOr<v1::TableManifest> Parse(const std::string& path, absl::string_view text) {
  const google::protobuf::StringPiece piece(text.data(), text.size());
  const auto wrong = [&path](absl::string_view what) {
    return absl::InvalidArgumentError(absl::StrCat("'", path, "': ", what));
  };
  v1::TableManifest manifest;
  json::JsonParseOptions options;
  options.ignore_unknown_fields = true;  // first only to learn which version it is
  const auto readable = json::JsonStringToMessage(piece, &manifest, options);
  if (!readable.ok()) return wrong(absl::StrCat("no manifest: ", readable.ToString()));
  if (manifest.format() != kTableFormat)
    return wrong(absl::StrCat("format is '", manifest.format(), "', expected '", kTableFormat, "'"));
  if (manifest.format_version() != kTableFormatVersion) {
    return wrong(
        absl::StrCat("format version ", manifest.format_version(), ", this program knows ", kTableFormatVersion));
  }
  manifest.Clear();
  const auto strict = json::JsonStringToMessage(piece, &manifest, json::JsonParseOptions());
  if (!strict.ok()) return wrong(strict.ToString());
  return manifest;
}

// A file that must be there.
absl::StatusOr<FileBytes> ReadPart(const std::string& path) {
  absl::StatusOr<FileBytes> bytes = FileBytes::Read(path, TableMemory::kCopied, kMaxManifestBytes);
  if (absl::IsNotFound(bytes.status())) return absl::DataLossError(absl::StrCat("'", path, "' is missing"));
  return bytes;
}

}  // namespace

absl::Status WriteManifest(const std::string& folder, const v1::TableManifest& manifest) {
  ASSIGN_OR_RETURN(const std::string text, ToJson(manifest));
  RETURN_IF_ERROR(WriteFileDurably(absl::StrCat(folder, "/manifest.json"), text));
  return WriteFileDurably(absl::StrCat(folder, "/manifest.xxh3"), absl::StrCat(ChecksumText(text), "\n"));
}

absl::StatusOr<ManifestFile> ReadManifest(const std::string& folder) {
  const std::string path = absl::StrCat(folder, "/manifest.json");
  ASSIGN_OR_RETURN(const FileBytes bytes, ReadPart(path));
  ASSIGN_OR_RETURN(const FileBytes checksum, ReadPart(absl::StrCat(folder, "/manifest.xxh3")));
  if (absl::StripSuffix(checksum.view(), "\n") != ChecksumText(bytes.view())) {
    return absl::DataLossError(absl::StrCat("'", path, "' is damaged: its checksum is not that of manifest.xxh3"));
  }
  ASSIGN_OR_RETURN(v1::TableManifest manifest, Parse(path, bytes.view()));
  return ManifestFile{std::move(manifest), StableHash(bytes.view())};
}

}  // namespace offerd
