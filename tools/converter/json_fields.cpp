#include "tools/converter/json_fields.h"

#include "tools/converter/source_build.h"

namespace linnet {

namespace {

constexpr uint32_t most_depth = 64;

// Brackets outside strings. (In text that is no JSON the count means nothing, but then the parser refuses it.)
bool too_deep(std::string_view text) {
    uint32_t depth = 0;
    bool in_string = false;
    for (size_t i = 0; i < text.size(); ++i) {
        const char c = text[i];
        if (in_string) {
            if (c == '\\') {
                ++i;
            } else if (c == '"') {
                in_string = false;
            }
        } else if (c == '"') {
            in_string = true;
        } else if (c == '{' || c == '[') {
            if (++depth > most_depth) return true;
        } else if ((c == '}' || c == ']') && depth != 0) {
            --depth;
        }
    }
    return false;
}

}  // namespace

Status parse_json_object(std::string_view text, const std::string& file, nlohmann::json& object, Error& error) {
    if (too_deep(text)) return error.fail(Status::bad_file) << "The file " << in_quotes(file) << " nests objects too deeply.";
    object = nlohmann::json::parse(text.begin(), text.end(), nullptr, false);
    if (object.is_discarded()) return error.fail(Status::bad_file) << "The file " << in_quotes(file) << " is not valid JSON.";
    if (!object.is_object()) return error.fail(Status::bad_file) << "The file " << in_quotes(file) << " is not a JSON object.";
    return Status::ok;
}

const nlohmann::json* JsonFields::find(const char* name) const {
    const auto place = object_.find(name);
    return place == object_.end() || place->is_null() ? nullptr : &*place;
}

Status JsonFields::require(const char* name) const {
    if (find(name) != nullptr) return Status::ok;
    return error_.fail(Status::bad_file) << "The field \"" << name << "\" is missing in " << file_ << '.';
}

Status JsonFields::wrong(const char* name, const char* expected) const {
    return error_.fail(Status::bad_file) << "The field \"" << name << "\" of " << file_ << " must be " << expected << '.';
}

Status JsonFields::count(const char* name, uint64_t low, uint64_t high, uint32_t& to) const {
    const nlohmann::json* value = find(name);
    if (value == nullptr) return Status::ok;
    if (!value->is_number_unsigned()) return wrong(name, "a whole number, not negative");
    const uint64_t number = *value->get_ptr<const nlohmann::json::number_unsigned_t*>();
    if (number < low || number > high) {
        return error_.fail(Status::bad_file) << "The field \"" << name << "\" of " << file_ << " is " << number
                                             << "; it must be from " << low << " to " << high << '.';
    }
    to = static_cast<uint32_t>(number);
    return Status::ok;
}

namespace {

bool as_double(const nlohmann::json& value, double& to) {
    if (value.is_number_float()) {
        to = *value.get_ptr<const nlohmann::json::number_float_t*>();
    } else if (value.is_number_unsigned()) {
        to = static_cast<double>(*value.get_ptr<const nlohmann::json::number_unsigned_t*>());
    } else if (value.is_number_integer()) {
        to = static_cast<double>(*value.get_ptr<const nlohmann::json::number_integer_t*>());
    } else {
        return false;
    }
    return true;
}

}  // namespace

Status JsonFields::number(const char* name, double low, double high, double& to) const {
    const nlohmann::json* value = find(name);
    if (value == nullptr) return Status::ok;
    double found = 0;
    if (!as_double(*value, found)) return wrong(name, "a number");
    if (!(found >= low && found <= high)) {
        return error_.fail(Status::bad_file) << "The field \"" << name << "\" of " << file_ << " is out of range.";
    }
    to = found;
    return Status::ok;
}

Status JsonFields::boolean(const char* name, bool& to) const {
    const nlohmann::json* value = find(name);
    if (value == nullptr) return Status::ok;
    if (!value->is_boolean()) return wrong(name, "true or false");
    to = *value->get_ptr<const nlohmann::json::boolean_t*>();
    return Status::ok;
}

Status JsonFields::string(const char* name, std::string& to) const {
    const nlohmann::json* value = find(name);
    if (value == nullptr) return Status::ok;
    if (!value->is_string()) return wrong(name, "a string");
    to = *value->get_ptr<const nlohmann::json::string_t*>();
    return Status::ok;
}

Status JsonFields::numbers(const char* name, size_t most, std::vector<double>& to) const {
    const nlohmann::json* value = find(name);
    if (value == nullptr) return Status::ok;
    if (!value->is_array() || value->size() > most)
        return wrong(name, "a list of numbers, one for each pair of rotary dimensions");
    to.clear();
    for (const nlohmann::json& element : *value) {
        double number = 0;
        if (!as_double(element, number)) return wrong(name, "a list of numbers");
        to.push_back(number);
    }
    return Status::ok;
}

Status JsonFields::tokens(const char* name, std::vector<int32_t>& to) const {
    const nlohmann::json* value = find(name);
    if (value == nullptr) return Status::ok;
    const auto one = [&](const nlohmann::json& element) {
        if (!element.is_number_integer()) return false;
        const bool fits = element.is_number_unsigned()
                              ? *element.get_ptr<const nlohmann::json::number_unsigned_t*>() <= INT32_MAX
                              : *element.get_ptr<const nlohmann::json::number_integer_t*>() >= 0;
        if (fits) to.push_back(static_cast<int32_t>(*element.get_ptr<const nlohmann::json::number_integer_t*>()));
        return true;
    };
    to.clear();
    if (value->is_array()) {
        if (value->size() > 64) return wrong(name, "a token's number, or a short list of them");
        for (const nlohmann::json& element : *value) {
            if (!one(element)) return wrong(name, "a token's number, or a list of them");
        }
        return Status::ok;
    }
    return one(*value) ? Status::ok : wrong(name, "a token's number, or a list of them");
}

}  // namespace linnet
