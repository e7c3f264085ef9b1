#include "cli/learn/default_features.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"

namespace offerd::learn {
namespace {

using Part = DefaultFeatures::Part;

std::vector<std::string> MostFrequent(const std::map<std::string, int64_t>& texts, size_t limit) {
  std::vector<std::pair<int64_t, std::string>> order;
  for (const auto& [text, count] : texts) order.emplace_back(-count, text);
  std::sort(order.begin(), order.end());
  if (order.size() > limit) order.resize(limit);
  std::vector<std::string> values;
  for (auto& [count, text] : order) values.push_back(std::move(text));
  std::sort(values.begin(), values.end());
  return values;
}

Part OneHot(std::string name, FactName fact, std::vector<std::string> values, bool hidden) {
  Part part;
  part.feature.kind = Feature::Kind::kOneHot;
  part.feature.name = std::move(name);
  part.feature.fact = std::move(fact);
  part.columns = static_cast<int>(values.size());
  part.feature.values = std::move(values);
  part.feature.only_in_crosses = hidden;
  return part;
}

Part Numeric(std::string name, FactName fact, double root_mean_square, bool hidden) {
  Part part;
  part.feature.kind = Feature::Kind::kNumeric;
  part.feature.name = std::move(name);
  part.feature.fact = std::move(fact);
  if (root_mean_square > 0) part.feature.multiplier = 1 / root_mean_square;
  part.feature.only_in_crosses = hidden;
  part.columns = 1;
  return part;
}

struct Product {
  Feature feature;
  int columns = 0;
  bool is_left_out = false;
};

std::vector<Product> AllProducts(const std::vector<Part>& context, const std::vector<Part>& candidate) {
  std::vector<Product> products;
  for (const Part& left : context) {
    for (const Part& right : candidate) {
      if (right.columns <= 0) continue;
      Product product;
      product.feature.kind = Feature::Kind::kCross;
      product.feature.name = absl::StrCat("product.", products.size() + 1);
      product.feature.left = left.feature.name;
      product.feature.right = right.feature.name;
      product.columns = left.columns * right.columns;
      products.push_back(std::move(product));
    }
  }
  return products;
}

// The widest leave first: so most features stay.
void FitProducts(std::vector<Product>* products, int* columns, std::vector<std::string>* notes) {
  std::vector<size_t> by_width;
  for (const Product& product : *products) {
    *columns += product.columns;
    by_width.push_back(by_width.size());
  }
  std::sort(by_width.begin(), by_width.end(), [&](size_t a, size_t b) {
    return (*products)[a].columns != (*products)[b].columns ? (*products)[a].columns > (*products)[b].columns : a > b;
  });
  int num_left_out = 0;
  std::string names;
  for (size_t i = 0; *columns > kMostColumns && i < by_width.size(); ++i) {
    Product& product = (*products)[by_width[i]];
    product.is_left_out = true;
    *columns -= product.columns;
    if (++num_left_out <= 5) absl::StrAppend(&names, names.empty() ? "" : ", ", product.feature.left, "*", product.feature.right);
  }
  if (num_left_out == 0) return;
  notes->push_back(absl::StrCat("more than ", kMostColumns, " columns: ", num_left_out, " of ", products->size(),
                                " products left out, the widest first: ", names, num_left_out > 5 ? ", .." : ""));
}

}  // namespace

void DefaultFeatures::Count(const std::vector<NamedValue>& features, Names* names) {
  for (size_t i = 0; i < features.size(); ++i) {
    const NamedValue& feature = features[i];
    // Lines mostly list the same features in the same order.
    auto at = i < names->size() && (*names)[i].first == feature.name
                  ? names->begin() + static_cast<ptrdiff_t>(i)
                  : std::find_if(names->begin(), names->end(), [&](const auto& seen) { return seen.first == feature.name; });
    if (at == names->end()) at = names->insert(at, {feature.name, {}});
    Seen& seen = at->second;
    if (feature.is_text) {
      ++seen.texts[feature.text];
    } else if (feature.number == 0) {
      ++seen.zeros;
    } else {
      ++seen.numbers;
      seen.squares += feature.number * feature.number;
    }
  }
}

void DefaultFeatures::Add(const StreamDecision& decision) {
  Count(decision.context, &context_);
  for (const StreamDecision::Candidate& candidate : decision.candidates) {
    Count(candidate.features, &candidates_);
    if (too_many_ids_) continue;
    ++ids_[candidate.id];
    too_many_ids_ = ids_.size() > kMostIds;
  }
}

namespace {

std::vector<Part> PartsOf(const DefaultFeatures::Names& names, FactScope scope, const char* prefix, std::vector<std::string>* notes) {
  std::vector<Part> parts;
  for (const auto& [name, seen] : names) {
    const std::string base = absl::StrCat(prefix, name).substr(0, 120);
    const bool is_hidden = scope == FactScope::kContext;
    if (seen.has_numbers()) {
      const double mean_square = seen.numbers == 0 ? 0 : seen.squares / static_cast<double>(seen.numbers);
      parts.push_back(Numeric(base, {scope, name}, std::sqrt(mean_square), is_hidden));
    }
    if (seen.texts.empty()) continue;
    if (seen.texts.size() > static_cast<size_t>(kMostColumns)) {
      notes->push_back(absl::StrCat(base, ": ", seen.texts.size(), " texts; only the ", kMostColumns, " most frequent are looked at"));
    }
    parts.push_back(OneHot(seen.has_numbers() ? base + ".text" : base, {scope, name}, MostFrequent(seen.texts, kMostColumns), is_hidden));
  }
  return parts;
}

}  // namespace

std::vector<DefaultFeatures::Part> DefaultFeatures::CandidateParts(std::vector<std::string>* notes) const {
  if (!candidates_.empty()) return PartsOf(candidates_, FactScope::kCandidate, "", notes);
  if (!too_many_ids_) return {OneHot("id", {FactScope::kCandidate, kIdFact}, MostFrequent(ids_, kMostIds), false)};
  notes->push_back(absl::StrCat("candidates have no features and more than ", kMostIds, " ids: nothing tells them apart"));
  return {};
}

// Each part has one column at least as long as there is room; a text feature that is too wide keeps its most frequent values.
void DefaultFeatures::FitParts(std::vector<Part>* parts, int* columns, std::vector<std::string>* notes) const {
  int left = static_cast<int>(parts->size());
  for (Part& part : *parts) {
    --left;
    const int room = std::max(0, kMostColumns - *columns - left);
    if (part.columns > room) {
      notes->push_back(absl::StrCat(part.feature.name, ": ", part.columns - room, " of its columns left out"));
      if (room > 0 && part.feature.kind == Feature::Kind::kOneHot) {
        const auto is_it = [&part](const auto& seen) { return seen.first == part.feature.fact.name; };
        part.feature.values = MostFrequent(std::find_if(candidates_.begin(), candidates_.end(), is_it)->second.texts, static_cast<size_t>(room));
      }
      part.columns = room;
    }
    *columns += part.columns;
  }
}

DefaultFeatures::Result DefaultFeatures::Make() const {
  Result result;
  auto& features = result.list.features;
  result.columns = 1;
  Feature constant;
  constant.name = "constant";
  features.push_back(std::move(constant));
  std::vector<Part> candidate = CandidateParts(&result.notes);
  FitParts(&candidate, &result.columns, &result.notes);
  for (const Part& part : candidate) {
    if (part.columns > 0) features.push_back(part.feature);
  }
  const std::vector<Part> context = PartsOf(context_, FactScope::kContext, "context.", &result.notes);
  std::vector<Product> products = AllProducts(context, candidate);
  FitProducts(&products, &result.columns, &result.notes);
  for (const Part& part : context) {
    const auto reads = [&part](const Product& product) { return !product.is_left_out && product.feature.left == part.feature.name; };
    if (std::any_of(products.begin(), products.end(), reads)) features.push_back(part.feature);
  }
  for (Product& product : products) {
    if (!product.is_left_out) features.push_back(std::move(product.feature));
  }
  return result;
}

}  // namespace offerd::learn
