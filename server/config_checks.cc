#include "server/config_checks.h"

#include <filesystem>
#include <memory>
#include <system_error>

#include <openssl/bio.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "absl/strings/str_cat.h"
#include "server/utf8.h"

namespace offerd {
namespace {

namespace fs = std::filesystem;

std::string Quoted(absl::string_view text) { return absl::StrCat("\"", CutUtf8(text, 200), "\""); }

// Without links, dots and a slash at the end, as far as it exists.
fs::path Canonical(const std::string& path) {
  std::error_code error;
  fs::path canonical = fs::weakly_canonical(fs::absolute(path, error), error);
  if (error) canonical = fs::absolute(path, error).lexically_normal();
  return canonical.has_filename() ? canonical : canonical.parent_path();
}

bool IsThereButNoFolder(const fs::path& path) {
  std::error_code error;
  const fs::file_status status = fs::status(path, error);
  return fs::exists(status) && !fs::is_directory(status);
}

}  // namespace

bool KeyFitsCertificate(const std::string& certificate_pem, const std::string& key_pem) {
  const auto open = [](const std::string& pem) {
    return std::unique_ptr<BIO, int (*)(BIO*)>(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())), &BIO_free);
  };
  const std::unique_ptr<X509, void (*)(X509*)> certificate(
      PEM_read_bio_X509(open(certificate_pem).get(), nullptr, nullptr, nullptr), &X509_free);
  // An empty passphrase: without one the library would ask at the terminal.
  const std::unique_ptr<EVP_PKEY, void (*)(EVP_PKEY*)> key(
      PEM_read_bio_PrivateKey(open(key_pem).get(), nullptr, nullptr, const_cast<char*>("")), &EVP_PKEY_free);
  if (certificate == nullptr || key == nullptr) return true;
  return X509_check_private_key(certificate.get(), key.get()) == 1;
}

std::vector<PathProblem> CheckPaths(const ServerConfig& config) {
  std::vector<PathProblem> problems;
  if (config.store_path.empty()) return problems;
  const fs::path store = Canonical(config.store_path);
  std::error_code error;
  if (IsThereButNoFolder(store)) {
    problems.push_back({"store_path", "a folder", absl::StrCat(Quoted(config.store_path), ", which is none")});
  } else if (!fs::is_directory(store.parent_path(), error)) {
    problems.push_back({"store_path", "a folder whose parent is there", Quoted(config.store_path)});
  }
  if (IsThereButNoFolder(Canonical(config.tables_path))) {
    problems.push_back({"tables_path", "a folder", absl::StrCat(Quoted(config.tables_path), ", which is none")});
  }
  if (!config.unix_socket.empty() && !fs::is_directory(fs::path(config.unix_socket).parent_path(), error)) {
    problems.push_back({"unix_socket", "a path in a folder that is there", Quoted(config.unix_socket)});
  }
  if (config.backup_path.empty()) return problems;
  const fs::path backup = Canonical(config.backup_path);
  if (backup == store) {
    problems.push_back({"backup_path", "another folder than store_path", Quoted(config.backup_path)});
  } else if (IsThereButNoFolder(backup)) {
    problems.push_back({"backup_path", "a folder", absl::StrCat(Quoted(config.backup_path), ", which is none")});
  }
  return problems;
}

}  // namespace offerd
