#include <fstream>
#include <sstream>
#include <string>

#include <google/protobuf/descriptor.h>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "offerd/v1/config.pb.h"
#include "server/metrics.h"

namespace offerd {
namespace {

std::string ReadDocument(const std::string& name) {
  std::ifstream in(std::string(OFFERD_SOURCE_DIR) + "/docs/" + name);
  std::ostringstream out;
  out << in.rdbuf();
  return out.str();
}

void ExpectFields(const google::protobuf::Descriptor* type, const std::string& prefix, const std::string& text) {
  for (int i = 0; i < type->field_count(); ++i) {
    const google::protobuf::FieldDescriptor* field = type->field(i);
    const std::string name = prefix + field->name();
    EXPECT_THAT(text, ::testing::HasSubstr("`" + name + "`"));
    if (field->message_type() != nullptr) ExpectFields(field->message_type(), name + ".", text);
  }
  for (int i = 0; i < type->enum_type_count(); ++i) {
    for (int j = 1; j < type->enum_type(i)->value_count(); ++j) {
      EXPECT_THAT(text, ::testing::HasSubstr("`" + type->enum_type(i)->value(j)->name() + "`"));
    }
  }
}

TEST(DocsTest, ConfigurationNamesEveryField) {
  ExpectFields(v1::Config::descriptor(), "", ReadDocument("configuration.md"));
}

TEST(DocsTest, MetricsNamesEveryMetric) {
  const std::string text = ReadDocument("metrics.md");
  for (const char* name : metric::kAll) EXPECT_THAT(text, ::testing::HasSubstr("`" + std::string(name) + "`"));
}

}  // namespace
}  // namespace offerd
