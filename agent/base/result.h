// Result<T>: a value or an Error, for every call that can fail. No exceptions cross a folder's border.
//
//   Result<Fd> open_it() { return Error::system("open", "/run/x", errno); }
//   Status use() { Fd fd = TRY(open_it()); ... return {}; }
//   use().error().text()  ->  "open /run/x: No such file or directory"
#pragma once
#include <cassert>
#include <optional>
#include <string>
#include <utility>
#include <variant>

namespace callgate {

enum class ErrorKind { system, invalid_input, refused, limit, gone };

struct Error {
    ErrorKind kind = ErrorKind::system;
    int code = 0;       // errno where kind is system, else 0
    std::string where;  // the call and its object: "open /run/x"
    std::string what;   // for every kind but system

    static Error system(std::string call, std::string object, int code);
    static Error invalid(std::string where, std::string what);
    static Error refused(std::string where, std::string what);
    std::string text() const;
};

template <typename T>
class [[nodiscard]] Result {
  public:
    Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
    Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}
    bool ok() const { return state_.index() == 0; }
    explicit operator bool() const { return ok(); }
    T& value() & {
        assert(ok());
        return *std::get_if<0>(&state_);
    }
    const T& value() const& {
        assert(ok());
        return *std::get_if<0>(&state_);
    }
    T&& value() && {
        assert(ok());
        return std::move(*std::get_if<0>(&state_));
    }
    T* operator->() { return &value(); }
    T& operator*() & { return value(); }
    const Error& error() const {
        assert(!ok());
        return *std::get_if<1>(&state_);
    }

  private:
    std::variant<T, Error> state_;
};

template <>
class [[nodiscard]] Result<void> {
  public:
    Result() = default;
    Result(Error error) : error_(std::move(error)) {}
    bool ok() const { return !error_; }
    explicit operator bool() const { return ok(); }
    void value() const { assert(ok()); }
    const Error& error() const {
        assert(error_);
        return *error_;
    }

  private:
    std::optional<Error> error_;
};
using Status = Result<void>;

}  // namespace callgate

// Returns the error of a Status, if it is one, from the enclosing function.
#define TRY_VOID(expression)                               \
    do {                                                   \
        auto try_status_ = (expression);                   \
        if (!try_status_.ok()) return try_status_.error(); \
    } while (0)

// Unwraps a Result or returns its error from the enclosing function.
#define TRY(expression)                                    \
    ({                                                     \
        auto&& try_result_ = (expression);                 \
        if (!try_result_.ok()) return try_result_.error(); \
        std::move(try_result_).value();                    \
    })
