#pragma once
#include <optional>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "absl/status/statusor.h"
#include "cli/client.h"
#include "offerd/v1/feedback_service.pb.h"
#include "offerd/v1/offer_service.pb.h"

namespace offerd::cli {

// One recorded visit: what the request said, and what was bought.
struct Visit {
  v1::RankOffersRequest request;  // customer, time, context, candidates; the placement is the player's to add
  v1::Event purchase;             // all but the decision id
};

// One line of a stream. InvalidArgument says what is missing or of another type.
absl::StatusOr<Visit> ParseVisit(const std::string& line);

// Which offers cover which items, and what people call them.
class OfferBook {
 public:
  // CSV with the columns named; items are separated by "|".
  absl::Status ReadItems(const std::string& path, const std::string& id_column, const std::string& items_column);
  absl::Status ReadNames(const std::string& path);  // its first two columns: offer id and name
  // What the files did not say, from the server's catalogue.
  absl::Status FetchFrom(Client& client, bool items, bool names);

  // Micros of the lines an offer covers; nothing = none is covered.
  std::optional<int64_t> CoveredMicros(const std::string& offer, const v1::Event& purchase) const;
  std::string Label(const std::string& offer) const;  // the id where there is no name
  bool has_items() const { return !items_.empty(); }

 private:
  std::unordered_map<std::string, std::unordered_set<std::string>> items_;
  std::unordered_map<std::string, std::string> names_;
};

}  // namespace offerd::cli
