#include "cli/play.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <memory>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "cli/commands.h"
#include "cli/input_file.h"
#include "cli/play_results.h"
#include "cli/play_visit.h"
#include "core/status_macros.h"

namespace offerd::cli {
namespace {

using Clock = std::chrono::steady_clock;
constexpr int64_t kVisitsPerLine = 2000;
constexpr std::chrono::milliseconds kRetryPause(100);

// One visit against the server: decision, comparisons, purchase.
class Player {
 public:
  Player(Client& client, const PlayOptions& options) : client_(client), options_(options), answers_(1 + options.compare.size()) {}

  // Everything again with the same ids after a failure: the server answers what it had taken from its store.
  absl::Status Play(const Visit& visit) {
    const Clock::time_point give_up = Clock::now() + std::chrono::microseconds(static_cast<int64_t>(options_.retry_seconds * 1e6));
    for (retried_ = false;; retried_ = true) {
      absl::Status status = PlayOnce(visit);
      if (status.ok() || !IsRetryable(status) || Clock::now() >= give_up) return status;
      std::this_thread::sleep_for(kRetryPause);
    }
  }

  const std::vector<v1::RankOffersResponse>& answers() const { return answers_; }
  std::chrono::nanoseconds rank_time() const { return rank_time_; }
  bool retried() const { return retried_; }  // the visit that was played last
  const v1::EventResult& result() const { return feedback_.results(0); }

 private:
  absl::Status PlayOnce(const Visit& visit) {
    v1::Event purchase = visit.purchase;
    purchase.set_market(options_.market);
    if (visit.request.candidates_size() > 0) {
      RETURN_IF_ERROR(Rank(visit));
      purchase.set_decision_id(answers_[0].decision_id());
    }
    v1::SendFeedbackRequest request;
    *request.add_events() = std::move(purchase);
    RETURN_IF_ERROR(client_.Call(client_.feedback(), &v1::FeedbackService::Stub::SendFeedback, request, &feedback_));
    if (feedback_.results_size() != 1) return absl::InternalError("the server answered for another number of events than it was sent");
    return absl::OkStatus();
  }

  absl::Status Rank(const Visit& visit) {
    v1::RankOffersRequest request = visit.request;
    request.set_placement(options_.placement);
    request.set_market(options_.market);
    request.set_slate_size(options_.slots);
    const Clock::time_point start = Clock::now();
    RETURN_IF_ERROR(client_.Call(client_.offers(), &v1::OfferService::Stub::RankOffers, request, &answers_[0]));
    rank_time_ = Clock::now() - start;
    return Compare(std::move(request));
  }

  // The comparisons run beside each other, but after the measured call, so that its latency is its own.
  absl::Status Compare(v1::RankOffersRequest request) {
    struct Call {
      grpc::ClientContext context;
      grpc::Status status;
      std::unique_ptr<grpc::ClientAsyncResponseReader<v1::RankOffersResponse>> reader;
    };
    const size_t count = options_.compare.size();
    std::vector<Call> calls(count);
    request.set_validate_only(true);
    const std::string id = request.request_id();
    for (size_t i = 0; i < count; ++i) {
      request.set_policy(options_.compare[i]);
      request.set_request_id(absl::StrCat(id, "/", options_.compare[i]));  // the seed: the same draw in every run
      client_.Prepare(calls[i].context);
      calls[i].reader = client_.offers().AsyncRankOffers(&calls[i].context, request, &queue_);
      calls[i].reader->Finish(&answers_[i + 1], &calls[i].status, &calls[i]);
    }
    void* tag = nullptr;
    bool ok = false;
    for (size_t i = 0; i < count; ++i) queue_.Next(&tag, &ok);
    for (const Call& call : calls) RETURN_IF_ERROR(FromGrpc(call.status));
    return absl::OkStatus();
  }

  Client& client_;
  const PlayOptions& options_;
  grpc::CompletionQueue queue_;  // empty between visits
  std::vector<v1::RankOffersResponse> answers_;  // the placement's, then those of --compare
  bool retried_ = false;
  std::chrono::nanoseconds rank_time_{0};
  v1::SendFeedbackResponse feedback_;
};

absl::StatusOr<std::pair<std::string, std::string>> ItemColumns(const std::vector<std::string>& declarations) {
  std::pair<std::string, std::string> columns;
  for (const std::string& declaration : declarations) {
    const size_t equals = declaration.find('=');
    const std::string role = declaration.substr(0, equals);
    if (equals == std::string::npos || (role != "id" && role != "items")) {
      return UsageError(absl::StrCat("--offer-items-columns: \"", declaration, "\" is not id=COLUMN or items=COLUMN"));
    }
    (role == "id" ? columns.first : columns.second) = declaration.substr(equals + 1);
  }
  if (columns.first.empty() || columns.second.empty()) return UsageError("--offer-items-columns: expected id=COLUMN,items=COLUMN");
  return columns;
}

absl::Status FillBook(Client& client, const PlayOptions& options, OfferBook* book) {
  ASSIGN_OR_RETURN(const auto columns, ItemColumns(options.offer_items_columns));
  const bool fetch_items = options.offer_items.empty();
  const bool fetch_names = options.offer_names.empty();
  if (!fetch_items) RETURN_IF_ERROR(book->ReadItems(options.offer_items, columns.first, columns.second));
  if (!fetch_names) RETURN_IF_ERROR(book->ReadNames(options.offer_names));
  if (fetch_items || fetch_names) RETURN_IF_ERROR(book->FetchFrom(client, fetch_items, fetch_names));
  if (!book->has_items()) return absl::FailedPreconditionError("no offer covers any item: import offers with items, or name a file with --offer-items");
  return absl::OkStatus();
}

absl::Status PlayStream(Session& session, const PlayOptions& options, LineReader& lines, Player& player, const OfferBook& book, PlayResults& results) {
  std::string line;
  int64_t played = 0;
  int64_t reported = 0;
  Clock::time_point last_line = Clock::now();
  while (options.limit == 0 || played < options.limit) {
    const absl::StatusOr<bool> has_line = lines.Next(&line);
    if (!has_line.ok()) return absl::Status(has_line.status().code(), absl::StrCat(options.stream, ": ", has_line.status().message()));
    if (!*has_line) break;
    if (lines.line_number() <= options.start || line == "\n") continue;
    const absl::StatusOr<Visit> visit = ParseVisit(line);
    if (!visit.ok()) return absl::InvalidArgumentError(absl::StrCat(options.stream, ": line ", lines.line_number(), ": ", visit.status().message()));
    RETURN_IF_ERROR(player.Play(*visit));
    ++played;
    results.AddEvent(player.result(), player.retried());
    if (player.result().status().code() != 0 && results.refused_events() <= 20) {
      session.err << "line " << lines.line_number() << ": purchase refused: " << player.result().status().message() << "\n";
    }
    if (visit->request.candidates_size() == 0) {
      results.AddUnrankedVisit();
      continue;
    }
    results.AddVisit(*visit, player.answers(), book, player.rank_time());
    const bool due = session.err_is_terminal && Clock::now() - last_line > std::chrono::seconds(2);
    if (!due && results.visits() - reported < kVisitsPerLine) continue;
    if (reported == 0) session.err << PlayResults::ProgressHeader(options.compare) << "\n";
    session.err << results.Progress() << std::endl;
    reported = results.visits();
    last_line = Clock::now();
  }
  return absl::OkStatus();
}

// Whole or not at all: into a file beside it, then renamed.
absl::Status WriteFile(const std::string& path, const std::string& text) {
  const std::string temporary = absl::StrCat(path, ".part");
  std::ofstream file(temporary, std::ios::binary | std::ios::trunc);
  file << text;
  file.close();
  if (!file || std::rename(temporary.c_str(), path.c_str()) != 0) return absl::InternalError(absl::StrCat(path, ": cannot be written"));
  return absl::OkStatus();
}

}  // namespace

absl::Status RunPlay(Session& session, const PlayOptions& options) {
  for (const std::string& name : options.compare) {
    if (name == "learned" || std::count(options.compare.begin(), options.compare.end(), name) > 1) {
      return UsageError(absl::StrCat("--compare: \"", name, "\" is taken"));
    }
  }
  ASSIGN_OR_RETURN(std::unique_ptr<InputFile> file, InputFile::Open(options.stream));
  ASSIGN_OR_RETURN(const std::unique_ptr<Client> client, session.Connect());
  OfferBook book;
  RETURN_IF_ERROR(FillBook(*client, options, &book));
  LineReader lines(std::move(file));
  Player player(*client, options);
  PlayResults results(options.compare, options.value_cap);
  const absl::Status status = PlayStream(session, options, lines, player, book, results);
  if (!status.ok()) {
    return IsFromServer(status) ? FromGrpc(grpc::Status(static_cast<grpc::StatusCode>(status.code()),
                                                        absl::StrCat("visit on line ", lines.line_number(), " (--start ", lines.line_number() - 1,
                                                                     " goes on there): ", status.message())))
                                : status;
  }
  const std::string summary = Dump(results.Summary());
  session.out << (session.json ? summary : results.InWords(book));
  if (!options.output.empty()) RETURN_IF_ERROR(WriteFile(options.output, summary));
  if (results.refused_events() > 0) return absl::FailedPreconditionError(absl::StrCat(results.refused_events(), " purchases were refused"));
  return absl::OkStatus();
}

void AddPlay(CLI::App& app, Session& session) {
  auto options = std::make_shared<PlayOptions>();
  CLI::App* command = AddCommand(app, "play", "Plays recorded visits through the server in time order and measures its answers", session,
                                 [&session, options] { return RunPlay(session, *options); });
  command->add_option("--stream", options->stream, "one JSON object a line, plain, gzip or zstd")->required();
  command->add_option("--placement", options->placement, "the named surface")->required();
  command->add_option("--market", options->market, "country or shop front of every visit");
  command->add_option("--compare", options->compare, "policies asked with validate_only, separated by commas")->delimiter(',')->allow_extra_args(false);
  command->add_option("--slots", options->slots, "slots of a slate")->capture_default_str()->check(CLI::Range(1, 100));
  command->add_option("--start", options->start, "lines of the stream to leave out")->capture_default_str()->check(CLI::NonNegativeNumber);
  command->add_option("--limit", options->limit, "visits to play; 0 = all")->capture_default_str()->check(CLI::NonNegativeNumber);
  command->add_option("--value-cap", options->value_cap, "most a hit is worth, major units; 0 = no cap")->capture_default_str()->check(CLI::NonNegativeNumber);
  command->add_option("--retry", options->retry_seconds, "seconds to repeat a visit while the server is away")->capture_default_str()->check(CLI::NonNegativeNumber);
  command->add_option("--output", options->output, "file for the results as JSON");
  command->add_option("--offer-names", options->offer_names, "CSV: offer id and name; without it the labels of the catalogue");
  command->add_option("--offer-items", options->offer_items, "CSV of covered items; without it the catalogue");
  command->add_option("--offer-items-columns", options->offer_items_columns, "id=COLUMN,items=COLUMN of --offer-items; default id=offer_id,items=item_ids")
      ->delimiter(',')
      ->allow_extra_args(false);
}

}  // namespace offerd::cli
