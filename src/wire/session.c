/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What both roles share: the handshake, frames, failure, the end.
 *
 * Invariants:
 * 1. Nothing is asked of the host before both HELLOs are exchanged and the keys are set.
 * 2. After the first error no message is handled any more; what comes is thrown away.
 * 3. `in_flight` requests are at the disks; their buffers live until the session is freed, which
 * must not happen before they are back.
 */
#include <assert.h>
#include <inttypes.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

#include "wire/session_internal.h"

/* --- life ------------------------------------------------------------------------------------ */

static int check_config(const struct session_config *config, struct error *err)
{
    if (!config->is_initiator) {
        return 0;
    }
    if (config->disk_count == 0 || config->disk_count > DISKS_MAX) {
        return fail(err, ERR_USAGE, 0, "%u disks in one session; 1 to %u can be",
                    config->disk_count, DISKS_MAX);
    }
    if ((config->role != ROLE_SOURCE && config->role != ROLE_TARGET) ||
        (config->flags & ~SESSION_OPEN_FLAGS) != 0) {
        return fail(err, ERR_INTERNAL, 0, "a session without a role");
    }
    return 0;
}

int session_new(const struct session_config *config, struct session **out, struct error *err)
{
    if (check_config(config, err) != 0) {
        return -1;
    }
    struct session *session = calloc(1, sizeof *session);
    if (session == NULL) {
        return fail(err, ERR_LIMIT, 0, "out of memory for a session");
    }
    session->config = *config;
    session->config.link_secret = NULL;
    session->role = config->is_initiator ? config->role : ROLE_NONE;
    session->state = SESSION_HELLO;
    if (config->link_secret != NULL) {
        memcpy(session->link_secret, config->link_secret, LINK_SECRET_BYTES);
        session->has_link_secret = true;
    }
    if (channel_new(&session->channel, err) != 0) {
        session_free(session);
        return -1;
    }
    *out = session;
    return 0;
}

void session_free(struct session *session)
{
    if (session == NULL) {
        return;
    }
    assert(session->in_flight == 0);
    source_free(session->source);
    target_free(session->target);
    scan_free(session->scan);
    proof_free(session->proof);
    digester_free(session->digester);
    channel_free(session->channel);
    message_open_done(&session->open_message);
    OPENSSL_cleanse(session->key, sizeof session->key);
    OPENSSL_cleanse(&session->segments, sizeof session->segments);
    OPENSSL_cleanse(session->link_secret, sizeof session->link_secret);
    free(session);
}

/* --- actions --------------------------------------------------------------------------------- */

bool session_can_act(const struct session *session)
{
    return session->actions->count < SESSION_ACTIONS_MAX;
}

void session_act(struct session *session, const struct session_action *action)
{
    assert(session_can_act(session));
    session->actions->list[session->actions->count++] = *action;
}

void session_submit(struct session *session, struct disk_request *request)
{
    session->in_flight++;
    session_act(session, &(struct session_action){.kind = ACTION_SUBMIT, .request = request});
}

/* --- failure --------------------------------------------------------------------------------- */

static bool has_failed(const struct session *session)
{
    return session->state == SESSION_ENDING || session->state == SESSION_FAILED;
}

static void send_fail(struct session *session, const struct error *err)
{
    size_t max_bytes = message_kind(MESSAGE_FAIL)->max_bytes;

    if (session->link_has_ended || session->digester == NULL ||
        channel_room(session->channel) < max_bytes) {
        return; /* before the keys are set the peer could not read it; it learns from the link's end
                 */
    }
    struct writer w = channel_begin(session->channel, max_bytes);
    message_put_fail(&w, err);
    channel_end(session->channel, MESSAGE_FAIL, &w);
}

void session_fail(struct session *session, const struct error *err)
{
    if (has_failed(session)) {
        return;
    }
    session->error = *err;
    if (!session->error_is_from_peer) {
        send_fail(session, err);
    }
    if (session->target != NULL) {
        session->state = SESSION_ENDING;
        target_end(session);
    } else {
        session->state = SESSION_FAILED;
    }
}

void session_fail_disk(struct session *session, uint32_t disk, struct error *err)
{
    error_set_disk(err, session->open.disks[disk].name);
    session_fail(session, err);
}

bool session_is_thin(const struct session *session)
{
    return session->config.rate_bytes_per_s > 0 || (session->is_thin && !session->target_is_behind);
}

void session_finish(struct session *session)
{
    assert(session->state == SESSION_ENDING);
    session->state = SESSION_FAILED;
}

/* --- handshake ------------------------------------------------------------------------------- */

static void send_hello(struct session *session)
{
    struct error err = {0};
    struct message_hello hello = {.version_min = PROTOCOL_VERSION,
                                  .version_max = PROTOCOL_VERSION,
                                  .features = FEATURES_OURS & ~session->config.features_off};

    (void)strncpy(hello.software, RESILVER_VERSION, sizeof hello.software - 1);
    if (env_random(session->config.env, (struct span){hello.random, sizeof hello.random}, &err) !=
        0) {
        session_fail(session, &err);
        return;
    }
    struct writer w = channel_begin(session->channel, sizeof session->hello);
    message_put_hello(&w, &hello);
    struct const_span payload = writer_done(&w);
    assert(payload.at != NULL && payload.len_bytes <= sizeof session->hello);
    memcpy(session->hello, payload.at, payload.len_bytes);
    session->hello_bytes = payload.len_bytes;
    channel_end(session->channel, MESSAGE_HELLO, &w);
}

static void send_open(struct session *session)
{
    struct writer w = channel_begin(session->channel, FRAME_PAYLOAD_MAX);

    message_put_open(&w, &session->config);
    if (writer_done(&w).at == NULL) {
        struct error err;
        (void)fail(&err, ERR_USAGE, 0, "the names of the disks are too long");
        session_fail(session, &err);
        return;
    }
    channel_end(session->channel, MESSAGE_OPEN, &w);
}

/* Asks the host to open our disks. */
static void ask_open(struct session *session)
{
    session->open_was_asked = true;
    session->open.role = session->role;
    session_act(session, &(struct session_action){.kind = ACTION_OPEN_DISKS});
}

static void open_own_disks(struct session *session)
{
    session->open.flags = session->config.flags;
    session->open.rate_bytes_per_s = session->config.rate_bytes_per_s;
    session->open.disk_count = session->config.disk_count;
    for (uint32_t i = 0; i < session->config.disk_count; i++) {
        session->open.disks[i] = session->config.local_disks[i];
    }
}

static int handle_hello(struct session *session, struct const_span payload, struct error *err)
{
    struct message_hello hello;
    struct const_span own = {session->hello, session->hello_bytes};
    bool first = session->config.is_initiator;

    if (message_get_hello(payload, &hello, err) != 0) {
        return -1;
    }
    if (hello.version_min > PROTOCOL_VERSION || hello.version_max < PROTOCOL_VERSION) {
        return fail(err, ERR_PEER, 0,
                    "the peer (resilver %s) speaks versions %u to %u of the protocol, this "
                    "resilver %s only version "
                    "%u: bring both to the same release",
                    hello.software, hello.version_min, hello.version_max, RESILVER_VERSION,
                    PROTOCOL_VERSION);
    }
    session->features = hello.features & FEATURES_OURS & ~session->config.features_off;
    if (channel_set_keys(session->channel, first,
                         session->has_link_secret ? session->link_secret : NULL,
                         first ? own : payload, first ? payload : own, session->key, err) != 0 ||
        digester_new(session->key, &session->digester, err) != 0) {
        return -1;
    }
    OPENSSL_cleanse(session->link_secret, sizeof session->link_secret);
    session->state = SESSION_OPENING;
    if (session->config.is_initiator) {
        send_open(session);
        open_own_disks(session);
        if (session->role == ROLE_SOURCE && session->state == SESSION_OPENING) {
            ask_open(session);
        }
    }
    return 0;
}

/* Responder: the initiator says what we shall be. */
static int handle_open(struct session *session, struct const_span payload, struct error *err)
{
    struct message_open *m = &session->open_message;

    if (session->config.is_initiator || session->role != ROLE_NONE) {
        return fail(err, ERR_PEER, 0, "the peer sent an OPEN message that was not due");
    }
    if (message_get_open(payload, m, err) != 0) {
        return -1;
    }
    session->role = m->role;
    session->config.compress = m->compress;
    session->config.refine = m->refine;
    session->config.flags = m->flags;
    session->config.rate_bytes_per_s = m->rate_bytes_per_s;
    session->open.flags = m->flags;
    session->open.rate_bytes_per_s = m->rate_bytes_per_s;
    session->open.disk_count = m->disk_count;
    const char *name = m->names;
    for (uint32_t i = 0; i < m->disk_count; i++) {
        session->open.disks[i] =
            (struct session_disk_name){.name = name, .format = (enum disk_format)m->formats[i]};
        name += strlen(name) + 1;
    }
    if (session->role == ROLE_SOURCE) {
        ask_open(session);
    }
    return 0;
}

/* Target: the source's disks are open; now ours, whose sizes must fit. */
static int handle_disks(struct session *session, struct const_span payload, struct error *err)
{
    struct message_disks m;

    if (session->has_source_facts) {
        return fail(err, ERR_PEER, 0, "the peer sent a second DISKS message");
    }
    if (message_get_disks(payload, &m, err) != 0) {
        return -1;
    }
    if (m.disk_count != session->open.disk_count) {
        return fail(err, ERR_PEER, 0, "the source opened %u disks where %u were asked for",
                    m.disk_count, session->open.disk_count);
    }
    session->has_source_facts = true;
    for (uint32_t i = 0; i < m.disk_count; i++) {
        session->source_facts[i] = m.facts[i];
        session->open.size_bytes[i] = m.facts[i].size_bytes;
    }
    ask_open(session);
    return 0;
}

uint32_t session_proofs_before(const struct layout *layout, uint64_t node)
{
    uint32_t count = 0;

    while (count < layout->disk_count && layout->first_node[count] < node) {
        count++;
    }
    return count;
}

int session_begin_disks(struct session *session, const uint64_t *size_bytes,
                        const struct message_begin *begin, struct error *err)
{
    struct layout *layout = &session->layout;

    if (layout_init(layout, session->open.disk_count, size_bytes, err) != 0) {
        return -1;
    }
    if (begin->node > layout->node_count ||
        begin->proof_count != session_proofs_before(layout, begin->node)) {
        return fail(err, ERR_PEER, 0, "the target wants to begin at a node that is not there");
    }
    if (proof_new(layout, session->key, &session->proof, err) != 0 ||
        scan_new(layout, session->digester, OWNER_SCAN, &session->scan, err) != 0) {
        return -1;
    }
    scan_begin(session->scan, begin->node);
    proof_begin(session->proof, begin->node,
                begin->proof_count > 0 ? begin->proofs[begin->proof_count - 1] : NULL);
    session->progress.disk_count = layout->disk_count;
    for (uint32_t i = 0; i < layout->disk_count; i++) {
        struct disk_progress *disk = &session->progress.disks[i];
        disk->size_bytes = layout->size_bytes[i];
        if (i < begin->proof_count) {
            uint64_t end =
                begin->node < layout->first_node[i + 1] ? begin->node : layout->first_node[i + 1];
            disk->resumed_bytes =
                layout_bytes(layout, layout->first_node[i], end - layout->first_node[i]);
            disk->compared_bytes = disk->resumed_bytes;
            disk->has_proof = end == layout->first_node[i + 1];
            memcpy(disk->proof, begin->proofs[i], PROOF_BYTES);
        }
        if (layout->size_bytes[i] == 0) {
            proof_of_empty(session->proof, i, disk->proof);
            disk->has_proof = true;
        }
    }
    return 0;
}

/* Source: the target is ready. */
static int handle_begin(struct session *session, struct const_span payload, struct error *err)
{
    struct message_begin begin;
    uint64_t size_bytes[DISKS_MAX];

    if (session->state != SESSION_OPENING || !session->is_open) {
        return fail(err, ERR_PEER, 0, "the peer sent a BEGIN message that was not due");
    }
    if (message_get_begin(payload, &begin, err) != 0) {
        return -1;
    }
    for (uint32_t i = 0; i < session->open.disk_count; i++) {
        size_bytes[i] = session->facts[i].size_bytes;
    }
    if (session_begin_disks(session, size_bytes, &begin, err) != 0 ||
        source_new(session, &begin, err) != 0) {
        return -1;
    }
    session->state = SESSION_RUNNING;
    return 0;
}

static void send_disks(struct session *session)
{
    struct message_disks m = {.disk_count = session->open.disk_count};
    struct writer w = channel_begin(session->channel, message_kind(MESSAGE_DISKS)->max_bytes);

    for (uint32_t i = 0; i < m.disk_count; i++) {
        m.facts[i] = session->facts[i];
    }
    message_put_disks(&w, &m);
    channel_end(session->channel, MESSAGE_DISKS, &w);
}

static void handle_opened(struct session *session, const struct session_event *event)
{
    struct error err = {0};

    assert(session->open_was_asked && !session->is_open);
    if (event->error != NULL) {
        session_fail(session, event->error);
        return;
    }
    session->is_open = true;
    memcpy(session->facts, event->facts, session->open.disk_count * sizeof session->facts[0]);
    if (has_failed(session)) {
        return;
    }
    if (session->role == ROLE_SOURCE) {
        send_disks(session);
        return;
    }
    session->is_staged = event->is_staged;
    if (target_new(session, event->checkpoint, &err) != 0) {
        session_fail(session, &err);
        return;
    }
    session->state = SESSION_RUNNING;
}

/* --- messages -------------------------------------------------------------------------------- */

static enum handled handle_fail(struct session *session, struct const_span payload,
                                struct error *err)
{
    struct error theirs;

    if (message_get_fail(payload, &theirs, err) != 0) {
        return HANDLED_FAILED;
    }
    session->error_is_from_peer = true;
    if (theirs.kind == ERR_PEER) {
        (void)fail(err, ERR_PEER, 0, "the other side says: %.500s", theirs.message);
    } else {
        *err = theirs;
    }
    return HANDLED_FAILED;
}

static enum handled handle_frame(struct session *session, const struct frame *frame,
                                 struct error *err)
{
    struct const_span payload = frame->payload;

    switch (frame->type) {
    case MESSAGE_HELLO:
        return handle_hello(session, payload, err) == 0 ? HANDLED : HANDLED_FAILED;
    case MESSAGE_OPEN:
        return handle_open(session, payload, err) == 0 ? HANDLED : HANDLED_FAILED;
    case MESSAGE_FAIL:
        return handle_fail(session, payload, err);
    case MESSAGE_PING:
        return HANDLED;
    case MESSAGE_DISKS:
        if (session->role == ROLE_TARGET) {
            return handle_disks(session, payload, err) == 0 ? HANDLED : HANDLED_FAILED;
        }
        break;
    case MESSAGE_BEGIN:
        if (session->role == ROLE_SOURCE) {
            return handle_begin(session, payload, err) == 0 ? HANDLED : HANDLED_FAILED;
        }
        break;
    case MESSAGE_NODES:
    case MESSAGE_ZEROS:
    case MESSAGE_LEAVES:
    case MESSAGE_PAGES:
    case MESSAGE_SEALED:
    case MESSAGE_BEHIND:
        if (session->source != NULL) {
            return source_handle(session, frame, err);
        }
        break;
    case MESSAGE_WANT_LEAVES:
    case MESSAGE_WANT_PAGES:
    case MESSAGE_DATA:
    case MESSAGE_ZERO:
    case MESSAGE_DONE:
    case MESSAGE_SEAL:
    case MESSAGE_BYE:
        if (session->target != NULL) {
            return target_handle(session, frame, err);
        }
        break;
    case MESSAGE_INVALID:
        break;
    }
    (void)fail(err, ERR_PEER, 0, "the peer sent a %s message that was not due",
               message_kind((uint8_t)frame->type)->name);
    return HANDLED_FAILED;
}

/* The peer's role, so that a message from the wrong side is refused at its header. */
static enum session_role peer_role(const struct session *session)
{
    return session->role == ROLE_SOURCE   ? ROLE_TARGET
           : session->role == ROLE_TARGET ? ROLE_SOURCE
                                          : ROLE_NONE;
}

/* Handles what has come. True if anything was handled. */
static bool pump_messages(struct session *session)
{
    bool did_any = false;

    while (!has_failed(session) && session->state != SESSION_DONE && session_can_act(session)) {
        struct error err = {0};
        struct frame frame = session->held;
        int received = frame.type != MESSAGE_INVALID
                           ? 1
                           : channel_receive(session->channel, peer_role(session), &frame, &err);
        if (received == 0) {
            if (session->target != NULL) {
                target_caught_up(session);
            }
            break;
        }
        enum handled handled = received < 0 ? HANDLED_FAILED : handle_frame(session, &frame, &err);
        session->held = handled == HANDLED_LATER ? frame : (struct frame){0};
        if (handled == HANDLED_LATER) {
            break;
        }
        if (handled == HANDLED_FAILED) {
            session_fail(session, &err);
        }
        did_any = true;
    }
    return did_any;
}

static void pump(struct session *session)
{
    bool did_any = true;

    while (did_any) {
        did_any = pump_messages(session);
        if (session->source != NULL && !has_failed(session)) {
            did_any |= source_pump(session);
        }
        if (session->target != NULL) {
            did_any |= target_pump(session);
        }
    }
}

/* --- events ---------------------------------------------------------------------------------- */

static void handle_link_end(struct session *session, const struct error *error)
{
    struct error err;

    session->link_has_ended = true;
    if (session->state == SESSION_DONE || has_failed(session)) {
        return;
    }
    if (session->target != NULL && target_is_sealed(session)) {
        session->state = SESSION_DONE; /* only the source's farewell is missing */
        return;
    }
    if (error != NULL) {
        session_fail(session, error);
        return;
    }
    (void)fail(&err, ERR_PEER, 0, "the other side ended the connection%s",
               session->state == SESSION_HELLO ? " before it said anything" : "");
    session_fail(session, &err);
}

static void send_ping(struct session *session)
{
    if (session->digester == NULL || session->link_has_ended ||
        channel_outbox(session->channel).len_bytes > 0) {
        return;
    }
    struct writer w = channel_begin(session->channel, 0);
    channel_end(session->channel, MESSAGE_PING, &w);
}

static void handle_disk_done(struct session *session, struct disk_request *request)
{
    assert(session->in_flight > 0);
    session->in_flight--;
    if (session->role == ROLE_SOURCE) {
        source_disk_done(session, request);
    } else {
        target_disk_done(session, request);
    }
}

static void handle_event(struct session *session, const struct session_event *event)
{
    switch (event->kind) {
    case SESSION_START:
        send_hello(session);
        break;
    case SESSION_RECEIVED:
        session->progress.wire.received_bytes += event->len_bytes;
        if (!has_failed(session)) {
            channel_filled(session->channel, event->len_bytes);
        }
        break;
    case SESSION_SENT:
        session->progress.wire.sent_bytes += event->len_bytes;
        channel_sent(session->channel, event->len_bytes);
        break;
    case SESSION_LINK_ENDED:
        /* What came before the end counts: a FAIL message says more than the end does. */
        pump(session);
        handle_link_end(session, event->error);
        break;
    case SESSION_DISKS:
        handle_opened(session, event);
        break;
    case SESSION_DISK_DONE:
        handle_disk_done(session, event->request);
        break;
    case SESSION_RECORDED:
        target_recorded(session, event->error);
        break;
    case SESSION_COMMITTED:
        target_committed(session, event->error);
        break;
    case SESSION_IDENTIFIED:
        if (event->error != NULL) {
            session_fail(session, event->error);
        } else {
            source_identified(session, event->facts);
        }
        break;
    case SESSION_THIN:
        session->is_thin = event->is_thin;
        break;
    case SESSION_IDLE:
        send_ping(session);
        break;
    case SESSION_CANCEL:
        if (session->state != SESSION_DONE) {
            session_fail(session, event->error);
        }
        break;
    case SESSION_CONTINUE:
    case SESSION_INVALID:
        break;
    }
}

void session_step(struct session *session, const struct session_event *event,
                  struct session_actions *actions)
{
    actions->count = 0;
    session->actions = actions;
    handle_event(session, event);
    pump(session);
    session->actions = NULL;
}

/* --- looks ----------------------------------------------------------------------------------- */

struct span session_inbox(struct session *session)
{
    if (has_failed(session)) {
        channel_discard(session->channel);
    } else if (session->held.type != MESSAGE_INVALID) {
        return (struct span){NULL, 0};
    }
    return channel_inbox(session->channel);
}

struct const_span session_outbox(const struct session *session)
{
    return channel_outbox(session->channel);
}

enum session_state session_state(const struct session *session)
{
    return session->state;
}

bool session_is_finished(const struct session *session)
{
    if (session->in_flight > 0) {
        return false;
    }
    return session->state == SESSION_FAILED ||
           (session->state == SESSION_DONE &&
            (session->link_has_ended || channel_outbox(session->channel).len_bytes == 0));
}

const struct progress *session_progress(const struct session *session)
{
    return &session->progress;
}

const struct error *session_error(const struct session *session)
{
    return &session->error;
}

enum session_role session_role(const struct session *session)
{
    return session->role;
}

bool session_is_within_frame(const struct session *session)
{
    return session->held.type == MESSAGE_INVALID && channel_has_waiting(session->channel);
}

uint64_t session_rate_bytes_per_s(const struct session *session)
{
    return session->config.rate_bytes_per_s;
}

const struct session_open *session_open(const struct session *session)
{
    return &session->open;
}
