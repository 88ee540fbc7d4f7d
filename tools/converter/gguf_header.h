// The header of a GGUF file (version 2 or 3): its keys and its tensor table, checked against the file's length. What a model
// makes of them is gguf.cpp's.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "tools/converter/source.h"

namespace linnet {

enum class GgufType : uint32_t { u8 = 0, i8, u16, i16, u32, i32, f32, boolean, string, array, u64, i64, f64 };
const char* gguf_type_name(GgufType type);

// A value. Numbers are kept as they are; strings and arrays by their place in the file, so that a header costs no memory that
// nothing asks for.
struct GgufValue {
    GgufType type = GgufType::u8;
    uint64_t unsigned_number = 0;     // u8..u64, boolean
    int64_t signed_number = 0;        // i8..i64
    double number = 0;                // f32, f64
    GgufType element = GgufType::u8;  // of an array
    uint64_t count = 0;               // elements of an array, bytes of a string
    uint64_t offset = 0;              // of the first element, of the string's first byte
};

class GgufHeader {
public:
    // `input` has to outlive this and everything read through it. `file` is its name, for messages.
    Status read(Input& input, const std::string& file, Error& error);

    const std::vector<SourceMatrix>& tensors() const { return tensors_; }
    bool has(const std::string& key) const { return values_.count(key) != 0; }
    // Each leaves `to` as it is when the key is not there, and refuses a value of another type or out of [low, high], naming
    // the key.
    Status integer(const std::string& key, uint64_t low, uint64_t high, uint64_t& to, Error& error) const;
    Status token(const std::string& key, int32_t& to, Error& error) const;  // an id, or -1 for one that is no id
    Status number(const std::string& key, double low, double high, double& to, Error& error) const;
    Status boolean(const std::string& key, bool& to, Error& error) const;
    Status string(const std::string& key, uint64_t most_bytes, std::string& to, Error& error) const;
    Status strings(const std::string& key, uint64_t most, std::vector<std::string>& to, Error& error) const;
    Status floats(const std::string& key, uint64_t most, std::vector<float>& to, Error& error) const;
    Status integers(const std::string& key, uint64_t most, std::vector<int32_t>& to, Error& error) const;
    // "The key "general.architecture" is missing" ...
    Status require(const std::string& key, Error& error) const;

private:
    class Cursor;
    Status read_value(Cursor& cursor, const std::string& key, GgufType type, GgufValue& value, uint32_t depth, Error& error);
    Status skip_array(Cursor& cursor, const std::string& key, GgufValue& value, uint32_t depth, Error& error);
    Status read_tensor(Cursor& cursor, Error& error);
    Status place_tensors(uint64_t header_end, Error& error);
    Status wrong_type(const std::string& key, const GgufValue& value, const char* expected, Error& error) const;
    Status check_array(const std::string& key, const GgufValue& value, bool type_fits, const char* expected, uint64_t most,
                       Error& error) const;

    Input* input_ = nullptr;
    std::string file_;
    std::map<std::string, GgufValue> values_;
    std::vector<SourceMatrix> tensors_;
};

}  // namespace linnet
