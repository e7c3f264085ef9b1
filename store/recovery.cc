#include "store/recovery.h"

#include <algorithm>
#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/hash.h"
#include "core/status_macros.h"
#include "store/decision_records.h"
#include "store/records.h"
#include "store/state_records.h"

namespace offerd {
namespace {

// Runs a function on states of the past: keeps a free copy for every log position that a later decision read.
class PinnedStates {
 public:
  void Need(Sequence sequence) { ++needed_[sequence]; }
  void Keep(const State& state) {
    if (needed_.count(state.sequence) != 0) states_.emplace(state.sequence, state);
  }
  const State* Find(Sequence sequence) const {
    const auto it = states_.find(sequence);
    return it == states_.end() ? nullptr : &it->second;
  }
  void Release(Sequence sequence) {
    const auto it = needed_.find(sequence);
    if (it == needed_.end() || --it->second > 0) return;
    needed_.erase(it);
    states_.erase(sequence);
  }

 private:
  std::map<Sequence, int64_t> needed_;
  std::map<Sequence, State> states_;
};

class Replayer {
 public:
  Replayer(Store& store, const std::function<void(Sequence)>& progress, const TableSource& tables)
      : store_(store), progress_(progress), tables_(tables), fold_(std::make_unique<Fold>(tables)) {}

  absl::StatusOr<ReplayReport> Run() {
    report_.last = store_.last_sequence();
    Sequence last_erased = 0;
    RETURN_IF_ERROR(store_.ReadLog(store_.first_sequence(), report_.last, [&](const v1::stored::LogRecord& record) {
      if (record.erased()) last_erased = record.sequence();
      if (record.has_decision()) states_.Need(record.decision().state_sequence());
      return absl::OkStatus();
    }));
    RETURN_IF_ERROR(Begin(last_erased));
    states_.Keep(fold_->state());
    RETURN_IF_ERROR(store_.ReadLog(report_.base + 1, report_.last,
                                   [this](const v1::stored::LogRecord& record) { return Step(record); }));
    for (const auto& [name, learning] : fold_->learning())
      report_.policies.emplace_back(name, LearningChecksum(learning));
    report_.state_digest = StateDigest(fold_->Image());
    return std::move(report_);
  }

 private:
  // What was stripped from the log up to `last_erased` cannot be folded again: a base after it is the beginning.
  absl::Status Begin(Sequence last_erased) {
    std::vector<BaseInfo> bases = store_.ListBases();
    if (store_.first_sequence() == 1 && last_erased == 0) return RememberBases(bases, 0);
    for (auto it = bases.rbegin(); it != bases.rend(); ++it) {
      if (it->state == BaseInfo::State::kDamaged || it->manifest.sequence() + 1 < store_.first_sequence() ||
          it->manifest.sequence() < last_erased) {
        continue;
      }
      fold_ = std::make_unique<Fold>(tables_);
      if (!LoadImage(store_, it->manifest.sequence(), *fold_).ok()) continue;
      report_.base = it->manifest.sequence();
      return RememberBases(bases, report_.base);
    }
    return absl::DataLossError("no sound base reaches down to the kept log");
  }

  absl::Status RememberBases(const std::vector<BaseInfo>& bases, Sequence after) {
    for (const BaseInfo& base : bases) {
      if (base.state != BaseInfo::State::kDamaged && base.manifest.sequence() > after)
        bases_.push_back(base.manifest.sequence());
    }
    std::sort(bases_.begin(), bases_.end());
    return absl::OkStatus();
  }

  void Differ(const std::string& what) {
    ++report_.differences;
    if (report_.examples.size() < 20) report_.examples.push_back(what);
  }

  absl::Status Step(const v1::stored::LogRecord& record) {
    ASSIGN_OR_RETURN(const LogEntry entry, FromProto(record));
    if (record.has_decision()) CompareDecision(record);
    if (record.has_publication()) ComparePublication(record.publication());
    RETURN_IF_ERROR(fold_->Apply(entry));
    states_.Keep(fold_->state());
    ++report_.records;
    if (!bases_.empty() && bases_.front() == record.sequence()) CompareBase();
    if (progress_ && record.sequence() % 1000 == 0) progress_(record.sequence());
    return absl::OkStatus();
  }

  void CompareDecision(const v1::stored::LogRecord& record) {
    const v1::stored::Decision& stored = record.decision();
    const State* state = states_.Find(stored.state_sequence());
    if (state == nullptr || record.erased()) {
      ++report_.skipped;
      states_.Release(stored.state_sequence());
      return;
    }
    v1::stored::Decision again;
    const absl::StatusOr<v1::RankOffersRequest> request = RequestOf(stored);
    absl::Status status = request.status();
    if (status.ok()) {
      FillRankRequest(*request, request_);
      status = Decide(*state, request_, stored.seed(), record.time_micros(), scratch_, decision_);
    }
    if (!status.ok()) {
      Differ(absl::StrCat("decision at ", record.sequence(), ": ", status.message()));
    } else {
      FillDecisionRecord(decision_, *request, stored.request(), stored.decision_id(), stored.seed(), stored.state_sequence(), again);
      // What the server knows besides: not computed by the decision.
      again.set_request_fingerprint(stored.request_fingerprint());
      again.set_made_up_request_id(stored.made_up_request_id());
      ++report_.decisions;
      CompareBytes(record.sequence(), stored, again);
    }
    states_.Release(stored.state_sequence());
  }

  // Notes may hold one that the server adds itself.
  void CompareBytes(Sequence sequence, const v1::stored::Decision& stored, v1::stored::Decision& again) {
    for (const int note : stored.notes()) {
      if (note == static_cast<int>(DecisionNote::kAsOfIgnored)) again.add_notes(note);
    }
    if (stored.SerializeAsString() == again.SerializeAsString()) return;
    std::string where = "bytes differ";
    if (stored.slots_size() != again.slots_size()) {
      where = absl::StrCat("slots: recorded ", stored.slots_size(), ", recomputed ", again.slots_size());
    } else {
      for (int i = 0; i < stored.slots_size(); ++i) {
        if (stored.slots(i).SerializeAsString() == again.slots(i).SerializeAsString()) continue;
        where =
            absl::StrCat("slot ", i, ": recorded ", stored.slots(i).offer_id(), " p ", stored.slots(i).probability(),
                         ", recomputed ", again.slots(i).offer_id(), " p ", again.slots(i).probability());
        break;
      }
    }
    Differ(absl::StrCat("decision at ", sequence, ": ", where));
  }

  void ComparePublication(const v1::stored::Publication& stored) {
    ++report_.publications;
    const auto again = fold_->Prepare(stored.policy(), stored.kept());
    if (!again.ok()) {
      Differ(absl::StrCat("publication ", stored.version(), " of ", stored.policy(), ": ", again.status().message()));
      return;
    }
    if (ToProto(*again).SerializeAsString() != stored.SerializeAsString()) {
      Differ(absl::StrCat("publication ", stored.version(), " of ", stored.policy(), ": recorded sigma ",
                          stored.sigma(), ", recomputed version ", again->version, " sigma ", again->sigma));
    }
  }

  void CompareBase() {
    const Sequence sequence = bases_.front();
    bases_.erase(bases_.begin());
    Fold loaded;
    const absl::Status status = LoadImage(store_, sequence, loaded);
    if (!status.ok()) {
      Differ(absl::StrCat("base ", sequence, ": ", status.message()));
    } else if (StateDigest(loaded.Image()) != StateDigest(fold_->Image())) {
      Differ(absl::StrCat("base ", sequence, ": its state is not that of the replayed log"));
    }
  }

  Store& store_;
  const std::function<void(Sequence)>& progress_;
  const TableSource& tables_;
  std::unique_ptr<Fold> fold_;
  PinnedStates states_;
  std::vector<Sequence> bases_;
  ReplayReport report_;
  RankRequest request_;
  DecideScratch scratch_;
  Decision decision_;
};

}  // namespace

absl::StatusOr<ReplayReport> Replay(Store& store, const std::function<void(Sequence)>& progress, const TableSource& tables) {
  return Replayer(store, progress, tables).Run();
}

uint64_t LearningChecksum(const PolicyLearning& learning) {
  uint64_t checksum = learning.statistics.Checksum();
  for (const int64_t part : {learning.has_epoch ? learning.epoch : 0, learning.half_lives, learning.newest,
                             learning.apprentice_decisions, learning.apprentice_agreements}) {
    checksum = MixHash(checksum, static_cast<uint64_t>(part));
  }
  return checksum;
}

absl::StatusOr<Recovery> Recover(Store& store, const std::function<void(const v1::stored::LogRecord&)>& visit,
                                 const TableSource& tables) {
  Recovery recovery;
  for (const BaseInfo& base : store.ListBases()) {
    const Sequence sequence = base.manifest.sequence();
    absl::Status status = absl::DataLossError(base.detail);
    if (base.state != BaseInfo::State::kDamaged) {
      recovery.fold = std::make_unique<Fold>(tables);
      status = LoadImage(store, sequence, *recovery.fold);
      if (status.ok()) {
        recovery.base = sequence;
        break;
      }
    }
    recovery.fold = nullptr;
    recovery.set_aside.push_back(absl::StrCat("base ", sequence, ": ", status.message()));
  }
  if (recovery.fold == nullptr) recovery.fold = std::make_unique<Fold>(tables);
  if (recovery.base + 1 < store.first_sequence()) {
    return absl::DataLossError(absl::StrCat("no sound base reaches down to the kept log: the newest sound base is at ",
                                            recovery.base, ", the log begins at ", store.first_sequence(),
                                            recovery.set_aside.empty() ? "" : "; ",
                                            recovery.set_aside.empty() ? "" : recovery.set_aside.front()));
  }
  RETURN_IF_ERROR(store.ReadLog(recovery.base + 1, store.last_sequence(), [&](const v1::stored::LogRecord& record) {
    if (record.erased()) {
      return absl::DataLossError(absl::StrCat("log record ", record.sequence(),
                                              " was stripped by an erasure, and no sound base after it is left"));
    }
    if (visit) visit(record);
    ASSIGN_OR_RETURN(const LogEntry entry, FromProto(record));
    ++recovery.replayed;
    return recovery.fold->Apply(entry);
  }));
  return recovery;
}

}  // namespace offerd
