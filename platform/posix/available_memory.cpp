#include "platform/posix/available_memory.h"

#include <cstdio>
#include <cstring>
#include <string>

namespace linnet {

namespace {

// A file that holds one number; false where there is none, or the word "max".
bool read_number(const std::string& path, uint64_t& number) {
    FILE* file = fopen(path.c_str(), "re");
    if (file == nullptr) return false;
    unsigned long long value = 0;
    const bool found = fscanf(file, "%llu", &value) == 1;
    fclose(file);
    number = value;
    return found;
}

// The number after `key` in a file of lines like "key 123" or "key: 123 kB".
bool read_entry(const std::string& path, const char* key, uint64_t& number) {
    FILE* file = fopen(path.c_str(), "re");
    if (file == nullptr) return false;
    char line[512];
    bool found = false;
    const size_t length = strlen(key);
    while (!found && fgets(line, sizeof line, file) != nullptr) {
        unsigned long long value = 0;
        if (strncmp(line, key, length) != 0 || sscanf(line + length, "%llu", &value) != 1) continue;
        number = value;
        found = true;
    }
    fclose(file);
    return found;
}

// What one control group leaves: its limit, less what is in use and cannot be given back.
uint64_t left_in(const std::string& folder, const char* limit_name, const char* usage_name, const char* cache_key) {
    uint64_t limit = 0;
    uint64_t usage = 0;
    uint64_t cache = 0;
    if (!read_number(folder + limit_name, limit) || !read_number(folder + usage_name, usage)) return UINT64_MAX;
    if (read_entry(folder + "/memory.stat", cache_key, cache)) usage -= cache < usage ? cache : usage;
    return limit > usage ? limit - usage : 0;
}

// This process's path in the hierarchy whose line in /proc/self/cgroup has `controllers` between its colons, without a slash at the
// end; empty: the root, or none.
std::string group_path(const char* controllers) {
    std::string path;
    FILE* file = fopen("/proc/self/cgroup", "re");
    if (file == nullptr) return path;
    char line[4096];
    while (fgets(line, sizeof line, file) != nullptr) {
        const char* first = strchr(line, ':');
        const char* second = first != nullptr ? strchr(first + 1, ':') : nullptr;
        if (second == nullptr || std::string(first + 1, second) != controllers) continue;
        path = second + 1;
        while (!path.empty() && (path.back() == '\n' || path.back() == '/')) path.pop_back();
    }
    fclose(file);
    return path;
}

}  // namespace

uint64_t available_memory() {
    uint64_t least = UINT64_MAX;
    uint64_t kilobytes = 0;
    if (read_entry("/proc/meminfo", "MemAvailable:", kilobytes)) least = kilobytes * 1024;
    const auto consider = [&](uint64_t bytes) { least = bytes < least ? bytes : least; };
    // Every group above this one limits it too; the root is where a container that sees itself as the root has its limit.
    const auto climb = [&](std::string path, const char* root, const char* limit, const char* usage, const char* cache) {
        for (;;) {
            consider(left_in(root + path, limit, usage, cache));
            if (path.empty()) break;
            path.erase(path.find_last_of('/'));
        }
    };
    climb(group_path(""), "/sys/fs/cgroup", "/memory.max", "/memory.current", "file ");
    climb(group_path("memory"), "/sys/fs/cgroup/memory", "/memory.limit_in_bytes", "/memory.usage_in_bytes", "total_cache ");
    return least;
}

}  // namespace linnet
