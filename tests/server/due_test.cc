#include "server/due.h"

#include "gtest/gtest.h"

namespace offerd {
namespace {

TEST(DueTest, AtOnceThenAfterTheWait) {
  Due due;
  EXPECT_TRUE(due.Is(0));
  due.Wait(1000, 50);
  EXPECT_FALSE(due.Is(1049));
  EXPECT_TRUE(due.Is(1050));
  EXPECT_TRUE(due.Is(5000)) << "until told to wait again";
}

TEST(DueTest, AClockSetBackDoesNotMakeTheWaitLonger) {
  Due due;
  due.Wait(1'000'000, 50);
  EXPECT_FALSE(due.Is(100));
  EXPECT_FALSE(due.Is(149));
  EXPECT_TRUE(due.Is(150));
}

}  // namespace
}  // namespace offerd
