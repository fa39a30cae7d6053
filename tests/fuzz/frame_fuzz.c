/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * frame_fuzz.c - any bytes as what comes from the link, before and after the keys are set, in
 * pieces of the size that the second byte says: nothing but an error or a frame may come of it.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "wire/channel.h"

static void set_keys(struct channel *channel)
{
    static const uint8_t hello[] = "any bytes do";
    struct const_span bytes = {hello, sizeof hello};
    uint8_t key[DIGEST_KEY_BYTES];

    if (channel_set_keys(channel, false, NULL, bytes, bytes, key, NULL) != 0) {
        abort();
    }
}

static void feed(struct channel *channel, struct const_span bytes, size_t piece_bytes,
                 enum session_role from)
{
    struct frame frame;
    struct error err = {0};

    while (bytes.len_bytes > 0) {
        struct span inbox = channel_inbox(channel);
        size_t len_bytes = bytes.len_bytes < piece_bytes ? bytes.len_bytes : piece_bytes;
        len_bytes = len_bytes < inbox.len_bytes ? len_bytes : inbox.len_bytes;
        memcpy(inbox.at, bytes.at, len_bytes);
        channel_filled(channel, len_bytes);
        bytes.at += len_bytes;
        bytes.len_bytes -= len_bytes;
        int result = 0;
        while ((result = channel_receive(channel, from, &frame, &err)) == 1) {
            assert(message_kind((uint8_t)frame.type) != NULL);
            assert(frame.payload.len_bytes <= FRAME_PAYLOAD_MAX);
        }
        if (result < 0) {
            assert(err.kind == ERR_PEER && err.message[0] != '\0');
            return;
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct channel *channel = NULL;

    if (size < 2) {
        return 0;
    }
    if (channel_new(&channel, NULL) != 0) {
        abort();
    }
    if ((data[0] & 1) != 0) {
        set_keys(channel);
    }
    feed(channel, (struct const_span){data + 2, size - 2}, (size_t)data[1] + 1,
         (enum session_role)(data[0] / 2 % 3));
    channel_free(channel);
    return 0;
}
