// Sizes, counts and times as a person writes and reads them. Parsed and printed here and nowhere else.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace linnet {

// "2GB", "1.5GiB", "500MB", "4096": bytes. `option` is named in the refusal.
uint64_t parse_size(const std::string& text, const std::string& option);

std::string format_bytes(uint64_t bytes);                    // "2.14 GB", "38.0 MB", "512 bytes"
std::string format_number(uint64_t number);                  // "32,064"
std::string format_parameters(uint64_t count);               // "1.10 billion"
std::string format_seconds(double seconds);                  // "0.8 s", "42 s", "3:07 min", "1:02:45 h"
std::string format_fixed(double value, int digits);          // "12.3"
std::string format_hex(const uint8_t* bytes, size_t count);  // "0f3c"

// "1,2,3", or with spaces or lines between; "@FILE" reads them from a file. Refused: anything else, and an empty list.
std::vector<int32_t> parse_token_list(const std::string& text, const std::string& option);

}  // namespace linnet
