#include "core/features/encoder.h"

#include <cmath>
#include <limits>
#include <set>

#include "absl/base/casts.h"
#include "absl/strings/str_cat.h"
#include "core/rng.h"
#include "tests/support/status_matchers.h"

namespace offerd {
namespace {

using ::testing::ElementsAre;
using Kind = Feature::Kind;

constexpr double kInf = std::numeric_limits<double>::infinity();
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

FactName Name(absl::string_view text) { return ParseFactName(text).value(); }

Feature Constant(std::string name = "one") {
  Feature f;
  f.kind = Kind::kConstant;
  f.name = std::move(name);
  return f;
}
Feature Numeric(std::string name, absl::string_view fact) {
  Feature f;
  f.kind = Kind::kNumeric;
  f.name = std::move(name);
  f.fact = Name(fact);
  return f;
}
Feature OneHot(std::string name, absl::string_view fact, std::vector<std::string> values) {
  Feature f = Numeric(std::move(name), fact);
  f.kind = Kind::kOneHot;
  f.values = std::move(values);
  return f;
}
Feature Bucket(std::string name, absl::string_view fact, std::vector<double> boundaries) {
  Feature f = Numeric(std::move(name), fact);
  f.kind = Kind::kBucket;
  f.boundaries = std::move(boundaries);
  return f;
}
Feature Cross(std::string name, std::string left, std::string right) {
  Feature f = Constant(std::move(name));
  f.kind = Kind::kCross;
  f.left = std::move(left);
  f.right = std::move(right);
  return f;
}

// Facts of one candidate, and of two with the same facts that share nothing: the row must be the same.
std::vector<float> EncodeWith(const Encoder& encoder, const std::vector<Fact>& facts) {
  FactColumns columns;
  EncoderScratch scratch;
  FloatRowMatrix shared, own;
  columns.Reset(static_cast<int>(facts.size()), 1);
  for (size_t i = 0; i < facts.size(); ++i) columns.SetShared(static_cast<int>(i), facts[i]);
  encoder.Encode(columns, scratch, shared);
  columns.Reset(static_cast<int>(facts.size()), 2);
  for (size_t i = 0; i < facts.size(); ++i) {
    columns.MutableNumbers(static_cast<int>(i));
    for (int candidate = 0; candidate < 2; ++candidate) columns.Set(static_cast<int>(i), candidate, facts[i]);
  }
  own = FloatRowMatrix::Constant(2, encoder.dim(), 99.0f);  // every column must be written
  encoder.Encode(columns, scratch, own);
  const std::vector<float> row(shared.data(), shared.data() + shared.size());
  for (size_t k = 0; k < row.size(); ++k) {
    EXPECT_EQ(absl::bit_cast<uint32_t>(row[k]), absl::bit_cast<uint32_t>(own(0, static_cast<Eigen::Index>(k)))) << encoder.column_names()[k];
    EXPECT_EQ(own(0, static_cast<Eigen::Index>(k)), own(1, static_cast<Eigen::Index>(k))) << encoder.column_names()[k];
  }
  return row;
}

std::vector<float> Encode(const std::vector<Feature>& features, const std::vector<Fact>& facts) {
  const auto encoder = Encoder::Make({features});
  EXPECT_OK(encoder);
  return EncodeWith(*encoder, facts);
}

float EncodeOne(const Feature& feature, Fact fact) { return Encode({feature}, {fact})[0]; }

TEST(FactNameTest, ParsesAndPrints) {
  for (const char* text : {"context.evening", "customer.visits", "candidate.price", "offer.brand",
                           "computed.own_offer_rate", "offer.attributes.colour-1:x"}) {
    const auto name = ParseFactName(text);
    ASSERT_OK(name);
    EXPECT_EQ(FactNameText(*name), text);
  }
  EXPECT_EQ(Name("offer.brand"), (FactName{FactScope::kOffer, "brand"}));
  EXPECT_EQ(Name("offer.a.b").name, "a.b");
}

TEST(FactNameTest, SaysWhatWasExpected) {
  constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;
  EXPECT_THAT(ParseFactName("evening"), StatusIs(kInvalid, "expected context., customer."));
  EXPECT_THAT(ParseFactName("Context.x"), StatusIs(kInvalid, "found 'Context'"));
  EXPECT_THAT(ParseFactName(""), StatusIs(kInvalid, "expected context."));
  EXPECT_THAT(ParseFactName("context"), StatusIs(kInvalid, "after 'context.' expected"));
  EXPECT_THAT(ParseFactName("context."), StatusIs(kInvalid, "after 'context.' expected"));
  EXPECT_THAT(ParseFactName("context.a b"), StatusIs(kInvalid, "expected"));
  EXPECT_THAT(ParseFactName("context._a"), StatusIs(kInvalid, "expected"));
  EXPECT_THAT(ParseFactName(absl::StrCat("context.", std::string(129, 'a'))), StatusIs(kInvalid, "1 to 128"));
}

TEST(EncoderTest, ConstantIsOne) { EXPECT_THAT(Encode({Constant()}, {}), ElementsAre(1)); }

TEST(EncoderTest, NumericClampsThenTransformsThenMultiplies) {
  Feature f = Numeric("x", "context.x");
  f.min = 1;
  f.max = 4;
  f.transform = Transform::kSqrt;
  f.multiplier = 10;
  EXPECT_EQ(EncodeOne(f, Fact::Number(100)), 20);
  EXPECT_EQ(EncodeOne(f, Fact::Number(-100)), 10);
  EXPECT_EQ(EncodeOne(f, Fact::Number(kInf)), 20);
}

TEST(EncoderTest, MissingValueIsPlacedAsItIs) {
  Feature f = Numeric("x", "context.x");
  f.transform = Transform::kLog1p;
  f.multiplier = 10;
  f.min = 1;
  f.missing_value = -7;
  EXPECT_EQ(EncodeOne(f, Fact::Missing()), -7);
  EXPECT_EQ(EncodeOne(f, Fact::Text("12")), -7);
  EXPECT_EQ(EncodeOne(f, Fact::Number(kNan)), -7);
  EXPECT_EQ(EncodeOne(Numeric("x", "context.x"), Fact::Missing()), 0);
}

TEST(EncoderTest, Transforms) {
  Feature f = Numeric("x", "context.x");
  EXPECT_FLOAT_EQ(EncodeOne(f, Fact::Number(-2.5)), -2.5f);
  f.transform = Transform::kLog1p;
  EXPECT_FLOAT_EQ(EncodeOne(f, Fact::Number(3)), std::log(4.0f));
  EXPECT_EQ(EncodeOne(f, Fact::Number(-0.5)), 0);
  EXPECT_EQ(EncodeOne(f, Fact::Number(-5)), 0);
  f.min = -0.9;
  EXPECT_FLOAT_EQ(EncodeOne(f, Fact::Number(-0.5)), std::log(0.5f));
  f = Numeric("x", "context.x");
  f.transform = Transform::kSqrt;
  EXPECT_EQ(EncodeOne(f, Fact::Number(-1)), 0);
  f.transform = Transform::kExpDecay;
  f.scale = 7;
  EXPECT_FLOAT_EQ(EncodeOne(f, Fact::Number(14)), std::exp(-2.0f));
}

TEST(EncoderTest, OneHotMatchesTextsAndTheShortestTextOfNumbers) {
  const Feature f = OneHot("x", "context.x", {"b", "1", "a", "1.0", "0.1", "100000", "-0"});
  const auto column = [&](Fact fact) {
    const std::vector<float> row = Encode({f}, {fact});
    int found = -1;
    for (size_t i = 0; i < row.size(); ++i) {
      if (row[i] != 0) {
        EXPECT_EQ(found, -1);
        EXPECT_EQ(row[i], 1);
        found = static_cast<int>(i);
      }
    }
    return found;
  };
  EXPECT_EQ(column(Fact::Text("b")), 0);
  EXPECT_EQ(column(Fact::Text("1")), 1);
  EXPECT_EQ(column(Fact::Number(1)), 1);
  EXPECT_EQ(column(Fact::Text("a")), 2);
  EXPECT_EQ(column(Fact::Text("1.0")), 3);
  EXPECT_EQ(column(Fact::Number(0.1)), 4);
  EXPECT_EQ(column(Fact::Number(1e5)), 5);
  EXPECT_EQ(column(Fact::Text("-0")), 6);
  EXPECT_EQ(column(Fact::Number(-0.0)), -1);
  EXPECT_EQ(column(Fact::Text("c")), -1);
  EXPECT_EQ(column(Fact::Text("")), -1);
  EXPECT_EQ(column(Fact::Number(kNan)), -1);
  EXPECT_EQ(column(Fact::Missing()), -1);
}

TEST(EncoderTest, BucketBoundariesBelongToTheUpperBucket) {
  const Feature f = Bucket("x", "context.x", {0, 2.5});
  EXPECT_THAT(Encode({f}, {Fact::Number(-1)}), ElementsAre(1, 0, 0));
  EXPECT_THAT(Encode({f}, {Fact::Number(0)}), ElementsAre(0, 1, 0));
  EXPECT_THAT(Encode({f}, {Fact::Number(2.4999)}), ElementsAre(0, 1, 0));
  EXPECT_THAT(Encode({f}, {Fact::Number(2.5)}), ElementsAre(0, 0, 1));
  EXPECT_THAT(Encode({f}, {Fact::Number(kInf)}), ElementsAre(0, 0, 1));
  EXPECT_THAT(Encode({f}, {Fact::Number(-kInf)}), ElementsAre(1, 0, 0));
  EXPECT_THAT(Encode({f}, {Fact::Number(kNan)}), ElementsAre(0, 0, 0));
  EXPECT_THAT(Encode({f}, {Fact::Text("1")}), ElementsAre(0, 0, 0));
  EXPECT_THAT(Encode({f}, {Fact::Missing()}), ElementsAre(0, 0, 0));
}

TEST(EncoderTest, CrossIsLeftMajorAndNests) {
  const std::vector<Feature> features = {OneHot("a", "context.a", {"x", "y"}),
                                         Bucket("b", "offer.b", {0}),
                                         Numeric("n", "offer.n"),
                                         Cross("ab", "a", "b"),
                                         Cross("abn", "ab", "n"),
                                         Cross("nn", "n", "n")};
  EXPECT_THAT(Encode(features, {Fact::Text("y"), Fact::Number(-1), Fact::Number(3)}),
              ElementsAre(0, 1, /*b*/ 1, 0, /*n*/ 3, /*ab*/ 0, 0, 1, 0, /*abn*/ 0, 0, 3, 0, /*nn*/ 9));
}

TEST(EncoderTest, NamesColumnsAndDistinctFacts) {
  const auto encoder = Encoder::Make({{Constant(), Numeric("n", "offer.n"), OneHot("a", "context.a", {"x", "y"}),
                                       Bucket("b", "offer.n", {0, 2.5}), Cross("c", "a", "n")}});
  ASSERT_OK(encoder);
  EXPECT_EQ(encoder->dim(), 9);
  EXPECT_THAT(encoder->column_names(),
              ElementsAre("one", "n", "a=x", "a=y", "b[-inf,0)", "b[0,2.5)", "b[2.5,inf)", "a=x*n", "a=y*n"));
  EXPECT_THAT(encoder->facts(), ElementsAre(Name("offer.n"), Name("context.a")));
  EXPECT_EQ(encoder->list().features.size(), 5u);
}

TEST(EncoderTest, NeverWritesWhatIsNotFinite) {
  Rng rng(1);
  const double numbers[] = {
      0, -0.0, 1, -1, 1e-300, 1e300, -1e300, kInf, -kInf, kNan, std::numeric_limits<double>::max()};
  for (int trial = 0; trial < 2000; ++trial) {
    SCOPED_TRACE(trial);
    Feature f = Numeric("n", "context.n");
    f.transform = static_cast<Transform>(rng.NextBits() % 4);
    f.multiplier = numbers[rng.NextBits() % 7];
    f.scale = rng.NextUniform() < 0.5 ? 1e-300 : 1e300;
    f.missing_value = numbers[rng.NextBits() % 7];
    if (rng.NextUniform() < 0.3) f.min = -1e300;
    const Fact fact = rng.NextUniform() < 0.1 ? Fact::Missing() : Fact::Number(numbers[rng.NextBits() % 11]);
    for (float column : Encode({f, Cross("nn", "n", "n"), Cross("n4", "nn", "nn")}, {fact})) {
      ASSERT_LE(std::abs(column), static_cast<float>(Encoder::kLargestValue));  // false for NaN too
    }
  }
}

TEST(EncoderTest, RefusesBadListsAndSaysWhy) {
  const auto error = [](std::vector<Feature> features) { return Encoder::Make({std::move(features)}); };
  constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;
  EXPECT_THAT(error({}), StatusIs(kInvalid, "empty"));
  EXPECT_THAT(error({Constant("a"), Constant("a")}), StatusIs(kInvalid, "feature 'a': the name is used twice"));
  EXPECT_THAT(error({Constant("")}), StatusIs(kInvalid, "a name is"));
  EXPECT_THAT(error({Constant("a*b")}), StatusIs(kInvalid, "a name is"));
  EXPECT_THAT(error({Constant("a"), Cross("c", "a", "b"), Constant("b")}),
              StatusIs(kInvalid, "feature 'c': 'b' is not"));
  EXPECT_THAT(error({Cross("c", "c", "c")}), StatusIs(kInvalid, "'c' is not the name of an earlier feature"));
  EXPECT_THAT(error({OneHot("h", "context.x", {})}), StatusIs(kInvalid, "feature 'h': a one-hot"));
  EXPECT_THAT(error({OneHot("h", "context.x", {"a", ""})}), StatusIs(kInvalid, "empty text"));
  EXPECT_THAT(error({OneHot("h", "context.x", {"a", "b", "a"})}), StatusIs(kInvalid, "'a' is listed twice"));
  EXPECT_THAT(error({Bucket("b", "context.x", {})}), StatusIs(kInvalid, "at least one boundary"));
  EXPECT_THAT(error({Bucket("b", "context.x", {2, 1})}), StatusIs(kInvalid, "must ascend, found 2 before 1"));
  EXPECT_THAT(error({Bucket("b", "context.x", {1, 1})}), StatusIs(kInvalid, "must ascend"));
  EXPECT_THAT(error({Bucket("b", "context.x", {1, kInf})}), StatusIs(kInvalid, "finite"));
  for (auto [field, value] : {std::pair(&Feature::scale, 0.0),
                              {&Feature::scale, -1.0},
                              {&Feature::scale, kNan},
                              {&Feature::multiplier, kInf},
                              {&Feature::missing_value, kNan},
                              {&Feature::min, kNan},
                              {&Feature::min, kInf},
                              {&Feature::max, -kInf},
                              {&Feature::max, kNan}}) {
    Feature f = Numeric("n", "context.x");
    f.*field = value;
    EXPECT_THAT(error({f}), StatusIs(kInvalid, "feature 'n': "));
  }
  Feature no_fact = Numeric("n", "context.x");
  no_fact.fact.name = "";
  EXPECT_THAT(error({no_fact}), StatusIs(kInvalid, "its fact's name"));
}

TEST(EncoderTest, HoldsUpToItsLargestNumberOfColumns) {
  std::vector<double> boundaries;
  for (int i = 0; i < Encoder::kMaxDim - 1; ++i) boundaries.push_back(i);
  EXPECT_EQ(Encoder::Make({{Bucket("b", "context.x", boundaries)}})->dim(), 2048);
  boundaries.push_back(2047);
  EXPECT_THAT(Encoder::Make({{Bucket("b", "context.x", boundaries)}}),
              StatusIs(absl::StatusCode::kInvalidArgument, "more than 2048 columns"));
  EXPECT_FALSE(
      Encoder::Make({{Constant(), Bucket("b", "context.x", {boundaries.begin(), boundaries.end() - 1})}}).ok());
  boundaries.resize(45);  // 46 columns, squared 2116
  EXPECT_FALSE(Encoder::Make({{Bucket("b", "context.x", boundaries), Cross("c", "b", "b")}}).ok());
}

TEST(EncoderTest, FingerprintSeesWhatChangesARowAndNothingElse) {
  std::vector<Feature> list = {Constant(), Numeric("n", "offer.n"), OneHot("h", "offer.h", {"a", "b"}),
                               Bucket("b", "offer.b", {1, 2}), Cross("c", "n", "h")};
  const auto fingerprint = [](const std::vector<Feature>& features) {
    return Encoder::Make({features})->fingerprint();
  };
  std::set<uint64_t> seen = {fingerprint(list)};
  EXPECT_EQ(fingerprint(list), *seen.begin());
  const auto changed = [&](auto change) {
    std::vector<Feature> other = list;
    change(other);
    return fingerprint(other);
  };
  EXPECT_TRUE(seen.insert(changed([](auto& l) { std::swap(l[0], l[1]); })).second);
  EXPECT_TRUE(seen.insert(changed([](auto& l) { l[0].name = "two"; })).second);
  EXPECT_TRUE(seen.insert(changed([](auto& l) { l[1].fact = Name("context.n"); })).second);
  EXPECT_TRUE(seen.insert(changed([](auto& l) { l[1].transform = Transform::kSqrt; })).second);
  EXPECT_TRUE(seen.insert(changed([](auto& l) { l[1].multiplier = std::nextafter(1.0, 2.0); })).second);
  EXPECT_TRUE(seen.insert(changed([](auto& l) { l[1].min = 0; })).second);
  EXPECT_TRUE(seen.insert(changed([](auto& l) { l[1].max = 0; })).second);
  EXPECT_TRUE(seen.insert(changed([](auto& l) { l[1].missing_value = 1; })).second);
  EXPECT_TRUE(seen.insert(changed([](auto& l) { l[2].values = {"b", "a"}; })).second);
  EXPECT_TRUE(seen.insert(changed([](auto& l) { l[2].values = {"a;1:b"}; })).second);
  EXPECT_TRUE(seen.insert(changed([](auto& l) { l[3].boundaries = {1, 2.5}; })).second);
  EXPECT_TRUE(seen.insert(changed([](auto& l) { l[4].left = "b"; })).second);
  EXPECT_TRUE(seen.insert(changed([](auto& l) { l[4].right = "b"; })).second);
  EXPECT_EQ(changed([](auto& l) { l[0].values = {"x"}; }), fingerprint(list));  // a constant has no values
}

TEST(EncoderTest, AgreesWithColumnNamesReadAsAProgram) {
  // The twin: computes each column from its name alone, for lists of one-hots, buckets and numbers.
  for (uint64_t seed = 1; seed <= 200; ++seed) {
    SCOPED_TRACE(seed);
    Rng rng(seed);
    const std::vector<std::string> words = {"a", "b", "c", "d"};
    const std::vector<Feature> features = {
        OneHot("h", "context.h", {words[rng.NextBits() % 2], words[2 + rng.NextBits() % 2]}),
        Bucket("b", "context.b", {-0.5, rng.NextUniform()}), Numeric("n", "context.n"), Cross("hb", "h", "b"),
        Cross("nh", "n", "h")};
    const auto encoder = Encoder::Make({features});
    ASSERT_OK(encoder);
    const std::string& word = words[rng.NextBits() % 4];
    const double b = rng.NextNormal(), n = rng.NextNormal();
    const std::vector<float> row = EncodeWith(*encoder, {Fact::Text(word), Fact::Number(b), Fact::Number(n)});
    const auto single = [&](absl::string_view name) -> double {
      if (name[0] == 'n') return static_cast<float>(n);
      if (name[0] == 'h') return name.substr(2) == word;
      const size_t comma = name.find(',');
      const double low = std::stod(std::string(name.substr(2, comma - 2)));
      const double high = std::stod(std::string(name.substr(comma + 1)));
      return low <= b && b < high;
    };
    for (int i = 0; i < encoder->dim(); ++i) {
      const absl::string_view name = encoder->column_names()[i];
      const size_t star = name.find('*');
      const double expected =
          star == absl::string_view::npos ? single(name) : single(name.substr(0, star)) * single(name.substr(star + 1));
      EXPECT_EQ(row[i], static_cast<float>(expected)) << name;
    }
  }
}

}  // namespace
}  // namespace offerd
