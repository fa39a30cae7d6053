/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * checkpoint_fuzz.c - any bytes as a checkpoint; the sum at the end is put right, so that what is
 * before it is looked at.
 */
#include <assert.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "engine/checkpoint.h"

#define SUM_BYTES 32U

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t bytes[CHECKPOINT_RECORD_MAX + SUM_BYTES];
    static uint8_t again[CHECKPOINT_RECORD_MAX];
    static struct checkpoint checkpoint;
    struct const_span encoded;

    if (size > CHECKPOINT_RECORD_MAX - SUM_BYTES) {
        return 0;
    }
    memcpy(bytes, data, size);
    if (EVP_Digest(bytes, size, bytes + size, NULL, EVP_sha256(), NULL) != 1) {
        abort();
    }
    struct const_span whole = {bytes, size + SUM_BYTES};
    if (checkpoint_decode(whole, &checkpoint, NULL) != 0) {
        return 0;
    }
    if (checkpoint_encode(&checkpoint, (struct span){again, sizeof again}, &encoded, NULL) != 0) {
        abort();
    }
    assert(encoded.len_bytes == whole.len_bytes &&
           memcmp(encoded.at, whole.at, whole.len_bytes) == 0);
    return 0;
}
