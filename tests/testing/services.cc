#include "tests/testing/services.h"

namespace nearcall::testing {
namespace {

// Filled before main, read after.
std::vector<ServiceRegistration::Maker>& Makers() {
  static auto* const makers = new std::vector<ServiceRegistration::Maker>;
  return *makers;
}

}  // namespace

ServiceRegistration::ServiceRegistration(Maker maker) { Makers().push_back(maker); }

std::vector<std::unique_ptr<Service>> MakeServices(Form form) {
  std::vector<std::unique_ptr<Service>> services;
  for (const ServiceRegistration::Maker maker : Makers()) services.push_back(maker(form));
  return services;
}

}  // namespace nearcall::testing
