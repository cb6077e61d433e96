// Property: bundles that fit come out of a parcel as they went in, once, and no descriptor stays behind; others are an error.
// The input is a list of bundles: how long the label is, how many descriptors, the label.
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <string>
#include <string_view>
#include <vector>

#include "property.h"
#include "restart/parcel.h"

namespace {

using callgate::Bundle;
using callgate::Fd;

constexpr size_t kBundlesMost = 8, kFilesMost = 20;

const std::vector<Fd>& files() {
    static const std::vector<Fd> all = [] {
        std::vector<Fd> made;
        for (size_t i = 0; i < kFilesMost; ++i) made.push_back(Fd::adopt(memfd_create("file", MFD_CLOEXEC)));
        return made;
    }();
    return all;
}

std::string shape_of(const Bundle& bundle) {
    std::string text = bundle.label;
    for (const Fd& fd : bundle.fds) {
        struct stat status {};
        hold(fstat(fd.get(), &status) == 0, "parcel", "a descriptor is none");
        text += ' ' + std::to_string(status.st_ino);
    }
    return text;
}

std::vector<std::string> shapes_of(const std::vector<Bundle>& bundles) {
    std::vector<std::string> all;
    for (const Bundle& each : bundles) all.push_back(shape_of(each));
    return all;
}

bool fits(const Bundle& bundle) {
    return !bundle.label.empty() && bundle.label.size() <= Bundle::kLabelBytesMax &&
           bundle.fds.size() <= Bundle::kBundleDescriptorsMax;
}

std::vector<Bundle> bundles_of(std::string_view input) {
    std::vector<Bundle> bundles;
    while (input.size() >= 2 && bundles.size() < kBundlesMost) {
        const size_t length = static_cast<unsigned char>(input[0]) % (Bundle::kLabelBytesMax + 2);
        const size_t count = static_cast<unsigned char>(input[1]) % (kFilesMost + 1);
        Bundle& bundle = bundles.emplace_back();
        bundle.label = input.substr(2, length);
        for (size_t i = 0; i < count; ++i)
            bundle.fds.push_back(Fd::adopt(fcntl(files()[(i + length) % kFilesMost].get(), F_DUPFD_CLOEXEC, 0)));
        input.remove_prefix(std::min(input.size(), 2 + bundle.label.size()));
    }
    return bundles;
}

void pass_on(std::string_view input) {
    const std::vector<Bundle> bundles = bundles_of(input);
    bool all_fit = true;
    for (const Bundle& each : bundles) all_fit = all_fit && fits(each);
    const auto parcel = callgate::pack(bundles);
    hold(parcel.ok() == all_fit, "parcel", "what does not fit is taken, or what fits is not");
    if (!parcel) return;
    auto taken = callgate::unpack(parcel.value());
    hold(taken.ok(), "parcel", "what was packed cannot be taken out");
#ifdef CANARY
    if (bundles.size() == 3 && taken.value()[1].fds.size() > 1) std::swap(taken.value()[1].fds[0], taken.value()[1].fds[1]);
#endif
    hold(shapes_of(taken.value()) == shapes_of(bundles), "parcel", "something else comes out than went in");
    const auto nothing = callgate::unpack(parcel.value());
    hold(nothing.ok() && nothing.value().empty(), "parcel", "something comes out twice");
}

// Bytes that no callgate has sent.
void receive(std::string_view input) {
    int ends[2];
    hold(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) == 0, "parcel", "there is no socket");
    const Fd reading = Fd::adopt(ends[0]), writing = Fd::adopt(ends[1]);
    (void)!send(writing.get(), input.data(), input.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    const auto bundle = callgate::receive_bundle(reading, callgate::Take::out);
    hold(!bundle || bundle.value().label == input.substr(0, Bundle::kLabelBytesMax), "parcel", "the label is another one");
}

int lowest_free() { return Fd::adopt(fcntl(files()[0].get(), F_DUPFD_CLOEXEC, 0)).get(); }

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    const std::string_view input(reinterpret_cast<const char*>(data), size);
    const int free_before = lowest_free();
    pass_on(input);
    receive(input);
    hold(lowest_free() == free_before, "parcel", "a descriptor stays behind");
    return 0;
}
