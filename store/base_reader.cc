#include "store/base_reader.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "core/hash.h"
#include "core/status_macros.h"
#include "store/frame.h"

namespace offerd {
namespace {

constexpr size_t kRecordsInBatch = 500;
constexpr int64_t kBytesInBatch = 256 << 10;

}  // namespace

struct BaseSum::Hash {
  XXH3_state_t state;
};

BaseSum::BaseSum() : hash_(std::make_unique<Hash>()) { XXH3_64bits_reset(&hash_->state); }
BaseSum::~BaseSum() = default;

void BaseSum::Add(absl::string_view framed) {
  XXH3_64bits_update(&hash_->state, framed.data(), framed.size());
  ++records_;
  bytes_ += static_cast<int64_t>(framed.size());
}

uint64_t BaseSum::checksum() const { return XXH3_64bits_digest(&hash_->state); }

BaseReader::BaseReader(const Kv& kv, Sequence sequence, const v1::stored::BaseManifest& manifest)
    : kv_(kv), sequence_(sequence), manifest_(manifest), thread_([this] { ReadAhead(); }) {}

BaseReader::~BaseReader() {
  {
    absl::MutexLock lock(&mu_);
    is_stopped_ = true;
  }
  thread_.join();
}

absl::Status BaseReader::VisitAll(absl::FunctionRef<absl::Status(const v1::stored::BaseRecord&)> visit, bool& is_damage) {
  for (;;) {
    const Batch batch = Take();
    is_damage = false;
    for (const v1::stored::BaseRecord* record : batch.records) RETURN_IF_ERROR(visit(*record));
    is_damage = true;
    if (!batch.status.ok() || batch.is_last) return batch.status;
  }
}

void BaseReader::ReadAhead() {
  for (const Family family : kBaseFamilies) {
    parts_.push_back(kv_.Iterate(family, NumberKey(sequence_), NumberKey(sequence_ + 1)));
  }
  for (bool goes_on = true; goes_on;) {
    Batch batch;
    batch.status = ReadRecords(batch);
    batch.is_last = !batch.status.ok() || sum_.records() == manifest_.records();
    if (batch.is_last && batch.status.ok()) batch.status = CheckEnd();
    goes_on = !batch.is_last;
    if (!Hand(std::move(batch))) return;
  }
}

absl::Status BaseReader::ReadRecords(Batch& batch) {
  google::protobuf::ArenaOptions options;
  options.start_block_size = kBytesInBatch;
  options.max_block_size = kBytesInBatch;
  batch.arena = std::make_unique<google::protobuf::Arena>(options);
  batch.records.reserve(kRecordsInBatch);
  int64_t bytes = 0;
  while (sum_.records() < manifest_.records() && batch.records.size() < kRecordsInBatch && bytes < kBytesInBatch) {
    RETURN_IF_ERROR(ReadRecord(batch, bytes));
  }
  return absl::OkStatus();
}

absl::Status BaseReader::ReadRecord(Batch& batch, int64_t& bytes) {
  const std::string key = BaseKey(sequence_, static_cast<uint64_t>(sum_.records()));
  size_t part = 0;
  while (part < parts_.size() && !(parts_[part]->valid() && parts_[part]->key() == key)) {
    RETURN_IF_ERROR(parts_[part]->status());
    ++part;
  }
  if (part == parts_.size()) {
    return absl::DataLossError(absl::StrCat("base ", sequence_, ": record ", sum_.records(), " is missing"));
  }
  const absl::string_view framed = parts_[part]->value();
  ASSIGN_OR_RETURN(const absl::string_view payload, Unframe(kBaseFamilies[part], key, framed));
  auto* record = google::protobuf::Arena::CreateMessage<v1::stored::BaseRecord>(batch.arena.get());
  if (!record->ParseFromArray(payload.data(), static_cast<int>(payload.size()))) {
    return absl::DataLossError(absl::StrCat(FamilyName(kBaseFamilies[part]), " ", KeyText(kBaseFamilies[part], key), ": does not parse"));
  }
  sum_.Add(framed);
  bytes += static_cast<int64_t>(framed.size());
  batch.records.push_back(record);
  parts_[part]->Next();
  return absl::OkStatus();
}

absl::Status BaseReader::CheckEnd() const {
  for (const auto& part : parts_) {
    RETURN_IF_ERROR(part->status());
    if (part->valid()) return absl::DataLossError(absl::StrCat("base ", sequence_, ": has more records than its manifest says"));
  }
  if (sum_.bytes() != manifest_.bytes() || sum_.checksum() != manifest_.checksum()) {
    return absl::DataLossError(absl::StrCat("base ", sequence_, ": bytes or checksum are not those of its manifest"));
  }
  return absl::OkStatus();
}

// False when nobody wants it.
bool BaseReader::Hand(Batch batch) {
  absl::MutexLock lock(&mu_);
  const auto has_room = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) { return is_stopped_ || batches_.size() < kBatches; };
  mu_.Await(absl::Condition(&has_room));
  if (is_stopped_) return false;
  batches_.push_back(std::move(batch));
  return true;
}

BaseReader::Batch BaseReader::Take() {
  absl::MutexLock lock(&mu_);
  const auto has_one = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) { return !batches_.empty(); };
  mu_.Await(absl::Condition(&has_one));
  Batch batch = std::move(batches_.front());
  batches_.pop_front();
  return batch;
}

}  // namespace offerd
