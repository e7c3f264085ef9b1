#pragma once
#include <Eigen/LU>
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <set>
#include <vector>

#include "core/rng.h"
#include "core/similarity/cart_scorer.h"
#include "core/similarity/item_table.h"
#include "core/similarity/pair_table.h"
#include "core/similarity/sequential_rules.h"
#include "core/similarity/session_neighbours.h"

// Slow, obvious twins of the builders in core/similarity.
namespace offerd {

using ReferenceRow = std::vector<std::pair<TableItem, double>>;

inline double RoundedTo(double value, int digits) {
  char text[40];
  std::snprintf(text, sizeof(text), "%.*g", digits, value);
  return std::strtod(text, nullptr);
}

// Rounded score descending, then number; the first `keep` (0 = all).
inline ReferenceRow SortedRow(const std::map<TableItem, double>& scores, size_t keep, int digits) {
  std::vector<std::pair<double, TableItem>> order;
  for (const auto& [item, score] : scores) order.emplace_back(-RoundedTo(score, digits), item);
  std::sort(order.begin(), order.end());
  if (keep != 0 && order.size() > keep) order.resize(keep);
  ReferenceRow row;
  for (const auto& [unused, item] : order) row.emplace_back(item, scores.at(item));
  return row;
}

inline std::vector<ReferenceRow> ReferencePairTable(const Baskets& baskets, const PairTableOptions& options,
                                                    PairTableStats* stats) {
  std::vector<std::set<TableItem>> sets;
  std::vector<double> weights;
  *stats = {};
  for (size_t b = 0; b < baskets.size(); ++b) {
    const std::set<TableItem> items(baskets[b].begin(), baskets[b].end());
    if (items.empty()) continue;
    if (options.max_basket_items != 0 && items.size() > options.max_basket_items) {
      ++stats->baskets_too_long;
      continue;
    }
    sets.push_back(items);
    weights.push_back(baskets.weights.empty() ? 1 : baskets.weights[b]);
    stats->entries += items.size();
  }
  stats->baskets = sets.size();
  std::vector<double> sum(baskets.num_items), count(baskets.num_items);
  double total = 0;
  for (size_t b = 0; b < sets.size(); ++b) {
    total += weights[b];
    for (TableItem item : sets[b]) {
      sum[item] += weights[b];
      ++count[item];
    }
  }
  std::vector<ReferenceRow> rows(baskets.num_items);
  for (TableItem i = 0; i < baskets.num_items; ++i) {
    if (count[i] < options.min_item_support) continue;
    std::map<TableItem, std::pair<double, double>> both;
    for (size_t b = 0; b < sets.size(); ++b) {
      if (sets[b].count(i) == 0) continue;
      for (TableItem j : sets[b]) {
        if (j == i || count[j] < options.min_item_support) continue;
        both[j].first += weights[b];
        both[j].second += 1;
      }
    }
    std::map<TableItem, double> scores;
    for (const auto& [j, c] : both) {
      stats->pairs += j > i;
      if (c.second >= options.min_support) scores[j] = ScorePair(options, {c.first, sum[i], sum[j], total});
    }
    rows[i] = SortedRow(scores, options.keep, 12);
  }
  return rows;
}

inline std::vector<ReferenceRow> ReferenceRules(const Baskets& sessions, const SequentialRulesOptions& options) {
  std::vector<std::map<TableItem, double>> rules(sessions.num_items);
  for (size_t s = 0; s < sessions.size(); ++s) {
    const double factor = sessions.weights.empty() ? 1 : sessions.weights[s];
    for (size_t later = 0; later < sessions[s].size(); ++later) {
      for (size_t earlier = 0; earlier < later; ++earlier) {
        const double d = static_cast<double>(later - earlier);
        double weight = 1;
        if (options.in_order) {
          if (later - earlier > options.steps) continue;
          if (options.weight == DistanceWeight::kInverse) weight = 1 / d;
          if (options.weight == DistanceWeight::kLinear) weight = std::max(0.0, (10 - d) / 10);
          if (options.weight == DistanceWeight::kQuadratic) weight = 1 / (d * d);
          if (options.weight == DistanceWeight::kLog) weight = 1 / std::log10(d + 1.7);
        }
        if (weight == 0) continue;
        rules[sessions[s][earlier]][sessions[s][later]] += factor * weight;
        if (!options.in_order) rules[sessions[s][later]][sessions[s][earlier]] += factor;
      }
    }
  }
  std::vector<ReferenceRow> rows;
  for (const auto& scores : rules) rows.push_back(SortedRow(scores, options.keep, 12));
  return rows;
}

inline Eigen::MatrixXd ReferenceEase(const Baskets& baskets, double lambda) {
  const Eigen::Index n = static_cast<Eigen::Index>(baskets.num_items);
  Eigen::MatrixXd gram = lambda * Eigen::MatrixXd::Identity(n, n);
  for (size_t b = 0; b < baskets.size(); ++b) {
    const std::set<TableItem> items(baskets[b].begin(), baskets[b].end());
    for (TableItem i : items) {
      for (TableItem j : items) gram(i, j) += baskets.weights.empty() ? 1 : baskets.weights[b];
    }
  }
  const Eigen::MatrixXd p = gram.fullPivLu().inverse();
  Eigen::MatrixXd b = -p * p.diagonal().cwiseInverse().asDiagonal();
  b.diagonal().setZero();
  return b;
}

// VMIS-kNN by looking at every session; whole numbers until the end, so that ties are exact.
inline std::vector<ScoredItem> ReferenceNextItems(const Baskets& sessions, const std::vector<int64_t>& last_click,
                                                  const SessionIndexOptions& options, const SessionQueryOptions& query,
                                                  const std::vector<TableItem>& clicks) {
  struct Past {
    int64_t time = 0;
    size_t number = 0;
    std::set<TableItem> items;
    int64_t similarity = 0;  // times the number of distinct items of the window
    int64_t clicks_back = 0;
  };
  std::vector<size_t> sizes;
  for (size_t s = 0; s < sessions.size(); ++s) {
    const size_t size = std::set<TableItem>(sessions[s].begin(), sessions[s].end()).size();
    if (size > 0) sizes.push_back(size);
  }
  std::sort(sizes.begin(), sizes.end());
  size_t longest = sizes.empty() ? 0 : sizes.back();
  for (size_t k = sizes.size(); k-- > 0;) {  // the smallest size that is enough
    if (static_cast<double>(k + 1) >= options.length_quantile * static_cast<double>(sizes.size())) longest = sizes[k];
  }
  std::vector<Past> past;
  std::map<TableItem, int64_t> item_sessions;
  int64_t pairs = 0;
  for (size_t s = 0; s < sessions.size(); ++s) {
    const std::set<TableItem> items(sessions[s].begin(), sessions[s].end());
    if (items.size() > longest) continue;
    past.push_back({last_click[s], s, items, 0, 0});
    pairs += static_cast<int64_t>(items.size());
    for (TableItem item : items) ++item_sessions[item];
  }
  if (clicks.empty()) return {};
  const size_t read = std::min(query.last_items, clicks.size());
  const std::vector<TableItem> window(clicks.end() - static_cast<std::ptrdiff_t>(read), clicks.end());
  const std::set<TableItem> distinct(window.begin(), window.end());
  std::vector<Past> found;
  for (Past& session : past) {
    for (TableItem item : distinct) {
      if (session.items.count(item) == 0) continue;
      int64_t place = 0;  // of its last click, from 1
      for (size_t p = 0; p < window.size(); ++p) {
        if (window[p] == item) place = static_cast<int64_t>(p) + 1;
      }
      const int64_t back = static_cast<int64_t>(window.size()) - place + 1;
      session.clicks_back = session.clicks_back == 0 ? back : std::min(session.clicks_back, back);
      session.similarity += place;
    }
    if (session.similarity > 0) found.push_back(session);
  }
  std::sort(found.begin(), found.end(),
            [](const Past& a, const Past& b) { return std::tie(a.time, a.number) > std::tie(b.time, b.number); });
  if (found.size() > options.sessions_per_item) found.resize(options.sessions_per_item);
  std::stable_sort(found.begin(), found.end(),
                   [](const Past& a, const Past& b) { return a.similarity > b.similarity; });
  if (found.size() > query.neighbours) found.resize(query.neighbours);
  std::map<TableItem, int64_t> votes;
  for (const Past& session : found) {
    if (session.clicks_back >= 10) continue;
    for (TableItem item : session.items) votes[item] += session.similarity * (10 - session.clicks_back);
  }
  std::vector<ScoredItem> answer;
  for (const auto& [item, vote] : votes) {
    if (item == clicks.back() && !query.keep_current) continue;
    const double idf = std::log(static_cast<double>(pairs) / static_cast<double>(item_sessions[item]));
    const double scale = 1.0 / (10 * static_cast<double>(distinct.size()));
    answer.push_back({item, static_cast<double>(vote) * (query.idf_weight == 0 ? 1 : query.idf_weight * idf) * scale});
  }
  std::stable_sort(answer.begin(), answer.end(),
                   [](const ScoredItem& a, const ScoredItem& b) { return a.score > b.score; });
  if (answer.size() > query.count) answer.resize(query.count);
  return answer;
}

// The sum of the lines' rows, the cart's items and those not allowed left out.
inline std::vector<ScoredItem> ReferenceCart(ItemTableView table, const std::vector<CartLine>& cart, size_t count,
                                             const std::vector<bool>& allowed) {
  std::map<TableItem, float> sums;
  for (const CartLine& line : cart) {
    if (line.item >= table.num_items()) continue;
    for (size_t k = 0; k < table.Neighbours(line.item).size(); ++k) {
      sums[table.Neighbours(line.item)[k]] += line.weight * table.Scores(line.item)[k];
    }
  }
  for (const CartLine& line : cart) sums.erase(line.item);
  std::vector<ScoredItem> answer;
  for (const auto& [item, score] : sums) {
    if (allowed.empty() || allowed[item]) answer.push_back({item, score});
  }
  std::stable_sort(answer.begin(), answer.end(),
                   [](const ScoredItem& a, const ScoredItem& b) { return a.score > b.score; });
  if (answer.size() > count) answer.resize(count);
  return answer;
}

// Baskets of 0 to `longest` entries, low numbers more often; entries repeat now and then.
inline Baskets RandomBaskets(size_t count, size_t num_items, size_t longest, Rng& rng) {
  Baskets baskets;
  baskets.num_items = num_items;
  for (size_t b = 0; b < count; ++b) {
    std::vector<TableItem> basket(rng.NextBits() % (longest + 1));
    for (TableItem& item : basket) {
      const double u = rng.NextUniform();
      item = static_cast<TableItem>(u * u * static_cast<double>(num_items));
    }
    baskets.Add(basket);
  }
  return baskets;
}

inline std::vector<ReferenceRow> RowsOf(const ItemTable& table) {
  std::vector<ReferenceRow> rows;
  const ItemTableView view = table.view();
  for (TableItem i = 0; i < view.num_items(); ++i) {
    rows.emplace_back();
    for (size_t k = 0; k < view.Neighbours(i).size(); ++k)
      rows.back().emplace_back(view.Neighbours(i)[k], view.Scores(i)[k]);
  }
  return rows;
}

// Scores as a table holds them.
inline void RoundScores(std::vector<ReferenceRow>& rows) {
  for (ReferenceRow& row : rows) {
    for (auto& [item, score] : row) score = static_cast<float>(score);
  }
}

}  // namespace offerd
