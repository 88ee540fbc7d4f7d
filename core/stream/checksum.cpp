#include "core/stream/checksum.h"

#include "core/base/crc32c.h"

namespace linnet {

namespace {

// Parts of some bytes that the platform's threads take the checksums of.
struct Parts {
    static constexpr uint64_t bytes = uint64_t{64} << 10;  // some microseconds: worth handing over
    static constexpr uint32_t most = 32;

    const uint8_t* from;
    uint64_t count;
    uint32_t crc[most];

    uint64_t size(uint32_t index) const { return count - index * bytes < bytes ? count - index * bytes : bytes; }
};

}  // namespace

uint32_t checksum(const linnet_platform& platform, const uint8_t* bytes, uint64_t count) {
    if (platform.parallel == nullptr || platform.threads <= 1 || count < 2 * Parts::bytes ||
        count > Parts::most * Parts::bytes) {
        return crc32c(0, bytes, static_cast<size_t>(count));
    }
    Parts parts;
    parts.from = bytes;
    parts.count = count;
    const auto number = static_cast<uint32_t>((count + Parts::bytes - 1) / Parts::bytes);
    const auto take = [](void* context, uint32_t index) {
        Parts& all = *static_cast<Parts*>(context);
        all.crc[index] = crc32c(0, all.from + index * Parts::bytes, static_cast<size_t>(all.size(index)));
    };
    platform.parallel(platform.context, take, &parts, number);
    const uint32_t behind = crc32c_behind(Parts::bytes);
    uint32_t crc = parts.crc[0];
    for (uint32_t i = 1; i + 1 < number; ++i) crc = crc32c_join(crc, parts.crc[i], behind);
    return crc32c_join(crc, parts.crc[number - 1], crc32c_behind(parts.size(number - 1)));
}

}  // namespace linnet
