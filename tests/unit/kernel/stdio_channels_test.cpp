#include "kernel/stdio_channels.h"

#include <sys/socket.h>

#include "child.h"

namespace callgate {
namespace {

enum class Place { standard, moved };

// A server with its channels where it was given them, or moved away with /dev/null on 0 and 1.
class Server {
  public:
    explicit Server(Place place, int input, int output) {
        Ends ready = make_pipe();
        child_ = std::make_unique<Child>([&] {
            dup2(input, 0);
            dup2(output, 1);
            if (place == Place::moved) {
                (void)!dup(0);
                (void)!dup(1);
                int null = open("/dev/null", O_RDWR);
                dup2(null, 0);
                dup2(null, 1);
            }
            closefrom_but(ready.write.get());
            (void)!write(ready.write.get(), "r", 1);
            pause();
        });
        char byte;
        EXPECT_EQ(read(ready.read.get(), &byte, 1), 1);
        input_ = channel_of(getpid(), input).channel;
        output_ = channel_of(getpid(), output).channel;
    }
    pid_t pid() const { return child_->pid(); }
    void expect(const std::optional<StdioChannels>& found, ChannelKind kind) const {
        ASSERT_TRUE(found);
        EXPECT_EQ(found->kind, kind);
        EXPECT_TRUE(found->input == input_);
        EXPECT_TRUE(found->output == output_);
    }

  private:
    // As an exec would close what is CLOEXEC.
    static void closefrom_but(int kept) {
        for (int fd = 2; fd < 256; ++fd)
            if (fd != kept && (fcntl(fd, F_GETFD) & FD_CLOEXEC)) close(fd);
    }
    std::unique_ptr<Child> child_;
    cg_channel_key input_{}, output_{};
};

TEST(StdioChannels, StandardPipes) {
    Ends in = make_pipe(), out = make_pipe();
    Server server(Place::standard, in.read.get(), out.write.get());
    server.expect(standard_channels(server.pid()), ChannelKind::pipe);
}

TEST(StdioChannels, StandardSockets) {
    int in[2], out[2];
    ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, in), 0);
    ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, out), 0);
    Fd held[] = {Fd::adopt(in[0]), Fd::adopt(in[1]), Fd::adopt(out[0]), Fd::adopt(out[1])};
    Server server(Place::standard, in[1], out[1]);
    server.expect(standard_channels(server.pid()), ChannelKind::unix_socket);
}

TEST(StdioChannels, MovedPipes) {
    Ends in = make_pipe(), out = make_pipe();
    Server server(Place::moved, in.read.get(), out.write.get());
    EXPECT_FALSE(standard_channels(server.pid()));
    in.read.reset();
    out.write.reset();
    server.expect(moved_channels(server.pid()), ChannelKind::pipe);
}

TEST(StdioChannels, MovedSockets) {
    int in[2], out[2];
    ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, in), 0);
    ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, out), 0);
    Fd held[] = {Fd::adopt(in[0]), Fd::adopt(in[1]), Fd::adopt(out[0]), Fd::adopt(out[1])};
    Server server(Place::moved, in[1], out[1]);
    EXPECT_FALSE(standard_channels(server.pid()));
    server.expect(moved_channels(server.pid()), ChannelKind::unix_socket);
}

TEST(StdioChannels, FilesAreNone) {
    Fd null = Fd::adopt(open("/dev/null", O_RDWR | O_CLOEXEC));
    Server server(Place::standard, null.get(), null.get());
    EXPECT_FALSE(standard_channels(server.pid()));
    EXPECT_FALSE(standard_channels(1 << 30));
    EXPECT_FALSE(moved_channels(1 << 30));
}

}  // namespace
}  // namespace callgate
