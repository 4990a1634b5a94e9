#ifndef NEARCALL_RUNTIME_SERVICES_DESCRIPTOR_INDEX_H_
#define NEARCALL_RUNTIME_SERVICES_DESCRIPTOR_INDEX_H_

#include <map>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/string_view.h"
#include "google/protobuf/descriptor.h"

namespace nearcall {

// Finds the descriptors that are linked into this program by the names that strangers ask for. The pool that holds them
// keeps every name that it was asked for in vain, for good; here a question leaves no trace.
//
// Threads: immutable. To build it takes a look at every descriptor there is: milliseconds.
class DescriptorIndex {
 public:
  using Extensions = std::map<int, const google::protobuf::FileDescriptor*>;  // by number

  // Of everything in the generated pool; built on first use.
  static const DescriptorIndex& OfThisProgram();

  // nullptr where there is none.
  const google::protobuf::FileDescriptor* FindFile(absl::string_view name) const;
  // The file that defines a message, field, oneof, enum, enum value, service, method or extension, by its full name.
  const google::protobuf::FileDescriptor* FindFileOfSymbol(absl::string_view symbol) const;
  // The known extensions of a message, by its full name; nullptr where there is no such message.
  const Extensions* FindExtensions(absl::string_view message) const;

 private:
  DescriptorIndex();
  void AddFile(const google::protobuf::FileDescriptor& file);
  void AddMessage(const google::protobuf::Descriptor& message);
  void AddEnum(const google::protobuf::EnumDescriptor& type);
  void AddService(const google::protobuf::ServiceDescriptor& service);
  void AddExtension(const google::protobuf::FieldDescriptor& extension);
  void AddSymbol(absl::string_view name, const google::protobuf::FileDescriptor& file) {
    symbols_.emplace(name, &file);
  }

  // The keys are the descriptors' own.
  using Files = absl::flat_hash_map<absl::string_view, const google::protobuf::FileDescriptor*>;
  Files files_;
  Files symbols_;
  absl::flat_hash_map<absl::string_view, Extensions> extensions_;  // of each message
};

}  // namespace nearcall

#endif  // NEARCALL_RUNTIME_SERVICES_DESCRIPTOR_INDEX_H_
