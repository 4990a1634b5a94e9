// A chat room in callback form, both ends: any number of guests, and no thread that waits for one of them. Names and
// meanings are gRPC's.
//
// Server and client are in one process, to have them side by side; over another address nothing would differ.

#include <deque>
#include <iostream>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/blocking_counter.h"
#include "absl/synchronization/mutex.h"
#include "examples/reactors/room.nearcall.h"
#include "nearcall/nearcall.h"

namespace {

using room::Line;
using room::Room;

class RoomImpl final : public Room::CallbackService {
  nearcall::ServerBidiReactor<Line, Line>* Enter(nearcall::CallbackServerContext*) override { return new Guest(this); }

  // One guest's call. A read is always under way, and a write as long as there is something to tell.
  class Guest final : public nearcall::ServerBidiReactor<Line, Line> {
   public:
    explicit Guest(RoomImpl* room) : room_(room) {
      room_->Add(this);
      StartRead(&said_);
    }

    // On the thread of whoever speaks.
    void Tell(const Line& line) {
      absl::MutexLock lock(&mu_);
      to_tell_.push_back(line);
      if (to_tell_.size() == 1) StartWrite(&to_tell_.front());
    }

   private:
    void OnReadDone(bool ok) override {
      if (ok) {
        room_->Say(said_);
        return StartRead(&said_);
      }
      // The guest has said all, or is gone. From here on the room tells it nothing new.
      room_->Remove(this);
      absl::MutexLock lock(&mu_);
      leaving_ = true;
      if (to_tell_.empty()) Finish(absl::OkStatus());
    }
    void OnWriteDone(bool ok) override {
      absl::MutexLock lock(&mu_);
      to_tell_.pop_front();
      if (!ok) to_tell_.clear();  // nobody listens any more; the read under way ends as well
      if (!to_tell_.empty()) return StartWrite(&to_tell_.front());
      if (leaving_) Finish(absl::OkStatus());
    }
    void OnDone() override { delete this; }

    RoomImpl* const room_;
    Line said_;
    absl::Mutex mu_;
    std::deque<Line> to_tell_ ABSL_GUARDED_BY(mu_);  // the first of them is under way
    bool leaving_ ABSL_GUARDED_BY(mu_) = false;
  };

  void Add(Guest* guest) {
    absl::MutexLock lock(&mu_);
    for (const Line& line : said_) guest->Tell(line);
    guests_.insert(guest);
  }
  void Remove(Guest* guest) {
    absl::MutexLock lock(&mu_);
    guests_.erase(guest);
  }
  void Say(const Line& line) {
    absl::MutexLock lock(&mu_);
    said_.push_back(line);
    for (Guest* guest : guests_) guest->Tell(line);
  }

  absl::Mutex mu_;
  std::vector<Line> said_ ABSL_GUARDED_BY(mu_);
  std::set<Guest*> guests_ ABSL_GUARDED_BY(mu_);
};

// Says hello, and leaves when it has heard so many lines. All that it does happens in reactions, one after another on
// the channel's callback thread, so it needs no lock.
class Visitor final : public nearcall::ClientBidiReactor<Line, Line> {
 public:
  Visitor(Room::Stub* stub, const std::string& name, int lines, absl::BlockingCounter* gone)
      : lines_(lines), gone_(gone) {
    hello_.set_speaker(name);
    hello_.set_text("hello");
    stub->async()->Enter(&context_, this);
    // What is started before the call begins happens in it.
    StartWrite(&hello_);
    StartRead(&heard_);
    StartCall();
  }

  // To be asked once it is gone.
  const absl::Status& status() const { return status_; }
  size_t heard_of() const { return heard_of_.size(); }

 private:
  void OnReadDone(bool ok) override {
    if (!ok) return;  // OnDone says why
    heard_of_.insert(heard_.speaker());
    if (--lines_ == 0) StartWritesDone();
    StartRead(&heard_);
  }
  // The last reaction: from here on this object may go.
  void OnDone(const absl::Status& status) override {
    status_ = status;
    gone_->DecrementCount();
  }

  int lines_;
  absl::BlockingCounter* const gone_;
  nearcall::ClientContext context_;
  Line hello_, heard_;
  std::set<std::string> heard_of_;
  absl::Status status_;
};

}  // namespace

int main() {
  constexpr int kVisitors = 100;
  RoomImpl room;
  nearcall::ServerBuilder builder;
  builder.AddListeningPort("inproc:room");
  builder.RegisterService(&room);
  absl::StatusOr<std::unique_ptr<nearcall::Server>> server = builder.BuildAndStart();
  if (!server.ok()) {
    std::cerr << server.status() << std::endl;
    return 1;
  }
  std::unique_ptr<Room::Stub> stub = Room::NewStub(nearcall::CreateChannel("inproc:room"));

  absl::BlockingCounter gone(kVisitors);
  std::vector<std::unique_ptr<Visitor>> visitors;
  for (int i = 0; i < kVisitors; ++i) {
    visitors.push_back(std::make_unique<Visitor>(stub.get(), absl::StrCat("visitor ", i), kVisitors, &gone));
  }
  gone.Wait();

  bool ok = true;
  for (const std::unique_ptr<Visitor>& visitor : visitors) {
    if (visitor->status().ok() && visitor->heard_of() == kVisitors) continue;
    std::cout << "one has heard of " << visitor->heard_of() << ": " << visitor->status() << std::endl;
    ok = false;
  }
  if (ok) std::cout << kVisitors << " visitors have all heard of each other" << std::endl;
  return ok ? 0 : 1;
}
