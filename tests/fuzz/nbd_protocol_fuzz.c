/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * nbd_protocol_fuzz.c - any bytes as what an NBD client sends, in pieces, with its commands
 * answered in every way: whatever it says, nothing but whole replies and commands within the export
 * may come of it.
 *
 * Input: a byte of choices, a byte of how many bytes come at once, then what the client sends.
 * Choices: 0x1 go straight to the transmission phase, with structured replies and a context; 0x2
 * reads fail; 0x4 status fails; 0x8 the client takes its answers one byte at a time; 0x10 one
 * export is offered instead of three.
 */
#include <assert.h>
#include <string.h>

#include "wire/nbd_protocol.h"

#define GO_AT_ONCE 0x1U
#define FAIL_READS 0x2U
#define FAIL_STATUS 0x4U
#define SLOWLY 0x8U
#define ONE_EXPORT 0x10U

/* Each literal ends where the next begins, so that no letter is taken for a digit. */
static const char opening[] = "\0\0\0\3"
                              "IHAVEOPT\0\0\0\x8\0\0\0\0"
                              "IHAVEOPT\0\0\0\xa\0\0\0\x1e\0\0\0\3vda\0\0\0\1\0\0\0\x0f"
                              "base:allocation"
                              "IHAVEOPT\0\0\0\7\0\0\0\x9\0\0\0\3vda\0\0";

static struct nbd_protocol protocol;

static uint64_t chosen_size(void)
{
    assert(protocol.export_index < protocol.offer_count);
    return protocol.offers[protocol.export_index].size_bytes;
}

static void drain(uint8_t choices)
{
    struct const_span outbox = nbd_protocol_outbox(&protocol);

    while (outbox.len_bytes > 0) {
        nbd_protocol_sent(&protocol, (choices & SLOWLY) != 0 ? 1 : outbox.len_bytes);
        outbox = nbd_protocol_outbox(&protocol);
    }
}

static void answer_read(const struct nbd_command *command, uint8_t choices)
{
    uint8_t header[NBD_HEADER_MAX];

    assert(command->len_bytes <= NBD_READ_MAX);
    if ((choices & FAIL_READS) != 0) {
        nbd_protocol_put_error(&protocol, command, command->offset_bytes + command->len_bytes - 1);
        return;
    }
    struct const_span written = nbd_protocol_data_header(&protocol, command, command->offset_bytes,
                                                         command->len_bytes, true, header);
    assert(written.len_bytes == (protocol.is_structured ? 28 : 16));
}

/* Extents as a disk may give them: from the page before, of both kinds, more than one of a kind. */
static void answer_status(const struct nbd_command *command, uint8_t choices)
{
    static struct extent extents[EXTENTS_MAX];
    uint64_t at = command->offset_bytes / PAGE_BYTES * PAGE_BYTES;
    uint64_t end = command->offset_bytes + command->len_bytes;
    uint32_t count = 0;

    if ((choices & FAIL_STATUS) != 0) {
        nbd_protocol_put_error(&protocol, command, command->offset_bytes);
        return;
    }
    while (at < end && count < EXTENTS_MAX) {
        uint64_t len_bytes = PAGE_BYTES << (count % 20);
        len_bytes = len_bytes < end - at ? len_bytes : end - at;
        extents[count] =
            (struct extent){.offset_bytes = at, .len_bytes = len_bytes, .zero = count % 3 == 1};
        at += len_bytes;
        count++;
    }
    nbd_protocol_put_status(&protocol, command, extents, count);
}

/* Returns false once the client is to be disconnected. */
static bool go_on(uint8_t choices)
{
    struct nbd_command command;
    struct error err = {.kind = ERR_NONE};
    int result = 0;

    for (;;) {
        memset(&command, 0xee, sizeof command);
        result = nbd_protocol_next(&protocol, &command, &err);
        if (result < 0) {
            assert(err.kind == ERR_PEER && err.message[0] != '\0');
            return false;
        }
        if (result == 0) {
            if (nbd_protocol_outbox(&protocol).len_bytes == 0) {
                return protocol.phase != NBD_PHASE_ENDED;
            }
            drain(choices);
            continue;
        }
        assert(protocol.phase == NBD_PHASE_COMMANDS && command.len_bytes > 0);
        assert(command.offset_bytes < chosen_size() &&
               command.len_bytes <= chosen_size() - command.offset_bytes);
        while (!nbd_protocol_has_room(&protocol)) {
            drain(choices);
        }
        if (command.kind == NBD_COMMAND_READ) {
            answer_read(&command, choices);
        } else {
            assert(command.kind == NBD_COMMAND_STATUS && protocol.has_context);
            answer_status(&command, choices);
        }
    }
}

static bool feed(struct const_span bytes, size_t piece_bytes, uint8_t choices)
{
    while (bytes.len_bytes > 0) {
        struct span inbox = nbd_protocol_inbox(&protocol);
        size_t len_bytes = bytes.len_bytes < piece_bytes ? bytes.len_bytes : piece_bytes;
        len_bytes = len_bytes < inbox.len_bytes ? len_bytes : inbox.len_bytes;
        assert(len_bytes > 0); /* a whole message fits, and go_on() leaves no whole one */
        memcpy(inbox.at, bytes.at, len_bytes);
        nbd_protocol_filled(&protocol, len_bytes);
        bytes.at += len_bytes;
        bytes.len_bytes -= len_bytes;
        if (!go_on(choices)) {
            return false;
        }
    }
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct nbd_offer offers[] = {
        {"vda", 64 * MIB + 77}, {"a longer name", DISK_SIZE_MAX}, {"empty", 0}};

    if (size < 2) {
        return 0;
    }
    uint8_t choices = data[0];
    nbd_protocol_init(&protocol, offers, (choices & ONE_EXPORT) != 0 ? 1 : 3);
    if ((choices & GO_AT_ONCE) != 0) {
        struct const_span bytes = {(const uint8_t *)opening, sizeof opening - 1};
        bool is_going = feed(bytes, bytes.len_bytes, choices);
        assert(is_going && protocol.phase == NBD_PHASE_COMMANDS && protocol.has_context);
    }
    (void)feed((struct const_span){data + 2, size - 2}, (size_t)data[1] + 1, choices);
    return 0;
}
