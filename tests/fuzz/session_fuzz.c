/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * session_fuzz.c - a hostile peer that holds the keys: any message, in any state, with any fields,
 * against a session as source or as target. Whatever it says, the session must end in an error or
 * go on; a target must not write outside its disk, nor anything in a compare.
 *
 * Input: a byte of choices, then records: u8 type, u8 length / 8, that many payload bytes (fewer at
 * the end). Type 0x80 makes a DATA message with a right digest of a leaf named by its first byte.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "wire/channel.h"

#define DISK_BYTES (3 * NODE_BYTES + LEAF_BYTES + 77)
#define MADE_DATA 0x80U
#define REQUESTS_MAX 1024U

struct peer {
    struct channel *channel;
    struct digester *digester;
    struct session *session;
    struct session_actions actions;
    struct disk_request *queue[REQUESTS_MAX];
    size_t queued;
    bool is_check;
    bool opens;
    uint8_t *disk;
};

static uint64_t no_time(void *context)
{
    (void)context;
    return 0;
}

static int no_chance(void *context, struct span out, struct error *err)
{
    (void)context;
    (void)err;
    memset(out.at, 7, out.len_bytes);
    return 0;
}

static const struct env env = {.now_ns = no_time, .random = no_chance};

static void step(struct peer *peer, const struct session_event *event);

static void open_disks(struct peer *peer)
{
    struct session_disk_facts facts[DISKS_MAX] = {{.size_bytes = DISK_BYTES}};
    struct error err = {.kind = ERR_IO, .message = "no such disk"};
    struct session_event event = {.kind = SESSION_DISKS, .facts = facts};

    if (session_open(peer->session)->disk_count != 1) {
        event.error = &err;
    }
    step(peer, &event);
}

static void act(struct peer *peer, const struct session_action *action)
{
    struct session_disk_facts facts[DISKS_MAX] = {{.size_bytes = DISK_BYTES}};

    switch (action->kind) {
    case ACTION_SUBMIT:
        assert(peer->queued < REQUESTS_MAX);
        peer->queue[peer->queued++] = action->request;
        break;
    case ACTION_OPEN_DISKS:
        peer->opens = true;
        break;
    case ACTION_RECORD:
        step(peer, &(struct session_event){.kind = SESSION_RECORDED});
        break;
    case ACTION_IDENTIFY:
        step(peer, &(struct session_event){.kind = SESSION_IDENTIFIED, .facts = facts});
        break;
    case ACTION_COMMIT:
        step(peer, &(struct session_event){.kind = SESSION_COMMITTED});
        break;
    case ACTION_FORGET:
    case ACTION_INVALID:
        break;
    }
}

static void step(struct peer *peer, const struct session_event *event)
{
    struct session_actions actions;

    session_step(peer->session, event, &actions);
    while (actions.count > 0) {
        for (size_t i = 0; i < actions.count; i++) {
            act(peer, &actions.list[i]);
        }
        actions.count = 0;
        session_step(peer->session, &(struct session_event){.kind = SESSION_CONTINUE}, &actions);
    }
    if (peer->opens) {
        peer->opens = false;
        open_disks(peer);
    }
}

static void carry_out(struct peer *peer, struct disk_request *request)
{
    uint64_t len_bytes = request->op == DISK_ZERO || request->op == DISK_EXTENTS
                             ? request->len_bytes
                             : request->data.len_bytes;

    assert(request->offset_bytes + len_bytes <= DISK_BYTES && request->disk_index == 0);
    assert(!(peer->is_check && (request->op == DISK_WRITE || request->op == DISK_ZERO)));
    request->errnum = 0;
    request->cached = false;
    if (request->op == DISK_READ || request->op == DISK_READ_MEDIUM) {
        memcpy(request->data.at, peer->disk + request->offset_bytes, len_bytes);
    } else if (request->op == DISK_WRITE) {
        memcpy(peer->disk + request->offset_bytes, request->data.at, len_bytes);
    } else if (request->op == DISK_ZERO) {
        memset(peer->disk + request->offset_bytes, 0, len_bytes);
    } else if (request->op == DISK_EXTENTS) {
        request->extents[0] = (struct extent){request->offset_bytes, len_bytes, false};
        request->extent_count = 1;
    }
}

/* Lets everything happen that can: what the session says is thrown away. */
static void settle(struct peer *peer)
{
    while (peer->queued > 0 || session_outbox(peer->session).len_bytes > 0) {
        size_t out_bytes = session_outbox(peer->session).len_bytes;
        if (out_bytes > 0) {
            step(peer, &(struct session_event){.kind = SESSION_SENT, .len_bytes = out_bytes});
        }
        if (peer->queued > 0) {
            struct disk_request *request = peer->queue[--peer->queued];
            carry_out(peer, request);
            step(peer, &(struct session_event){.kind = SESSION_DISK_DONE, .request = request});
        }
    }
}

/* Hands everything in our outbox to the session. */
static void deliver(struct peer *peer)
{
    struct const_span out = channel_outbox(peer->channel);

    while (out.len_bytes > 0) {
        struct span in = session_inbox(peer->session);
        size_t len_bytes = out.len_bytes < in.len_bytes ? out.len_bytes : in.len_bytes;
        if (len_bytes == 0) {
            break; /* it waits for its disk, which settle() has served: it has stopped listening */
        }
        memcpy(in.at, out.at, len_bytes);
        channel_sent(peer->channel, len_bytes);
        step(peer, &(struct session_event){.kind = SESSION_RECEIVED, .len_bytes = len_bytes});
        settle(peer);
        out = channel_outbox(peer->channel);
    }
}

static void send(struct peer *peer, enum message_type type, struct const_span payload)
{
    const struct message_kind *kind = message_kind((uint8_t)type);

    if (kind == NULL || type == MESSAGE_HELLO || payload.len_bytes < kind->min_bytes ||
        payload.len_bytes > kind->max_bytes || channel_room(peer->channel) < payload.len_bytes) {
        return;
    }
    struct writer w = channel_begin(peer->channel, payload.len_bytes);
    write_bytes(&w, payload);
    channel_end(peer->channel, type, &w);
    deliver(peer);
}

static void send_right_data(struct peer *peer, struct const_span bytes)
{
    static uint8_t payload[MESSAGE_DATA_HEAD_BYTES + LEAF_BYTES];
    static uint8_t leaf_bytes[LEAF_BYTES];
    struct writer w = writer_init((struct span){payload, sizeof payload});
    uint64_t leaf = bytes.len_bytes > 0 ? bytes.at[0] : 0;
    size_t len_bytes = leaf * LEAF_BYTES + LEAF_BYTES <= DISK_BYTES ? LEAF_BYTES : 77;

    memset(leaf_bytes, 0x5a, sizeof leaf_bytes);
    struct const_span content = {leaf_bytes, len_bytes};
    message_put_data(&w,
                     &(struct message_data){.leaf = leaf,
                                            .digest = digester_leaf(peer->digester, leaf, content),
                                            .bytes = content});
    send(peer, MESSAGE_DATA, writer_done(&w));
}

/* HELLOs and keys, so that the session takes our frames. */
static void greet(struct peer *peer)
{
    uint8_t ours[128];
    uint8_t theirs[256];
    uint8_t key[DIGEST_KEY_BYTES];
    struct message_hello hello = {.version_min = 1, .version_max = 1, .features = FEATURES_OURS};
    struct writer w = writer_init((struct span){ours, sizeof ours});

    step(peer, &(struct session_event){.kind = SESSION_START});
    message_put_hello(&w, &hello);
    struct const_span payload = writer_done(&w);
    struct const_span said = session_outbox(peer->session);
    size_t their_bytes = said.len_bytes - FRAME_HEADER_BYTES;
    memcpy(theirs, said.at + FRAME_HEADER_BYTES, their_bytes);
    struct writer frame = channel_begin(peer->channel, payload.len_bytes);
    write_bytes(&frame, payload);
    channel_end(peer->channel, MESSAGE_HELLO, &frame);
    if (channel_set_keys(peer->channel, true, NULL, payload,
                         (struct const_span){theirs, their_bytes}, key, NULL) != 0 ||
        digester_new(key, &peer->digester, NULL) != 0) {
        abort();
    }
    deliver(peer);
}

/* What an honest initiator says first, so that the input is about what comes after. */
static void open_session(struct peer *peer, bool as_target)
{
    static const struct session_disk_name name = {"disk", DISK_FORMAT_RAW};
    uint8_t payload[256];
    struct writer w = writer_init((struct span){payload, sizeof payload});
    struct session_config config = {.role = as_target ? ROLE_SOURCE : ROLE_TARGET,
                                    .flags = peer->is_check ? SESSION_CHECK : 0,
                                    .refine = WHEN_ALWAYS,
                                    .disk_count = 1,
                                    .remote_disks = &name};

    message_put_open(&w, &config);
    send(peer, MESSAGE_OPEN, writer_done(&w));
    w = writer_init((struct span){payload, sizeof payload});
    if (as_target) {
        static struct message_disks disks = {.disk_count = 1,
                                             .facts = {{.size_bytes = DISK_BYTES}}};
        message_put_disks(&w, &disks);
        send(peer, MESSAGE_DISKS, writer_done(&w));
    } else {
        static struct message_begin begin;
        message_put_begin(&w, &begin);
        send(peer, MESSAGE_BEGIN, writer_done(&w));
    }
}

static void say_all(struct peer *peer, struct const_span input)
{
    while (input.len_bytes >= 2) {
        uint8_t type = input.at[0];
        size_t len_bytes = (size_t)input.at[1] * 8 + input.at[1] % 8;
        input.at += 2;
        input.len_bytes -= 2;
        len_bytes = len_bytes < input.len_bytes ? len_bytes : input.len_bytes;
        struct const_span payload = {input.at, len_bytes};
        if (type == MADE_DATA) {
            send_right_data(peer, payload);
        } else {
            send(peer, (enum message_type)type, payload);
        }
        input.at += len_bytes;
        input.len_bytes -= len_bytes;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t disk[DISK_BYTES];
    struct session_config config = {.is_initiator = false, .env = &env};
    struct peer peer = {.disk = disk};

    if (size == 0) {
        return 0;
    }
    memset(disk, (data[0] & 4) != 0 ? 0 : 0x33, sizeof disk);
    peer.is_check = (data[0] & 2) != 0;
    if (session_new(&config, &peer.session, NULL) != 0 || channel_new(&peer.channel, NULL) != 0) {
        abort();
    }
    greet(&peer);
    if ((data[0] & 8) == 0) {
        open_session(&peer, (data[0] & 1) != 0);
    }
    say_all(&peer, (struct const_span){data + 1, size - 1});
    step(&peer, &(struct session_event){.kind = SESSION_LINK_ENDED});
    settle(&peer);
    assert(session_is_finished(peer.session));
    session_free(peer.session);
    digester_free(peer.digester);
    channel_free(peer.channel);
    return 0;
}
