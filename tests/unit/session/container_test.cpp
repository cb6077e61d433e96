// What container runtimes write down, in files as they have them.
#include "session/container.h"

#include <gtest/gtest.h>

#include "temp_tree.h"

namespace callgate {
namespace {

const std::string kId(64, 'e');

class Containers : public ::testing::Test {
  protected:
    std::string found(const std::string& id = kId) {
        auto fs = RootFs::open(tree_.root());
        EXPECT_TRUE(fs.ok());
        const Container container = read_container(*fs, id);
        return container.runtime + " " + container.name + " " + container.image;
    }
    TempTree tree_;
};

TEST_F(Containers, Docker) {
    tree_.file("/var/lib/docker/containers/" + kId + "/config.v2.json",
               R"({"ID":")" + kId +
                   R"(","State":{"Running":true,"Pid":4711},"Config":{"Hostname":"x","Image":"acme/notes-mcp:1.4"},)"
                   R"("Image":"sha256:0011","Name":"/notes"})");
    EXPECT_EQ(found(), "docker notes acme/notes-mcp:1.4");
    EXPECT_EQ(found(std::string(64, 'f')), "  ");
}

TEST_F(Containers, DockerByAnId) {
    tree_.file("/var/lib/docker/containers/" + kId + "/config.v2.json", R"({"Config":{"Image":"sha256:0011"},"Name":"/notes"})");
    EXPECT_EQ(found(), "docker notes sha256:0011");
}

TEST_F(Containers, ContainerdUnderKubernetes) {
    tree_.directory("/run/containerd/io.containerd.runtime.v2.task/moby");
    tree_.file(
        "/run/containerd/io.containerd.runtime.v2.task/k8s.io/" + kId + "/config.json",
        R"({"ociVersion":"1.0.2","process":{"args":["/x"]},"annotations":{"io.kubernetes.cri.container-type":"container",)"
        R"("io.kubernetes.cri.container-name":"notes","io.kubernetes.cri.image-name":"registry.example/acme/notes-mcp:1.4"}})");
    EXPECT_EQ(found(), "containerd notes registry.example/acme/notes-mcp:1.4");
}

TEST_F(Containers, CriO) {
    tree_.file(
        "/var/lib/containers/storage/overlay-containers/" + kId + "/userdata/config.json",
        R"({"annotations":{"io.kubernetes.container.name":"notes","io.kubernetes.cri-o.ImageName":"registry.example/acme/notes:2"}})");
    EXPECT_EQ(found(), "cri-o notes registry.example/acme/notes:2");
}

TEST_F(Containers, Podman) {
    const std::string entry =
        R"({"id":")" + kId +
        R"(","names":["notes"],"image":"00","layer":"00","metadata":)"
        R"("{\"image-name\":\"registry.example/library/alpine:latest\",\"image-id\":\"00\",\"name\":\"notes\",\"mountlabel\":\")" +
        std::string(2000, 'x') + R"(\"}"})";
    tree_.file("/var/lib/containers/storage/overlay-containers/containers.json", R"([{"id":"other"},)" + entry + "]");
    EXPECT_EQ(found(), "podman notes registry.example/library/alpine:latest");
    tree_.file("/var/lib/containers/storage/overlay-containers/containers.json", "[]");
    EXPECT_EQ(found(), "  ");
    tree_.file("/var/lib/containers/storage/overlay-containers/volatile-containers.json", "[" + entry + "]");
    EXPECT_EQ(found(), "podman notes registry.example/library/alpine:latest");
}

TEST_F(Containers, FilesThatAreNoneSayNothing) {
    const std::string path = "/var/lib/docker/containers/" + kId + "/config.v2.json";
    for (const std::string& text : std::initializer_list<std::string>{
             std::string(), std::string("["), std::string("[]"), std::string("null"), std::string(R"({"Config":7})"),
             std::string(R"({"Config":{"Image":7}})"), R"({"Config":{"Image":")" + std::string(2000, 'x') + "\"}}",
             std::string(100000, '['), std::string("{\"Config\":{\"Image\":\"\xff\"}}"), "{}" + std::string(5 << 20, ' ')}) {
        tree_.file(path, text);
        EXPECT_EQ(found(), "  ") << text.substr(0, 40);
    }
    std::filesystem::remove(tree_.path(path));
    ASSERT_EQ(mkfifo(tree_.path(path).c_str(), 0600), 0);
    EXPECT_EQ(found(), "  ");
}

TEST(ImageNames, InFull) {
    EXPECT_EQ(full_image_name("nginx"), "nginx:latest");
    EXPECT_EQ(full_image_name("nginx:1"), "nginx:1");
    EXPECT_EQ(full_image_name("acme/x@sha256:00"), "acme/x@sha256:00");
    EXPECT_EQ(full_image_name("localhost/x"), "localhost/x:latest");
    EXPECT_EQ(full_image_name("host:5000/x"), "host:5000/x:latest");
    EXPECT_EQ(full_image_name("registry.example/a/b/c:1"), "registry.example/a/b/c:1");
    EXPECT_EQ(registry_of("host:5000/x:1"), "host:5000");
    EXPECT_EQ(registry_of("acme/x:1"), "");
    EXPECT_EQ(untagged("host:5000/x:1"), "host:5000/x");
    EXPECT_EQ(untagged("host:5000/x"), "host:5000/x");
    EXPECT_EQ(untagged("a/x:1@sha256:00"), "a/x");
}

TEST(ImageOfCgroup, WhatIsNoContainerOrWasNotMadeByRoot) {
    EXPECT_EQ(image_of_cgroup(""), "");
    EXPECT_EQ(image_of_cgroup("/user.slice/session-3.scope"), "");
    EXPECT_EQ(image_of_cgroup("/no-such-directory/docker-" + kId + ".scope"), "");
}

}  // namespace
}  // namespace callgate
