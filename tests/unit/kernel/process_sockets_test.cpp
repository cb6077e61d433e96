// Of this process's own sockets; of other processes' see listen_programs_test.cpp.
#include "kernel/process_sockets.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>

#include "kernel/tcp_state.h"

namespace callgate {
namespace {

class UnixFile {
  public:
    UnixFile() {
        strcpy(directory_, "/tmp/callgate-unit-XXXXXX");
        EXPECT_NE(mkdtemp(directory_), nullptr);
        path_ = std::string(directory_) + "/socket";
    }
    ~UnixFile() {
        unlink(path_.c_str());
        rmdir(directory_);
    }
    const std::string& path() const { return path_; }
    sockaddr_un address() const {
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        strcpy(address.sun_path, path_.c_str());
        return address;
    }

  private:
    char directory_[32];
    std::string path_;
};

const sockaddr* raw(const sockaddr_un& address) { return reinterpret_cast<const sockaddr*>(&address); }

TEST(ProcessSockets, AListenerOfAFileAndWhatItAccepts) {
    UnixFile file;
    sockaddr_un address = file.address();
    Fd listener = Fd::adopt(socket(AF_UNIX, SOCK_STREAM, 0)), client = Fd::adopt(socket(AF_UNIX, SOCK_STREAM, 0));
    ASSERT_EQ(bind(listener.get(), raw(address), sizeof(address)), 0);
    ASSERT_EQ(listen(listener.get(), 1), 0);
    ASSERT_EQ(connect(client.get(), raw(address), sizeof(address)), 0);
    Fd accepted = Fd::adopt(accept(listener.get(), nullptr, nullptr));
    struct stat status;
    ASSERT_EQ(stat(file.path().c_str(), &status), 0);

    auto listens = bound_unix_socket(getpid(), listener.get());
    ASSERT_TRUE(listens);
    EXPECT_TRUE(listens->listens);
    EXPECT_EQ(listens->path, file.path());
    EXPECT_EQ(listens->file_inode, status.st_ino);
    auto served = bound_unix_socket(getpid(), accepted.get());
    ASSERT_TRUE(served);
    EXPECT_FALSE(served->listens);
    EXPECT_EQ(served->file_inode, status.st_ino);
    EXPECT_FALSE(bound_unix_socket(getpid(), client.get())) << "the client's end has no name";
    EXPECT_EQ(bound_unix_sockets(getpid()).size(), 2u);

    // Renamed, replaced by another's, removed: the file is the one that it was bound to.
    const std::string elsewhere = file.path() + "-old";
    ASSERT_EQ(rename(file.path().c_str(), elsewhere.c_str()), 0);
    EXPECT_EQ(bound_unix_socket(getpid(), listener.get())->file_inode, status.st_ino);
    Fd other = Fd::adopt(socket(AF_UNIX, SOCK_STREAM, 0));
    ASSERT_EQ(bind(other.get(), raw(address), sizeof(address)), 0);
    EXPECT_EQ(bound_unix_socket(getpid(), accepted.get())->file_inode, status.st_ino);
    EXPECT_NE(bound_unix_socket(getpid(), other.get())->file_inode, status.st_ino);
    unlink(elsewhere.c_str());
    EXPECT_EQ(bound_unix_socket(getpid(), listener.get())->file_inode, status.st_ino);
    EXPECT_EQ(bound_unix_socket(getpid(), accepted.get())->file_inode, status.st_ino);
    EXPECT_EQ(bound_unix_socket(getpid(), accepted.get())->path, file.path());
}

TEST(ProcessSockets, WhatIsBoundToNoFileIsTold) {
    int pair[2];
    ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    Fd first = Fd::adopt(pair[0]), second = Fd::adopt(pair[1]), packets = Fd::adopt(socket(AF_UNIX, SOCK_SEQPACKET, 0));
    sockaddr_un abstract{AF_UNIX, {0, 'c', 'g'}};
    Fd unnamed = Fd::adopt(socket(AF_UNIX, SOCK_STREAM, 0));
    ASSERT_EQ(bind(unnamed.get(), raw(abstract), sizeof(sa_family_t) + 3), 0);
    for (const Fd* each : {&first, &packets}) EXPECT_FALSE(bound_unix_socket(getpid(), each->get()));
    auto found = bound_unix_socket(getpid(), unnamed.get());
    ASSERT_TRUE(found);
    EXPECT_EQ(found->path, "@cg");
    EXPECT_TRUE(found->abstract);
    EXPECT_EQ(found->file_inode, 0u);
    EXPECT_FALSE(found->can_be_governed());

    UnixFile file;
    sockaddr_un address = file.address();
    ASSERT_EQ(bind(packets.get(), raw(address), sizeof(address)), 0);
    found = bound_unix_socket(getpid(), packets.get());
    ASSERT_TRUE(found);
    EXPECT_TRUE(found->packets);
    EXPECT_FALSE(found->can_be_governed());
    EXPECT_FALSE(bound_unix_socket(getpid(), 0));
}

// A connection over the loopback: {server's end, client's end}.
std::pair<Fd, Fd> connected_pair() {
    Fd listener = Fd::adopt(socket(AF_INET, SOCK_STREAM, 0)), client = Fd::adopt(socket(AF_INET, SOCK_STREAM, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof(address);
    EXPECT_EQ(bind(listener.get(), reinterpret_cast<sockaddr*>(&address), length), 0);
    EXPECT_EQ(listen(listener.get(), 1), 0);
    EXPECT_EQ(getsockname(listener.get(), reinterpret_cast<sockaddr*>(&address), &length), 0);
    EXPECT_EQ(connect(client.get(), reinterpret_cast<sockaddr*>(&address), length), 0);
    return {Fd::adopt(accept(listener.get(), nullptr, nullptr)), std::move(client)};
}

TEST(ProcessSockets, ConnectionsUntilOneEndIsDone) {
    auto [server, client] = connected_pair();
    auto is_there = [&, fd = server.get()] {
        auto remote = SocketAddress::remote_of(fd)->text();
        for (const ConnectedSocket& each : connected_sockets(getpid()))
            if (each.remote.text() == remote) return true;
        return false;
    };
    EXPECT_TRUE(is_there());
    shutdown(client.get(), SHUT_WR);
    EXPECT_FALSE(is_there());
}

TEST(TcpState, AnAnswerIsDueUntilSomethingIsSaid) {
    auto [server, client] = connected_pair();
    char bytes[8];
    EXPECT_TRUE(tcp_state(server.get())->answered) << "nothing was asked";
    ASSERT_EQ(send(client.get(), "ask", 3, 0), 3);
    ASSERT_EQ(recv(server.get(), bytes, 3, MSG_WAITALL), 3);
    EXPECT_FALSE(tcp_state(server.get())->answered);
    ASSERT_EQ(send(server.get(), "answer", 6, 0), 6);
    EXPECT_TRUE(tcp_state(server.get())->answered);
    EXPECT_EQ(tcp_state(server.get())->bytes_sent, 6u);
    EXPECT_FALSE(tcp_state(0));
}

}  // namespace
}  // namespace callgate
