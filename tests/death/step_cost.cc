// What a frame goes through, to be compiled with steps and without: steps_test.sh compares the two.

#include <cstring>

#include "runtime/transports/shm/shm_wire.h"

namespace nearcall {

bool Push(ShmWire* wire, const uint8_t* payload, size_t size) {
  uint8_t* const room = wire->Claim(size);
  if (room == nullptr) return false;
  std::memcpy(room + 4, payload, size - 4);
  wire->Commit(size);
  return wire->Flush();
}
bool Pop(ShmWire* wire, uint8_t* payload) {
  Frame frame{};
  if (wire->Receive(&frame) != Received::kFrame) return false;
  std::memcpy(payload, frame.payload, frame.payload_size());
  wire->Release();
  return true;
}

}  // namespace nearcall
