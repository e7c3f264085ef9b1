#include "cli/learn/default_features.h"

#include "absl/strings/str_cat.h"
#include "core/features/encoder.h"
#include "tests/support/status_matchers.h"

namespace offerd::learn {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

StreamDecision MakeDecision(std::vector<NamedValue> context, std::vector<std::vector<NamedValue>> candidates) {
  StreamDecision decision;
  decision.context = std::move(context);
  for (size_t i = 0; i < candidates.size(); ++i) decision.candidates.push_back({absl::StrCat("c", i), std::move(candidates[i]), 0.0});
  return decision;
}

std::vector<std::string> Columns(const DefaultFeatures::Result& result) {
  const auto encoder = Encoder::Make(result.list);
  EXPECT_OK(encoder);
  EXPECT_EQ(encoder->dim(), result.columns);
  return {encoder->column_names().begin(), encoder->column_names().end()};
}

TEST(DefaultFeaturesTest, AConstantEveryCandidateFeatureAndEveryProduct) {
  DefaultFeatures features;
  features.Add(MakeDecision({{"evening", false, 1, ""}, {"sky", true, 0, "sun"}}, {{{"price", false, 2, ""}, {"kind", true, 0, "tea"}}}));
  features.Add(MakeDecision({{"evening", false, 0, ""}, {"sky", true, 0, "rain"}}, {{{"price", false, 4, ""}, {"kind", true, 0, "pot"}}}));
  const DefaultFeatures::Result result = features.Make();
  EXPECT_THAT(result.notes, IsEmpty());
  EXPECT_THAT(Columns(result),
              ElementsAre("constant", "price", "kind=pot", "kind=tea", "context.evening*price", "context.evening*kind=pot", "context.evening*kind=tea",
                          "context.sky=rain*price", "context.sky=sun*price", "context.sky=rain*kind=pot", "context.sky=rain*kind=tea",
                          "context.sky=sun*kind=pot", "context.sky=sun*kind=tea"));
  EXPECT_NEAR(result.list.features[1].multiplier, 1 / std::sqrt(10.0), 1e-12) << "numbers are divided by their root mean square";
}

TEST(DefaultFeaturesTest, IdsStandInForCandidatesWithoutFeatures) {
  DefaultFeatures features;
  features.Add(MakeDecision({{"x", false, 1, ""}}, {{}, {}}));
  EXPECT_THAT(Columns(features.Make()), ElementsAre("constant", "id=c0", "id=c1", "context.x*id=c0", "context.x*id=c1"));
  for (int i = 0; i < 70; ++i) {
    StreamDecision decision;
    decision.candidates.push_back({absl::StrCat("other", i), {}, 0.0});
    features.Add(decision);
  }
  const DefaultFeatures::Result result = features.Make();
  EXPECT_THAT(Columns(result), ElementsAre("constant"));
  EXPECT_THAT(result.notes, ElementsAre(HasSubstr("more than 64 ids")));
}

TEST(DefaultFeaturesTest, TheWidestProductsLeaveFirstAndThatIsSaid) {
  DefaultFeatures features;
  for (int i = 0; i < 300; ++i) {
    features.Add(MakeDecision({{"town", true, 0, absl::StrCat("t", i)}, {"x", false, 1, ""}},
                              {{{"price", false, 1, ""}, {"brand", true, 0, absl::StrCat("b", i % 150)}}}));
  }
  const DefaultFeatures::Result result = features.Make();
  EXPECT_THAT(result.notes, ElementsAre(HasSubstr("more than 512 columns: 2 of 4 products left out, the widest first: context.town*brand, context.town*price")));
  EXPECT_EQ(result.columns, 1 + 1 + 150 + 1 + 150);
  Columns(result);
}

TEST(DefaultFeaturesTest, ATextFeatureThatIsTooWideKeepsItsMostFrequentValues) {
  DefaultFeatures features;
  for (int i = 0; i < 700; ++i) {
    features.Add(MakeDecision({}, {{{"brand", true, 0, absl::StrCat("b", i)}, {"price", false, 1, ""}}}));
    features.Add(MakeDecision({}, {{{"brand", true, 0, absl::StrCat("b", i % 7)}, {"price", false, 1, ""}}}));
  }
  const DefaultFeatures::Result result = features.Make();
  EXPECT_EQ(result.columns, 512);
  const std::vector<std::string> columns = Columns(result);
  for (int i = 0; i < 7; ++i) EXPECT_THAT(columns, ::testing::Contains(absl::StrCat("brand=b", i)));
  EXPECT_THAT(columns, ::testing::Contains("price"));
}

}  // namespace
}  // namespace offerd::learn
