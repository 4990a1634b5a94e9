#include "runtime/services/descriptor_index.h"

#include <string>

#include "google/protobuf/descriptor_database.h"

namespace nearcall {

using google::protobuf::Descriptor;
using google::protobuf::DescriptorPool;
using google::protobuf::EnumDescriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::FileDescriptor;
using google::protobuf::ServiceDescriptor;

const DescriptorIndex& DescriptorIndex::OfThisProgram() {
  static const DescriptorIndex* const index = new DescriptorIndex;
  return *index;
}

DescriptorIndex::DescriptorIndex() {
  // A pool lists nothing, and the names of its files are all that this takes from the database behind it. Generated
  // code puts them there before main; the first question to the pool, here of a file that every program has, sorts
  // them.
  const DescriptorPool& pool = *DescriptorPool::generated_pool();
  pool.FindFileByName("google/protobuf/descriptor.proto");
  std::vector<std::string> names;
  DescriptorPool::internal_generated_database()->FindAllFileNames(&names);
  for (const std::string& name : names) {
    if (const FileDescriptor* file = pool.FindFileByName(name)) AddFile(*file);
  }
}

const FileDescriptor* DescriptorIndex::FindFile(absl::string_view name) const {
  const auto at = files_.find(name);
  return at == files_.end() ? nullptr : at->second;
}

const FileDescriptor* DescriptorIndex::FindFileOfSymbol(absl::string_view symbol) const {
  const auto at = symbols_.find(symbol);
  return at == symbols_.end() ? nullptr : at->second;
}

const DescriptorIndex::Extensions* DescriptorIndex::FindExtensions(absl::string_view message) const {
  const auto at = extensions_.find(message);
  return at == extensions_.end() ? nullptr : &at->second;
}

void DescriptorIndex::AddFile(const FileDescriptor& file) {
  files_.emplace(file.name(), &file);
  for (int i = 0; i < file.message_type_count(); ++i) AddMessage(*file.message_type(i));
  for (int i = 0; i < file.enum_type_count(); ++i) AddEnum(*file.enum_type(i));
  for (int i = 0; i < file.service_count(); ++i) AddService(*file.service(i));
  for (int i = 0; i < file.extension_count(); ++i) AddExtension(*file.extension(i));
}

void DescriptorIndex::AddMessage(const Descriptor& message) {
  AddSymbol(message.full_name(), *message.file());
  extensions_[message.full_name()];
  for (int i = 0; i < message.field_count(); ++i) AddSymbol(message.field(i)->full_name(), *message.file());
  for (int i = 0; i < message.oneof_decl_count(); ++i) AddSymbol(message.oneof_decl(i)->full_name(), *message.file());
  for (int i = 0; i < message.nested_type_count(); ++i) AddMessage(*message.nested_type(i));
  for (int i = 0; i < message.enum_type_count(); ++i) AddEnum(*message.enum_type(i));
  for (int i = 0; i < message.extension_count(); ++i) AddExtension(*message.extension(i));
}

void DescriptorIndex::AddEnum(const EnumDescriptor& type) {
  AddSymbol(type.full_name(), *type.file());
  for (int i = 0; i < type.value_count(); ++i) AddSymbol(type.value(i)->full_name(), *type.file());
}

void DescriptorIndex::AddService(const ServiceDescriptor& service) {
  AddSymbol(service.full_name(), *service.file());
  for (int i = 0; i < service.method_count(); ++i) AddSymbol(service.method(i)->full_name(), *service.file());
}

void DescriptorIndex::AddExtension(const FieldDescriptor& extension) {
  AddSymbol(extension.full_name(), *extension.file());
  extensions_[extension.containing_type()->full_name()].emplace(extension.number(), extension.file());
}

}  // namespace nearcall
