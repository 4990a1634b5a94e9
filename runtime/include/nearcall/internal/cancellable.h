#ifndef NEARCALL_INTERNAL_CANCELLABLE_H_
#define NEARCALL_INTERNAL_CANCELLABLE_H_

namespace nearcall {

class ClientContext;

namespace internal {

class ClientContextAccess;

// Something that wants to know at once when a ClientContext is cancelled.
class Cancellable {
 public:
  // Called under the context's lock: must be short and must not call the context.
  virtual void OnCancel() = 0;

 protected:
  ~Cancellable() = default;

 private:
  friend class ClientContextAccess;
  friend class ::nearcall::ClientContext;
  Cancellable* next_ = nullptr;  // in the context's list
};

}  // namespace internal
}  // namespace nearcall

#endif  // NEARCALL_INTERNAL_CANCELLABLE_H_
