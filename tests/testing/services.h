#ifndef NEARCALL_TESTS_TESTING_SERVICES_H_
#define NEARCALL_TESTS_TESTING_SERVICES_H_

#include <memory>
#include <vector>

#include "nearcall/service.h"

namespace nearcall::testing {

// How a service is written, or calls are made: with functions that block, or with reactors.
enum class Form { kBlocking, kReactors };

// Makes a service known to test servers: each serves all those that its program links in, whether it runs in the test's
// process or in a child, which is the same program. To be a static object beside the service's definition, in a library
// with `alwayslink`.
class ServiceRegistration {
 public:
  using Maker = std::unique_ptr<Service> (*)(Form);
  explicit ServiceRegistration(Maker maker);
};

// One of each, in that form if it has it.
std::vector<std::unique_ptr<Service>> MakeServices(Form form);

}  // namespace nearcall::testing

#endif  // NEARCALL_TESTS_TESTING_SERVICES_H_
