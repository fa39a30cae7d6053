/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "engine/ghash.h"

#include <assert.h>
#include <string.h>

#if defined(__x86_64__)

#include <immintrin.h>

#define NEEDS __attribute__((target("avx2,vpclmulqdq,pclmul,ssse3,sse4.1")))
#define BATCH_BYTES ((size_t)GHASH_BLOCKS * GHASH_BYTES)
#define PAIRS (GHASH_BLOCKS / 2)

bool ghash_is_here(void)
{
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("vpclmulqdq") &&
           __builtin_cpu_supports("pclmul");
}

NEEDS static inline __m128i reverse_bytes(__m128i block)
{
    return _mm_shuffle_epi8(block,
                            _mm_set_epi8(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15));
}

/* The 256-bit product high:low modulo x^128 + x^127 + x^126 + x^121 + 1, times x^-128. */
NEEDS static inline __m128i reduce(__m128i low, __m128i high)
{
    const __m128i poly = _mm_set_epi64x(0, (long long)0xc200000000000000ULL);

    for (int i = 0; i < 2; i++) {
        __m128i folded = _mm_clmulepi64_si128(low, poly, 0x00);
        low = _mm_xor_si128(_mm_shuffle_epi32(low, 0x4e), folded);
    }
    return _mm_xor_si128(high, low);
}

NEEDS static inline __m128i multiply(__m128i a, __m128i b)
{
    __m128i low = _mm_clmulepi64_si128(a, b, 0x00);
    __m128i high = _mm_clmulepi64_si128(a, b, 0x11);
    __m128i middle =
        _mm_xor_si128(_mm_clmulepi64_si128(a, b, 0x01), _mm_clmulepi64_si128(a, b, 0x10));

    low = _mm_xor_si128(low, _mm_slli_si128(middle, 8));
    high = _mm_xor_si128(high, _mm_srli_si128(middle, 8));
    return reduce(low, high);
}

/* RFC 8452, appendix A: the key of POLYVAL that gives GHASH under h: byte-reversed, times x. */
NEEDS static __m128i polyval_key(const uint8_t h[GHASH_BYTES])
{
    uint64_t words[2];

    _mm_storeu_si128((__m128i *)words, reverse_bytes(_mm_loadu_si128((const __m128i *)h)));
    uint64_t carry = words[1] >> 63;
    words[1] = words[1] << 1 | words[0] >> 63;
    words[0] <<= 1;
    words[1] ^= carry * 0xc200000000000000ULL;
    words[0] ^= carry;
    return _mm_set_epi64x((long long)words[1], (long long)words[0]);
}

NEEDS void ghash_key_init(struct ghash_key *key, const uint8_t h[GHASH_BYTES])
{
    __m128i first = polyval_key(h);
    __m128i power = first;

    _mm_store_si128((__m128i *)key->first, first);
    for (size_t i = GHASH_BLOCKS; i-- > 0;) {
        __m128i halves = _mm_xor_si128(power, _mm_shuffle_epi32(power, 0x4e));
        _mm_store_si128((__m128i *)(key->powers + i * GHASH_BYTES), power);
        _mm_store_si128((__m128i *)(key->folded + i * GHASH_BYTES), halves);
        power = multiply(power, first);
    }
}

/* One batch: the sum so far goes into its first block; each block times its power of H. */
NEEDS static inline __m128i hash_batch(const struct ghash_key *key, __m128i sum, const uint8_t *at)
{
    const __m256i reverse = _mm256_broadcastsi128_si256(
        _mm_set_epi8(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15));
    __m256i low = _mm256_setzero_si256();
    __m256i high = low;
    __m256i middle = low;

#pragma GCC unroll 8
    for (size_t i = 0; i < PAIRS; i++) {
        __m256i power = _mm256_load_si256((const __m256i *)key->powers + i);
        __m256i folded = _mm256_load_si256((const __m256i *)key->folded + i);
        __m256i block = _mm256_shuffle_epi8(_mm256_loadu_si256((const __m256i *)at + i), reverse);
        if (i == 0) {
            block = _mm256_xor_si256(block, _mm256_zextsi128_si256(sum));
        }
        __m256i halves = _mm256_xor_si256(block, _mm256_shuffle_epi32(block, 0x4e));
        low = _mm256_xor_si256(low, _mm256_clmulepi64_epi128(block, power, 0x00));
        high = _mm256_xor_si256(high, _mm256_clmulepi64_epi128(block, power, 0x11));
        middle = _mm256_xor_si256(middle, _mm256_clmulepi64_epi128(halves, folded, 0x00));
    }
    middle = _mm256_xor_si256(middle, _mm256_xor_si256(low, high));
    low = _mm256_xor_si256(low, _mm256_slli_si256(middle, 8));
    high = _mm256_xor_si256(high, _mm256_srli_si256(middle, 8));
    return reduce(_mm_xor_si128(_mm256_castsi256_si128(low), _mm256_extracti128_si256(low, 1)),
                  _mm_xor_si128(_mm256_castsi256_si128(high), _mm256_extracti128_si256(high, 1)));
}

NEEDS void ghash(const struct ghash_key *key, struct const_span bytes, uint8_t out[GHASH_BYTES])
{
    __m128i first = _mm_load_si128((const __m128i *)key->first);
    uint64_t len_bits = (uint64_t)bytes.len_bytes * 8;
    __m128i lengths = _mm_set_epi64x((long long)len_bits, 0);
    __m128i sum = _mm_setzero_si128();

    while (bytes.len_bytes >= BATCH_BYTES) {
        sum = hash_batch(key, sum, bytes.at);
        bytes.at += BATCH_BYTES;
        bytes.len_bytes -= BATCH_BYTES;
    }
    while (bytes.len_bytes > 0) {
        uint8_t padded[GHASH_BYTES] = {0};
        size_t len_bytes = bytes.len_bytes < GHASH_BYTES ? bytes.len_bytes : GHASH_BYTES;
        memcpy(padded, bytes.at, len_bytes);
        __m128i block = reverse_bytes(_mm_loadu_si128((const __m128i *)padded));
        sum = multiply(_mm_xor_si128(sum, block), first);
        bytes.at += len_bytes;
        bytes.len_bytes -= len_bytes;
    }
    sum = multiply(_mm_xor_si128(sum, lengths), first);
    _mm_storeu_si128((__m128i *)out, reverse_bytes(sum));
}

#else

bool ghash_is_here(void)
{
    return false;
}

void ghash_key_init(struct ghash_key *key, const uint8_t h[GHASH_BYTES])
{
    (void)key;
    (void)h;
    assert(!"ghash_is_here() says no");
}

void ghash(const struct ghash_key *key, struct const_span bytes, uint8_t out[GHASH_BYTES])
{
    (void)key;
    (void)bytes;
    (void)out;
    assert(!"ghash_is_here() says no");
}

#endif
