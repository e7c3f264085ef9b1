#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/status_macros.h"
#include "offerd/v1/offer_service.pb.h"
#include "store/frame.h"
#include "store/index_entry.h"
#include "store/keys.h"
#include "store/store.h"

// Purging of indexes and erasure of customers.
namespace offerd {
namespace {

constexpr int kIdsInCall = 20'000;
constexpr int kRecordsInBatch = 1000;

std::string ErasureKey(absl::string_view customer_id, Sequence upto) {
  return absl::StrCat(NumberKey(kErasurePrefix, upto), absl::string_view(customer_id));
}

// Takes the ids of one person out of a record. True: it had some.
bool Strip(absl::string_view customer_id, v1::stored::LogRecord& record) {
  const auto clear = [&](std::string* id) {
    if (id->empty() || *id != customer_id) return false;
    id->clear();
    return true;
  };
  switch (record.change_case()) {
    case v1::stored::LogRecord::kDecision: {
      v1::stored::Decision& decision = *record.mutable_decision();
      bool stripped = !decision.customer_id().empty() && clear(decision.mutable_customer_id());
      v1::RankOffersRequest request;
      if (!request.ParseFromString(decision.request())) {  // nobody can read it, so nobody may find a person in it
        decision.clear_request();
        return true;
      }
      if (!request.customer_id().empty() && clear(request.mutable_customer_id())) {
        decision.set_request(request.SerializeAsString());
        stripped = true;
      }
      return stripped;
    }
    case v1::stored::LogRecord::kEvent: {
      v1::Event& event = *record.mutable_event()->mutable_event();
      if (!clear(event.mutable_customer_id())) return false;
      event.clear_order_id();  // a number of the shop's that leads to the person
      return true;
    }
    case v1::stored::LogRecord::kCustomersUpserted: {
      auto& customers = *record.mutable_customers_upserted()->mutable_customers();
      const auto kept = std::remove_if(customers.begin(), customers.end(), [&](const v1::Customer& customer) {
        return customer.customer_id() == customer_id;
      });
      if (kept == customers.end()) return false;
      customers.erase(kept, customers.end());
      return true;
    }
    case v1::stored::LogRecord::kCustomersMerged: {
      const bool from = clear(record.mutable_customers_merged()->mutable_from_customer_id());
      return clear(record.mutable_customers_merged()->mutable_to_customer_id()) || from;
    }
    case v1::stored::LogRecord::kCustomerErased:
      return clear(record.mutable_customer_erased());
    default:
      return false;
  }
}

}  // namespace

absl::StatusOr<bool> Store::PurgeSeen(int64_t before_micros) {
  return PurgeIndex(Family::kSeen, before_micros, purge_seen_cursor_);
}

absl::StatusOr<bool> Store::PurgeDecisions(int64_t before_micros) {
  return PurgeIndex(Family::kDecisions, before_micros, purge_decisions_cursor_);
}

absl::StatusOr<bool> Store::PurgeIndex(Family family, int64_t before_micros, std::string& cursor) {
  RETURN_IF_ERROR(CheckWritable());
  const std::unique_ptr<KvIterator> ids = kv_->Iterate(family, cursor, "");
  KvBatch batch;
  for (int looked_at = 0; ids->valid() && looked_at < kIdsInCall; ids->Next(), ++looked_at) {
    const absl::StatusOr<IndexEntry> entry = IndexEntry::Read(family, ids->key(), ids->value());
    if (!entry.ok()) {
      damaged_entries_.fetch_add(1, std::memory_order_relaxed);
    } else if (entry->time_micros < before_micros) {
      batch.Delete(family, ids->key());
    }
  }
  RETURN_IF_ERROR(ids->status());
  if (!batch.empty()) RETURN_IF_ERROR(kv_->Write(batch, /*sync=*/false));
  const bool is_end = !ids->valid();
  cursor = is_end ? "" : std::string(ids->key());
  return is_end;
}

absl::Status Store::MarkErasurePending(absl::string_view customer_id, Sequence upto) {
  RETURN_IF_ERROR(CheckWritable());
  if (customer_id.empty()) return absl::InvalidArgumentError("erasure needs a customer id");
  if (upto > last_sequence()) {
    return absl::InvalidArgumentError(
        absl::StrCat("erasure up to ", upto, " is past the end of the log, ", last_sequence()));
  }
  const std::string key = ErasureKey(customer_id, upto);
  ASSIGN_OR_RETURN(const std::optional<std::string> known, kv_->Read(Family::kMeta, key));
  return known.has_value() ? absl::OkStatus() : PutInMeta(key, NumberKey(first_sequence()));
}

absl::StatusOr<std::vector<PendingErasure>> Store::PendingErasures() const {
  std::vector<PendingErasure> result;
  const std::unique_ptr<KvIterator> marks = kv_->Iterate(Family::kMeta, kErasurePrefix, AfterPrefix(kErasurePrefix));
  for (; marks->valid(); marks->Next()) {
    const absl::string_view key = marks->key().substr(kErasurePrefix.size());
    if (key.size() <= 8) return absl::DataLossError("meta erasure/: a key is cut short");
    PendingErasure erasure;
    erasure.upto = *ReadNumber(key);
    erasure.customer_id = std::string(key.substr(8));
    // How far it came is a matter of time only: a damaged number starts it again from the front.
    const absl::StatusOr<absl::string_view> next = Unframe(Family::kMeta, marks->key(), marks->value());
    erasure.next = next.ok() ? ReadNumber(*next).value_or(0) : 0;
    result.push_back(std::move(erasure));
  }
  RETURN_IF_ERROR(marks->status());
  return result;
}

absl::Status Store::FinishErasure(absl::string_view customer_id, Sequence upto, Sequence through) {
  RETURN_IF_ERROR(CheckWritable());
  through = std::max(upto, through);
  ASSIGN_OR_RETURN(const std::vector<PendingErasure> pending, PendingErasures());
  const auto erasure = std::find_if(pending.begin(), pending.end(), [&](const PendingErasure& candidate) {
    return candidate.customer_id == customer_id && candidate.upto == upto;
  });
  if (erasure == pending.end()) return absl::OkStatus();  // done before
  const std::vector<BaseInfo> bases = ListBases();
  if (std::none_of(bases.begin(), bases.end(), [&](const BaseInfo& base) {
        return base.state == BaseInfo::State::kSound && base.manifest.sequence() >= through;
      })) {
    return absl::FailedPreconditionError(
        absl::StrCat("erasure up to ", through, " needs a verified base at or after it first"));
  }
  // Bases go first: from now on replay starts where the customer is gone already, so half a stripped log hurts nobody.
  for (const BaseInfo& base : bases) {
    if (base.manifest.sequence() < through) RETURN_IF_ERROR(DeleteBase(base.manifest.sequence()));
  }
  RETURN_IF_ERROR(StripErased(*erasure, through));
  KvBatch batch;
  batch.Delete(Family::kMeta, ErasureKey(customer_id, upto));
  return kv_->Write(batch, /*sync=*/true);
}

absl::Status Store::StripErased(const PendingErasure& erasure, Sequence through) {
  Sequence next = std::max(erasure.next, first_sequence());
  while (next <= through) {
    const Sequence end = std::min(through, next + kRecordsInBatch - 1);
    KvBatch batch;
    RETURN_IF_ERROR(ReadLog(next, end, [&](const v1::stored::LogRecord& record) {
      v1::stored::LogRecord stripped = record;
      if (Strip(erasure.customer_id, stripped)) {
        stripped.set_erased(true);
        batch.Put(Family::kLog, NumberKey(record.sequence()), Frame(stripped.SerializeAsString()));
      }
      return absl::OkStatus();
    }));
    next = end + 1;
    if (batch.empty() && next <= through) continue;
    batch.Put(Family::kMeta, ErasureKey(erasure.customer_id, erasure.upto), Frame(NumberKey(next)));
    RETURN_IF_ERROR(kv_->Write(batch, /*sync=*/false));
  }
  // Old bytes of rewritten records go with the next compaction of their files.
  return absl::OkStatus();
}

}  // namespace offerd
