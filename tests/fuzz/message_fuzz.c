/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * message_fuzz.c - the first byte is a message's type, the rest its payload: reading it must end in
 * a message or in an error, and a message that was read must be written as the same bytes.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "wire/message.h"

#define COPY_BYTES (FRAME_PAYLOAD_MAX + 64)

/* HELLO may have more at its end than is written again; an error's text is escaped. */
static void expect_same(struct const_span payload, const struct writer *w)
{
    struct const_span again = writer_done(w);

    assert(again.at != NULL && again.len_bytes == payload.len_bytes);
    assert(memcmp(again.at, payload.at, again.len_bytes) == 0);
}

#define ROUND_TRIP(name)                                                                           \
    do {                                                                                           \
        static struct message_##name m;                                                            \
        if (message_get_##name(payload, &m, &err) == 0) {                                          \
            message_put_##name(&w, &m);                                                            \
            expect_same(payload, &w);                                                              \
            return 0;                                                                              \
        }                                                                                          \
        assert(err.kind == ERR_PEER);                                                              \
        return 0;                                                                                  \
    } while (0)

static int read_only(enum message_type type, struct const_span payload, struct error *err)
{
    static struct message_hello hello;
    struct message_open open;
    struct error theirs;

    if (type == MESSAGE_HELLO) {
        return message_get_hello(payload, &hello, err);
    }
    if (type == MESSAGE_OPEN) {
        if (message_get_open(payload, &open, err) == 0) {
            message_open_done(&open);
        }
        return 0;
    }
    return type == MESSAGE_FAIL ? message_get_fail(payload, &theirs, err) : 0;
}

static int one(enum message_type type, struct const_span payload, struct writer w)
{
    struct error err = {0};

    switch (type) {
    case MESSAGE_DISKS:
        ROUND_TRIP(disks);
    case MESSAGE_BEGIN:
        ROUND_TRIP(begin);
    case MESSAGE_NODES:
        ROUND_TRIP(nodes);
    case MESSAGE_ZEROS:
        ROUND_TRIP(zeros);
    case MESSAGE_WANT_LEAVES:
    case MESSAGE_WANT_PAGES:
        ROUND_TRIP(want);
    case MESSAGE_LEAVES:
        ROUND_TRIP(leaves);
    case MESSAGE_PAGES:
        ROUND_TRIP(pages);
    case MESSAGE_DATA:
        ROUND_TRIP(data);
    case MESSAGE_ZERO:
        ROUND_TRIP(zero);
    case MESSAGE_DONE:
        ROUND_TRIP(done);
    case MESSAGE_SEALED:
        ROUND_TRIP(sealed);
    case MESSAGE_BYE:
        ROUND_TRIP(bye);
    case MESSAGE_BEHIND:
        ROUND_TRIP(behind);
    case MESSAGE_HELLO:
    case MESSAGE_OPEN:
    case MESSAGE_FAIL:
    case MESSAGE_SEAL:
    case MESSAGE_PING:
    case MESSAGE_INVALID:
        break;
    }
    (void)read_only(type, payload, &err);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t copy[COPY_BYTES];

    if (size == 0 || size - 1 > FRAME_PAYLOAD_MAX || data[0] > MESSAGE_TYPE_MAX) {
        return 0;
    }
    return one((enum message_type)data[0], (struct const_span){data + 1, size - 1},
               writer_init((struct span){copy, sizeof copy}));
}
