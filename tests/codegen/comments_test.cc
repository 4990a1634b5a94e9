#include "codegen/comments.h"

#include <string>

#include "absl/strings/string_view.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace nearcall {
namespace codegen {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST(CommentsTest, Spacing) {
  EXPECT_THAT(ToComment(" One.\n Two.\n"), ElementsAre("// One.", "// Two."));
  EXPECT_THAT(ToComment("tight\n/ doxygen\n"), ElementsAre("// tight", "/// doxygen"));
  EXPECT_THAT(ToComment("\n \n a\n\n b \n\n"), ElementsAre("// a", "//", "// b"));
  EXPECT_THAT(ToComment(" no newline"), ElementsAre("// no newline"));
  EXPECT_THAT(ToComment(""), IsEmpty());
  EXPECT_THAT(ToComment(" \n\n"), IsEmpty());
}

TEST(CommentsTest, EveryKindOfLineEndEndsALine) {
  EXPECT_THAT(ToComment(" a\r\n b\r c\n d"), ElementsAre("// a", "// b", "// c", "// d"));
  EXPECT_THAT(ToComment(" a\r\n\r\n b"), ElementsAre("// a", "//", "// b"));
}

TEST(CommentsTest, NothingContinuesALine) {
  EXPECT_THAT(ToComment(" a\\\n b\\  \n c\\"), ElementsAre("// a\\ //", "// b\\ //", "// c\\ //"));
  EXPECT_THAT(ToComment(" a?\?/\n"), ElementsAre("// a?\?/ //"));
  EXPECT_THAT(ToComment(" a\\\r\n"), ElementsAre("// a\\ //"));
  EXPECT_THAT(ToComment(" a\\\t\v\n"), ElementsAre("// a\\ //"));
  EXPECT_THAT(ToComment("\\\n"), ElementsAre("// \\ //"));
}

TEST(CommentsTest, OtherBytes) {
  EXPECT_THAT(ToComment(absl::string_view(" a\tb\0c\x7f", 7)), ElementsAre("// a b c"));
  EXPECT_THAT(ToComment(" */ /* \"$x$\""), ElementsAre("// */ /* \"$x$\""));
  EXPECT_THAT(ToComment(" \xe6\x97\xa5\xf0\x9f\x99\x82"), ElementsAre("// \xe6\x97\xa5\xf0\x9f\x99\x82"));
  EXPECT_THAT(ToComment(" \xff|\xe6\x97|\xc0\x80|\xed\xa0\x80"), ElementsAre("// ?|?\?|?\?|?\?\?"));
  EXPECT_THAT(ToComment(" a\xe2\x80\xae b\xe2\x81\xa6"), ElementsAre("// a b"));  // direction controls
  EXPECT_THAT(ToComment(" a\\\xe2\x80\xae"), ElementsAre("// a\\ //"));
}

}  // namespace
}  // namespace codegen
}  // namespace nearcall
