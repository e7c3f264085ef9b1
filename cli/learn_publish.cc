#include "cli/learn_publish.h"

#include <memory>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "core/status_macros.h"
#include "store/records.h"
#include "store/recovery.h"
#include "store/store.h"

namespace offerd::cli {
namespace {

using v1::stored::LogRecord;

// Records to be written together, and the fold that follows them.
class Pending {
 public:
  explicit Pending(Fold& fold) : fold_(fold) {}

  absl::Status Add(LogRecord record) {
    record.set_sequence(fold_.state().sequence + 1);
    record.set_time_micros(fold_.state().now);
    ASSIGN_OR_RETURN(const LogEntry entry, FromProto(record));
    RETURN_IF_ERROR(fold_.Apply(entry));
    records_.push_back(std::move(record));
    return absl::OkStatus();
  }

  absl::Status Write(Store& store) const {
    std::vector<const LogRecord*> pointers;
    for (const LogRecord& record : records_) pointers.push_back(&record);
    return store.Append(pointers, true);
  }

 private:
  Fold& fold_;
  std::vector<LogRecord> records_;
};

absl::Status CheckSameModel(const PolicyState& there, const PolicyState& learned, const PolicyLearning& learning, const std::string& name) {
  const bool same = there.encoder != nullptr && there.encoder->fingerprint() == learned.encoder->fingerprint() &&
                    there.policy.half_life_days == learned.policy.half_life_days;
  if (!same) {
    return absl::FailedPreconditionError(absl::StrCat("policy '", name, "' is there with other features, half-life or kind: take another --name"));
  }
  if (there.policy.half_life_days > 0 && learning.statistics.num_shown() > 0) {
    return absl::FailedPreconditionError(absl::StrCat("policy '", name, "' forgets, and has learned already: take another --name"));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status PublishLearned(const learn::Trainer& trainer, const std::string& store_path, const std::string& name) {
  const Fold& learned = trainer.fold();
  if (learned.learning().empty()) return absl::FailedPreconditionError("--publish: the policy learns nothing");
  const auto& [own_name, sums] = *learned.learning().begin();
  const PolicyState& policy = *learned.state().FindPolicy(own_name);
  ASSIGN_OR_RETURN(const std::unique_ptr<Store> store, Store::OpenAt(store_path, StoreOptions()));
  ASSIGN_OR_RETURN(Recovery recovery, Recover(*store));
  Fold& fold = *recovery.fold;
  Pending pending(fold);
  if (const PolicyState* there = fold.state().FindPolicy(name)) {
    const auto learning = fold.learning().find(name);
    if (learning == fold.learning().end()) return absl::FailedPreconditionError(absl::StrCat("policy '", name, "' learns nothing: take another --name"));
    RETURN_IF_ERROR(CheckSameModel(*there, policy, learning->second, name));
  } else {
    Policy copy = policy.policy;
    copy.name = name;
    LogRecord record;
    *record.mutable_policy_set() = ToProto(copy);
    RETURN_IF_ERROR(pending.Add(std::move(record)));
  }
  LogRecord record;
  *record.mutable_learned_sums() = ToProto(LearnedSums{name, sums.statistics, sums.has_epoch, sums.epoch, sums.half_lives, sums.newest});
  RETURN_IF_ERROR(pending.Add(std::move(record)));
  ASSIGN_OR_RETURN(const Publication publication, fold.Prepare(name, true));
  LogRecord published;
  *published.mutable_publication() = ToProto(publication);
  RETURN_IF_ERROR(pending.Add(std::move(published)));
  return pending.Write(*store);
}

}  // namespace offerd::cli
