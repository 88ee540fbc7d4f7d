#include "tools/converter/safetensors.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "core/base/bytes.h"
#include "tools/converter/source_build.h"

namespace linnet {

namespace {

constexpr uint64_t most_header_bytes = 100'000'000;  // the format's own limit
constexpr size_t most_entries = 1u << 16, most_name_bytes = 1024;

// Takes the header's JSON event by event and accepts only the shape that it must have, so that a header of 100 MB costs no
// tree of values, and nothing nests.
class HeaderEvents : public nlohmann::json_sax<nlohmann::json> {
public:
    explicit HeaderEvents(std::vector<SafetensorsEntry>& entries) : entries_(entries) {}

    std::string problem;  // a clause for the sentence; empty: none

    bool start_object(size_t) override {
        if (place_ == Place::before) return go(Place::header);
        if (place_ == Place::header_value) return go(entry_.name == "__metadata__" ? Place::metadata : Place::entry);
        return refuse("has an object where none belongs");
    }
    bool key(string_t& name) override {
        switch (place_) {
            case Place::header:
                if (name.size() > most_name_bytes)
                    return refuse("has a tensor's name of " + std::to_string(name.size()) + " bytes");
                if (!names_.insert(name).second) return refuse("has the tensor " + in_quotes(name) + " twice");
                if (entries_.size() == most_entries)
                    return refuse("has more than " + std::to_string(most_entries) + " tensors");
                entry_ = {};
                entry_.name = name;
                fields_ = 0;
                return go(Place::header_value);
            case Place::metadata: return go(Place::metadata_value);
            case Place::entry:
                if (name == "dtype") return field(1, Place::dtype);
                if (name == "shape") return field(2, Place::shape);
                if (name == "data_offsets") return field(4, Place::offsets);
                return of_entry("has an unknown field " + in_quotes(name));
            default: return refuse("is malformed");
        }
    }
    bool end_object() override {
        switch (place_) {
            case Place::header: return go(Place::after);
            case Place::metadata: return go(Place::header);
            case Place::entry:
                if (fields_ != 7) return of_entry("lacks dtype, shape or data_offsets");
                entries_.push_back(entry_);
                return go(Place::header);
            default: return refuse("is malformed");
        }
    }
    bool start_array(size_t) override {
        if (place_ == Place::shape) return go(Place::shape_values);
        if (place_ == Place::offsets) return go(Place::offset_values);
        return misplaced();
    }
    bool end_array() override {
        if (place_ == Place::offset_values && offsets_ != 2) return of_entry("has data_offsets that are not two numbers");
        return go(Place::entry);
    }
    bool number_unsigned(number_unsigned_t value) override {
        if (place_ == Place::shape_values) {
            if (entry_.shape.size() == 4) return of_entry("has a shape of more than 4 dimensions");
            entry_.shape.push_back(value);
            return true;
        }
        if (place_ == Place::offset_values) {
            if (offsets_ == 2) return of_entry("has data_offsets that are not two numbers");
            (offsets_ == 0 ? entry_.begin : entry_.end) = value;
            ++offsets_;
            return true;
        }
        return misplaced();
    }
    bool string(string_t& value) override {
        if (place_ == Place::metadata_value) return go(Place::metadata);
        if (place_ != Place::dtype) return misplaced();
        entry_.dtype = value.substr(0, 16);
        return go(Place::entry);
    }
    bool null() override { return misplaced(); }
    bool boolean(bool) override { return misplaced(); }
    bool number_integer(number_integer_t) override { return misplaced(); }
    bool number_float(number_float_t, const string_t&) override { return misplaced(); }
    bool binary(binary_t&) override { return misplaced(); }
    bool parse_error(size_t position, const std::string&, const nlohmann::detail::exception&) override {
        return refuse("is not valid JSON at byte " + std::to_string(position));
    }

private:
    enum class Place {
        before,
        header,
        header_value,
        metadata,
        metadata_value,
        entry,
        dtype,
        shape,
        shape_values,
        offsets,
        offset_values,
        after
    };

    bool go(Place next) {
        place_ = next;
        return true;
    }
    bool field(uint32_t bit, Place next) {
        if ((fields_ & bit) != 0) return of_entry("has a field twice");
        fields_ |= bit;
        if (next == Place::offsets) offsets_ = 0;
        return go(next);
    }
    bool refuse(std::string what) {
        if (problem.empty()) problem = std::move(what);
        return false;
    }
    bool of_entry(const std::string& what) { return refuse("has a tensor " + in_quotes(entry_.name) + " that " + what); }
    bool misplaced() {
        switch (place_) {
            case Place::dtype: return of_entry("has a dtype that is not a string");
            case Place::shape:
            case Place::shape_values: return of_entry("has a shape that is not a list of whole numbers");
            case Place::offsets:
            case Place::offset_values: return of_entry("has data_offsets that are not two whole numbers");
            case Place::header_value: return of_entry("is not an object");
            case Place::metadata_value: return refuse("has __metadata__ that is not text");
            default: return refuse("is not a JSON object");
        }
    }

    std::vector<SafetensorsEntry>& entries_;
    SafetensorsEntry entry_;
    std::set<std::string> names_;
    Place place_ = Place::before;
    uint32_t fields_ = 0, offsets_ = 0;
};

uint32_t dtype_bytes(const std::string& dtype) {
    struct Known {
        const char* name;
        uint32_t bytes;
    };
    constexpr Known known[] = {{"F64", 8}, {"F32", 4}, {"F16", 2},  {"BF16", 2},    {"I64", 8},
                               {"I32", 4}, {"I16", 2}, {"I8", 1},   {"U64", 8},     {"U32", 4},
                               {"U16", 2}, {"U8", 1},  {"BOOL", 1}, {"F8_E4M3", 1}, {"F8_E5M2", 1}};
    for (const Known& each : known) {
        if (dtype == each.name) return each.bytes;
    }
    return 0;
}

Status check_entry(SafetensorsEntry& entry, const std::string& file, uint64_t data, uint64_t file_bytes, Error& error) {
    const auto refuse = [&]() -> Error& {
        return error.fail(Status::bad_file) << "The tensor " << in_quotes(entry.name) << " in " << in_quotes(file) << ' ';
    };
    const uint32_t value_bytes = dtype_bytes(entry.dtype);
    if (value_bytes == 0) {
        return error.fail(Status::unsupported)
               << "The tensor " << in_quotes(entry.name) << " in " << in_quotes(file) << " has the dtype "
               << in_quotes(entry.dtype) << "; Linnet reads F32, F16 and BF16.";
    }
    uint64_t rows = 1, columns = 1;
    bool fits = true;
    for (size_t i = 0; i < entry.shape.size(); ++i) {
        const uint64_t size = entry.shape[i];
        uint64_t& into = i + 1 == entry.shape.size() ? columns : rows;
        fits = fits && size >= 1 && size <= UINT32_MAX / into;
        if (fits) into *= size;
    }
    if (!fits) return refuse() << "has a shape with a 0, or with more than 4294967295 rows or columns.";
    entry.rows = static_cast<uint32_t>(rows);
    entry.columns = static_cast<uint32_t>(columns);
    const uint64_t room = file_bytes - data;
    if (entry.begin > entry.end || entry.end > room) {
        return refuse() << "has the data_offsets " << entry.begin << " to " << entry.end << "; the file has " << room
                        << " bytes of data: it is truncated or damaged.";
    }
    const uint64_t bytes = entry.end - entry.begin;
    if (bytes / value_bytes / rows != columns || bytes != rows * columns * value_bytes) {
        return refuse() << "has " << bytes << " bytes (data_offsets); its shape, " << rows << " rows of " << columns
                        << " values of type " << entry.dtype << ", needs another number.";
    }
    entry.begin += data;
    entry.end += data;
    return Status::ok;
}

}  // namespace

Status read_safetensors(Input& input, const std::string& file, std::vector<SafetensorsEntry>& entries, Error& error) {
    entries.clear();
    const auto refuse = [&]() -> Error& {
        return error.fail(Status::bad_file) << "The safetensors file " << in_quotes(file) << ' ';
    };
    uint64_t header_bytes = 0;
    if (input.size() < sizeof header_bytes) return refuse() << "has only " << input.size() << " bytes: it is truncated.";
    if (Status status = input.read(0, &header_bytes, sizeof header_bytes, error); status != Status::ok) return status;
    if (header_bytes > most_header_bytes || header_bytes > input.size() - sizeof header_bytes) {
        return refuse() << "says that its header has " << header_bytes << " bytes; the file has " << input.size()
                        << ", and a header at most " << most_header_bytes << ". It is truncated, or no safetensors file.";
    }
    std::string header(static_cast<size_t>(header_bytes), '\0');
    if (header_bytes != 0) {
        if (Status status = input.read(sizeof header_bytes, header.data(), header.size(), error); status != Status::ok)
            return status;
    }
    HeaderEvents events(entries);
    const bool parsed = nlohmann::json::sax_parse(header.begin(), header.end(), &events);
    if (!parsed || !events.problem.empty())
        return refuse() << (events.problem.empty() ? "has a header that is not JSON" : "has a header that ") << events.problem
                        << '.';
    const uint64_t data = sizeof header_bytes + header_bytes;
    std::vector<const SafetensorsEntry*> order;
    for (SafetensorsEntry& entry : entries) {
        if (Status status = check_entry(entry, file, data, input.size(), error); status != Status::ok) return status;
        order.push_back(&entry);
    }
    std::sort(order.begin(), order.end(),
              [](const SafetensorsEntry* a, const SafetensorsEntry* b) { return a->begin < b->begin; });
    for (size_t i = 1; i < order.size(); ++i) {
        if (order[i - 1]->end > order[i]->begin) {
            return refuse() << "has the tensors " << in_quotes(order[i - 1]->name) << " and " << in_quotes(order[i]->name)
                            << " in the same place: it is damaged.";
        }
    }
    return Status::ok;
}

}  // namespace linnet
