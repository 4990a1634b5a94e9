// What goes beside the messages of a call: memory that both processes see, and file descriptors.
//
// Server and client are in one process, to have them side by side. Over shm: and unix: no pixel is copied on its way;
// over tcp: the same code works by copying, and the call with the file fails with FAILED_PRECONDITION.

#include <unistd.h>

#include <cstdio>
#include <iostream>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "examples/attachments/images.nearcall.h"
#include "nearcall/nearcall.h"

namespace {

using images::Done;
using images::ImageInfo;
using images::Images;

class ImagesImpl final : public Images::Service {
  absl::Status Invert(nearcall::ServerContext* context, const ImageInfo* info, ImageInfo* reply) override {
    const absl::StatusOr<nearcall::Buffer> pixels = Pixels(*context, *info);
    if (!pixels.ok()) return pixels.status();
    absl::StatusOr<nearcall::Buffer> negative = context->AllocateBuffer(pixels->size());
    if (!negative.ok()) return negative.status();
    for (size_t i = 0; i < pixels->size(); ++i) {
      negative->mutable_data()[i] = static_cast<uint8_t>(255 - pixels->data()[i]);
    }
    context->Attach(*negative);
    *reply = *info;
    return absl::OkStatus();
  }

  absl::Status Save(nearcall::ServerContext* context, const ImageInfo* info, Done* done) override {
    const absl::StatusOr<nearcall::Buffer> pixels = Pixels(*context, *info);
    if (!pixels.ok()) return pixels.status();
    const int fd = context->TakeAttachedFd(0);  // ours from now on
    if (fd < 0) return absl::InvalidArgumentError("attach the file to write to");
    const std::string head = absl::StrCat("P5 ", info->width(), " ", info->height(), " 255\n");
    const ssize_t written = write(fd, head.data(), head.size()) + write(fd, pixels->data(), pixels->size());
    close(fd);
    done->set_bytes(written);
    return absl::OkStatus();
  }

  // The caller says how large the image is; what it attached is what it attached.
  static absl::StatusOr<nearcall::Buffer> Pixels(const nearcall::ServerContext& context, const ImageInfo& info) {
    const size_t size = static_cast<size_t>(info.width()) * static_cast<size_t>(info.height());
    if (context.attachments().size() != 1 || context.attachments()[0].size() != size) {
      return absl::InvalidArgumentError(absl::StrCat("attach one buffer of ", size, " bytes"));
    }
    return context.attachments()[0];
  }
};

absl::Status Run(Images::Stub* stub, nearcall::Channel* channel) {
  ImageInfo info;
  info.set_width(4096);
  info.set_height(4096);
  // Filled where it lies. To be used for as many calls as one likes; the server sees what is in it then.
  absl::StatusOr<nearcall::Buffer> pixels = channel->AllocateBuffer(4096 * 4096);
  if (!pixels.ok()) return pixels.status();
  for (size_t i = 0; i < pixels->size(); ++i) pixels->mutable_data()[i] = static_cast<uint8_t>(i);

  nearcall::ClientContext invert;
  invert.Attach(*pixels);
  ImageInfo reply;
  if (absl::Status status = stub->Invert(&invert, info, &reply); !status.ok()) return status;
  const nearcall::Buffer& negative = invert.attachments().at(0);
  std::cout << "pixel 7 is " << int{pixels->data()[7]} << ", its negative " << int{negative.data()[7]} << "\n";

  std::FILE* const file = std::tmpfile();
  nearcall::ClientContext save;
  save.Attach(negative);  // what was received can be attached as well; it is copied
  save.AttachFd(fileno(file));
  Done done;
  absl::Status status = stub->Save(&save, info, &done);
  if (status.ok()) std::cout << done.bytes() << " bytes were written to a file that the server cannot name\n";
  std::fclose(file);
  return status;
}

}  // namespace

int main() {
  const std::string address = absl::StrCat("local:images-", getpid());
  ImagesImpl images;
  nearcall::ServerBuilder builder;
  builder.AddListeningPort(address);
  builder.RegisterService(&images);
  absl::StatusOr<std::unique_ptr<nearcall::Server>> server = builder.BuildAndStart();
  if (!server.ok()) {
    std::cerr << server.status() << "\n";
    return 1;
  }

  std::shared_ptr<nearcall::Channel> channel = nearcall::CreateChannel(address);
  std::unique_ptr<Images::Stub> stub = Images::NewStub(channel);
  const absl::Status status = Run(stub.get(), channel.get());
  if (!status.ok()) std::cerr << status << "\n";
  return status.ok() ? 0 : 1;
}
