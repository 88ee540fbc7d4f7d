#include "tools/converter/gguf_header.h"

#include <algorithm>
#include <cstring>
#include <optional>

#include "core/base/bytes.h"
#include "tools/converter/source_build.h"

namespace linnet {

namespace {

constexpr uint64_t most_header_bytes = uint64_t{1} << 30;
constexpr uint64_t most_keys = 1u << 16, most_tensors = 1u << 16;
constexpr uint64_t most_key_bytes = 65535, most_tensor_name_bytes = 255;
constexpr uint64_t most_alignment = 1u << 20;
constexpr uint32_t most_array_depth = 4;

// Bytes of a number; 0 for strings and arrays.
uint32_t number_bytes(GgufType type) {
    switch (type) {
        case GgufType::u8:
        case GgufType::i8:
        case GgufType::boolean: return 1;
        case GgufType::u16:
        case GgufType::i16: return 2;
        case GgufType::u32:
        case GgufType::i32:
        case GgufType::f32: return 4;
        case GgufType::u64:
        case GgufType::i64:
        case GgufType::f64: return 8;
        case GgufType::string:
        case GgufType::array: break;
    }
    return 0;
}

constexpr const char* type_names[] = {"u8",   "i8",     "u16",   "i16", "u32", "i32", "f32",
                                      "bool", "string", "array", "u64", "i64", "f64"};

// Names of ggml's types that Linnet does not read, for the sentence.
const char* other_ggml_type(uint32_t type) {
    switch (type) {
        case 9: return "Q8_1";
        case 15: return "Q8_K";
        case 17: return "IQ2_XS";
        case 18: return "IQ3_XXS";
        case 19: return "IQ1_S";
        case 21: return "IQ3_S";
        case 22: return "IQ2_S";
        case 23: return "IQ4_XS";
        case 24: return "I8";
        case 25: return "I16";
        case 26: return "I32";
        case 27: return "I64";
        case 28: return "F64";
        case 29: return "IQ1_M";
        case 34: return "TQ1_0";
        case 35: return "TQ2_0";
        case 39: return "MXFP4";
        default: return nullptr;
    }
}

}  // namespace

const char* gguf_type_name(GgufType type) {
    const uint32_t index = static_cast<uint32_t>(type);
    return index < std::size(type_names) ? type_names[index] : "unknown";
}

// Reads the header front to back through a small buffer.
class GgufHeader::Cursor {
public:
    Cursor(Input& input, const std::string& file, uint64_t offset, uint64_t end)
        : input_(input), file_(file), offset_(offset), end_(end) {}

    uint64_t offset() const { return offset_; }
    uint64_t left() const { return end_ - offset_; }

    template <typename T>
    Status take(T& value, const char* what, Error& error) {
        return take_bytes(&value, sizeof value, what, error);
    }

    Status skip(uint64_t count, const char* what, Error& error) {
        if (count > left()) return ended(what, error);
        offset_ += count;
        return Status::ok;
    }

    Status string(std::string& text, uint64_t most, const char* what, Error& error) {
        uint64_t bytes = 0;
        if (Status status = take(bytes, what, error); status != Status::ok) return status;
        if (bytes > left()) return ended(what, error);
        if (bytes > most) {
            return error.fail(Status::bad_file) << "The GGUF file " << in_quotes(file_) << " has " << what << " of " << bytes
                                                << " bytes; at most " << most << " are allowed.";
        }
        text.resize(static_cast<size_t>(bytes));
        return take_bytes(text.data(), bytes, what, error);
    }

    Status ended(const char* what, Error& error) const {
        return error.fail(Status::bad_file)
               << "The GGUF file " << in_quotes(file_) << " ends inside its header, in " << what << " at byte " << offset_
               << " of " << input_.size() << ": it is truncated or damaged.";
    }

private:
    Status take_bytes(void* to, uint64_t count, const char* what, Error& error) {
        if (count > left()) return ended(what, error);
        uint8_t* bytes = static_cast<uint8_t*>(to);
        while (count != 0) {
            if (offset_ < buffered_from_ || offset_ >= buffered_from_ + buffered_) {
                const uint64_t fill = std::min<uint64_t>(sizeof buffer_, left());
                if (Status status = input_.read(offset_, buffer_, static_cast<size_t>(fill), error); status != Status::ok)
                    return status;
                buffered_from_ = offset_;
                buffered_ = fill;
            }
            const uint64_t within = offset_ - buffered_from_;
            const uint64_t now = std::min(count, buffered_ - within);
            memcpy(bytes, buffer_ + within, static_cast<size_t>(now));
            bytes += now;
            offset_ += now;
            count -= now;
        }
        return Status::ok;
    }

    Input& input_;
    const std::string& file_;
    uint64_t offset_, end_;
    uint64_t buffered_from_ = 0, buffered_ = 0;
    uint8_t buffer_[16384];
};

Status GgufHeader::read(Input& input, const std::string& file, Error& error) {
    input_ = &input;
    file_ = file;
    values_.clear();
    tensors_.clear();
    const auto refuse = [&]() -> Error& { return error.fail(Status::bad_file) << "The GGUF file " << in_quotes(file) << ' '; };
    Cursor cursor(input, file_, 0, std::min(input.size(), most_header_bytes));
    char magic[4] = {};
    uint32_t version = 0;
    uint64_t tensor_count = 0, key_count = 0;
    Status status = cursor.take(magic, "the magic number", error);
    if (status == Status::ok && memcmp(magic, "GGUF", 4) != 0) return refuse() << "does not begin with \"GGUF\".";
    if (status == Status::ok) status = cursor.take(version, "the version", error);
    if (status != Status::ok) return status;
    if (version != 0 && (version & 0xffffu) == 0) {
        return error.fail(Status::unsupported)
               << "The GGUF file " << in_quotes(file) << " is big-endian; Linnet reads little-endian files.";
    }
    if (version != 2 && version != 3) {
        return error.fail(Status::unsupported)
               << "The GGUF file " << in_quotes(file) << " has version " << version << "; Linnet reads versions 2 and 3.";
    }
    status = cursor.take(tensor_count, "the number of tensors", error);
    if (status == Status::ok) status = cursor.take(key_count, "the number of keys", error);
    if (status != Status::ok) return status;
    // The smallest tensor takes 32 bytes of the table, the smallest key 13.
    if (tensor_count > most_tensors || tensor_count > cursor.left() / 32) {
        return refuse() << "says that it has " << tensor_count << " tensors, more than its length or Linnet's limit ("
                        << most_tensors << ") allows.";
    }
    if (key_count > most_keys || key_count > cursor.left() / 13) {
        return refuse() << "says that it has " << key_count << " keys, more than its length or Linnet's limit (" << most_keys
                        << ") allows.";
    }
    for (uint64_t i = 0; i < key_count; ++i) {
        std::string key;
        uint32_t type = 0;
        status = cursor.string(key, most_key_bytes, "a key's name", error);
        if (status == Status::ok) status = cursor.take(type, "a key's type", error);
        if (status != Status::ok) return status;
        if (values_.count(key) != 0) return refuse() << "has the key " << in_quotes(key) << " twice.";
        GgufValue value;
        status = read_value(cursor, key, static_cast<GgufType>(type), value, 0, error);
        if (status != Status::ok) return status;
        values_.emplace(std::move(key), value);
    }
    tensors_.reserve(static_cast<size_t>(tensor_count));
    for (uint64_t i = 0; i < tensor_count; ++i) {
        if (status = read_tensor(cursor, error); status != Status::ok) return status;
    }
    return place_tensors(cursor.offset(), error);
}

Status GgufHeader::read_value(Cursor& cursor, const std::string& key, GgufType type, GgufValue& value, uint32_t depth,
                              Error& error) {
    value.type = type;
    if (type == GgufType::string) {
        if (Status status = cursor.take(value.count, "the length of a string", error); status != Status::ok) return status;
        value.offset = cursor.offset();
        return cursor.skip(value.count, "a string", error);
    }
    if (type == GgufType::array) {
        uint32_t element = 0;
        Status status = cursor.take(element, "the type of an array", error);
        if (status == Status::ok) status = cursor.take(value.count, "the length of an array", error);
        if (status != Status::ok) return status;
        value.element = static_cast<GgufType>(element);
        value.offset = cursor.offset();
        return skip_array(cursor, key, value, depth, error);
    }
    uint8_t raw[8] = {};
    switch (number_bytes(type)) {
        case 1: {
            uint8_t byte = 0;
            if (Status status = cursor.take(byte, "a value", error); status != Status::ok) return status;
            raw[0] = byte;
            break;
        }
        case 2: {
            uint16_t word = 0;
            if (Status status = cursor.take(word, "a value", error); status != Status::ok) return status;
            store(raw, word);
            break;
        }
        case 4: {
            uint32_t word = 0;
            if (Status status = cursor.take(word, "a value", error); status != Status::ok) return status;
            store(raw, word);
            break;
        }
        case 8:
            if (Status status = cursor.take(raw, "a value", error); status != Status::ok) return status;
            break;
        default:
            return error.fail(Status::bad_file)
                   << "The key " << in_quotes(key) << " of the GGUF file has type " << static_cast<uint32_t>(type)
                   << ", which does not exist: the file is damaged.";
    }
    value.unsigned_number = load<uint64_t>(raw);
    switch (type) {
        case GgufType::i8: value.signed_number = raw[0] < 128 ? raw[0] : raw[0] - 256; break;
        case GgufType::i16: value.signed_number = load<int16_t>(raw); break;
        case GgufType::i32: value.signed_number = load<int32_t>(raw); break;
        case GgufType::i64: value.signed_number = load<int64_t>(raw); break;
        case GgufType::f32: value.number = static_cast<double>(load<float>(raw)); break;
        case GgufType::f64: value.number = load<double>(raw); break;
        case GgufType::boolean:
            if (raw[0] > 1) {
                return error.fail(Status::bad_file) << "The key " << in_quotes(key) << " of the GGUF file is a bool of value "
                                                    << raw[0] + 0u << "; it must be 0 or 1.";
            }
            break;
        default: break;
    }
    return Status::ok;
}

Status GgufHeader::skip_array(Cursor& cursor, const std::string& key, GgufValue& value, uint32_t depth, Error& error) {
    const uint32_t bytes = number_bytes(value.element);
    if (bytes != 0) {
        if (value.count > cursor.left() / bytes) return cursor.ended("an array", error);
        return cursor.skip(value.count * bytes, "an array", error);
    }
    if (value.element != GgufType::string && value.element != GgufType::array) {
        return error.fail(Status::bad_file)
               << "The key " << in_quotes(key) << " of the GGUF file is an array of type "
               << static_cast<uint32_t>(value.element) << ", which does not exist: the file is damaged.";
    }
    if (depth == most_array_depth) {
        return error.fail(Status::bad_file) << "The key " << in_quotes(key) << " of the GGUF file nests arrays too deeply.";
    }
    if (value.count > cursor.left() / 8) return cursor.ended("an array", error);
    for (uint64_t i = 0; i < value.count; ++i) {
        GgufValue inner;
        if (Status status = read_value(cursor, key, value.element, inner, depth + 1, error); status != Status::ok)
            return status;
    }
    return Status::ok;
}

Status GgufHeader::read_tensor(Cursor& cursor, Error& error) {
    SourceMatrix matrix;
    uint32_t dimensions = 0, type = 0;
    Status status = cursor.string(matrix.name, most_tensor_name_bytes, "a tensor's name", error);
    if (status == Status::ok) status = cursor.take(dimensions, "a tensor's number of dimensions", error);
    if (status != Status::ok) return status;
    const auto refuse = [&]() -> Error& {
        return error.fail(Status::bad_file) << "The tensor " << in_quotes(matrix.name) << " of the GGUF file ";
    };
    if (dimensions < 1 || dimensions > 4) return refuse() << "has " << dimensions << " dimensions; it must have 1 to 4.";
    uint64_t sizes[4] = {1, 1, 1, 1};
    for (uint32_t i = 0; i < dimensions; ++i) {
        if (status = cursor.take(sizes[i], "a tensor's dimensions", error); status != Status::ok) return status;
    }
    status = cursor.take(type, "a tensor's type", error);
    if (status == Status::ok) status = cursor.take(matrix.offset, "a tensor's offset", error);
    if (status != Status::ok) return status;
    uint64_t rows = 1;
    bool fits = sizes[0] >= 1 && sizes[0] <= UINT32_MAX;
    for (uint32_t i = 1; i < 4; ++i) {
        fits = fits && sizes[i] >= 1 && sizes[i] <= UINT32_MAX / rows;
        if (fits) rows *= sizes[i];
    }
    if (!fits) {
        return refuse() << "has the dimensions " << sizes[0] << " x " << sizes[1] << " x " << sizes[2] << " x " << sizes[3]
                        << "; none may be 0, and neither rows nor columns more than 4294967295.";
    }
    matrix.input = input_;
    matrix.rows = static_cast<uint32_t>(rows);
    matrix.columns = static_cast<uint32_t>(sizes[0]);
    matrix.type = static_cast<SourceType>(type);
    const uint32_t block = source_block_values(matrix.type);
    if (block == 0) {
        const char* name = other_ggml_type(type);
        Error& sentence = error.fail(Status::unsupported)
                          << "The tensor " << in_quotes(matrix.name) << " of the GGUF file has type ";
        if (name != nullptr) {
            sentence << name;
        } else {
            sentence << type;
        }
        return sentence
               << ". Linnet reads F32, F16, BF16, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q2_K, Q3_K, Q4_K, Q5_K, Q6_K, IQ4_NL and "
                  "IQ2_XXS.";
    }
    if (matrix.columns % block != 0) {
        return refuse() << "has rows of " << matrix.columns << " values, which is not a multiple of " << block
                        << ", the block of its type " << source_type_name(matrix.type) << '.';
    }
    tensors_.push_back(std::move(matrix));
    return Status::ok;
}

// Offsets are relative to the data, which begins at the next multiple of the alignment: makes them the file's, checked.
Status GgufHeader::place_tensors(uint64_t header_end, Error& error) {
    uint64_t alignment = 32;
    if (Status status = integer("general.alignment", 1, most_alignment, alignment, error); status != Status::ok) return status;
    if ((alignment & (alignment - 1)) != 0) {
        return error.fail(Status::bad_file)
               << "The key \"general.alignment\" of the GGUF file is " << alignment << "; it must be a power of two.";
    }
    const uint64_t file_bytes = input_->size();
    const uint64_t data = align_up(header_end, alignment);
    std::vector<const SourceMatrix*> order;
    for (SourceMatrix& matrix : tensors_) {
        const auto refuse = [&]() -> Error& {
            return error.fail(Status::bad_file)
                   << "The tensor " << in_quotes(matrix.name) << " of the GGUF file " << in_quotes(file_) << ' ';
        };
        if (matrix.offset % alignment != 0) {
            return refuse() << "begins at offset " << matrix.offset << ", which is not a multiple of the alignment, "
                            << alignment << '.';
        }
        // Below 2^32 rows of at most 2^32 blocks' values in 4 bytes: no overflow short of 2^66, so divide instead.
        const uint64_t room = data <= file_bytes && matrix.offset <= file_bytes - data ? file_bytes - data - matrix.offset : 0;
        if (room / matrix.row_bytes() < matrix.rows) {
            return refuse() << "needs " << matrix.rows << " rows of " << matrix.row_bytes() << " bytes at offset "
                            << matrix.offset << " of the data, past the file's end (" << file_bytes
                            << " bytes): it is truncated or damaged.";
        }
        matrix.offset += data;
        order.push_back(&matrix);
    }
    std::sort(order.begin(), order.end(), [](const SourceMatrix* a, const SourceMatrix* b) { return a->offset < b->offset; });
    for (size_t i = 1; i < order.size(); ++i) {
        if (order[i - 1]->offset + order[i - 1]->rows * order[i - 1]->row_bytes() > order[i]->offset) {
            return error.fail(Status::bad_file)
                   << "The tensors " << in_quotes(order[i - 1]->name) << " and " << in_quotes(order[i]->name)
                   << " of the GGUF file overlap: the file is damaged.";
        }
    }
    return Status::ok;
}

// ---- values by key -----------------------------------------------------------------------------------------------

Status GgufHeader::require(const std::string& key, Error& error) const {
    if (has(key)) return Status::ok;
    return error.fail(Status::bad_file) << "The key " << in_quotes(key) << " is missing in the GGUF file " << in_quotes(file_)
                                        << '.';
}

Status GgufHeader::wrong_type(const std::string& key, const GgufValue& value, const char* expected, Error& error) const {
    return error.fail(Status::bad_file) << "The key " << in_quotes(key) << " of the GGUF file has type "
                                        << gguf_type_name(value.type) << "; it must be " << expected << '.';
}

namespace {

// A non-negative integer of any width.
std::optional<uint64_t> as_integer(const GgufValue& value) {
    switch (value.type) {
        case GgufType::u8:
        case GgufType::u16:
        case GgufType::u32:
        case GgufType::u64: return value.unsigned_number;
        case GgufType::i8:
        case GgufType::i16:
        case GgufType::i32:
        case GgufType::i64:
            if (value.signed_number >= 0) return static_cast<uint64_t>(value.signed_number);
            return std::nullopt;
        default: return std::nullopt;
    }
}

}  // namespace

Status GgufHeader::integer(const std::string& key, uint64_t low, uint64_t high, uint64_t& to, Error& error) const {
    const auto place = values_.find(key);
    if (place == values_.end()) return Status::ok;
    const std::optional<uint64_t> found = as_integer(place->second);
    if (!found) return wrong_type(key, place->second, "a non-negative integer", error);
    if (*found < low || *found > high) {
        return error.fail(Status::bad_file) << "The key " << in_quotes(key) << " of the GGUF file is " << *found
                                            << "; it must be from " << low << " to " << high << '.';
    }
    to = *found;
    return Status::ok;
}

Status GgufHeader::token(const std::string& key, int32_t& to, Error& error) const {
    const auto place = values_.find(key);
    if (place == values_.end()) return Status::ok;
    const GgufValue& value = place->second;
    if (value.type == GgufType::i32 && value.signed_number == -1) {
        to = -1;
        return Status::ok;
    }
    const std::optional<uint64_t> found = as_integer(value);
    if (!found) return wrong_type(key, value, "a token's number", error);
    to = *found <= INT32_MAX ? static_cast<int32_t>(*found) : -1;  // 4294967295 means none
    return Status::ok;
}

Status GgufHeader::number(const std::string& key, double low, double high, double& to, Error& error) const {
    const auto place = values_.find(key);
    if (place == values_.end()) return Status::ok;
    if (place->second.type != GgufType::f32 && place->second.type != GgufType::f64) {
        return wrong_type(key, place->second, "a float", error);
    }
    // Written so that a NaN is refused.
    if (!(place->second.number >= low && place->second.number <= high)) {
        return error.fail(Status::bad_file) << "The key " << in_quotes(key) << " of the GGUF file is out of range.";
    }
    to = place->second.number;
    return Status::ok;
}

Status GgufHeader::boolean(const std::string& key, bool& to, Error& error) const {
    const auto place = values_.find(key);
    if (place == values_.end()) return Status::ok;
    if (place->second.type != GgufType::boolean) return wrong_type(key, place->second, "a bool", error);
    to = place->second.unsigned_number != 0;
    return Status::ok;
}

Status GgufHeader::string(const std::string& key, uint64_t most_bytes, std::string& to, Error& error) const {
    const auto place = values_.find(key);
    if (place == values_.end()) return Status::ok;
    const GgufValue& value = place->second;
    if (value.type != GgufType::string) return wrong_type(key, value, "a string", error);
    if (value.count > most_bytes) {
        return error.fail(Status::bad_file) << "The key " << in_quotes(key) << " of the GGUF file is a string of "
                                            << value.count << " bytes; at most " << most_bytes << " are allowed.";
    }
    to.resize(static_cast<size_t>(value.count));
    return to.empty() ? Status::ok : input_->read(value.offset, to.data(), to.size(), error);
}

Status GgufHeader::check_array(const std::string& key, const GgufValue& value, bool type_fits, const char* expected,
                               uint64_t most, Error& error) const {
    if (value.type != GgufType::array || !type_fits) return wrong_type(key, value, expected, error);
    if (value.count <= most) return Status::ok;
    return error.fail(Status::bad_file) << "The key " << in_quotes(key) << " of the GGUF file has " << value.count
                                        << " elements; at most " << most << " are allowed.";
}

Status GgufHeader::strings(const std::string& key, uint64_t most, std::vector<std::string>& to, Error& error) const {
    const auto place = values_.find(key);
    if (place == values_.end()) return Status::ok;
    const GgufValue& value = place->second;
    const bool type_fits = value.element == GgufType::string;
    if (Status status = check_array(key, value, type_fits, "an array of strings", most, error); status != Status::ok)
        return status;
    Cursor cursor(*input_, file_, value.offset, input_->size());
    to.resize(static_cast<size_t>(value.count));
    for (std::string& text : to) {
        if (Status status = cursor.string(text, 65535, "an array's string", error); status != Status::ok) return status;
    }
    return Status::ok;
}

Status GgufHeader::floats(const std::string& key, uint64_t most, std::vector<float>& to, Error& error) const {
    const auto place = values_.find(key);
    if (place == values_.end()) return Status::ok;
    const GgufValue& value = place->second;
    const bool type_fits = value.element == GgufType::f32;
    if (Status status = check_array(key, value, type_fits, "an array of f32", most, error); status != Status::ok) return status;
    to.resize(static_cast<size_t>(value.count));
    return to.empty() ? Status::ok : input_->read(value.offset, to.data(), to.size() * 4, error);
}

Status GgufHeader::integers(const std::string& key, uint64_t most, std::vector<int32_t>& to, Error& error) const {
    const auto place = values_.find(key);
    if (place == values_.end()) return Status::ok;
    const GgufValue& value = place->second;
    const bool type_fits = value.element == GgufType::i32 || value.element == GgufType::u32;
    if (Status status = check_array(key, value, type_fits, "an array of i32", most, error); status != Status::ok) return status;
    to.resize(static_cast<size_t>(value.count));
    return to.empty() ? Status::ok : input_->read(value.offset, to.data(), to.size() * 4, error);
}

}  // namespace linnet
