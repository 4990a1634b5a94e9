#ifndef NEARCALL_INTERNAL_TRANSPORT_OPTIONS_H_
#define NEARCALL_INTERNAL_TRANSPORT_OPTIONS_H_

namespace nearcall {
namespace internal {

// What only one transport understands, on its way through ChannelOptions or ServerOptions: a class of that transport's
// own. The others do not look at it.
class TransportOptions {
 public:
  virtual ~TransportOptions() = default;
};

}  // namespace internal
}  // namespace nearcall

#endif  // NEARCALL_INTERNAL_TRANSPORT_OPTIONS_H_
