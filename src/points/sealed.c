/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "points/sealed.h"

#include <openssl/evp.h>
#include <string.h>

#define HEAD_BYTES 8U
#define SUM_BYTES 32U

static int sum_of(struct const_span bytes, uint8_t sum[SUM_BYTES], struct error *err)
{
    unsigned len_bytes = 0;

    if (EVP_Digest(bytes.at, bytes.len_bytes, sum, &len_bytes, EVP_sha256(), NULL) != 1 ||
        len_bytes != SUM_BYTES) {
        return fail(err, ERR_INTERNAL, 0, "the crypto library computes no SHA-256");
    }
    return 0;
}

struct writer sealed_begin(struct span buffer, uint32_t magic, uint32_t version)
{
    struct writer w = writer_init(buffer);

    write_u32(&w, magic);
    write_u32(&w, version);
    return w;
}

int sealed_end(struct writer *w, struct const_span *out, struct error *err)
{
    struct const_span body = writer_done(w);
    uint8_t sum[SUM_BYTES];

    if (body.at != NULL && sum_of(body, sum, err) < 0) {
        return -1;
    }
    write_bytes(w, (struct const_span){sum, sizeof sum});
    struct const_span whole = writer_done(w);
    if (body.at == NULL || whole.at == NULL) {
        return fail(err, ERR_INTERNAL, 0, "a record does not fit its buffer");
    }
    *out = whole;
    return 0;
}

int sealed_open(struct const_span bytes, uint32_t magic, uint32_t version, struct reader *out,
                struct error *err)
{
    uint8_t sum[SUM_BYTES];

    if (bytes.len_bytes < HEAD_BYTES + SUM_BYTES) {
        return fail(err, ERR_WRONG_STATE, 0, "it is cut off");
    }
    struct const_span body = {bytes.at, bytes.len_bytes - SUM_BYTES};
    struct reader r = reader_init(body);
    if (read_u32(&r) != magic) {
        return fail(err, ERR_WRONG_STATE, 0, "it is not what resilver writes there");
    }
    uint32_t theirs = read_u32(&r);
    if (theirs != version) {
        return fail(err, ERR_WRONG_STATE, 0,
                    "it is of version %u, and this resilver knows version %u", theirs, version);
    }
    if (sum_of(body, sum, err) < 0) {
        return -1;
    }
    if (memcmp(sum, body.at + body.len_bytes, SUM_BYTES) != 0) {
        return fail(err, ERR_WRONG_STATE, 0, "it is damaged: its checksum is another one");
    }
    *out = r;
    return 0;
}
