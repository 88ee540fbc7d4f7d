// Errors are values: a status for the program and one sentence for the person.
//
// Nothing here allocates. A function that can fail takes an `Error&` and returns a `Status`:
//
//     return error.fail(Status::bad_file) << "The tensor \"" << name << "\" has " << rows << " rows; expected 32.";
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace linnet {

// The values are those of `linnet_status` in linnet.h.
enum class Status : int32_t {
    ok = 0,
    bad_argument = 2,  // the caller asked for something that is not possible
    bad_file = 3,      // the model file (or another input) is malformed or damaged
    does_not_fit = 4,  // the arena or the context is too small
    io = 5,            // the platform could not read
    cancelled = 6,     // the caller stopped the work
    unsupported = 7,   // well-formed, but not something that this build can do
};

class Error {
public:
    static constexpr size_t capacity = 320;

    Status status() const { return status_; }
    const char* text() const { return text_; }
    bool failed() const { return status_ != Status::ok; }
    void clear() {
        status_ = Status::ok;
        length_ = 0;
        text_[0] = 0;
    }

    // Starts a new sentence. Converts to the status, so that `return error.fail(...) << ...;` works.
    Error& fail(Status status) {
        clear();
        status_ = status;
        return *this;
    }

    Error& operator<<(std::string_view text) {
        for (char c : text) put(c);
        return *this;
    }
    Error& operator<<(const char* text) { return *this << std::string_view(text); }
    Error& operator<<(char c) {
        put(c);
        return *this;
    }
    template <std::integral Integer>
        requires(!std::same_as<Integer, char> && !std::same_as<Integer, bool>)
    Error& operator<<(Integer value) {
        uint64_t magnitude = static_cast<uint64_t>(value);
        if constexpr (std::signed_integral<Integer>) {
            if (value < 0) {
                put('-');
                magnitude = 0 - static_cast<uint64_t>(static_cast<int64_t>(value));
            }
        }
        char digits[20];
        size_t count = 0;
        do {
            digits[count++] = static_cast<char>('0' + magnitude % 10);
            magnitude /= 10;
        } while (magnitude != 0);
        while (count != 0) put(digits[--count]);
        return *this;
    }

    operator Status() const { return status_; }

private:
    void put(char c) {
        if (length_ + 1 < capacity) {
            // Text from a file may hold anything; a terminal must not be steered by it.
            text_[length_++] = (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) ? '?' : c;
            text_[length_] = 0;
        }
    }

    Status status_ = Status::ok;
    size_t length_ = 0;
    char text_[capacity] = {};
};

}  // namespace linnet
