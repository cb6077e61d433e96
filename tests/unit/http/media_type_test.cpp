#include "http/media_type.h"

#include <gtest/gtest.h>

namespace callgate {
namespace {

TEST(ContentType, TypeAndCharset) {
    const auto type = parse_content_type("Application/JSON; charset=\"UTF-8\"");
    ASSERT_TRUE(type);
    EXPECT_TRUE(type->is("application/json"));
    EXPECT_FALSE(type->is("application/jso"));
    EXPECT_FALSE(type->is("application"));
    EXPECT_TRUE(type->is_json());
    EXPECT_TRUE(type->is_utf8());
    EXPECT_EQ(type->charset, "UTF-8");
    EXPECT_TRUE(parse_content_type("text/event-stream;charset=utf-8")->is_event_stream());
    EXPECT_TRUE(parse_content_type("application/problem+json")->is_json());
    EXPECT_FALSE(parse_content_type("application/+json")->is_json());
    EXPECT_FALSE(parse_content_type("text/json5")->is_json());
    EXPECT_EQ(parse_content_type(" a/b ; x=\"q;r\" ;; charset = utf-8"), std::nullopt);
    EXPECT_EQ(parse_content_type(" a/b ; x=\"q;charset=utf-16\" ;; charset=utf-8 ;")->charset, "utf-8");
    EXPECT_EQ(parse_content_type("a/b")->charset, "");
}

TEST(ContentType, Charsets) {
    for (const char* good : {"a/b", "a/b;charset=utf-8", "a/b;charset=UTF8", "a/b; x=1"})
        EXPECT_TRUE(parse_content_type(good)->is_utf8()) << good;
    for (const char* bad : {"a/b;charset=utf-16le", "a/b;charset=us-ascii", "a/b;charset=latin1", "a/b;charset=utf-7"})
        EXPECT_FALSE(parse_content_type(bad)->is_utf8()) << bad;
}

TEST(ContentType, NothingForWhatIsNone) {
    for (const char* bad : {"",
                            "json",
                            "/",
                            "a/",
                            "/b",
                            "a/b/c",
                            "a b/c",
                            "a/b c",
                            "a/b, c/d",
                            "a/b;x",
                            "a/b;x=",
                            "a/b;=y",
                            "a/b;x=\"y",
                            "a/b;x=\"y\"z",
                            "a/b;x=\"\\y\"",
                            "a/b;charset=\"\"",
                            "a/b;charset=utf-8;charset=utf-8",
                            "a/b;Charset=utf-8;charset=utf-16",
                            "a/b;charset=\"a b\"",
                            "a/b;x y=1"})
        EXPECT_FALSE(parse_content_type(bad)) << bad;
}

TEST(Accept, TheMostSpecificRangeDecides) {
    const auto json = [](std::string_view value) { return accepts(value, "application/json"); };
    EXPECT_TRUE(json("application/json, text/event-stream"));
    EXPECT_TRUE(json("text/event-stream,APPLICATION/json;q=0.1"));
    EXPECT_TRUE(json("*/*"));
    EXPECT_TRUE(json("application/*"));
    EXPECT_TRUE(json("application/json;profile=x;q=1.000"));
    EXPECT_FALSE(json("text/event-stream"));
    EXPECT_FALSE(json("text/event-stream, */*;q=0"));
    EXPECT_FALSE(json("*/*, application/json;q=0"));
    EXPECT_FALSE(json("application/json;q=0.000, */*"));
    EXPECT_TRUE(json("application/*;q=0, application/json;q=0.001"));
    EXPECT_FALSE(json("*/*;q=1, application/*; q=0"));
    EXPECT_FALSE(json("*/json"));
    EXPECT_FALSE(json("application/json;q=2"));
    EXPECT_FALSE(json("application/json;q=0.1234"));
    EXPECT_FALSE(json("application/json;q=1.1"));
    EXPECT_FALSE(json("application/json;q=x"));
    EXPECT_FALSE(json("application/jsonx, json"));
    EXPECT_FALSE(json(""));
    EXPECT_TRUE(json(", ,application/json,"));
}

Fields fields(KnownField known, std::initializer_list<std::string_view> values) {
    Fields fields;
    for (const std::string_view value : values) fields.add({name(known), value, known});
    return fields;
}

TEST(Accept, AllFieldsCountAndNoneAcceptsAll) {
    EXPECT_TRUE(accepts(Fields{}, "application/json"));
    EXPECT_FALSE(accepts(fields(KnownField::accept, {""}), "application/json"));
    EXPECT_TRUE(accepts(fields(KnownField::accept, {"text/event-stream", "application/json"}), "application/json"));
    EXPECT_FALSE(accepts(fields(KnownField::accept, {"application/json;q=0", "*/*"}), "application/json"));
}

TEST(ContentCoding, OneKnownOrOther) {
    const auto coding = [](std::initializer_list<std::string_view> values) {
        return content_coding(fields(KnownField::content_encoding, values));
    };
    EXPECT_EQ(content_coding(Fields{}), ContentCoding::identity);
    EXPECT_EQ(coding({""}), ContentCoding::identity);
    EXPECT_EQ(coding({"identity"}), ContentCoding::identity);
    EXPECT_EQ(coding({"GZip"}), ContentCoding::gzip);
    EXPECT_EQ(coding({"x-gzip, identity"}), ContentCoding::gzip);
    EXPECT_EQ(coding({"deflate"}), ContentCoding::deflate);
    EXPECT_EQ(coding({"br"}), ContentCoding::other);
    EXPECT_EQ(coding({"gzip, gzip"}), ContentCoding::other);
    EXPECT_EQ(coding({"gzip", "br"}), ContentCoding::other);
    EXPECT_EQ(coding({"br, identity"}), ContentCoding::other);
}

}  // namespace
}  // namespace callgate
