#include <utility>

#include "absl/algorithm/container.h"
#include "absl/strings/str_cat.h"
#include "core/hash.h"
#include "core/status_macros.h"
#include "store/base_reader.h"
#include "store/frame.h"
#include "store/keys.h"
#include "store/store.h"

// Bases: each record has a number, its place in the order of writing, and lies in the family of its kind. Reading
// merges the families by number. The manifest comes last.
namespace offerd {
namespace {

constexpr int kRecordsInBatch = 1000;
constexpr int64_t kBytesInBatch = 4 << 20;
constexpr absl::string_view kBaseFormat = "base 2";
constexpr absl::string_view kReadFormats[] = {"base 1", kBaseFormat};  // 1: customers have messages of what their visits held

Family FamilyOf(const v1::stored::BaseRecord& record) {
  switch (record.part_case()) {
    case v1::stored::BaseRecord::kItem:
    case v1::stored::BaseRecord::kOffer:
    case v1::stored::BaseRecord::kName:
      return Family::kCatalog;
    case v1::stored::BaseRecord::kCustomer:
      return Family::kProfiles;
    default:
      return Family::kPolicies;
  }
}

absl::StatusOr<v1::stored::BaseManifest> ParseManifest(absl::string_view key, absl::string_view framed,
                                                       Sequence sequence) {
  ASSIGN_OR_RETURN(const absl::string_view payload, Unframe(Family::kMeta, key, framed));
  v1::stored::BaseManifest manifest;
  if (!manifest.ParseFromArray(payload.data(), static_cast<int>(payload.size())) || manifest.sequence() != sequence ||
      !absl::c_linear_search(kReadFormats, manifest.format())) {
    return absl::DataLossError(absl::StrCat("meta ", KeyText(Family::kMeta, key), ": is no manifest of this base"));
  }
  return manifest;
}

void DeleteBaseRecords(Sequence sequence, KvBatch& batch) {
  for (const Family family : kBaseFamilies) batch.DeleteRange(family, NumberKey(sequence), NumberKey(sequence + 1));
}

}  // namespace

absl::string_view BaseStateText(BaseInfo::State state) {
  switch (state) {
    case BaseInfo::State::kUnverified:
      return "unverified";
    case BaseInfo::State::kSound:
      return "sound";
    case BaseInfo::State::kDamaged:
      return "damaged";
  }
  return "unknown";
}

struct Store::BaseWriter::Progress {
  Sequence sequence = 0;
  int64_t created_micros = 0;
  BaseSum sum;
  KvBatch batch;
  int64_t batch_bytes = 0;
  bool is_finished = false;

  absl::Status WriteBatch(Kv& kv) {
    RETURN_IF_ERROR(kv.Write(batch, /*sync=*/false));
    batch.Clear();
    batch_bytes = 0;
    return absl::OkStatus();
  }
};

Store::BaseWriter::BaseWriter(Store* store, Sequence sequence, int64_t created_micros)
    : store_(store), progress_(std::make_unique<Progress>()) {
  progress_->sequence = sequence;
  progress_->created_micros = created_micros;
}

Store::BaseWriter::~BaseWriter() { store_->is_writing_base_.store(false); }

absl::Status Store::BaseWriter::Add(const v1::stored::BaseRecord& record) {
  Progress& progress = *progress_;
  if (progress.is_finished) return absl::FailedPreconditionError("base is finished");
  if (record.part_case() == v1::stored::BaseRecord::PART_NOT_SET)
    return absl::InvalidArgumentError("base record is empty");
  if (record.has_header() != (progress.sum.records() == 0)) {
    return absl::InvalidArgumentError("the first record of a base, and no other, is its header");
  }
  if (record.has_header() && record.header().sequence() != progress.sequence) {
    return absl::InvalidArgumentError(
        absl::StrCat("header of base ", progress.sequence, " has sequence ", record.header().sequence()));
  }
  std::string payload;
  if (!record.SerializeToString(&payload)) return absl::InvalidArgumentError("base record cannot be serialised");
  std::string framed = Frame(payload);
  const std::string key = BaseKey(progress.sequence, static_cast<uint64_t>(progress.sum.records()));
  progress.sum.Add(framed);
  progress.batch_bytes += static_cast<int64_t>(framed.size());
  progress.batch.Put(FamilyOf(record), key, std::move(framed));
  if (progress.batch.operations().size() < kRecordsInBatch && progress.batch_bytes < kBytesInBatch)
    return absl::OkStatus();
  return progress.WriteBatch(*store_->kv_);
}

absl::StatusOr<v1::stored::BaseManifest> Store::BaseWriter::Finish() {
  Progress& progress = *progress_;
  if (progress.is_finished || progress.sum.records() == 0) {
    return absl::FailedPreconditionError("base is finished or has no header");
  }
  RETURN_IF_ERROR(progress.WriteBatch(*store_->kv_));
  BaseInfo info;
  info.manifest.set_sequence(progress.sequence);
  info.manifest.set_created_micros(progress.created_micros);
  info.manifest.set_records(progress.sum.records());
  info.manifest.set_bytes(progress.sum.bytes());
  info.manifest.set_checksum(progress.sum.checksum());
  info.manifest.set_format(std::string(kBaseFormat));
  RETURN_IF_ERROR(store_->PutInMeta(NumberKey(kBasePrefix, progress.sequence), info.manifest.SerializeAsString()));
  progress.is_finished = true;
  absl::MutexLock lock(&store_->mu_);
  store_->bases_[progress.sequence] = info;
  return info.manifest;
}

absl::StatusOr<std::unique_ptr<Store::BaseWriter>> Store::BeginBase(Sequence sequence, int64_t created_micros) {
  RETURN_IF_ERROR(CheckWritable());
  if (sequence > last_sequence()) {
    return absl::InvalidArgumentError(
        absl::StrCat("base ", sequence, " is past the end of the log, ", last_sequence()));
  }
  if (GetBase(sequence).ok()) return absl::AlreadyExistsError(absl::StrCat("base ", sequence, " exists"));
  if (is_writing_base_.exchange(true)) return absl::FailedPreconditionError("another base is being written");
  std::unique_ptr<BaseWriter> writer(new BaseWriter(this, sequence, created_micros));
  RETURN_IF_ERROR(SweepUnlistedBases());
  return writer;
}

absl::Status Store::LoadBases() {
  std::map<Sequence, BaseInfo> bases;
  const std::unique_ptr<KvIterator> manifests = kv_->Iterate(Family::kMeta, kBasePrefix, AfterPrefix(kBasePrefix));
  for (; manifests->valid(); manifests->Next()) {
    const std::optional<uint64_t> sequence = ReadNumber(manifests->key().substr(kBasePrefix.size()));
    if (!sequence.has_value()) return absl::DataLossError("meta base/: a key is cut short");
    BaseInfo& info = bases[*sequence];
    absl::StatusOr<v1::stored::BaseManifest> manifest = ParseManifest(manifests->key(), manifests->value(), *sequence);
    if (manifest.ok()) {
      info.manifest = *std::move(manifest);
    } else {
      info.manifest.set_sequence(*sequence);
      info.state = BaseInfo::State::kDamaged;
      info.detail = std::string(manifest.status().message());
      continue;
    }
    const std::string state_key = NumberKey(kBaseStatePrefix, *sequence);
    ASSIGN_OR_RETURN(const std::optional<std::string> framed, kv_->Read(Family::kMeta, state_key));
    if (!framed.has_value()) continue;
    // A damaged state is as good as none: the base is verified again before anything leans on it.
    const absl::StatusOr<absl::string_view> state = Unframe(Family::kMeta, state_key, *framed);
    if (!state.ok() || state->empty()) {
      info.detail = "verified before, but the note of it is damaged";
    } else if (*state == BaseStateText(BaseInfo::State::kSound)) {
      info.state = BaseInfo::State::kSound;
    } else {
      info.state = BaseInfo::State::kDamaged;
      info.detail = std::string(*state);
    }
  }
  RETURN_IF_ERROR(manifests->status());
  if (!bases.empty() && bases.rbegin()->first > last_sequence()) {
    return absl::DataLossError(
        absl::StrCat("base ", bases.rbegin()->first, " is newer than the end of the log, ", last_sequence()));
  }
  {
    absl::MutexLock lock(&mu_);
    bases_ = std::move(bases);
  }
  return read_only_ ? absl::OkStatus() : SweepUnlistedBases();
}

absl::Status Store::SweepUnlistedBases() {
  KvBatch batch;
  for (const Family family : kBaseFamilies) {
    std::string from;
    while (true) {
      const std::unique_ptr<KvIterator> records = kv_->Iterate(family, from, "");
      RETURN_IF_ERROR(records->status());
      if (!records->valid()) break;
      const std::optional<uint64_t> sequence = ReadNumber(records->key());
      if (!sequence.has_value()) return absl::DataLossError(absl::StrCat(FamilyName(family), ": a key is cut short"));
      from = NumberKey(*sequence + 1);
      if (!GetBase(*sequence).ok()) batch.DeleteRange(family, NumberKey(*sequence), from);
    }
  }
  return batch.empty() ? absl::OkStatus() : kv_->Write(batch, /*sync=*/false);
}

std::vector<BaseInfo> Store::ListBases() const {
  std::vector<BaseInfo> result;
  absl::MutexLock lock(&mu_);
  for (auto base = bases_.rbegin(); base != bases_.rend(); ++base) result.push_back(base->second);
  return result;
}

absl::StatusOr<BaseInfo> Store::GetBase(Sequence sequence) const {
  absl::MutexLock lock(&mu_);
  const auto found = bases_.find(sequence);
  if (found == bases_.end()) return absl::NotFoundError(absl::StrCat("there is no base ", sequence));
  return found->second;
}

absl::Status Store::SetBaseState(Sequence sequence, BaseInfo::State state, const std::string& detail) {
  // In memory first: if the note cannot be written, this process still knows, and the next one finds out by itself.
  {
    absl::MutexLock lock(&mu_);
    const auto found = bases_.find(sequence);
    if (found == bases_.end()) return absl::NotFoundError(absl::StrCat("there is no base ", sequence));
    found->second.state = state;
    found->second.detail = detail;
  }
  if (read_only_) return absl::OkStatus();
  const bool is_damaged = state == BaseInfo::State::kDamaged;
  return PutInMeta(NumberKey(kBaseStatePrefix, sequence), is_damaged ? detail : std::string(BaseStateText(state)));
}

absl::Status Store::ReadAllOfBase(Sequence sequence,
                                  absl::FunctionRef<absl::Status(const v1::stored::BaseRecord&)> visit,
                                  bool& is_damage) const {
  is_damage = true;  // unless it is the visitor that fails, or the disk
  const std::string manifest_key = NumberKey(kBasePrefix, sequence);
  ASSIGN_OR_RETURN(const std::optional<std::string> framed, kv_->Read(Family::kMeta, manifest_key));
  if (!framed.has_value()) return absl::DataLossError(absl::StrCat("base ", sequence, ": its manifest is missing"));
  ASSIGN_OR_RETURN(const v1::stored::BaseManifest manifest, ParseManifest(manifest_key, *framed, sequence));
  return BaseReader(*kv_, sequence, manifest).VisitAll(visit, is_damage);
}

absl::Status Store::ReadBase(Sequence sequence, absl::FunctionRef<absl::Status(const v1::stored::BaseRecord&)> visit) {
  ASSIGN_OR_RETURN(const BaseInfo info, GetBase(sequence));
  if (info.state == BaseInfo::State::kDamaged) {
    return absl::DataLossError(absl::StrCat("base ", sequence, " is set aside: ", info.detail));
  }
  bool is_damage = false;
  const absl::Status status = ReadAllOfBase(sequence, visit, is_damage);
  if (!is_damage || !absl::IsDataLoss(status)) return status;
  // What was found counts more than whether the note of it could be written.
  SetBaseState(sequence, BaseInfo::State::kDamaged, std::string(status.message())).IgnoreError();
  return status;
}

absl::Status Store::VerifyBase(Sequence sequence) {
  const absl::Status status = ReadBase(sequence, [](const v1::stored::BaseRecord&) { return absl::OkStatus(); });
  return status.ok() ? SetBaseState(sequence, BaseInfo::State::kSound, "") : status;
}

absl::Status Store::DeleteBase(Sequence sequence) {
  RETURN_IF_ERROR(CheckWritable());
  RETURN_IF_ERROR(GetBase(sequence).status());
  KvBatch batch;
  DeleteBaseRecords(sequence, batch);
  batch.Delete(Family::kMeta, NumberKey(kBasePrefix, sequence));
  batch.Delete(Family::kMeta, NumberKey(kBaseStatePrefix, sequence));
  RETURN_IF_ERROR(kv_->Write(batch, /*sync=*/true));
  absl::MutexLock lock(&mu_);
  bases_.erase(sequence);
  return absl::OkStatus();
}

absl::StatusOr<Sequence> Store::FirstSince(int64_t micros) const {
  Sequence low = first_sequence(), high = last_sequence() + 1;
  while (low < high) {
    const Sequence middle = low + (high - low) / 2;
    ASSIGN_OR_RETURN(const auto record, ReadRecord(middle));
    const bool is_before = !record.has_value() || record->time_micros() < micros;  // none: it has just been let go
    (is_before ? low : high) = is_before ? middle + 1 : middle;
  }
  return low;
}

absl::Status Store::KeepNewestBases(int keep, Sequence keep_log_from) {
  RETURN_IF_ERROR(CheckWritable());
  if (keep < 1) return absl::InvalidArgumentError(absl::StrCat("at least one base is kept, not ", keep));
  int num_sound = 0;
  Sequence oldest_kept = 0;
  std::vector<Sequence> older;
  for (const BaseInfo& base : ListBases()) {
    if (num_sound == keep) {
      if (base.state != BaseInfo::State::kDamaged) older.push_back(base.manifest.sequence());
    } else if (base.state == BaseInfo::State::kSound && ++num_sound == keep) {
      oldest_kept = base.manifest.sequence();
    }
  }
  if (num_sound < keep) return absl::OkStatus();
  for (const Sequence sequence : older) RETURN_IF_ERROR(DeleteBase(sequence));
  const Sequence first = first_sequence();
  if (keep_log_from <= oldest_kept) oldest_kept = keep_log_from - 1;
  if (oldest_kept < first) return absl::OkStatus();
  KvBatch batch;
  batch.DeleteRange(Family::kLog, NumberKey(first), NumberKey(oldest_kept + 1));
  batch.Put(Family::kMeta, kFirstSequenceKey, Frame(NumberKey(oldest_kept + 1)));
  // Readers first: whoever still asks for what is about to go hears OutOfRange, never that it is lost.
  first_sequence_.store(oldest_kept + 1, std::memory_order_release);
  const absl::Status status = kv_->Write(batch, /*sync=*/true);
  if (!status.ok()) first_sequence_.store(first, std::memory_order_release);
  return status;
}

}  // namespace offerd
