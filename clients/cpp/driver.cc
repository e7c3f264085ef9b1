// The cases of tests/clients/run.py, with the same command line in every language: --name value pairs, one JSON line as the answer.
#include <chrono>
#include <cstdio>
#include <fstream>
#include <map>
#include <memory>
#include <sstream>
#include <string>
#include <thread>

#include "offerd_client/client.h"

namespace {

namespace v1 = offerd::v1;
using offerd::client::Client;
using offerd::client::Outcome;
using Fields = std::map<std::string, std::string>;  // name to JSON value

class Given {
 public:
  Given(int argc, char** argv) {
    for (int i = 1; i + 1 < argc; i += 2) values_[std::string(argv[i]).substr(2)] = argv[i + 1];
  }
  std::string Text(const std::string& name, const std::string& otherwise = "") const {
    const auto found = values_.find(name);
    return found == values_.end() ? otherwise : found->second;
  }
  double Number(const std::string& name, double otherwise) const {
    const auto found = values_.find(name);
    return found == values_.end() ? otherwise : std::stod(found->second);
  }
  std::chrono::milliseconds Seconds(const std::string& name, double otherwise) const {
    return std::chrono::milliseconds(static_cast<int64_t>(Number(name, otherwise) * 1000));
  }

 private:
  std::map<std::string, std::string> values_;
};

std::string Quoted(const std::string& text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
  }
  return out + "\"";
}

template <typename Numbers>
std::string List(const Numbers& numbers) {
  std::string list;
  for (const auto number : numbers) list += (list.empty() ? "" : ",") + std::to_string(number);
  return "[" + list + "]";
}

Outcome Rank(Client& client, const Given& given, Fields& fields) {
  v1::RankOffersRequest request;
  request.set_request_id(given.Text("request-id"));
  request.set_placement(given.Text("placement", "home"));
  request.set_customer_id(given.Text("customer", "anna"));
  request.set_slate_size(static_cast<int>(given.Number("slots", 0)));
  std::istringstream offers(given.Text("compact"));
  for (std::string id; std::getline(offers, id, ',');) request.add_offer_keys(offerd::client::OfferKey(id));
  std::string ids;
  for (int i = 0; i < static_cast<int>(given.Number("times", 1)); ++i) {
    v1::RankOffersResponse response;
    if (Outcome outcome = client.RankOffers(request, &response); !outcome.ok()) return outcome;
    ids += (ids.empty() ? "" : ",") + Quoted(response.decision_id());
    if (request.offer_keys().empty()) continue;
    fields["keys"] = List(request.offer_keys());
    fields["packed"] = List(response.packed().index());
    fields["unknown"] = List(response.unknown_keys());
  }
  fields["decision_ids"] = "[" + ids + "]";
  return {};
}

template <typename Request>
Request Where(const Given& given) {
  Request request;
  request.set_placement(given.Text("placement", "cart"));
  request.set_customer_id("anna");
  return request;
}

Outcome Lists(Client& client, const Given& given, Fields& fields) {
  auto cross_sell = Where<v1::CrossSellRequest>(given);
  cross_sell.add_cart()->set_item_id("tea");
  auto similar = Where<v1::SimilarItemsRequest>(given);
  similar.set_item_id("tea");
  auto next = Where<v1::RecommendNextRequest>(given);
  next.add_session_item_ids("tea");
  v1::ItemList list;
  if (Outcome outcome = client.CrossSell(cross_sell, &list); !outcome.ok()) return outcome;
  fields["cross_sell"] = std::to_string(list.entries_size());
  if (Outcome outcome = client.SimilarItems(similar, &list); !outcome.ok()) return outcome;
  fields["similar_items"] = std::to_string(list.entries_size());
  if (Outcome outcome = client.RecommendItems(Where<v1::RecommendItemsRequest>(given), &list); !outcome.ok()) return outcome;
  fields["recommend_items"] = std::to_string(list.entries_size());
  if (Outcome outcome = client.RecommendNext(next, &list); !outcome.ok()) return outcome;
  fields["recommend_next"] = std::to_string(list.entries_size());
  return {};
}

Outcome SendEvents(Client& client, const Given& given, Fields& fields) {
  const auto stream = client.OpenFeedbackStream();
  const std::string prefix = given.Text("prefix");
  Outcome outcome;
  int sent = 0;
  for (; sent < static_cast<int>(given.Number("events", 0)); ++sent) {
    v1::Event event;
    event.set_event_id(prefix + "-" + std::to_string(sent));
    event.set_kind(v1::VIEW);
    event.set_customer_id(prefix);
    event.add_lines()->set_item_id("tea");
    outcome = stream->Send({event});
    if (!outcome.ok()) break;
    std::this_thread::sleep_for(given.Seconds("pause-ms", 0) / 1000);
  }
  if (outcome.ok()) outcome = stream->Close(given.Seconds("flush-seconds", 60));
  const auto counts = stream->counts();
  fields["sent"] = std::to_string(sent);
  fields["acknowledged"] = std::to_string(counts.acknowledged);
  fields["applied"] = std::to_string(counts.applied);
  fields["duplicate"] = std::to_string(counts.duplicate);
  fields["other"] = std::to_string(counts.other);
  fields["reconnects"] = std::to_string(counts.reconnects);
  fields["unacknowledged"] = std::to_string(stream->Unacknowledged().size());
  return outcome;
}

Outcome Run(const Given& given, Fields& fields) {
  offerd::client::Options options;
  options.server = given.Text("server");
  if (const std::string path = given.Text("token-file"); !path.empty()) {
    std::ifstream in(path);
    std::getline(in, options.token);
  }
  options.tls_ca = given.Text("tls-ca");
  options.tls_cert = given.Text("tls-cert");
  options.tls_key = given.Text("tls-key");
  options.timeout = given.Seconds("timeout", 10);
  options.max_unacknowledged = static_cast<size_t>(given.Number("max-unacknowledged", 1000));
  options.ack_timeout = given.Seconds("ack-timeout", 10);
  std::unique_ptr<Client> client;
  if (Outcome outcome = Client::Connect(options, &client); !outcome.ok()) return outcome;
  const std::string name = given.Text("case");
  if (name == "rank") return Rank(*client, given, fields);
  if (name == "lists") return Lists(*client, given, fields);
  return SendEvents(*client, given, fields);
}

}  // namespace

int main(int argc, char** argv) {
  const Given given(argc, argv);
  Fields fields;
  const auto begin = std::chrono::steady_clock::now();
  const Outcome outcome = Run(given, fields);
  fields["ok"] = outcome.ok() ? "true" : "false";
  if (!outcome.ok()) {
    std::string violations;
    for (const auto& violation : outcome.violations) violations += (violations.empty() ? "" : ",") + Quoted(violation.field);
    fields["code"] = Quoted(outcome.is_buffer_full ? "BUFFER_FULL" : offerd::client::CodeName(outcome.code));
    fields["message"] = Quoted(outcome.ToString());
    fields["attempts"] = std::to_string(outcome.attempts);
    fields["fields"] = "[" + violations + "]";
  }
  fields["seconds"] = std::to_string(std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count());
  std::string line;
  for (const auto& [name, value] : fields) line += (line.empty() ? "{" : ", ") + Quoted(name) + ": " + value;
  std::printf("%s}\n", line.c_str());
  return 0;
}
