#include "store/store.h"

#include <algorithm>
#include <climits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/check.h"
#include "core/status_macros.h"
#include "google/protobuf/io/coded_stream.h"
#include "google/protobuf/wire_format_lite.h"
#include "store/frame.h"
#include "store/index_entry.h"
#include "store/keys.h"
#include "store/rocks_kv.h"

// The log and its indexes. Bases are in store_bases.cc, purging and erasure in store_upkeep.cc.
namespace offerd {
namespace {

constexpr absl::string_view kFormat = "offerd 1";
constexpr Sequence kTailChecked = 1000;  // records at the end of the log whose numbers are looked at when it opens

absl::Status ParseRecord(absl::string_view key, absl::string_view framed, v1::stored::LogRecord& record) {
  ASSIGN_OR_RETURN(const absl::string_view payload, Unframe(Family::kLog, key, framed));
  if (!record.ParseFromArray(payload.data(), static_cast<int>(payload.size()))) {
    return absl::DataLossError(absl::StrCat("log ", KeyText(Family::kLog, key), ": does not parse"));
  }
  if (ReadNumber(key) != record.sequence()) {
    return absl::DataLossError(
        absl::StrCat("log ", KeyText(Family::kLog, key), ": holds the record of sequence ", record.sequence()));
  }
  return absl::OkStatus();
}

// What a record is about, without parsing it. False: not the bytes of one.
bool LookAtRecord(absl::string_view payload, int64_t& time_micros, bool& is_decision) {
  using google::protobuf::internal::WireFormatLite;
  google::protobuf::io::CodedInputStream in(reinterpret_cast<const uint8_t*>(payload.data()), static_cast<int>(payload.size()));
  time_micros = 0;
  is_decision = false;
  while (const uint32_t tag = in.ReadTag()) {
    if (tag == WireFormatLite::MakeTag(v1::stored::LogRecord::kTimeMicrosFieldNumber, WireFormatLite::WIRETYPE_VARINT)) {
      uint64_t time;
      if (!in.ReadVarint64(&time)) return false;
      time_micros = static_cast<int64_t>(time);
    } else {
      is_decision |= WireFormatLite::GetTagFieldNumber(tag) == v1::stored::LogRecord::kDecisionFieldNumber;
      if (!WireFormatLite::SkipField(&in, tag)) return false;
    }
  }
  return in.ConsumedEntireMessage();
}

// Serialised where it is to stand: a decision of many candidates is large.
absl::StatusOr<std::string> FrameRecord(const v1::stored::LogRecord& record) {
  const size_t size = record.ByteSizeLong();
  if (size > INT_MAX) {
    return absl::InvalidArgumentError(absl::StrCat("log record ", record.sequence(), " cannot be serialised: nothing was written"));
  }
  std::string framed(kFrameHeaderSize + size, '\0');
  record.SerializeWithCachedSizesToArray(reinterpret_cast<uint8_t*>(framed.data()) + kFrameHeaderSize);
  FillFrameHeader(framed);
  return framed;
}

bool TakesEventId(v1::Fate fate) { return fate != v1::DUPLICATE && fate != v1::LATE && fate != v1::REFUSED; }

}  // namespace

Store::Store(std::unique_ptr<Kv> kv, const StoreOptions& options) : kv_(std::move(kv)), read_only_(options.read_only) {}

Store::~Store() = default;

absl::StatusOr<std::unique_ptr<Store>> Store::Open(std::unique_ptr<Kv> kv, const StoreOptions& options) {
  std::unique_ptr<Store> store(new Store(std::move(kv), options));
  RETURN_IF_ERROR(store->CheckFormat());
  RETURN_IF_ERROR(store->FindLogEnds());
  RETURN_IF_ERROR(store->LoadBases());
  return store;
}

absl::StatusOr<std::unique_ptr<Store>> Store::OpenAt(const std::string& path, const StoreOptions& options) {
  RocksKvOptions rocks;
  rocks.min_free_bytes = options.min_free_bytes;
  rocks.read_only = options.read_only;
  ASSIGN_OR_RETURN(std::unique_ptr<Kv> kv, OpenRocksKv(path, rocks));
  return Open(std::move(kv), options);
}

absl::Status Store::CheckFormat() {
  ASSIGN_OR_RETURN(const std::optional<std::string> framed, kv_->Read(Family::kMeta, kFormatKey));
  if (framed.has_value()) {
    ASSIGN_OR_RETURN(const absl::string_view format, Unframe(Family::kMeta, kFormatKey, *framed));
    if (format == kFormat) return absl::OkStatus();
    return absl::FailedPreconditionError(
        absl::StrCat("store has format '", format, "', this program reads and writes '", kFormat, "'"));
  }
  for (const Family family : kAllFamilies) {
    ASSIGN_OR_RETURN(const std::optional<std::string> last, kv_->ReadLastKey(family));
    if (last.has_value()) {
      return absl::FailedPreconditionError(
          absl::StrCat("store has no format marker, but the family '", FamilyName(family), "' is not empty"));
    }
  }
  if (read_only_) return absl::NotFoundError("there is no store yet, and it is to be opened for reading only");
  return PutInMeta(kFormatKey, std::string(kFormat));
}

absl::Status Store::FindLogEnds() {
  Sequence first = 1;
  ASSIGN_OR_RETURN(const std::optional<std::string> framed, kv_->Read(Family::kMeta, kFirstSequenceKey));
  if (framed.has_value()) {
    ASSIGN_OR_RETURN(const absl::string_view payload, Unframe(Family::kMeta, kFirstSequenceKey, *framed));
    first = ReadNumber(payload).value_or(0);
    if (first == 0) return absl::DataLossError("meta first_sequence: not a number");
  }
  Sequence last = first - 1;
  ASSIGN_OR_RETURN(const std::optional<std::string> last_key, kv_->ReadLastKey(Family::kLog));
  if (last_key.has_value()) {
    last = ReadNumber(*last_key).value_or(0);
    if (last < first) {
      return absl::DataLossError(absl::StrCat("log ends at record ", last, ", but should begin at ", first));
    }
    Sequence expected = last - std::min(last - first, kTailChecked);
    const std::unique_ptr<KvIterator> records = kv_->Iterate(Family::kLog, NumberKey(expected), "");
    for (; records->valid(); records->Next(), ++expected) {
      if (ReadNumber(records->key()) != expected) break;
    }
    RETURN_IF_ERROR(records->status());
    if (expected != last + 1) return absl::DataLossError(absl::StrCat("log record ", expected, " is missing"));
  }
  first_sequence_.store(first, std::memory_order_release);
  last_sequence_.store(last, std::memory_order_release);
  return absl::OkStatus();
}

absl::Status Store::CheckWritable() const {
  return read_only_ ? absl::FailedPreconditionError("store is open for reading only") : absl::OkStatus();
}

absl::Status Store::PutInMeta(absl::string_view key, const std::string& payload) {
  KvBatch batch;
  batch.Put(Family::kMeta, key, Frame(payload));
  return kv_->Write(batch, /*sync=*/true);
}

absl::Status Store::Append(absl::Span<const v1::stored::LogRecord* const> records, bool sync) {
  RETURN_IF_ERROR(CheckWritable());
  Sequence last = last_sequence_.load(std::memory_order_relaxed);
  KvBatch batch;
  for (const v1::stored::LogRecord* record : records) {
    if (record->sequence() != last + 1) {
      return absl::InvalidArgumentError(
          absl::StrCat("log record ", record->sequence(), " cannot follow ", last, ": nothing was written"));
    }
    last = record->sequence();
    ASSIGN_OR_RETURN(std::string framed, FrameRecord(*record));
    batch.Put(Family::kLog, NumberKey(last), std::move(framed));
    const std::string entry = Frame(IndexEntry{last, record->time_micros()}.ToPayload());
    if (record->has_decision()) batch.Put(Family::kDecisions, record->decision().decision_id(), entry);
    if (record->has_event() && TakesEventId(record->event().fate())) {
      batch.Put(Family::kSeen, record->event().event().event_id(), entry);
    }
  }
  if (batch.empty()) return absl::OkStatus();
  RETURN_IF_ERROR(kv_->Write(batch, sync));
  last_sequence_.store(last, std::memory_order_release);
  return absl::OkStatus();
}

absl::Status Store::HasEvents(absl::Span<const absl::string_view> ids, std::vector<bool>& seen) const {
  seen.assign(ids.size(), false);
  std::vector<std::optional<std::string>> values;
  RETURN_IF_ERROR(kv_->MultiRead(Family::kSeen, ids, values));
  for (size_t i = 0; i < ids.size(); ++i) {
    if (!values[i].has_value()) continue;
    RETURN_IF_ERROR(IndexEntry::Read(Family::kSeen, ids[i], *values[i]).status());
    seen[i] = true;
  }
  return absl::OkStatus();
}

absl::StatusOr<bool> Store::HasDecision(absl::string_view decision_id) const {
  ASSIGN_OR_RETURN(const std::optional<int64_t> time, DecisionTime(decision_id));
  return time.has_value();
}

absl::StatusOr<std::optional<int64_t>> Store::DecisionTime(absl::string_view decision_id) const {
  ASSIGN_OR_RETURN(const std::optional<std::string> framed, kv_->Read(Family::kDecisions, decision_id));
  if (!framed.has_value()) return std::optional<int64_t>();
  ASSIGN_OR_RETURN(const IndexEntry entry, IndexEntry::Read(Family::kDecisions, decision_id, *framed));
  return std::optional<int64_t>(entry.time_micros);
}

absl::StatusOr<std::optional<v1::stored::LogRecord>> Store::ReadRecord(Sequence sequence) const {
  const std::string key = NumberKey(sequence);
  ASSIGN_OR_RETURN(const std::optional<std::string> framed, kv_->Read(Family::kLog, key));
  std::optional<v1::stored::LogRecord> record;
  if (framed.has_value()) {
    RETURN_IF_ERROR(ParseRecord(key, *framed, record.emplace()));
  } else if (sequence >= first_sequence() && sequence <= last_sequence()) {
    return absl::DataLossError(absl::StrCat("log record ", sequence, " is missing"));
  }
  return record;
}

absl::StatusOr<std::optional<v1::stored::LogRecord>> Store::ReadDecision(absl::string_view decision_id) const {
  ASSIGN_OR_RETURN(const std::optional<std::string> framed, kv_->Read(Family::kDecisions, decision_id));
  if (!framed.has_value()) return std::nullopt;
  ASSIGN_OR_RETURN(const IndexEntry entry, IndexEntry::Read(Family::kDecisions, decision_id, *framed));
  ASSIGN_OR_RETURN(std::optional<v1::stored::LogRecord> record, ReadRecord(entry.sequence));
  if (record.has_value() && record->decision().decision_id() != decision_id) {
    return absl::DataLossError(absl::StrCat("decisions ", KeyText(Family::kDecisions, decision_id),
                                            ": points to record ", entry.sequence, ", which is another decision"));
  }
  return record;
}

absl::Status Store::ReadLog(Sequence from, Sequence to,
                            absl::FunctionRef<absl::Status(const v1::stored::LogRecord&)> visit) const {
  v1::stored::LogRecord record;
  return WalkLog(from, to, [&](absl::string_view key, absl::string_view framed) {
    RETURN_IF_ERROR(ParseRecord(key, framed, record));
    return visit(record);
  });
}

absl::StatusOr<bool> Store::ReadDecisions(Sequence from, Sequence to, int64_t oldest,
                                          absl::FunctionRef<absl::Status(const v1::stored::LogRecord&)> visit) const {
  bool is_recent = false;
  v1::stored::LogRecord record;
  RETURN_IF_ERROR(WalkLog(from, to, [&](absl::string_view key, absl::string_view framed) {
    ASSIGN_OR_RETURN(const absl::string_view payload, Unframe(Family::kLog, key, framed));
    int64_t time;
    bool is_decision;
    const bool is_record = LookAtRecord(payload, time, is_decision);
    if (is_record && time < oldest) return absl::OkStatus();
    is_recent = true;
    if (is_record && !is_decision) return absl::OkStatus();
    RETURN_IF_ERROR(ParseRecord(key, framed, record));
    return visit(record);
  }));
  return is_recent;
}

absl::Status Store::WalkLog(Sequence from, Sequence to, absl::FunctionRef<absl::Status(absl::string_view, absl::string_view)> visit) const {
  to = std::min(to, last_sequence());
  if (from > to) return absl::OkStatus();
  // The iterator comes first: what it sees is not deleted under it, so a later look at first_sequence cannot be too
  // early.
  const std::unique_ptr<KvIterator> records = kv_->Iterate(Family::kLog, NumberKey(from), NumberKey(to + 1));
  Sequence expected = from;
  for (; records->valid(); records->Next(), ++expected) {
    if (ReadNumber(records->key()) != expected) break;
    RETURN_IF_ERROR(visit(records->key(), records->value()));
  }
  const absl::Status status = records->status();
  if (!status.ok()) return absl::Status(status.code(), absl::StrCat(status.message(), ", at record ", expected));
  if (expected == to + 1) return absl::OkStatus();
  if (expected < first_sequence()) {
    return absl::OutOfRangeError(
        absl::StrCat("log record ", expected, " is no longer kept, the oldest is ", first_sequence()));
  }
  return absl::DataLossError(absl::StrCat("log record ", expected, " is missing"));
}

absl::StatusOr<BackupInfo> Store::CreateBackup(const std::string& dir) {
  return kv_->CreateBackup(dir, last_sequence());
}

absl::StatusOr<std::vector<BackupInfo>> Store::ListBackups(const std::string& dir) { return ListRocksBackups(dir); }

absl::Status Store::KeepNewestBackups(const std::string& dir, int keep) {
  return PruneRocksBackups(dir, static_cast<uint32_t>(std::max(keep, 1)));
}

absl::Status Store::VerifyBackup(const std::string& dir, uint32_t id) { return VerifyRocksBackup(dir, id); }

absl::Status Store::RestoreBackup(const std::string& dir, uint32_t id, const std::string& to) {
  return RestoreRocksBackup(dir, id, to);
}

std::map<std::string, int64_t> Store::Statistics() const {
  std::map<std::string, int64_t> result = kv_->Statistics();
  result["first_sequence"] = static_cast<int64_t>(first_sequence());
  result["last_sequence"] = static_cast<int64_t>(last_sequence());
  absl::MutexLock lock(&mu_);
  result["bases"] = static_cast<int64_t>(bases_.size());
  return result;
}

}  // namespace offerd
