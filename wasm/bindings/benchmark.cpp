#include "wasm/bindings/benchmark.h"

#include <emscripten.h>

#include "core/kernels/kernels.h"

namespace linnet {

std::vector<std::string> kernel_names() {
    const KernelTable* const* tables = nullptr;
    const size_t count = kernel_tables(&tables);
    std::vector<std::string> names;
    for (size_t i = 0; i < count; ++i) names.emplace_back(tables[i]->name);
    return names;
}

double measure_kernels(const std::string& name, unsigned tokens, unsigned megabytes, unsigned rounds) {
    const KernelTable* table = select_kernels(name.c_str());
    if (table == nullptr || tokens == 0 || megabytes == 0) return 0;
    constexpr uint32_t columns = 2048;
    const uint64_t stride = block_stride(TensorFormat::int4_packed, columns, 32);
    const uint32_t blocks = static_cast<uint32_t>((uint64_t{megabytes} << 20) / stride);
    std::vector<uint8_t> memory(blocks * stride + 64, 0x5a);
    std::vector<int8_t> values(size_t{tokens} * columns, 3);
    std::vector<float> scales(size_t{tokens} * columns / 32, 1.0f);
    std::vector<int32_t> sums(size_t{tokens} * columns / 32, 96);
    std::vector<float> y(size_t{tokens} * blocks * 16);
    uint8_t* aligned = memory.data() + (64 - reinterpret_cast<uintptr_t>(memory.data()) % 64) % 64;
    const PackedMatrix matrix = {aligned, TensorFormat::int4_packed, blocks * 16, columns, 32, stride};
    const Activations x = {nullptr, values.data(), scales.data(), sums.data(), 0, columns};
    double best = 0;
    for (unsigned round = 0; round < rounds; ++round) {
        const double start = emscripten_get_now();
        table->matmul(matrix, x, tokens, y.data(), size_t{blocks} * 16, 0, blocks);
        const double microseconds = (emscripten_get_now() - start) * 1000.0;
        if (microseconds <= 0) continue;
        const double rate = double(blocks) * 16 * columns * tokens / microseconds;
        if (rate > best) best = rate;
    }
    return best;
}

}  // namespace linnet
