#include "runtime/engine/call_table.h"

#include <atomic>
#include <set>
#include <thread>
#include <vector>

#include "gtest/gtest.h"

namespace nearcall {
namespace {

struct Call {
  std::atomic<int> delivered{0};
  std::atomic<int> notified{0};
  std::atomic<bool> alive{true};
};
using Table = CallTable<Call>;

// Delivers something that is, or is not, the call's end.
bool Deliver(Table* table, uint32_t id, bool end, Call* own = nullptr) {
  return table->Deliver(
      id, own,
      [&](Call* call) {
        EXPECT_TRUE(call->alive);
        ++call->delivered;
        return end;
      },
      [](Call* call) {
        EXPECT_TRUE(call->alive);
        ++call->notified;
      });
}

TEST(CallTableTest, HasRoomForSoManyCallsAndNoMore) {
  for (const uint32_t max : {1u, 2u, 63u, 64u, 65u, 1000u}) {
    Table table(max);
    std::vector<Call> calls(max + 1);
    std::vector<Table::Ticket> tickets;
    std::set<uint32_t> ids, slots;
    for (uint32_t i = 0; i < max; ++i) {
      tickets.push_back(table.Claim(&calls[i]));
      ASSERT_NE(tickets.back().id, 0u);
      ids.insert(tickets.back().id);
      slots.insert(tickets.back().id & (kMaxCallSlots - 1));
    }
    EXPECT_EQ(ids.size(), max);
    EXPECT_EQ(slots.size(), max);
    EXPECT_LT(*slots.rbegin(), max);
    EXPECT_EQ(table.Claim(&calls[max]).id, 0u);
    Table::Close(tickets[max / 2]);
    EXPECT_EQ(table.Claim(&calls[max]).id, 0u) << "closed is not free";
    Table::Free(tickets[max / 2]);
    EXPECT_NE(table.Claim(&calls[max]).id, 0u);
  }
}

TEST(CallTableTest, DeliversToOpenCallsOnly) {
  Table table(10);
  Call call;
  const Table::Ticket ticket = table.Claim(&call);
  EXPECT_TRUE(Deliver(&table, ticket.id, false));
  EXPECT_FALSE(Table::IsDone(ticket));
  EXPECT_FALSE(Deliver(&table, ticket.id + 1, false));                      // another slot
  EXPECT_FALSE(Deliver(&table, ticket.id + (1u << kCallSlotBits), false));  // another use of this slot
  EXPECT_FALSE(Deliver(&table, 0, false));
  EXPECT_FALSE(Deliver(&table, 0xffffffff, false));
  EXPECT_TRUE(Deliver(&table, ticket.id, true));
  EXPECT_TRUE(Table::IsDone(ticket));
  EXPECT_FALSE(Deliver(&table, ticket.id, true)) << "after its end";
  EXPECT_TRUE(Table::Close(ticket));
  Table::Free(ticket);
  EXPECT_EQ(call.delivered, 2);
  EXPECT_EQ(call.notified, 1);
  EXPECT_FALSE(Deliver(&table, ticket.id, true));
}

TEST(CallTableTest, DeliversToTheDeliverersOwnCallAsToAnyOther) {
  Table table(10);
  Call own, other;
  for (int use = 0; use < 3; ++use) {
    const Table::Ticket ticket = table.Claim(&own);
    const Table::Ticket beside = table.Claim(&other);
    EXPECT_TRUE(Deliver(&table, ticket.id, false, &own));
    EXPECT_FALSE(Table::IsDone(ticket));
    EXPECT_TRUE(Deliver(&table, beside.id, true, &own)) << "another one's goes to that one";
    EXPECT_FALSE(Table::IsDone(ticket));
    EXPECT_FALSE(Deliver(&table, ticket.id + (1u << kCallSlotBits), true, &own)) << "another use of this slot";
    EXPECT_TRUE(Deliver(&table, ticket.id, true, &own));
    EXPECT_TRUE(Table::IsDone(ticket));
    EXPECT_FALSE(Deliver(&table, ticket.id, true, &own)) << "after its end";
    EXPECT_EQ(own.delivered, 2 * (use + 1));
    EXPECT_EQ(own.notified, use + 1);
    EXPECT_EQ(other.delivered, use + 1);
    EXPECT_TRUE(Table::Close(ticket));
    Table::Free(ticket);
    EXPECT_FALSE(Deliver(&table, ticket.id, true, &own)) << "it is not open";
    EXPECT_TRUE(Table::Close(beside));
    Table::Free(beside);
  }
}

TEST(CallTableTest, ACallThatGaveUpHearsNothing) {
  Table table(10);
  Call call;
  const Table::Ticket ticket = table.Claim(&call);
  EXPECT_FALSE(Table::Close(ticket));
  EXPECT_FALSE(Table::Close(ticket));
  call.alive = false;
  EXPECT_FALSE(Deliver(&table, ticket.id, true));
  table.DeliverToAll([](Call*) { return true; }, [](Call*) { FAIL(); });
  Table::Free(ticket);
  EXPECT_FALSE(Deliver(&table, ticket.id, true));
}

TEST(CallTableTest, ALateAnswerMeetsNoOtherCall) {
  Table table(1);
  std::set<uint32_t> ids;
  Call call;
  // More uses than the number of a use has bits: it comes round, and is never 0.
  for (int i = 0; i < 70'000; ++i) {
    const Table::Ticket ticket = table.Claim(&call);
    ASSERT_NE(ticket.id, 0u);
    if (i < 60'000) {
      ASSERT_TRUE(ids.insert(ticket.id).second);
    }
    Table::Close(ticket);
    Table::Free(ticket);
    ASSERT_FALSE(Deliver(&table, ticket.id, true));
  }
}

TEST(CallTableTest, EndsAllCalls) {
  Table table(200);
  std::vector<Call> calls(150);
  std::vector<Table::Ticket> tickets;
  for (Call& call : calls) tickets.push_back(table.Claim(&call));
  for (int i = 0; i < 50; ++i) {
    Table::Close(tickets[i]);
    Table::Free(tickets[i]);
  }
  int ended = 0;
  table.DeliverToAll([&](Call*) { return ++ended > 0; }, [](Call*) {});
  EXPECT_EQ(ended, 100);
  for (int i = 50; i < 150; ++i) EXPECT_TRUE(Table::IsDone(tickets[i]));
}

// Callers that claim, wait or give up; one poller that answers. A call lives on its caller's stack.
TEST(CallTableTest, CallersComeAndGoUnderThePoller) {
  constexpr int kThreads = 4;
  constexpr int kCalls = 20'000;
  Table table(16);
  std::atomic<uint32_t> wanted[kThreads] = {};
  std::atomic<int> left{kThreads};
  std::thread poller([&] {
    while (left > 0) {
      for (std::atomic<uint32_t>& id : wanted) {
        if (const uint32_t now = id.load()) {
          Deliver(&table, now, false);
          Deliver(&table, now, true);
          Deliver(&table, now, true);
        }
      }
    }
  });
  std::vector<std::thread> callers;
  for (int t = 0; t < kThreads; ++t) {
    callers.emplace_back([&, t] {
      for (int i = 0; i < kCalls; ++i) {
        Call call;
        const Table::Ticket ticket = table.Claim(&call);
        ASSERT_NE(ticket.id, 0u);
        wanted[t] = ticket.id;
        for (int wait = 0; !Table::IsDone(ticket) && wait < (i % 3) * 1000; ++wait) CpuRelax();
        const bool done = Table::Close(ticket);
        ASSERT_EQ(call.notified, done ? 1 : 0);
        call.alive = false;
        Table::Free(ticket);
      }
      --left;
    });
  }
  for (std::thread& caller : callers) caller.join();
  poller.join();
}

}  // namespace
}  // namespace nearcall
