#include <memory>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "cli/cells.h"
#include "cli/commands.h"
#include "cli/text.h"
#include "core/status_macros.h"

namespace offerd::cli {
namespace {

struct FeedbackOptions {
  std::string kind, event_id, customer, decision, offer, order, market, currency, time, reverses;
  std::vector<std::string> lines;
  bool history = false;
};

// ITEM, or ITEM:QUANTITY:REVENUE from the right, so that an item id may hold colons.
absl::Status ParseLine(const std::string& text, v1::EventLine* line) {
  line->set_item_id(text);
  line->set_quantity(1);
  const size_t last = text.rfind(':');
  if (last == std::string::npos) return absl::OkStatus();
  const size_t first = last == 0 ? std::string::npos : text.rfind(':', last - 1);
  if (first == std::string::npos || first == 0) return UsageError(absl::StrCat("--line: \"", text, "\" is not item:quantity:revenue"));
  const auto quantity = ParseWholeNumber(text.substr(first + 1, last - first - 1));
  if (!quantity.ok()) return UsageError(absl::StrCat("--line: quantity: ", quantity.status().message()));
  const auto revenue = ParseMoneyMicros(text.substr(last + 1));
  if (!revenue.ok()) return UsageError(absl::StrCat("--line: revenue: ", revenue.status().message()));
  line->set_item_id(text.substr(0, first));
  line->set_quantity(*quantity);
  line->set_revenue_micros(*revenue);
  return absl::OkStatus();
}

absl::StatusOr<v1::Event> MakeEvent(const FeedbackOptions& options) {
  v1::Event event;
  const auto kind = ParseEventKind(options.kind);
  if (!kind.ok()) return UsageError(absl::StrCat("--kind: ", kind.status().message()));
  event.set_kind(*kind);
  event.set_event_id(options.event_id);
  event.set_customer_id(options.customer);
  event.set_decision_id(options.decision);
  event.set_offer_id(options.offer);
  event.set_order_id(options.order);
  event.set_market(options.market);
  event.set_currency(options.currency);
  event.set_reverses_event_id(options.reverses);
  event.set_history(options.history);
  for (const std::string& line : options.lines) RETURN_IF_ERROR(ParseLine(line, event.add_lines()));
  if (!options.time.empty()) {
    const auto time = ParseTimeMicros(options.time);
    if (!time.ok()) return UsageError(absl::StrCat("--time: ", time.status().message()));
    *event.mutable_time() = ToTimestamp(*time);
  }
  return event;
}

const char* FateInWords(v1::Fate fate) {
  switch (fate) {
    case v1::APPLIED:
      return "applied";
    case v1::DUPLICATE:
      return "already known, counted once";
    case v1::LATE:
      return "too late for its decision, not applied";
    case v1::ORPHAN:
      return "kept, but it names a decision that is not known";
    default:
      return "not taken";
  }
}

absl::Status RunFeedback(Session& session, const FeedbackOptions& options) {
  v1::SendFeedbackRequest request;
  ASSIGN_OR_RETURN(*request.add_events(), MakeEvent(options));
  ASSIGN_OR_RETURN(const std::unique_ptr<Client> client, session.Connect());
  v1::SendFeedbackResponse response;
  RETURN_IF_ERROR(client->CallPatiently(client->feedback(), &v1::FeedbackService::Stub::SendFeedback, request, &response));
  if (response.results_size() != 1) return absl::InternalError("the server answered for another number of events than it was sent");
  const v1::EventResult& result = response.results(0);
  if (session.json) session.out << Dump(ToJson(result));
  if (result.status().code() != 0) {
    grpc::Status refused(static_cast<grpc::StatusCode>(result.status().code()), result.status().message(), result.status().SerializeAsString());
    return FromGrpc(refused);
  }
  if (result.fate() == v1::REFUSED) return absl::FailedPreconditionError(absl::StrCat("event ", options.event_id, " was refused"));
  if (!session.json) {
    session.out << "event " << options.event_id << ": " << FateInWords(result.fate());
    if (result.sequence() != 0) session.out << ", log record " << result.sequence();
    session.out << "\n";
  }
  return absl::OkStatus();
}

}  // namespace

void AddFeedback(CLI::App& app, Session& session) {
  auto options = std::make_shared<FeedbackOptions>();
  CLI::App* command = AddCommand(app, "feedback", "Sends one event and waits until it is durable", session,
                                 [&session, options] { return RunFeedback(session, *options); });
  command->add_option("--kind", options->kind, "impression, click, add_to_cart, purchase, refund, dismiss, view, search or wishlist")->required();
  command->add_option("--event-id", options->event_id, "makes the event count once")->required();
  command->add_option("--customer", options->customer, "customer id");
  command->add_option("--decision", options->decision, "the decision that led here");
  command->add_option("--offer", options->offer, "the slot meant; without it every slot whose offer covers a line");
  command->add_option("--order", options->order, "order id of a purchase");
  command->add_option("--line", options->lines, "item, or item:quantity:revenue with revenue in major units; may be repeated")->allow_extra_args(false);
  command->add_option("--market", options->market, "country or shop front");
  command->add_option("--currency", options->currency, "ISO 4217");
  command->add_option("--time", options->time, "when it happened; without it now");
  command->add_option("--reverses", options->reverses, "event id that a refund reverses");
  command->add_flag("--history", options->history, "the past: fills profiles, rewards nothing");
}

}  // namespace offerd::cli
