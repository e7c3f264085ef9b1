#include "cli/learn/stream.h"

#include "tests/cli/temp_file.h"
#include "tests/support/status_matchers.h"

namespace offerd::learn {
namespace {

using cli::TempFile;

absl::StatusOr<StreamDecision> ReadOne(const std::string& text) {
  const TempFile file(text);
  auto reader = StreamReader::Open(file.path());
  if (!reader.ok()) return reader.status();
  StreamDecision decision;
  const absl::StatusOr<bool> any = reader->Next(&decision);
  if (!any.ok()) return any.status();
  if (!*any) return absl::NotFoundError("the end");
  return decision;
}

TEST(StreamTest, ReadsALineOfFullInformation) {
  const auto decision = ReadOne(
      R"({"time":1.5,"customer":"anna","context":{"evening":true,"weather":"sun","none":null},"extra":[1,{"x":2}],)"
      R"("candidates":[{"id":"a","features":{"price":2.5,"kind":"tea"},"reward":0},{"reward":3,"id":"b"}]})" "\n");
  ASSERT_OK(decision);
  EXPECT_EQ(decision->time, 1'500'000);
  EXPECT_EQ(decision->customer, "anna");
  ASSERT_EQ(decision->context.size(), 2u);
  EXPECT_EQ(decision->context[0].number, 1);
  EXPECT_EQ(decision->context[1].text, "sun");
  ASSERT_EQ(decision->candidates.size(), 2u);
  EXPECT_EQ(decision->candidates[0].features[0].number, 2.5);
  EXPECT_TRUE(decision->candidates[0].features[1].is_text);
  EXPECT_EQ(*decision->candidates[1].reward, 3);
  EXPECT_TRUE(decision->is_full_information());
}

TEST(StreamTest, ReadsALoggedLine) {
  const auto decision =
      ReadOne(R"({"candidates":[{"id":"a"},{"id":"b"}],"logged":{"id":"b","probability":0.25,"reward":-1.5}})");
  ASSERT_OK(decision);
  EXPECT_FALSE(decision->is_full_information());
  EXPECT_EQ(decision->logged->id, "b");
  EXPECT_EQ(decision->logged->probability, 0.25);
  EXPECT_EQ(decision->logged->reward, -1.5);
}

TEST(StreamTest, WhatIsWrongIsNamedWithItsLine) {
  struct Bad {
    const char* line;
    const char* message;
  };
  for (const Bad& bad : {
           Bad{"{\"candidates\":[{\"id\":\"a\",\"reward\":1}", "line"},
           Bad{"[1]", "line: expected a JSON object"},
           Bad{R"({"candidates":[{"id":"a","reward":1}]} x)", "line: expected"},
           Bad{R"({"time":1})", "candidates: expected at least one"},
           Bad{R"({"candidates":[]})", "candidates: expected at least one"},
           Bad{R"({"candidates":[{"reward":1}]})", "candidates[0].id: expected a text"},
           Bad{R"({"candidates":[{"id":7,"reward":1}]})", "candidates[0].id: expected a text of 1 to 256 bytes"},
           Bad{R"({"candidates":[{"id":"a","reward":1},{"id":"a","reward":1}]})", "candidates[1].id: expected an id that no other"},
           Bad{R"({"candidates":[{"id":"a","reward":1},{"id":"b"}]})", "candidates[1].reward: expected a reward for every candidate"},
           Bad{R"({"candidates":[{"id":"a","reward":"much"}]})", "candidates[0].reward: expected a number"},
           Bad{R"({"candidates":[{"id":"a","reward":1e13}]})", "candidates[0].reward: expected a number"},
           Bad{R"({"candidates":[{"id":"a"}]})", "logged: expected what was chosen"},
           Bad{R"({"candidates":[{"id":"a"}],"logged":{"id":"b","probability":0.5,"reward":0}})", "logged.id: expected the id of a candidate"},
           Bad{R"({"candidates":[{"id":"a"}],"logged":{"id":"a","probability":0,"reward":0}})", "logged.probability: expected"},
           Bad{R"({"candidates":[{"id":"a"}],"logged":{"id":"a","probability":1.1,"reward":0}})", "logged.probability: expected"},
           Bad{R"({"candidates":[{"id":"a","features":{"x":[1]},"reward":1}]})", "candidates[0].features.x: expected a number or a text"},
           Bad{R"({"context":3,"candidates":[{"id":"a","reward":1}]})", "context: expected an object"},
           Bad{R"({"time":"now","candidates":[{"id":"a","reward":1}]})", "time: expected a number"},
           Bad{R"({"time":1e12,"candidates":[{"id":"a","reward":1}]})", "time: expected a number"},
       }) {
    const TempFile file(std::string("\n{\"candidates\":[{\"id\":\"a\",\"reward\":1}]}\n") + bad.line + "\n");
    auto reader = StreamReader::Open(file.path());
    ASSERT_OK(reader);
    StreamDecision decision;
    ASSERT_TRUE(*reader->Next(&decision));
    const auto next = reader->Next(&decision);
    EXPECT_THAT(next.status(), StatusIs(absl::StatusCode::kInvalidArgument, "line 3: ")) << bad.line;
    EXPECT_THAT(std::string(next.status().message()), ::testing::HasSubstr(bad.message)) << bad.line;
  }
}

TEST(StreamTest, MoreThanAThousandCandidatesAreRefused) {
  std::string line = R"({"candidates":[)";
  for (int i = 0; i < 1001; ++i) line += (i == 0 ? "" : ",") + std::string(R"({"reward":0,"id":"c)") + std::to_string(i) + "\"}";
  EXPECT_THAT(ReadOne(line + "]}").status(), StatusIs(absl::StatusCode::kInvalidArgument, "line 1: candidates: expected at most 1000"));
}

TEST(StreamTest, ATimeThatIsMissingIsThatOfTheLineBefore) {
  const TempFile file("{\"time\":5,\"candidates\":[{\"id\":\"a\",\"reward\":1}]}\n{\"candidates\":[{\"id\":\"a\",\"reward\":1}]}\n");
  auto reader = StreamReader::Open(file.path());
  StreamDecision decision;
  ASSERT_TRUE(*reader->Next(&decision));
  ASSERT_TRUE(*reader->Next(&decision));
  EXPECT_EQ(decision.time, 5'000'000);
  EXPECT_FALSE(*reader->Next(&decision));
}

TEST(StreamTest, NamesBecomeNamesOfFacts) {
  EXPECT_EQ(FactNameFor("own_rate"), "own_rate");
  EXPECT_EQ(FactNameFor("Restaurant(<20)"), "Restaurant:28:3c20:29");
  EXPECT_EQ(FactNameFor("_x"), "x_x");
  EXPECT_EQ(FactNameFor(""), "x");
  EXPECT_EQ(FactNameFor(std::string(300, 'a')).size(), 128u);
}

}  // namespace
}  // namespace offerd::learn
