#include "http/inflate.h"

#include <zlib.h>

#include <algorithm>
#include <limits>

namespace callgate {
namespace {

// Where `inflateInit2` is told to expect which format.
constexpr int kZlibWindow = 15, kGzipWindow = 15 + 16;
// Output grows by this much at a time, so that what a small body claims to be costs nothing before it is so.
constexpr size_t kStepBytes = size_t{64} << 10;

class Inflater {
  public:
    explicit Inflater(int window) : ready_(inflateInit2(&stream_, window) == Z_OK) {}
    ~Inflater() {
        if (ready_) inflateEnd(&stream_);
    }
    Inflater(const Inflater&) = delete;
    Inflater& operator=(const Inflater&) = delete;
    bool ready() const { return ready_; }
    z_stream& stream() { return stream_; }

  private:
    z_stream stream_{};
    bool ready_;
};

Error refuse(const char* why) { return Error::refused("decode body", why); }

}  // namespace

Result<std::string> inflate_bounded(ContentCoding coding, std::string_view body, size_t bytes_max) {
    if (coding != ContentCoding::gzip && coding != ContentCoding::deflate) return refuse("unknown content coding");
    if (body.size() > std::numeric_limits<uInt>::max()) return refuse("body too long");
    Inflater inflater(coding == ContentCoding::gzip ? kGzipWindow : kZlibWindow);
    if (!inflater.ready()) return refuse("no memory");
    z_stream& stream = inflater.stream();
    // zlib does not write to its input; its old interface only does not say so.
    stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(body.data()));
    stream.avail_in = static_cast<uInt>(body.size());
    std::string out;
    for (int state = Z_OK; state != Z_STREAM_END;) {
        const size_t had = out.size();
        // One byte over the limit shows that there is more.
        const size_t room = std::min(kStepBytes, bytes_max + 1 - had);
        out.resize(had + room);
        stream.next_out = reinterpret_cast<Bytef*>(out.data() + had);
        stream.avail_out = static_cast<uInt>(room);
        state = inflate(&stream, Z_NO_FLUSH);
        out.resize(had + room - stream.avail_out);
        if (out.size() > bytes_max) return refuse("longer than the limit");
        if (state != Z_OK && state != Z_STREAM_END && state != Z_BUF_ERROR) return refuse("not in its content coding");
        if (state != Z_STREAM_END && stream.avail_in == 0 && stream.avail_out > 0) return refuse("cut off");
    }
    if (stream.avail_in > 0) return refuse("bytes after its end");
    return out;
}

}  // namespace callgate
