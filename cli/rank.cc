#include <algorithm>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "cli/cells.h"
#include "cli/commands.h"
#include "cli/text.h"
#include "core/hash.h"
#include "core/status_macros.h"

namespace offerd::cli {
namespace {

struct RankOptions {
  std::string placement, customer, market, request_id, as_of, policy, consent;
  std::vector<std::string> candidates, context;
  int slots = 0;
  bool validate_only = false;
  bool compact = false;
};

absl::StatusOr<v1::RankOffersRequest> MakeRequest(const RankOptions& options) {
  v1::RankOffersRequest request;
  request.set_placement(options.placement);
  request.set_customer_id(options.customer);
  request.set_market(options.market);
  request.set_request_id(options.request_id);
  request.set_slate_size(options.slots);
  request.set_validate_only(options.validate_only);
  request.set_policy(options.policy);
  if (options.compact && options.candidates.empty()) return UsageError("--compact: expected with --candidates");
  for (const std::string& id : options.candidates) {
    if (options.compact) {
      request.add_offer_keys(Fnv1aHash(id));
    } else {
      request.add_candidates()->set_offer_id(id);
    }
  }
  for (const std::string& fact : options.context) {
    const size_t equals = fact.find('=');
    if (equals == std::string::npos || equals == 0) return UsageError(absl::StrCat("--context: \"", fact, "\" is not name=value"));
    *request.add_context() = MakeNamedValue(fact.substr(0, equals), fact.substr(equals + 1));
  }
  const auto consent = ParseConsent(options.consent);
  if (!consent.ok()) return UsageError(absl::StrCat("--consent: ", consent.status().message()));
  request.set_consent(*consent);
  if (!options.as_of.empty()) {
    const auto time = ParseTimeMicros(options.as_of);
    if (!time.ok()) return UsageError(absl::StrCat("--as-of: ", time.status().message()));
    *request.mutable_as_of() = ToTimestamp(*time);
  }
  return request;
}

void Print(const RankOptions& options, const v1::RankOffersResponse& response, std::ostream& out) {
  std::vector<std::vector<std::string>> rows = {{"position", "offer", "score", "probability", "reason"}};
  const auto& packed = response.packed();
  for (int i = 0; i < packed.index_size(); ++i) {
    const size_t at = packed.index(i);
    rows.push_back({absl::StrCat(i + 1), at < options.candidates.size() ? options.candidates[at] : "", FormatNumber(packed.score(i)),
                    FormatNumber(packed.probability(i)), ReasonInWords(packed.reason(i))});
  }
  for (int i = 0; i < response.slots_size(); ++i) {
    const auto& slot = response.slots(i);
    rows.push_back({absl::StrCat(i + 1), slot.offer_id(), FormatNumber(slot.score()), FormatNumber(slot.probability()), ReasonInWords(slot.reason())});
  }
  if (rows.size() > 1) out << FormatTable(rows);
  out << "policy " << response.policy();
  if (response.model_version() != 0) out << ", model version " << response.model_version();
  out << ", " << response.candidates() << " candidates";
  if (response.has_time()) out << ", as of " << FormatTime(response.time());
  out << (response.decision_id().empty() ? "\nnot recorded" : absl::StrCat("\ndecision ", response.decision_id())) << "\n";
  for (const auto& excluded : response.excluded()) out << "left out: " << excluded.count() << " (" << excluded.reason() << ")\n";
  for (const int note : response.notes()) out << "note: " << NoteInWords(response, note) << "\n";
}

absl::Status RunRank(Session& session, const RankOptions& options) {
  ASSIGN_OR_RETURN(const v1::RankOffersRequest request, MakeRequest(options));
  ASSIGN_OR_RETURN(const std::unique_ptr<Client> client, session.Connect());
  v1::RankOffersResponse response;
  RETURN_IF_ERROR(client->Call(client->offers(), &v1::OfferService::Stub::RankOffers, request, &response));
  if (session.json) {
    session.out << Dump(ToJson(response));
  } else {
    Print(options, response, session.out);
  }
  return absl::OkStatus();
}

}  // namespace

void AddRank(CLI::App& app, Session& session) {
  auto options = std::make_shared<RankOptions>();
  CLI::App* command = AddCommand(app, "rank", "Asks for a slate of offers and prints it with its reasons", session,
                                 [&session, options] { return RunRank(session, *options); });
  command->add_option("--placement", options->placement, "the named surface")->required();
  command->add_option("--customer", options->customer, "customer id; without it nobody is known");
  command->add_option("--market", options->market, "country or shop front");
  command->add_option("--candidates", options->candidates, "offer ids, separated by commas; without them all live offers")->delimiter(',')->allow_extra_args(false);
  command->add_flag("--compact", options->compact, "with --candidates: ask in the compact form, by offer keys");
  command->add_option("--context", options->context, "name=value, may be repeated; a number where the value is one")->allow_extra_args(false);
  command->add_option("--slots", options->slots, "slots wanted; 0 = the placement's")->capture_default_str()->check(CLI::NonNegativeNumber);
  command->add_option("--request-id", options->request_id, "makes the call idempotent");
  command->add_option("--consent", options->consent, "granted or denied; without it as stored");
  command->add_option("--as-of", options->as_of, "time of the decision, where the server's clock is `request`");
  command->add_option("--policy", options->policy, "with --validate-only: decide by this policy");
  command->add_flag("--validate-only", options->validate_only, "decide, but record and learn nothing");
}

}  // namespace offerd::cli
