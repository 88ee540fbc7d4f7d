#include "embedded/common/logits_hash.h"

void logits_hash_begin(logits_hash* hash, uint32_t vocabulary) {
    crypto_hash_sha256_init(&hash->state);
    hash->row_bytes = vocabulary * (uint32_t)sizeof(float);
}

void logits_hash_add(logits_hash* hash, const float* logits) {
    crypto_hash_sha256_update(&hash->state, (const unsigned char*)logits, hash->row_bytes);
}

const char* logits_hash_end(logits_hash* hash) {
    static const char digits[] = "0123456789abcdef";
    unsigned char sum[crypto_hash_sha256_BYTES];
    crypto_hash_sha256_final(&hash->state, sum);
    for (unsigned i = 0; i < sizeof sum; ++i) {
        hash->text[2 * i] = digits[sum[i] >> 4];
        hash->text[2 * i + 1] = digits[sum[i] & 15];
    }
    hash->text[2 * sizeof sum] = 0;
    return hash->text;
}
