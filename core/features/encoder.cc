#include "core/features/encoder.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstring>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "core/check.h"
#include "core/hash.h"
#include "core/status_macros.h"

namespace offerd {
namespace {

constexpr size_t kMaxNameBytes = 128;

constexpr std::pair<FactScope, absl::string_view> kScopes[] = {
    {FactScope::kContext, "context"}, {FactScope::kCustomer, "customer"}, {FactScope::kCandidate, "candidate"},
    {FactScope::kOffer, "offer"},     {FactScope::kComputed, "computed"},
};

bool IsName(absl::string_view text) {
  if (text.empty() || text.size() > kMaxNameBytes || !absl::ascii_isalnum(static_cast<unsigned char>(text[0])))
    return false;
  return std::all_of(text.begin(), text.end(), [](char c) {
    return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '-' || c == '.' || c == ':';
  });
}

constexpr absl::string_view kNameRule = "1 to 128 ASCII letters, digits and _-.: beginning with a letter or digit";

// The shortest text that reads back as the same number, without exponent between 1e-6 and 1e21.
std::string NumberText(double number) {
  if (std::isinf(number)) return number > 0 ? "inf" : "-inf";
  if (number == 0) return "0";  // also -0
  const double size = std::abs(number);
  const bool fixed = size >= 1e-6 && size < 1e21;
  char buffer[64];
  const auto result = std::to_chars(buffer, buffer + sizeof(buffer), number,
                                    fixed ? std::chars_format::fixed : std::chars_format::scientific);
  return std::string(buffer, result.ptr);
}

absl::Status Invalid(const Feature& feature, absl::string_view problem) {
  return absl::InvalidArgumentError(absl::StrCat("feature '", feature.name, "': ", problem));
}

absl::Status CheckNumeric(const Feature& feature) {
  if (!std::isfinite(feature.scale) || feature.scale <= 0) {
    return Invalid(feature, absl::StrCat("scale must be finite and above 0, found ", NumberText(feature.scale)));
  }
  if (!std::isfinite(feature.multiplier)) return Invalid(feature, "multiplier must be finite");
  if (!std::isfinite(feature.missing_value)) return Invalid(feature, "missing_value must be finite");
  constexpr double kInf = std::numeric_limits<double>::infinity();
  if (std::isnan(feature.min) || std::isnan(feature.max) || feature.min > feature.max || feature.min == kInf ||
      feature.max == -kInf) {
    return Invalid(feature, "min must not be above max, and neither may be NaN");
  }
  return absl::OkStatus();
}

absl::Status CheckOneHot(const Feature& feature) {
  if (feature.values.empty()) return Invalid(feature, "a one-hot feature needs at least one value");
  std::vector<std::string> sorted = feature.values;
  std::sort(sorted.begin(), sorted.end());
  if (sorted.front().empty()) return Invalid(feature, "a value is the empty text");
  const auto twice = std::adjacent_find(sorted.begin(), sorted.end());
  if (twice != sorted.end()) return Invalid(feature, absl::StrCat("value '", *twice, "' is listed twice"));
  return absl::OkStatus();
}

absl::Status CheckBucket(const Feature& feature) {
  if (feature.boundaries.empty()) return Invalid(feature, "a bucket feature needs at least one boundary");
  for (size_t i = 0; i < feature.boundaries.size(); ++i) {
    if (!std::isfinite(feature.boundaries[i])) return Invalid(feature, "boundaries must be finite");
    if (i > 0 && feature.boundaries[i] <= feature.boundaries[i - 1]) {
      return Invalid(feature, absl::StrCat("boundaries must ascend, found ", NumberText(feature.boundaries[i - 1]),
                                           " before ", NumberText(feature.boundaries[i])));
    }
  }
  return absl::OkStatus();
}

void AppendText(std::string& out, absl::string_view text) { absl::StrAppend(&out, text.size(), ":", text, ";"); }

std::string CanonicalText(const FeatureList& list) {
  std::string out = "offerd features 1\n";
  for (const Feature& feature : list.features) {
    absl::StrAppend(&out, static_cast<int>(feature.kind), ";");
    AppendText(out, feature.name);
    switch (feature.kind) {
      case Feature::Kind::kConstant:
        break;
      case Feature::Kind::kNumeric:
        AppendText(out, FactNameText(feature.fact));
        absl::StrAppend(&out, static_cast<int>(feature.transform), ";");
        for (double number : {feature.transform == Transform::kExpDecay ? feature.scale : 1.0, feature.multiplier,
                              feature.min, feature.max, feature.missing_value}) {
          AppendText(out, NumberText(number));
        }
        if (feature.only_in_crosses) out += "hidden;";
        break;
      case Feature::Kind::kOneHot:
        AppendText(out, FactNameText(feature.fact));
        for (const std::string& value : feature.values) AppendText(out, value);
        if (feature.only_in_crosses) out += "hidden;";
        break;
      case Feature::Kind::kBucket:
        AppendText(out, FactNameText(feature.fact));
        for (double boundary : feature.boundaries) AppendText(out, NumberText(boundary));
        break;
      case Feature::Kind::kCross:
        AppendText(out, feature.left);
        AppendText(out, feature.right);
        break;
    }
    out += '\n';
  }
  return out;
}

float ToColumn(double value) {
  if (std::isnan(value)) return 0;
  return static_cast<float>(std::clamp(value, -Encoder::kLargestValue, Encoder::kLargestValue));
}

bool IsNumber(const Fact& fact) { return fact.kind == Fact::Kind::kNumber && !std::isnan(fact.number); }

double Transformed(Transform transform, double scale, double x) {
  switch (transform) {
    case Transform::kIdentity:
      return x;
    case Transform::kLog1p:
      return std::log1p(x);
    case Transform::kSqrt:
      return std::sqrt(x);
    case Transform::kExpDecay:
      return std::exp(-x / scale);
  }
  return x;
}

}  // namespace

absl::string_view FactScopeText(FactScope scope) {
  for (const auto& [known, text] : kScopes) {
    if (known == scope) return text;
  }
  return "unknown";
}

std::string FactNameText(const FactName& name) { return absl::StrCat(FactScopeText(name.scope), ".", name.name); }

absl::StatusOr<FactName> ParseFactName(absl::string_view text) {
  const size_t dot = text.find('.');
  const absl::string_view scope = text.substr(0, dot);
  for (const auto& [known, known_text] : kScopes) {
    if (scope != known_text) continue;
    const absl::string_view name = dot == absl::string_view::npos ? absl::string_view() : text.substr(dot + 1);
    if (!IsName(name)) {
      return absl::InvalidArgumentError(absl::StrCat("fact '", text, "': after '", scope, ".' expected ", kNameRule));
    }
    return FactName{known, std::string(name)};
  }
  return absl::InvalidArgumentError(
      absl::StrCat("fact '", text,
                   "': expected context., customer., candidate., offer. or computed. and a name, found '", scope, "'"));
}

absl::StatusOr<Encoder> Encoder::Make(FeatureList list) {
  Encoder encoder;
  for (const Feature& feature : list.features) {
    RETURN_IF_ERROR(encoder.Add(feature));
  }
  if (encoder.dim() == 0) return absl::InvalidArgumentError("the feature list is empty: expected at least one column");
  encoder.fingerprint_ = StableHash(CanonicalText(list));
  encoder.list_ = std::move(list);
  return encoder;
}

absl::Status Encoder::Add(const Feature& feature) {
  if (!IsName(feature.name)) return Invalid(feature, absl::StrCat("a name is ", kNameRule));
  if (FindBlock(feature.name) >= 0) return Invalid(feature, "the name is used twice");
  Block block;
  block.kind = feature.kind;
  block.feature = static_cast<int>(blocks_.size());
  std::vector<std::string> names;
  const bool reads_fact = feature.kind == Feature::Kind::kNumeric || feature.kind == Feature::Kind::kOneHot ||
                          feature.kind == Feature::Kind::kBucket;
  if (reads_fact && !IsName(feature.fact.name)) {
    return Invalid(feature, absl::StrCat("its fact's name '", feature.fact.name, "' is not ", kNameRule));
  }
  switch (feature.kind) {
    case Feature::Kind::kConstant:
      block.size = 1;
      names = {feature.name};
      break;
    case Feature::Kind::kNumeric:
      RETURN_IF_ERROR(CheckNumeric(feature));
      block.size = 1;
      block.is_hidden = feature.only_in_crosses;
      block.transform = feature.transform;
      block.scale = feature.scale;
      block.multiplier = feature.multiplier;
      block.missing_value = feature.missing_value;
      block.min = feature.min;
      block.max = feature.max;
      if ((feature.transform == Transform::kLog1p && feature.min <= -1) ||
          (feature.transform == Transform::kSqrt && feature.min < 0)) {
        block.min = 0;
        block.max = std::max(feature.max, 0.0);
      }
      names = {feature.name};
      break;
    case Feature::Kind::kOneHot:
      RETURN_IF_ERROR(CheckOneHot(feature));
      block.is_hidden = feature.only_in_crosses;
      block.size = static_cast<int>(std::min<size_t>(feature.values.size(), kMaxDim + 1));
      for (int i = 0; i < block.size; ++i) {
        const std::string& text = feature.values[i];
        Value value{text, 0, false, i};
        const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value.number);
        value.is_number = error == std::errc() && end == text.data() + text.size() && std::isfinite(value.number) &&
                          NumberText(value.number) == text;
        block.values.push_back(std::move(value));
        names.push_back(absl::StrCat(feature.name, "=", text));
      }
      std::sort(block.values.begin(), block.values.end(),
                [](const Value& a, const Value& b) { return a.text < b.text; });
      break;
    case Feature::Kind::kBucket:
      RETURN_IF_ERROR(CheckBucket(feature));
      block.size = static_cast<int>(std::min<size_t>(feature.boundaries.size(), kMaxDim)) + 1;
      for (int i = 0; i < block.size; ++i) {
        const std::string low = i == 0 ? "-inf" : NumberText(feature.boundaries[i - 1]);
        const std::string high = i + 1 == block.size ? "inf" : NumberText(feature.boundaries[i]);
        names.push_back(absl::StrCat(feature.name, "[", low, ",", high, ")"));
      }
      break;
    case Feature::Kind::kCross:
      RETURN_IF_ERROR(AddCross(feature, block));
      break;
    default:
      return Invalid(feature, "unknown kind");
  }
  if (feature.only_in_crosses && !block.is_hidden) {
    return Invalid(feature, "only a numeric or one-hot feature can be only in crosses");
  }
  if (block.is_hidden) names.clear();
  block.begin = block.is_hidden ? num_hidden_ : dim();
  if (block.is_hidden) num_hidden_ += block.size;
  if (!block.is_hidden && block.begin + block.size > kMaxDim) {
    return Invalid(feature, absl::StrCat("with it the list has more than ", kMaxDim, " columns"));
  }
  if (feature.kind == Feature::Kind::kCross) {
    const auto column_name = [this](const Block& of, int column) -> std::string {
      if (!of.is_hidden) return column_names_[of.begin + column];
      const Feature& hidden = list_.features[of.feature];
      return hidden.kind == Feature::Kind::kNumeric ? hidden.name : absl::StrCat(hidden.name, "=", hidden.values[column]);
    };
    for (int l = 0; l < blocks_[block.left].size; ++l) {
      for (int r = 0; r < blocks_[block.right].size; ++r) {
        names.push_back(absl::StrCat(column_name(blocks_[block.left], l), "*", column_name(blocks_[block.right], r)));
      }
    }
  }
  if (reads_fact) block.fact = FactIndex(feature.fact);
  for (std::string& name : names) column_names_.push_back(std::move(name));
  list_.features.push_back(feature);  // FindBlock reads the names here; Make replaces it by the same list
  blocks_.push_back(std::move(block));
  return absl::OkStatus();
}

absl::Status Encoder::AddCross(const Feature& feature, Block& block) {
  block.left = FindBlock(feature.left);
  block.right = FindBlock(feature.right);
  for (const auto& [index, name] : {std::pair(block.left, &feature.left), std::pair(block.right, &feature.right)}) {
    if (index < 0) return Invalid(feature, absl::StrCat("'", *name, "' is not the name of an earlier feature"));
  }
  block.size = std::min(kMaxDim + 1, blocks_[block.left].size * blocks_[block.right].size);
  return absl::OkStatus();
}

int Encoder::FactIndex(const FactName& name) {
  const auto found = std::find(facts_.begin(), facts_.end(), name);
  if (found != facts_.end()) return static_cast<int>(found - facts_.begin());
  facts_.push_back(name);
  return static_cast<int>(facts_.size()) - 1;
}

int Encoder::FindBlock(absl::string_view name) const {
  for (size_t i = 0; i < blocks_.size(); ++i) {
    if (list_.features[i].name == name) return static_cast<int>(i);
  }
  return -1;
}

// Eight and four floats at once. Compilers turn them into what the build's instruction set has.
constexpr int kLanes = 8;
typedef float Lanes __attribute__((vector_size(kLanes * sizeof(float))));
typedef float Four __attribute__((vector_size(4 * sizeof(float))));
constexpr int kDoubles = 4;
typedef double Doubles __attribute__((vector_size(kDoubles * sizeof(double))));

inline Four Load(const float* from) {
  Four value;
  std::memcpy(&value, from, sizeof(value));
  return value;
}
inline void Store(Four value, float* to) { std::memcpy(to, &value, sizeof(value)); }

// Columns (d x at least n) become rows (n x d), four by four.
void Transpose(const FloatRowMatrix& columns, FloatRowMatrix& rows) {
  const Eigen::Index n = rows.rows(), d = rows.cols(), stride = columns.cols();
  const float* from = columns.data();
  float* to = rows.data();
  Eigen::Index k = 0;
  for (; k + 4 <= d; k += 4) {
    Eigen::Index i = 0;
    for (; i + 4 <= n; i += 4) {
      const float* at = from + k * stride + i;
      const Four a = Load(at), b = Load(at + stride), c = Load(at + 2 * stride), e = Load(at + 3 * stride);
      const Four low_ab = __builtin_shufflevector(a, b, 0, 4, 1, 5), high_ab = __builtin_shufflevector(a, b, 2, 6, 3, 7);
      const Four low_ce = __builtin_shufflevector(c, e, 0, 4, 1, 5), high_ce = __builtin_shufflevector(c, e, 2, 6, 3, 7);
      float* row = to + i * d + k;
      Store(__builtin_shufflevector(low_ab, low_ce, 0, 1, 4, 5), row);
      Store(__builtin_shufflevector(low_ab, low_ce, 2, 3, 6, 7), row + d);
      Store(__builtin_shufflevector(high_ab, high_ce, 0, 1, 4, 5), row + 2 * d);
      Store(__builtin_shufflevector(high_ab, high_ce, 2, 3, 6, 7), row + 3 * d);
    }
    for (; i < n; ++i) {
      for (Eigen::Index j = k; j < k + 4; ++j) to[i * d + j] = from[j * stride + i];
    }
  }
  for (; k < d; ++k) {
    for (Eigen::Index i = 0; i < n; ++i) to[i * d + k] = from[k * stride + i];
  }
}

// One call: writes the columns one by one, each for all candidates, then turns them into rows. A column has room for whole lanes;
// what stands behind the candidates means nothing.
class Encoder::Columns {
 public:
  Columns(const Encoder& encoder, const FactColumns& facts, EncoderScratch& scratch)
      : encoder_(encoder), facts_(facts), scratch_(scratch), n_(static_cast<size_t>(facts.num_candidates())),
        stride_((n_ + kLanes - 1) / kLanes * kLanes) {
    const Eigen::Index columns = encoder.dim() + encoder.num_hidden_;
    if (scratch.columns.rows() != columns || scratch.columns.cols() != static_cast<Eigen::Index>(stride_)) {
      scratch.columns = FloatRowMatrix::Zero(columns, static_cast<Eigen::Index>(stride_));
    }
    scratch.is_shared.assign(static_cast<size_t>(columns), 0);
  }

  void Fill(const Block& block) {
    switch (block.kind) {
      case Feature::Kind::kConstant: Share(First(block), 1); break;
      case Feature::Kind::kNumeric: FillNumeric(block); break;
      case Feature::Kind::kOneHot:
        FillIndicator(block, [&block](const Fact& fact) { return OneHotColumn(block, fact); });
        break;
      case Feature::Kind::kBucket: {
        const std::vector<double>& boundaries = encoder_.list_.features[static_cast<size_t>(block.feature)].boundaries;
        FillIndicator(block, [&boundaries](const Fact& fact) { return BucketColumn(boundaries, fact); });
        break;
      }
      case Feature::Kind::kCross: FillCross(block); break;
    }
  }

 private:
  size_t First(const Block& block) const { return static_cast<size_t>(block.begin + (block.is_hidden ? encoder_.dim() : 0)); }
  float* Column(size_t column) { return scratch_.columns.data() + column * stride_; }
  bool IsShared(size_t column) const { return scratch_.is_shared[column] != 0; }

  void Share(size_t column, float value) {
    std::fill_n(Column(column), stride_, value);
    scratch_.is_shared[column] = 1;
  }

  static int OneHotColumn(const Block& block, const Fact& fact) {  // -1: none
    if (fact.kind == Fact::Kind::kText) {
      const auto found = std::lower_bound(block.values.begin(), block.values.end(), fact.text,
                                          [](const Value& value, absl::string_view text) { return value.text < text; });
      if (found != block.values.end() && found->text == fact.text) return found->column;
    } else if (fact.kind == Fact::Kind::kNumber) {
      for (const Value& value : block.values) {
        if (value.is_number && value.number == fact.number) return value.column;
      }
    }
    return -1;
  }

  static int BucketColumn(const std::vector<double>& boundaries, const Fact& fact) {
    if (!IsNumber(fact)) return -1;
    return static_cast<int>(std::upper_bound(boundaries.begin(), boundaries.end(), fact.number) - boundaries.begin());
  }

  // One-hot and bucket: at most one column of a candidate is 1.
  template <typename ColumnOf>
  void FillIndicator(const Block& block, ColumnOf column_of) {
    const size_t first = First(block);
    std::fill_n(Column(first), static_cast<size_t>(block.size) * stride_, 0.0f);
    if (facts_.IsShared(block.fact)) {
      std::fill_n(scratch_.is_shared.begin() + static_cast<ptrdiff_t>(first), block.size, 1);
      if (const int column = column_of(facts_.Shared(block.fact)); column >= 0) Share(first + static_cast<size_t>(column), 1);
      return;
    }
    for (size_t i = 0; i < n_; ++i) {
      const int column = column_of(facts_.At(block.fact, static_cast<int>(i)));
      if (column >= 0) Column(first + static_cast<size_t>(column))[i] = 1;
    }
  }

  static float NumericValue(const Block& block, double x) {
    if (std::isnan(x)) return ToColumn(block.missing_value);
    return ToColumn(Transformed(block.transform, block.scale, std::clamp(x, block.min, block.max)) * block.multiplier);
  }

  void FillNumeric(const Block& block) {
    if (facts_.IsShared(block.fact)) {
      const Fact& fact = facts_.Shared(block.fact);
      Share(First(block), NumericValue(block, IsNumber(fact) ? fact.number : std::numeric_limits<double>::quiet_NaN()));
      return;
    }
    const double* from = facts_.Numbers(block.fact).data();
    float* to = Column(First(block));
    size_t i = 0;
    if (block.transform == Transform::kIdentity || block.transform == Transform::kSqrt) {
      for (; i + kDoubles <= n_; i += kDoubles) FillNumericLanes(block, from + i, to + i);
    }
    for (; i < n_; ++i) to[i] = NumericValue(block, from[i]);
  }

  // NumericValue of kDoubles numbers at once: the same comparisons in the same order, so the same bits.
  static void FillNumericLanes(const Block& block, const double* from, float* to) {
    const double a = block.min, b = block.max, m = block.missing_value;
    const Doubles least = {a, a, a, a}, most = {b, b, b, b}, missing = {m, m, m, m};
    const Doubles bound = {kLargestValue, kLargestValue, kLargestValue, kLargestValue};
    Doubles given;
    std::memcpy(&given, from, sizeof(given));
    Doubles x = given < least ? least : given;
    x = most < given ? most : x;
    if (block.transform == Transform::kSqrt) {
      for (int lane = 0; lane < kDoubles; ++lane) x[lane] = std::sqrt(x[lane]);
    }
    x = x * block.multiplier;
    x = given == given ? x : missing;
    x = x < -bound ? -bound : x;
    x = bound < x ? bound : x;
    x = x == x ? x : Doubles{};
    const Four narrow = __builtin_convertvector(x, Four);
    std::memcpy(to, &narrow, sizeof(narrow));
  }

  void FillCross(const Block& block) {
    const Block& left = encoder_.blocks_[static_cast<size_t>(block.left)];
    const Block& right = encoder_.blocks_[static_cast<size_t>(block.right)];
    size_t to = First(block);
    for (int l = 0; l < left.size; ++l) {
      for (int r = 0; r < right.size; ++r) Multiply(First(left) + static_cast<size_t>(l), First(right) + static_cast<size_t>(r), to++);
    }
  }

  void Multiply(size_t left, size_t right, size_t product) {
    const float* a = Column(left);
    const float* b = Column(right);
    const bool of_all = n_ > 0 && IsShared(left) && (a[0] == 0 || IsShared(right));
    if (of_all) {
      Share(product, Product(a[0], b[0]));
      return;
    }
    float* to = Column(product);
    for (size_t i = 0; i < stride_; i += kLanes) MultiplyLanes(a + i, b + i, to + i);
  }

  // Of columns, which are finite and within bounds: their product is that of doubles, rounded.
  static constexpr float kBound = static_cast<float>(kLargestValue);
  static float Product(float a, float b) { return a == 0 ? 0 : std::clamp(a * b, -kBound, kBound); }

  // Product of kLanes pairs.
  static void MultiplyLanes(const float* left, const float* right, float* to) {
    Lanes a, b;
    std::memcpy(&a, left, sizeof(a));
    std::memcpy(&b, right, sizeof(b));
    Lanes product = a * b;
    product = product > kBound ? Lanes{} + kBound : product;
    product = product < -kBound ? Lanes{} - kBound : product;
    product = a == 0 ? Lanes{} : product;
    std::memcpy(to, &product, sizeof(product));
  }

  const Encoder& encoder_;
  const FactColumns& facts_;
  EncoderScratch& scratch_;
  const size_t n_;
  const size_t stride_;
};

void Encoder::Encode(const FactColumns& facts, EncoderScratch& scratch, FloatRowMatrix& rows) const {
  CHECK(facts.num_facts() == static_cast<int>(facts_.size()));
  Columns columns(*this, facts, scratch);
  for (const Block& block : blocks_) columns.Fill(block);
  rows.resize(facts.num_candidates(), dim());
  Transpose(scratch.columns, rows);
}

}  // namespace offerd
