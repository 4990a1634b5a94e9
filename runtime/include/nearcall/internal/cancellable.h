#ifndef NEARCALL_INTERNAL_CANCELLABLE_H_
#define NEARCALL_INTERNAL_CANCELLABLE_H_

namespace nearcall {
namespace internal {

// Something that wants to know at once when a ClientContext is cancelled.
class Cancellable {
 public:
  // Called under the context's lock: must be short and must not call the context.
  virtual void OnCancel() = 0;

 protected:
  ~Cancellable() = default;
};

}  // namespace internal
}  // namespace nearcall

#endif  // NEARCALL_INTERNAL_CANCELLABLE_H_
