// The picture of a report. Bars are medians, the thin lines on them reach from the least to the most; ceilings are lines across
// each bar's place, and an arrow with a number where they are above the picture.
#include <algorithm>
#include <string_view>

#include "tools/bench/report.h"

namespace linnet {

namespace {

constexpr int width = 480;
constexpr int left = 78;
constexpr int right = 462;
constexpr int panel_height = 176;

// With so many digits behind the point. Own code: the same characters from every C library, and without printf in the module.
std::string fixed(double value, int digits) {
    if (!(value > 0)) value = 0;
    if (value > 1e15) value = 1e15;
    uint64_t scale = 1;
    for (int i = 0; i < digits; ++i) scale *= 10;
    const auto whole = static_cast<uint64_t>(value * static_cast<double>(scale) + 0.5);
    std::string text = std::to_string(whole / scale);
    // Thousands apart from 10,000 on.
    if (text.size() > 4) {
        for (size_t at = text.size() - 3; at > 0; at = at > 3 ? at - 3 : 0) text.insert(at, ",");
    }
    if (digits > 0) {
        const std::string rest = std::to_string(whole % scale);
        text += "." + std::string(static_cast<size_t>(digits) - rest.size(), '0') + rest;
    }
    return text;
}

std::string figure(double value) { return fixed(value, value < 9.995 ? 2 : value < 99.95 ? 1 : 0); }

// Text in an element or in an attribute: markup's own characters named, and what XML 1.0 forbids or what is no UTF-8 replaced.
std::string escaped(std::string_view text) {
    std::string out;
    for (size_t i = 0; i < text.size();) {
        const auto byte = static_cast<unsigned char>(text[i]);
        const size_t length = byte < 0x80                   ? 1
                              : byte >= 0xc2 && byte < 0xe0 ? 2
                              : byte >= 0xe0 && byte < 0xf0 ? 3
                              : byte >= 0xf0 && byte < 0xf5 ? 4
                                                            : 0;
        bool good = length != 0 && i + length <= text.size();
        uint32_t point = length == 1 ? byte : byte & (0xffu >> (length + 1));
        for (size_t k = 1; good && k < length; ++k) {
            const auto next = static_cast<unsigned char>(text[i + k]);
            good = (next & 0xc0) == 0x80;
            point = point << 6 | (next & 0x3fu);
        }
        constexpr uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
        good = good && point >= least[length] && point <= 0x10ffff && (point < 0xd800 || point > 0xdfff) &&
               (point >= 0x20 || point == '\t' || point == '\n') && point != 0xfffe && point != 0xffff && point != 0x7f;
        if (!good) {
            out += "\xef\xbf\xbd";
            ++i;
            continue;
        }
        switch (point) {
            case '<': out += "&lt;"; break;
            case '>': out += "&gt;"; break;
            case '&': out += "&amp;"; break;
            case '"': out += "&quot;"; break;
            default: out += text.substr(i, length);
        }
        i += length;
    }
    return out;
}

// 1, 2 or 5 times a power of ten, so that three to seven of them reach `most`.
double step_for(double most) {
    double step = 1;
    while (step * 7 > most && step > 1e-6) step /= 10;
    for (;;) {
        for (const double times : {1.0, 2.0, 5.0}) {
            if (step * times * 7 >= most) return step * times;
        }
        step *= 10;
    }
}

std::string number(double at) { return fixed(at, 1); }

std::string line(double x1, double y1, double x2, double y2, const char* more) {
    return "<line x1=\"" + number(x1) + "\" y1=\"" + number(y1) + "\" x2=\"" + number(x2) + "\" y2=\"" + number(y2) + "\" " +
           more + "/>\n";
}

std::string label(double x, double y, const char* more, const std::string& text) {
    return "<text x=\"" + number(x) + "\" y=\"" + number(y) + "\" " + more + ">" + escaped(text) + "</text>\n";
}

// How a ceiling is drawn. Told apart by the dashes too, and not only by colour.
struct Ceiling {
    const char* line;
    const char* text;
    double (*of)(const BenchRow& row);
};
constexpr Ceiling ceilings[] = {
    {"class=\"memory\" stroke=\"#0b6e99\" stroke-width=\"2.5\"", "class=\"memory-text\" fill=\"#0b6e99\"",
     [](const BenchRow& row) { return row.memory_bound; }},
    {"class=\"dots\" stroke=\"#a84300\" stroke-width=\"2.5\" stroke-dasharray=\"6 3\"", "class=\"dots-text\" fill=\"#a84300\"",
     [](const BenchRow& row) { return row.dot_bound; }},
    {"class=\"storage\" stroke=\"#6b3fa0\" stroke-width=\"2.5\" stroke-dasharray=\"2 3\"",
     "class=\"storage-text\" fill=\"#6b3fa0\"", [](const BenchRow& row) { return row.storage_bound; }},
};

std::string panel(const std::vector<BenchRow>& rows, int top, const std::string& title, const std::string& below, bool prompt) {
    double most = 0;
    for (const BenchRow& row : rows) {
        most = std::max({most, row.most, row.bound_tokens_per_second});
        // The other ceiling too where it does not make everything else small.
        for (const Ceiling& ceiling : ceilings) {
            if (ceiling.of(row) < 1.6 * std::max(row.most, row.bound_tokens_per_second)) most = std::max(most, ceiling.of(row));
        }
    }
    if (!(most > 0)) most = 1;
    const double step = step_for(most);
    const double full = most * 1.16;  // room for a bar's number
    const double bottom = top + panel_height;
    const auto y_of = [&](double rate) { return bottom - rate / full * panel_height; };
    std::string out = label(left, top - 14, "class=\"ink\" fill=\"#1c1917\" font-size=\"14\" font-weight=\"600\"", title);
    for (double rate = 0; rate <= full; rate += step) {
        out += line(left, y_of(rate), right, y_of(rate), "class=\"grid\" stroke=\"#d6d3d1\" stroke-width=\"1\"");
        out += label(left - 6, y_of(rate) + 4, "class=\"quiet\" fill=\"#57534e\" text-anchor=\"end\"",
                     fixed(rate, step < 0.1 ? 2
                                 : step < 1 ? 1
                                            : 0));
    }
    out += "<text transform=\"translate(13 " + number(top + panel_height / 2.0) +
           ") rotate(-90)\" class=\"quiet\" fill=\"#57534e\" text-anchor=\"middle\">tokens a second</text>\n";
    const double place = static_cast<double>(right - left) / static_cast<double>(rows.size());
    const double bar = std::min(place * 0.5, 64.0);
    const size_t every = (rows.size() + 7) / 8;  // of many bars not all have room for numbers
    for (size_t i = 0; i < rows.size(); ++i) {
        const BenchRow& row = rows[i];
        const double middle = left + place * (static_cast<double>(i) + 0.5);
        out += "<rect class=\"bar\" fill=\"#8ab17d\" x=\"" + number(middle - bar / 2) + "\" y=\"" + number(y_of(row.median)) +
               "\" width=\"" + number(bar) + "\" height=\"" + number(bottom - y_of(row.median)) + "\"/>\n";
        constexpr const char* whisker = "class=\"whisker\" stroke=\"#1c1917\" stroke-width=\"1.5\"";
        out += line(middle, y_of(row.least), middle, y_of(row.most), whisker);
        out += line(middle - 5, y_of(row.least), middle + 5, y_of(row.least), whisker);
        out += line(middle - 5, y_of(row.most), middle + 5, y_of(row.most), whisker);
        double arrow = top + 2;
        for (const Ceiling& ceiling : ceilings) {
            const double rate = ceiling.of(row);
            if (!(rate > 0)) continue;
            if (rate <= full) {
                out += line(middle - place * 0.42, y_of(rate), middle + place * 0.42, y_of(rate), ceiling.line);
            } else {
                // U+2191, an arrow up.
                const std::string style = std::string(ceiling.text) + " font-size=\"10.5\" text-anchor=\"end\"";
                if (i % every == 0) out += label(middle + place * 0.48, arrow, style.c_str(), "\xe2\x86\x91" + figure(rate));
                arrow += 12;
            }
        }
        if (i % every != 0) continue;
        // Inside the bar's foot, where no line crosses it, if the bar is high enough; above the bar's foot else.
        const bool inside = bottom - y_of(row.median) > 34;
        const char* ink = inside ? "class=\"on-bar\" fill=\"#14210f\"" : "class=\"ink\" fill=\"#1c1917\"";
        const std::string middle_text = std::string(ink) + " text-anchor=\"middle\"";
        const double foot = inside ? bottom - 20 : std::max(y_of(row.most) - 18, static_cast<double>(top) + 8);
        out += label(middle, foot, (middle_text + " font-weight=\"600\"").c_str(), figure(row.median));
        out += label(middle, foot + 14, (middle_text + " font-size=\"11\"").c_str(), fixed(row.share * 100, 0) + "%");
        out += label(middle, bottom + 16, "class=\"ink\" fill=\"#1c1917\" text-anchor=\"middle\"",
                     fixed(prompt ? row.tokens : row.after, 0));
    }
    out += line(left, bottom, right, bottom, "class=\"axis\" stroke=\"#57534e\" stroke-width=\"1\"");
    out += label((left + right) / 2.0, bottom + 33, "class=\"quiet\" fill=\"#57534e\" text-anchor=\"middle\"", below);
    return out;
}

std::string sentence(const BenchRow& row, bool prompt) {
    return (prompt ? "prefill of " + fixed(row.tokens, 0) + " tokens: " : "decode after " + fixed(row.after, 0) + " tokens: ") +
           figure(row.median) + " tokens a second, " + fixed(row.share * 100, 0) + "% of what " + row.bound +
           (std::string_view(row.bound) == "dots" ? " allow" : " allows") + " (" + figure(row.bound_tokens_per_second) + "). ";
}

}  // namespace

std::string plot_report(const BenchReport& report) {
    std::string description;
    for (const BenchRow& row : report.prefill) description += sentence(row, true);
    for (const BenchRow& row : report.decode) description += sentence(row, false);
    description += "Reading: " + fixed(report.read_ceiling / 1e9, 1) +
                   " GB/s. Dot products from the cache: " + figure(report.dot_ceiling / 1e9) + " GMAC/s with many tokens, " +
                   figure(report.dot_ceiling_one / 1e9) + " with one.";
    const std::string title = "Speed of " + report.model;
    const std::string machine = report.kernels + ", " + std::to_string(report.threads) +
                                (report.threads == 1 ? " thread, " : " threads, ") + "medians of " +
                                std::to_string(report.rounds) + (report.rounds == 1 ? " round" : " rounds");
    int at = 94;
    std::string body;
    if (!report.prefill.empty()) {
        body += panel(report.prefill, at, "Prefill", "tokens of the prompt", true);
        at += panel_height + 82;
    }
    if (!report.decode.empty()) {
        body += panel(report.decode, at, "Decode", "tokens before the answer", false);
        at += panel_height + 82;
    }
    // What the lines are.
    int y = at - 22;
    const auto legend = [&](const char* style, const std::string& text) {
        body += line(left, y - 4, left + 26, y - 4, style);
        body += label(left + 34, y, "class=\"ink\" fill=\"#1c1917\"", text);
        y += 18;
    };
    legend(ceilings[0].line, "memory's limit: " + fixed(report.read_ceiling / 1e9, 1) + " GB/s read here");
    legend(ceilings[1].line, "dot products' limit: " + figure(report.dot_ceiling / 1e9) + " GMAC/s, one token " +
                                 figure(report.dot_ceiling_one / 1e9));
    if (report.storage_rate > 0) legend(ceilings[2].line, "storage's limit: " + figure(report.storage_rate / 1e9) + " GB/s");
    legend("class=\"whisker\" stroke=\"#1c1917\" stroke-width=\"1.5\"", "least to most of the rounds");
    body +=
        label(left, y, "class=\"quiet\" fill=\"#57534e\"", "%: of the lowest limit. \xe2\x86\x91: a limit above the picture");
    y += 18;
    const int height = y + 2;
    const std::string size = std::to_string(width) + "\" height=\"" + std::to_string(height);
    return "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"" + size + "\" viewBox=\"0 0 " + std::to_string(width) + " " +
           std::to_string(height) +
           "\" role=\"img\" aria-labelledby=\"title description\" font-family=\"system-ui, sans-serif\" font-size=\"12\">\n"
           "<title id=\"title\">" +
           escaped(title) + "</title>\n<desc id=\"description\">" + escaped(description) +
           "</desc>\n"
           // Light colours stand in the elements; who prefers dark ones gets these.
           "<style>@media (prefers-color-scheme: dark) { .ground { fill: #1c1917 } .ink { fill: #f5f5f4 } .quiet { fill: "
           "#b8b2ad } "
           ".grid { stroke: #3f3a37 } .axis { stroke: #b8b2ad } .bar { fill: #7fa873 } .on-bar { fill: #0c1509 } "
           ".whisker { stroke: #f5f5f4 } .memory { stroke: #5cc0ea } .memory-text { fill: #5cc0ea } .dots { stroke: #ff9d5c } "
           ".dots-text { fill: #ff9d5c } .storage { stroke: #c4a3ee } .storage-text { fill: #c4a3ee } }</style>\n"
           "<rect class=\"ground\" fill=\"#ffffff\" width=\"" +
           size + "\" rx=\"8\"/>\n" +
           label(left, 28, "class=\"ink\" fill=\"#1c1917\" font-size=\"16\" font-weight=\"600\"", title) +
           label(left, 47, "class=\"quiet\" fill=\"#57534e\"", machine) + body + "</svg>\n";
}

}  // namespace linnet
