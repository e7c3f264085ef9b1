#include "cli/import_report.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace offerd::cli {
namespace {

constexpr std::chrono::milliseconds kProgressEvery(500);
constexpr int kRowsPerLook = 1024;  // at the clock

double Seconds(std::chrono::steady_clock::duration duration) { return std::chrono::duration<double>(duration).count(); }

}  // namespace

ImportReport::ImportReport(Session& session, std::string kind)
    : session_(session), kind_(std::move(kind)), start_(std::chrono::steady_clock::now()), last_progress_(start_) {}

void ImportReport::CountRow() {
  ++rows_;
  if (!session_.err_is_terminal || rows_ % kRowsPerLook != 0) return;
  const auto now = std::chrono::steady_clock::now();
  if (now - last_progress_ < kProgressEvery) return;
  last_progress_ = now;
  progress_shown_ = true;
  session_.err << "\r" << FormatCount(rows_) << " rows, " << FormatCount(static_cast<int64_t>(static_cast<double>(rows_) / Seconds(now - start_)))
               << " rows/s \x1b[K" << std::flush;
}

void ImportReport::Refuse(int64_t line, int64_t rows, absl::string_view reason) {
  refused_ += rows;
  last_reason_ = absl::StrCat("line ", line, ": ", reason);
  if (++errors_ <= kToldErrors) session_.err << (progress_shown_ ? "\r\x1b[K" : "") << last_reason_ << "\n";
}

Json ImportReport::Summary() const {
  Json json = {{"kind", kind_}, {"rows", rows_}, {"accepted", accepted_}, {"refused", refused_}, {"not_taken", rows_ - accepted_ - refused_}};
  if (kind_ == "events") {
    json["events"] = {{"applied", fates_[v1::APPLIED]}, {"duplicate", fates_[v1::DUPLICATE]}, {"orphan", fates_[v1::ORPHAN]},
                      {"late", fates_[v1::LATE]}, {"refused", fates_[v1::REFUSED]}};
  }
  json["seconds"] = Seconds(std::chrono::steady_clock::now() - start_);
  return json;
}

void ImportReport::Print() {
  if (progress_shown_) session_.err << "\r\x1b[K";
  if (errors_ > kToldErrors) session_.err << "and " << FormatCount(errors_ - kToldErrors) << " more bad rows\n";
  const Json summary = Summary();
  if (session_.json) {
    session_.out << Dump(summary);
    return;
  }
  session_.out << kind_ << ": " << FormatCount(rows_) << " rows read, " << FormatCount(accepted_) << " accepted, " << FormatCount(refused_)
               << " refused";
  const int64_t not_taken = rows_ - accepted_ - refused_;
  if (not_taken > 0) session_.out << ", " << FormatCount(not_taken) << " not sent or not acknowledged";
  session_.out << absl::StrFormat(" (%.1f s)\n", summary["seconds"].get<double>());
  if (kind_ != "events") return;
  session_.out << "events: " << FormatCount(fates_[v1::APPLIED]) << " applied, " << FormatCount(fates_[v1::DUPLICATE]) << " already known, "
               << FormatCount(fates_[v1::ORPHAN]) << " for unknown decisions, " << FormatCount(fates_[v1::LATE]) << " too late, "
               << FormatCount(fates_[v1::REFUSED]) << " refused\n";
}

}  // namespace offerd::cli
