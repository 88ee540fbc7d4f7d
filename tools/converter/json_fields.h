// Fields of a JSON object from a stranger: depth bounded, every value's type and range checked, every sentence names the field.
// No exceptions.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/error.h"

namespace linnet {

// Parses an object. `file` is for the sentence.
Status parse_json_object(std::string_view text, const std::string& file, nlohmann::json& object, Error& error);

class JsonFields {
public:
    // `file` names the object in sentences: "config.json", or "config.json's rope_scaling".
    JsonFields(const nlohmann::json& object, std::string file, Error& error)
        : object_(object), file_(std::move(file)), error_(error) {}

    const nlohmann::json& object() const { return object_; }
    // Null counts as not there.
    const nlohmann::json* find(const char* name) const;
    Status require(const char* name) const;
    // Each leaves `to` as it is when the field is not there.
    Status count(const char* name, uint64_t low, uint64_t high, uint32_t& to) const;
    Status number(const char* name, double low, double high, double& to) const;
    Status boolean(const char* name, bool& to) const;
    Status string(const char* name, std::string& to) const;
    Status numbers(const char* name, size_t most, std::vector<double>& to) const;
    // A token's number, or a list of them; a negative number is none.
    Status tokens(const char* name, std::vector<int32_t>& to) const;
    Status wrong(const char* name, const char* expected) const;

private:
    const nlohmann::json& object_;
    std::string file_;
    Error& error_;
};

}  // namespace linnet
