#include "cli/tables/table_lists.h"

#include <algorithm>

namespace offerd::tables {

void TableLists::Get(TableItem item, size_t count, std::vector<ScoredItem>* list) {
  if (table_.has_sessions()) {
    SessionQueryOptions query = table_.query;
    query.count = count;
    RecommendNext(table_.sessions, {&item, 1}, query, scratch_, list);
    return;
  }
  list->clear();
  const auto neighbours = table_.rows.Neighbours(item);
  const auto scores = table_.rows.Scores(item);
  for (size_t i = 0; i < std::min(count, neighbours.size()); ++i) list->push_back({neighbours[i], scores[i]});
}

}  // namespace offerd::tables
