#include "cli/columns.h"

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "cli/format.h"
#include "cli/session.h"

namespace offerd::cli {
namespace {

constexpr size_t kMaxHeaderShown = 200;
constexpr absl::string_view kAttribute = "attribute.";

absl::Status BindOne(const std::vector<std::string>& header, Binding* binding) {
  if (binding->column.empty()) return absl::OkStatus();
  const auto count = std::count(header.begin(), header.end(), binding->column);
  if (count == 0) {
    return absl::InvalidArgumentError(absl::StrCat("no column \"", binding->column, "\" for ", binding->role, "; the header has ", Shortened(absl::StrJoin(header, ", "), kMaxHeaderShown)));
  }
  if (count > 1) return absl::InvalidArgumentError(absl::StrCat("the header has the column \"", binding->column, "\" ", count, " times"));
  binding->index = static_cast<int>(std::find(header.begin(), header.end(), binding->column) - header.begin());
  return absl::OkStatus();
}

}  // namespace

const std::vector<ImportKind>& ImportKinds() {
  static const auto* const kinds = new std::vector<ImportKind>{
      {"items", {"id", "category", "category_path", "brand", "price", "cost", "currency"}, {"id"}, true},
      {"offers",
       {"id", "label", "campaign", "category", "items", "markets", "starts_at", "ends_at", "cost", "budget", "currency", "stock",
        "audiences", "requires_consent", "only_sent"},
       {"id"},
       true},
      {"customers", {"id", "consent", "audiences", "campaigns"}, {"id"}, true},
      {"events",
       {"id", "kind", "customer", "order", "time", "item", "quantity", "revenue", "market", "currency", "decision", "offer", "reverses"},
       {"kind"},
       false},
  };
  return *kinds;
}

const ImportKind* FindImportKind(absl::string_view name) {
  for (const ImportKind& kind : ImportKinds()) {
    if (kind.name == name) return &kind;
  }
  return nullptr;
}

absl::StatusOr<ColumnMapping> ColumnMapping::Parse(const ImportKind& kind, const std::vector<std::string>& declarations) {
  ColumnMapping mapping;
  for (const std::string& declaration : declarations) {
    const size_t equals = declaration.find('=');
    if (equals == std::string::npos || equals == 0 || equals + 1 == declaration.size()) {
      return UsageError(absl::StrCat("--columns: \"", declaration, "\" is not role=column"));
    }
    Binding binding;
    binding.role = declaration.substr(0, equals);
    const std::string source = declaration.substr(equals + 1);
    if (source[0] == ':') {
      binding.constant = source.substr(1);
    } else {
      binding.column = source;
    }
    const bool is_attribute = kind.has_attributes && absl::StartsWith(binding.role, kAttribute) && binding.role.size() > kAttribute.size();
    if (!is_attribute && std::find(kind.roles.begin(), kind.roles.end(), binding.role) == kind.roles.end()) {
      return UsageError(absl::StrCat("--columns: ", kind.name, " have no role \"", binding.role, "\"; they have ",
                                     absl::StrJoin(kind.roles, ", "), kind.has_attributes ? ", attribute.NAME" : ""));
    }
    if (is_attribute) {
      const std::string name = binding.role.substr(kAttribute.size());
      for (const auto& [other, unused] : mapping.attributes_) {
        if (other == name) return UsageError(absl::StrCat("--columns: ", binding.role, " is mapped twice"));
      }
      mapping.attributes_.emplace_back(name, std::move(binding));
      continue;
    }
    if (mapping.Has(binding.role)) return UsageError(absl::StrCat("--columns: ", binding.role, " is mapped twice"));
    mapping.bindings_.push_back(std::move(binding));
  }
  for (const std::string& role : kind.required) {
    if (!mapping.Has(role)) return UsageError(absl::StrCat("--columns: ", kind.name, " need the role ", role, ", for example ", role, "=COLUMN"));
  }
  if (mapping.Has("category") && mapping.Has("category_path")) return UsageError("--columns: category or category_path, not both");
  return mapping;
}

absl::Status ColumnMapping::Bind(const std::vector<std::string>& header) {
  for (Binding& binding : bindings_) {
    if (absl::Status status = BindOne(header, &binding); !status.ok()) return status;
  }
  for (auto& [name, binding] : attributes_) {
    if (absl::Status status = BindOne(header, &binding); !status.ok()) return status;
  }
  return absl::OkStatus();
}

bool ColumnMapping::Has(absl::string_view role) const {
  return std::any_of(bindings_.begin(), bindings_.end(), [&](const Binding& binding) { return binding.role == role; });
}

const std::string& ColumnMapping::Get(absl::string_view role, const CsvRow& row) const {
  static const auto* const empty = new std::string;
  for (const Binding& binding : bindings_) {
    if (binding.role == role) return binding.Cell(row);
  }
  return *empty;
}

}  // namespace offerd::cli
