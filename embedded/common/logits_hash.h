/* The SHA-256 of rows of logits: what `linnet logits --hash` prints on the desktop, so that a board can be compared with it. */
#ifndef LOGITS_HASH_H
#define LOGITS_HASH_H

#include <sodium/crypto_hash_sha256.h>
#include <stdint.h>

typedef struct logits_hash {
    crypto_hash_sha256_state state;
    uint32_t row_bytes;
    char text[2 * crypto_hash_sha256_BYTES + 1];
} logits_hash;

void logits_hash_begin(logits_hash* hash, uint32_t vocabulary);
void logits_hash_add(logits_hash* hash, const float* logits); /* one row: float[vocabulary] */
const char* logits_hash_end(logits_hash* hash);               /* in hexadecimal, terminated; valid as long as `hash` */

#endif
