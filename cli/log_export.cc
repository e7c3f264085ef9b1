// Works on the files of a store, stopped or running: what was written before it began.
#include <fstream>
#include <memory>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "cli/cells.h"
#include "cli/commands.h"
#include "cli/policy_log.h"
#include "cli/text.h"
#include "core/hash.h"
#include "core/status_macros.h"
#include "store/policy_evidence.h"
#include "store/recovery.h"
#include "store/store.h"

namespace offerd::cli {
namespace {

struct ExportArguments {
  std::string store, placement, from, to, output, policy;
  std::string format = "csv";
  std::string propensity = "conditional";
  uint64_t version = 0;
};

constexpr const char* kColumns =
    "decision,action,position,propensity,reward,target_probability,customer,time,placement,policy,version,score,revenue,margin\n";

// As RFC 4180 has it, where a cell needs it.
std::string Cell(const std::string& text) {
  if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
  std::string quoted = "\"";
  for (const char c : text) absl::StrAppend(&quoted, c == '"' ? "\"\"" : std::string(1, c));
  return quoted + "\"";
}

std::string Number(double value) { return absl::StrFormat("%.17g", value); }

// Writes each decision once it is closed, one row a shown offer.
class Exporter final : public DecisionVisitor {
 public:
  Exporter(const State& state, const ExportArguments& arguments, const Candidate* candidate, std::ostream& out)
      : arguments_(arguments), candidate_(candidate), out_(out) {
    if (candidate == nullptr) return;
    rescorer_ = std::make_unique<Rescorer>(state, candidate->on->placement);
    target_ = ToRescored(*candidate);
  }

  bool Begin(const v1::stored::LogRecord& record) override {
    const v1::stored::Decision& decision = record.decision();
    Waiting waiting;
    if (candidate_ != nullptr) {
      RecordedChoice choice;
      if (!ReadChoice(decision, choice) || !rescorer_->Probabilities(choice, target_, waiting.target).ok()) {
        ++left_out_;
        return false;
      }
    }
    waiting.decision = decision;
    waiting.decision.clear_matrix();
    waiting.decision.clear_candidate_ids();
    waiting.time = record.time_micros();
    waiting_.emplace(record.sequence(), std::move(waiting));
    return true;
  }

  void End(Sequence sequence, absl::Span<const SlotValues> values) override {
    const auto found = waiting_.find(sequence);
    const Waiting& waiting = found->second;
    const int slots = arguments_.propensity == "marginal" ? std::min(1, waiting.decision.slots_size()) : waiting.decision.slots_size();
    for (int i = 0; i < slots; ++i) {
      const double propensity = waiting.decision.slots(i).probability();
      const double target = waiting.target.empty() ? propensity : waiting.target[static_cast<size_t>(i)];
      arguments_.format == "csv" ? WriteCells(waiting, i, target, values[static_cast<size_t>(i)])
                                 : WriteJson(waiting, i, target, values[static_cast<size_t>(i)]);
    }
    ++written_;
    waiting_.erase(found);
  }

  int64_t written() const { return written_; }
  int64_t left_out() const { return left_out_; }

 private:
  struct Waiting {
    v1::stored::Decision decision;
    TimeMicros time = 0;
    std::vector<double> target;  // empty: that of the log
  };

  // Tells people apart without naming them.
  static std::string CustomerOf(const v1::stored::Decision& decision) {
    return decision.customer_id().empty() ? "" : absl::StrFormat("%016x", StableHash(decision.customer_id()));
  }

  void WriteCells(const Waiting& waiting, int i, double target, const SlotValues& values) {
    const v1::stored::Decision& decision = waiting.decision;
    const v1::stored::Decision::Slot& slot = decision.slots(i);
    out_ << decision.decision_id() << ',' << Cell(slot.offer_id()) << ',' << i + 1 << ',' << Number(slot.probability()) << ','
         << Number(values.reward) << ',' << Number(target) << ',' << CustomerOf(decision) << ',' << FormatTime(ToTimestamp(waiting.time)) << ','
         << Cell(decision.placement()) << ',' << Cell(decision.policy()) << ',' << decision.model_version() << ',' << Number(slot.score()) << ','
         << Number(values.revenue) << ',' << Number(values.margin) << '\n';
  }

  void WriteJson(const Waiting& waiting, int i, double target, const SlotValues& values) {
    const v1::stored::Decision& decision = waiting.decision;
    const v1::stored::Decision::Slot& slot = decision.slots(i);
    const Json row = {{"decision", decision.decision_id()},   {"action", slot.offer_id()},
                      {"position", i + 1},                    {"propensity", slot.probability()},
                      {"reward", values.reward},              {"target_probability", target},
                      {"customer", CustomerOf(decision)},     {"time", FormatTime(ToTimestamp(waiting.time))},
                      {"placement", decision.placement()},    {"policy", decision.policy()},
                      {"version", decision.model_version()},  {"score", slot.score()},
                      {"revenue", values.revenue},            {"margin", values.margin}};
    out_ << row.dump() << '\n';
  }

  const ExportArguments& arguments_;
  const Candidate* const candidate_;
  std::ostream& out_;
  std::unique_ptr<Rescorer> rescorer_;
  RescoredPolicy target_;
  absl::flat_hash_map<Sequence, Waiting> waiting_;
  int64_t written_ = 0, left_out_ = 0;
};

absl::Status Export(Session& session, const ExportArguments& arguments) {
  HistoryRange range;
  range.placement = arguments.placement;
  range.with_money = true;
  RETURN_IF_ERROR(ReadTimeOption("--from", arguments.from, range.from));
  RETURN_IF_ERROR(ReadTimeOption("--to", arguments.to, range.to));
  StoreOptions options;
  options.read_only = true;
  ASSIGN_OR_RETURN(const std::unique_ptr<Store> store, Store::OpenAt(arguments.store, options));
  ASSIGN_OR_RETURN(const Recovery recovery, Recover(*store));
  const State& state = recovery.fold->state();
  Candidate candidate;
  if (!arguments.policy.empty()) {
    ASSIGN_OR_RETURN(candidate, FindCandidate(state, {arguments.placement, arguments.policy, arguments.version}));
    range.after = candidate.trained_until;
  }
  std::ofstream file;
  if (!arguments.output.empty()) {
    file.open(arguments.output, std::ios::trunc);
    if (!file) return absl::PermissionDeniedError(absl::StrCat(arguments.output, ": cannot be written"));
  }
  std::ostream& out = arguments.output.empty() ? session.out : file;
  if (arguments.format == "csv") out << kColumns;
  Exporter exporter(state, arguments, arguments.policy.empty() ? nullptr : &candidate, out);
  ASSIGN_OR_RETURN(const HistoryCounts counts, WalkDecisions(*store, state, range, exporter));
  out.flush();
  if (!out) return absl::DataLossError(absl::StrCat(arguments.output, ": not all of it could be written"));
  session.err << FormatCount(exporter.written()) << " decisions written; left out: " << FormatCount(counts.open) << " with an open window, "
              << FormatCount(counts.early) << " closed early";
  if (!arguments.policy.empty()) session.err << ", " << FormatCount(exporter.left_out()) << " without a matrix of the policy's features";
  session.err << "\n";
  return absl::OkStatus();
}

}  // namespace

void AddLog(CLI::App& app, Session& session) {
  CLI::App* log = app.add_subcommand("log", "The decision log: export");
  log->require_subcommand(1);
  auto arguments = std::make_shared<ExportArguments>();
  CLI::App* command = AddCommand(*log, "export", "Writes the closed decisions of a placement with what they earned, a row each shown offer", session,
                                 [&session, arguments] { return Export(session, *arguments); });
  command->add_option("--store", arguments->store, "folder of the store; a server may have it open")->required();
  command->add_option("--placement", arguments->placement, "the named surface")->required();
  command->add_option("--format", arguments->format, "csv or jsonl")->capture_default_str()->check(CLI::IsMember({"csv", "jsonl"}));
  command->add_option("--propensity", arguments->propensity, "conditional: every slot; marginal: only the first, where both are the same")
      ->capture_default_str()
      ->check(CLI::IsMember({"conditional", "marginal"}));
  command->add_option("--from", arguments->from, "decisions from this time on");
  command->add_option("--to", arguments->to, "decisions up to this time");
  command->add_option("--policy", arguments->policy, "target_probability is this policy's, on decisions behind its training that have a matrix; without it that of the log");
  command->add_option("--version", arguments->version, "with --policy: a kept version; 0 = the newest kept one, else that in force")->capture_default_str();
  command->add_option("--output", arguments->output, "file; without it to standard output");
}

}  // namespace offerd::cli
