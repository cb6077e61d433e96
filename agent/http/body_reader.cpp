#include "http/body_reader.h"

#include <algorithm>

#include "base/limits.h"
#include "http/characters.h"

namespace callgate {

BodyReader::BodyReader(BodyFraming framing, Extensions extensions) : framing_(framing), extensions_(extensions) {
    switch (framing.kind) {
        case BodyFraming::Kind::none: place_ = Place::done; break;
        case BodyFraming::Kind::length:
            left_ = framing.length;
            place_ = left_ > 0 ? Place::content : Place::done;
            break;
        case BodyFraming::Kind::chunked: place_ = Place::size; break;
        case BodyFraming::Kind::until_close:
        case BodyFraming::Kind::tunnel: place_ = Place::endless; break;
    }
}

BodyReader::Piece BodyReader::next(std::string_view bytes) {
    switch (place_) {
        case Place::done: return {Step::end, 0, {}};
        case Place::refused: return {Step::refused, 0, {}};
        case Place::content:
        case Place::endless: return content(bytes);
        case Place::size:
        case Place::extension:
        case Place::size_lf:
        case Place::chunk_cr:
        case Place::chunk_lf:
        case Place::trailer:
        case Place::trailer_name:
        case Place::trailer_value:
        case Place::trailer_lf:
        case Place::last_lf: return framing_bytes(bytes);
    }
    return {Step::refused, 0, {}};
}

BodyReader::Piece BodyReader::content(std::string_view bytes) {
    if (bytes.empty()) return {};
    size_t take = bytes.size();
    if (place_ == Place::content) {
        take = static_cast<size_t>(std::min<uint64_t>(take, left_));
        left_ -= take;
        if (left_ == 0) place_ = framing_.kind == BodyFraming::Kind::chunked ? Place::chunk_cr : Place::done;
    }
    payload_bytes_ += take;
    raw_bytes_ += take;
    return {Step::payload, take, bytes.substr(0, take)};
}

BodyReader::Piece BodyReader::framing_bytes(std::string_view bytes) {
    size_t took = 0;
    while (took < bytes.size() && place_ != Place::content && place_ != Place::done) {
        const HttpRefusal refusal = step(bytes[took]);
        if (refusal != HttpRefusal::none) {
            const bool is_cr = refusal == HttpRefusal::bare_carriage_return;  // the byte before, taken already
            problem_ = {refusal, static_cast<size_t>(raw_bytes_) - (is_cr ? 1 : 0)};
            place_ = Place::refused;
            return {Step::refused, took, {}};
        }
        ++took;
        ++raw_bytes_;
    }
    if (place_ == Place::done) return {Step::end, took, {}};
    return {took > 0 ? Step::framing : Step::more, took, {}};
}

// One byte that is no content. Where it refuses, the byte is not taken.
HttpRefusal BodyReader::step(char byte) {
    switch (place_) {
        case Place::size: return size_byte(byte);
        case Place::extension: return extension_byte(byte);
        case Place::trailer:
        case Place::trailer_name:
        case Place::trailer_value: return trailer_byte(byte);
        case Place::chunk_cr: place_ = Place::chunk_lf; return byte == '\r' ? HttpRefusal::none : HttpRefusal::bad_chunk_end;
        case Place::chunk_lf: place_ = Place::size; return byte == '\n' ? HttpRefusal::none : HttpRefusal::bad_chunk_end;
        case Place::size_lf:
            if (byte != '\n') return HttpRefusal::bare_carriage_return;
            place_ = left_ > 0 ? Place::content : Place::trailer;
            digits_ = 0;
            line_bytes_ = 0;
            return HttpRefusal::none;
        case Place::trailer_lf:
            place_ = Place::trailer;
            return byte == '\n' ? HttpRefusal::none : HttpRefusal::bare_carriage_return;
        case Place::last_lf: place_ = Place::done; return byte == '\n' ? HttpRefusal::none : HttpRefusal::bare_carriage_return;
        case Place::content:
        case Place::endless:
        case Place::done:
        case Place::refused: break;
    }
    return HttpRefusal::none;
}

HttpRefusal BodyReader::size_byte(char byte) {
    const int digit = hex_digit(byte);
    if (digit >= 0) {
        if (digits_ == 0) left_ = 0;
        if (++digits_ > kHttpChunkDigitsMax) return HttpRefusal::bad_chunk_size;
        left_ = left_ * 16 + static_cast<uint64_t>(digit);
        return left_ > kHttpBodyLengthMax ? HttpRefusal::chunk_too_large : HttpRefusal::none;
    }
    if (digits_ == 0) return byte == '\n' ? HttpRefusal::bare_line_feed : HttpRefusal::bad_chunk_size;
    extension_began_ = in_quotes_ = escaped_ = false;
    place_ = Place::extension;
    return extension_byte(byte);
}

// What stands between the size and CR: nothing, or an extension with white space before its ';'.
HttpRefusal BodyReader::extension_byte(char byte) {
    if (byte == '\r' && (extension_began_ || line_bytes_ == 0)) {
        if (in_quotes_) return HttpRefusal::chunk_extension;
        place_ = Place::size_lf;
        return HttpRefusal::none;
    }
    if (byte == '\n') return HttpRefusal::bare_line_feed;
    if (byte == ';' || extension_began_) {
        if (extensions_ == Extensions::refuse) return HttpRefusal::chunk_extension;
        extension_began_ = true;
        if (!is_value_byte(byte)) return HttpRefusal::chunk_extension;
        if (byte == '"' && !escaped_) in_quotes_ = !in_quotes_;
        escaped_ = in_quotes_ && byte == '\\' && !escaped_;
    } else if (extensions_ == Extensions::refuse || !is_blank(byte)) {
        return HttpRefusal::bad_chunk_size;
    }
    return ++line_bytes_ > kHttpChunkLineBytesMax ? HttpRefusal::chunk_line_too_long : HttpRefusal::none;
}

HttpRefusal BodyReader::trailer_byte(char byte) {
    if (byte == '\n') return HttpRefusal::bare_line_feed;
    if (byte == '\r') {
        if (place_ == Place::trailer_name) return HttpRefusal::bad_trailer;
        place_ = place_ == Place::trailer ? Place::last_lf : Place::trailer_lf;
        return HttpRefusal::none;
    }
    if (++line_bytes_ > kHttpTrailerBytesMax) return HttpRefusal::trailer_too_long;
    if (place_ == Place::trailer_value) return is_value_byte(byte) ? HttpRefusal::none : HttpRefusal::bad_trailer;
    if (byte == ':' && place_ == Place::trailer_name) {
        place_ = Place::trailer_value;
        return HttpRefusal::none;
    }
    place_ = Place::trailer_name;
    return is_token_byte(byte) ? HttpRefusal::none : HttpRefusal::bad_trailer;
}

bool BodyReader::finish() {
    if (place_ == Place::done || place_ == Place::endless) {
        place_ = Place::done;
        return true;
    }
    if (place_ != Place::refused) {
        problem_ = {HttpRefusal::incomplete, static_cast<size_t>(raw_bytes_)};
        place_ = Place::refused;
    }
    return false;
}

// One that has refused is over with its exchange, and is not gone on with.
BodyReader::Saved BodyReader::save() const {
    return {framing_,
            static_cast<uint8_t>(extensions_),
            static_cast<uint8_t>(place_),
            digits_,
            extension_began_,
            in_quotes_,
            escaped_,
            left_,
            payload_bytes_,
            raw_bytes_,
            line_bytes_};
}

bool BodyReader::restore(const Saved& saved) {
    const bool is_one = saved.framing.kind <= BodyFraming::Kind::tunnel &&
                        saved.extensions <= static_cast<uint8_t>(Extensions::skip) &&
                        saved.place <= static_cast<uint8_t>(Place::refused) && saved.digits <= kHttpChunkDigitsMax;
    if (!is_one) return false;
    framing_ = saved.framing;
    extensions_ = static_cast<Extensions>(saved.extensions);
    place_ = static_cast<Place>(saved.place);
    digits_ = saved.digits;
    extension_began_ = saved.extension_began;
    in_quotes_ = saved.in_quotes;
    escaped_ = saved.escaped;
    left_ = saved.left;
    payload_bytes_ = saved.payload_bytes;
    raw_bytes_ = saved.raw_bytes;
    line_bytes_ = saved.line_bytes;
    problem_ = {};
    return true;
}

}  // namespace callgate
