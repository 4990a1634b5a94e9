#include "runtime/engine/message_sender.h"

#include <string>
#include <vector>

#include "google/protobuf/io/coded_stream.h"
#include "gtest/gtest.h"
#include "runtime/wire/frame.h"

namespace nearcall {
namespace {

struct Fragment {
  FrameHeader header;
  std::string bytes;
};

// The fragments of a message that protobuf's own writer puts out in pieces of `piece` bytes.
std::vector<Fragment> FragmentsOf(const std::string& message, size_t fragment, size_t piece) {
  std::vector<Fragment> fragments;
  const auto send = [&](const FrameHeader& header, const uint8_t* bytes, size_t size) {
    fragments.push_back({header, std::string(reinterpret_cast<const char*>(bytes), size)});
    return SendResult::kSent;
  };
  FrameHeader last{};
  last.kind = static_cast<uint8_t>(FrameKind::kMessage);
  last.flags = frame_flags::kEndStream;
  last.call = 7;
  FragmentStream<decltype(send)> stream(last, message.size(), fragment, send);
  {
    google::protobuf::io::CodedOutputStream out(&stream);
    for (size_t done = 0; done < message.size(); done += piece) {
      out.WriteRaw(message.data() + done, static_cast<int>(std::min(piece, message.size() - done)));
    }
  }
  EXPECT_EQ(stream.Finish(), SendResult::kSent);
  return fragments;
}

// Every fragment but the last is full and announces what is left; the last alone ends the message, also where the
// message's end is a fragment's.
TEST(FragmentStream, EndsAMessageOnce) {
  constexpr size_t kFragment = 64;
  for (const size_t size : {1u, 63u, 64u, 65u, 127u, 128u, 129u, 192u, 640u}) {
    for (const size_t piece : {1u, 7u, 64u, 1000u}) {
      SCOPED_TRACE(testing::Message() << size << " bytes in pieces of " << piece);
      std::string message;
      for (size_t i = 0; i < size; ++i) message.push_back(static_cast<char>(i));
      const std::vector<Fragment> fragments = FragmentsOf(message, kFragment, piece);
      ASSERT_EQ(fragments.size(), (size + kFragment - 1) / kFragment);
      std::string together;
      for (const Fragment& fragment : fragments) {
        const bool last = &fragment == &fragments.back();
        together += fragment.bytes;
        EXPECT_EQ(fragment.header.size, kHeaderSize + fragment.bytes.size());
        EXPECT_EQ(fragment.header.call, 7u);
        EXPECT_EQ(fragment.header.flags, last ? frame_flags::kEndStream : 0);
        EXPECT_EQ(fragment.header.extra, size - together.size());
        EXPECT_TRUE(last || fragment.bytes.size() == kFragment);
      }
      EXPECT_EQ(together, message);
    }
  }
}

}  // namespace
}  // namespace nearcall
