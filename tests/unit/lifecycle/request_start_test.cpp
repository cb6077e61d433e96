#include "lifecycle/request_start.h"

#include <gtest/gtest.h>

namespace callgate {
namespace {

TEST(RequestStart, TheWholeFirstLineIsNeeded) {
    EXPECT_TRUE(begins_request("POST /mcp HTTP/1.1\r\nHost: x\r\n"));
    EXPECT_TRUE(begins_request("\r\n\nget / http/1.0\n"));
    EXPECT_FALSE(begins_request("POST /mcp HTTP/1.1"));
    EXPECT_FALSE(begins_request("\"text\": \"rest of a body\"}"));
    EXPECT_FALSE(begins_request("rest of a body\r\nPOST /mcp HTTP/1.1\r\n")) << "it begins further down";
    EXPECT_FALSE(begins_request(""));
    EXPECT_FALSE(begins_request("\r\n"));
}

TEST(RequestStart, TheWordInWhateverCase) {
    EXPECT_TRUE(names_http("xxHtTp/1x"));
    EXPECT_FALSE(names_http("HTTP/2"));
    EXPECT_FALSE(names_http("HTTP/"));
}

}  // namespace
}  // namespace callgate
