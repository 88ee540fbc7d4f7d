#include "tools/linnet/sizes.h"

#include <sodium.h>

#include <cctype>
#include <charconv>
#include <cmath>
#include <cstdio>

#include "tools/linnet/command.h"
#include "tools/linnet/files.h"

namespace linnet {

uint64_t parse_size(const std::string& text, const std::string& option) {
    const auto refuse = [&]() -> uint64_t {
        throw Failure(exit_usage,
                      option + ": \"" + text + "\" is not a size. Write it like 2GB, 1.5GiB, 500MB or 4096 (bytes).");
    };
    double value = 0;
    const char* end = text.data() + text.size();
    const auto [rest, problem] = std::from_chars(text.data(), end, value, std::chars_format::fixed);
    if (problem != std::errc() || !(value >= 0) || text[0] == '-') return refuse();
    std::string unit;
    for (const char* at = rest; at != end; ++at) {
        if (*at != ' ' || !unit.empty()) unit += static_cast<char>(std::tolower(static_cast<unsigned char>(*at)));
    }
    static constexpr struct {
        const char* name;
        double factor;
    } units[] = {
        {"", 1},     {"b", 1},     {"bytes", 1},
        {"k", 1e3},  {"kb", 1e3},  {"kib", 1024.0},
        {"m", 1e6},  {"mb", 1e6},  {"mib", 1024.0 * 1024},
        {"g", 1e9},  {"gb", 1e9},  {"gib", 1024.0 * 1024 * 1024},
        {"t", 1e12}, {"tb", 1e12}, {"tib", 1024.0 * 1024 * 1024 * 1024},
    };
    for (const auto& known : units) {
        if (unit != known.name) continue;
        const double bytes = value * known.factor;
        if (!(bytes >= 1) || bytes > 1e18) return refuse();
        return static_cast<uint64_t>(bytes);
    }
    return refuse();
}

std::string format_fixed(double value, int digits) {
    char text[64];
    snprintf(text, sizeof text, "%.*f", digits, value);
    return text;
}

std::string format_hex(const uint8_t* bytes, size_t count) {
    std::string text(2 * count + 1, 0);
    sodium_bin2hex(text.data(), text.size(), bytes, count);
    text.pop_back();
    return text;
}

namespace {

// Three significant digits, as "2.14", "21.4", "214".
std::string three_digits(double value) { return format_fixed(value, value < 9.995 ? 2 : value < 99.95 ? 1 : 0); }

}  // namespace

std::string format_bytes(uint64_t bytes) {
    if (bytes < 1000) return std::to_string(bytes) + (bytes == 1 ? " byte" : " bytes");
    const double value = static_cast<double>(bytes);
    if (value < 999.5e3) return three_digits(value / 1e3) + " kB";
    if (value < 999.5e6) return three_digits(value / 1e6) + " MB";
    if (value < 999.5e9) return three_digits(value / 1e9) + " GB";
    return three_digits(value / 1e12) + " TB";
}

std::string format_number(uint64_t number) {
    const std::string digits = std::to_string(number);
    std::string text;
    for (size_t i = 0; i < digits.size(); ++i) {
        if (i != 0 && (digits.size() - i) % 3 == 0) text += ',';
        text += digits[i];
    }
    return text;
}

std::string format_parameters(uint64_t count) {
    const double value = static_cast<double>(count);
    if (value < 999.5e3) return format_number(count);
    if (value < 999.5e6) return three_digits(value / 1e6) + " million";
    return three_digits(value / 1e9) + " billion";
}

std::string format_seconds(double seconds) {
    if (!(seconds >= 0)) seconds = 0;
    if (seconds < 9.95) return format_fixed(seconds, 1) + " s";
    const auto whole = static_cast<uint64_t>(std::min(seconds + 0.5, 1e9));
    if (whole < 60) return std::to_string(whole) + " s";
    char text[64];
    if (whole < 3600) {
        snprintf(text, sizeof text, "%d:%02d min", static_cast<int>(whole / 60), static_cast<int>(whole % 60));
    } else {
        snprintf(text, sizeof text, "%llu:%02d:%02d h", static_cast<unsigned long long>(whole / 3600),
                 static_cast<int>(whole / 60 % 60), static_cast<int>(whole % 60));
    }
    return text;
}

std::vector<int32_t> parse_token_list(const std::string& text, const std::string& option) {
    const std::string list = !text.empty() && text[0] == '@' ? read_whole_file(text.substr(1)) : text;
    std::vector<int32_t> tokens;
    const char* at = list.data();
    const char* end = at + list.size();
    bool number_expected = true;
    while (at != end) {
        if (*at == ',' && !number_expected) {
            number_expected = true;
            ++at;
        } else if (std::isspace(static_cast<unsigned char>(*at))) {
            ++at;
        } else {
            int32_t token = 0;
            const auto [rest, problem] = std::from_chars(at, end, token);
            if (problem != std::errc() || token < 0 ||
                (rest != end && *rest != ',' && !std::isspace(static_cast<unsigned char>(*rest)))) {
                throw Failure(exit_usage, option + ": \"" + std::string(at, std::min<size_t>(end - at, 24)) +
                                              "\" is not a token id. Write them like 1,2,3 or name a file: @FILE.");
            }
            tokens.push_back(token);
            number_expected = false;
            at = rest;
        }
    }
    if (tokens.empty()) throw Failure(exit_usage, option + ": there are no token ids.");
    return tokens;
}

}  // namespace linnet
