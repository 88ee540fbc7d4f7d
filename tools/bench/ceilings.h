// The two things that no decoder here can pass: how fast all the threads together read, and how fast the kernels multiply what
// stands in the processor's caches. Used by `linnet bench` and, in WebAssembly, by the package.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/base/error.h"
#include "core/kernels/kernels.h"
#include "core/linnet.h"
#include "platform/platform.h"

namespace linnet {

// What a model's weights are, as far as speed goes by it.
struct ModelWork {
    uint64_t layer_macs;   // multiplications with weights that each token takes in all the layers
    uint64_t output_macs;  // and in the output matrix, for tokens whose logits are asked for
    TensorFormat format;   // of the largest matrices
    uint32_t group;        // columns of them that share a scale; 0 for f32
    uint32_t columns;      // of the matrices that read the hidden state
    uint32_t context;      // tokens that the model was trained for
    uint32_t window_keys;  // sliding window; 0: none
};

// From the file's header alone.
Status read_work(const linnet_platform& platform, ModelWork& work, Error& error);

// Reads a model's weights from end to end with all threads; where they stream, a buffer.
class ReadCeiling {
public:
    // The weights where they lie, since other memory may read faster: WebAssembly's pages are small and come from where the system
    // has some left, and a buffer that was taken after TinyLlama's weights read 8 % faster with one thread, 5 % with two (medians of
    // four processes of Node). The model stays open meanwhile. False: they stream, or are less than 1 MiB.
    bool use(const linnet_model& model);

    // For a buffer. More than this is larger than any cache.
    static constexpr size_t most_bytes = size_t{256} << 20;
    // As much as a token reads of weights, so that a small model's ceiling is that of the caches that it fits into as well.
    static size_t bytes_for(uint64_t weight_bytes_per_token);

    // `memory` (64-aligned, in huge pages where there are any) stays the caller's; all of it is written.
    void create(void* memory, size_t bytes);
    size_t bytes() const { return bytes_; }
    bool of_weights() const { return of_weights_; }
    // Bytes a second: the best of 2 * `passes`, each from end to end and of some ten milliseconds at least, in the two orders of reading.
    double measure(const linnet_platform& platform, uint32_t passes);

private:
    void read(uint32_t index) const;

    const uint8_t* memory_ = nullptr;
    size_t bytes_ = 0;
    uint32_t pieces_ = 1;
    bool of_weights_ = false;
    bool two_streams_ = false;
};

// Multiplies activations with a few weights, again and again, with all threads.
class DotCeiling {
public:
    // Tokens that prefill multiplies with a weight while it is at hand.
    static constexpr uint32_t many_tokens = 64;
    // That create() wants.
    static size_t bytes_for(const ModelWork& work, uint32_t threads);

    // `memory` (64-aligned) stays the caller's; all of it is written.
    void create(const KernelTable& table, const ModelWork& work, uint32_t threads, void* memory);
    // Multiplications a second with `tokens` tokens (1 or many_tokens): the best of `passes` of some ten milliseconds.
    double measure(const linnet_platform& platform, uint32_t tokens, uint32_t passes);

private:
    void multiply(uint32_t index) const;

    const KernelTable* table_ = nullptr;
    PackedMatrix matrix_{};
    Activations x_{};
    uint8_t* weights_ = nullptr;  // [threads][blocks]
    float* y_ = nullptr;          // [threads][many_tokens][blocks * 16]
    uint32_t threads_ = 1;
    uint32_t blocks_ = 1;
    uint32_t tokens_ = 1;
    uint32_t repeats_ = 1;
    uint32_t calibrated_[2] = {0, 0};  // repeats for one token, for many
};

}  // namespace linnet
