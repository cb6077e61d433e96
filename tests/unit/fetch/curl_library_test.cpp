#include "fetch/curl_library.h"

#include <gtest/gtest.h>

#include <future>

namespace callgate {
namespace {

TEST(CurlLibraryTest, LoadsOnceForAllThreads) {
    auto other = std::async(std::launch::async, [] { return CurlLibrary::load(); });
    const auto here = CurlLibrary::load(), there = other.get();
    ASSERT_TRUE(here) << here.error().text();
    ASSERT_TRUE(there) << there.error().text();
    EXPECT_EQ(here.value(), there.value());
}

TEST(CurlLibraryTest, CanBeUsed) {
    const auto loaded = CurlLibrary::load();
    ASSERT_TRUE(loaded) << loaded.error().text();
    const CurlLibrary& curl = *loaded.value();
    CURL* handle = curl.easy_init();
    ASSERT_NE(handle, nullptr);
    EXPECT_EQ(curl.easy_setopt(handle, CURLOPT_URL, "ftp://127.0.0.1:1/"), CURLE_OK);
    EXPECT_EQ(curl.easy_setopt(handle, CURLOPT_PROTOCOLS_STR, "http,https"), CURLE_OK);
    EXPECT_EQ(curl.easy_perform(handle), CURLE_UNSUPPORTED_PROTOCOL);
    curl.easy_cleanup(handle);
}

}  // namespace
}  // namespace callgate
