/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Two sessions with disks in memory. What no link and no disk can do, because frames have tags and
 * leaves have digests, is done from within: the source's memory goes wrong, and so does its proof.
 */
#include "wire/session_internal.h" /* before cmocka.h, which has a fail() too */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define DISK_BYTES (3 * MIB + 4096)
#define SCRIPT_EVENTS_MAX (DISK_REQUESTS_MAX + 16)
#define ROUNDS_MAX 100000

/* One end. What is to be told to its session waits in a ring. */
struct end {
    struct session *session; /* owned */
    uint8_t *bytes;          /* owned: the disk, DISK_BYTES of them */
    struct session_event events[SCRIPT_EVENTS_MAX];
    size_t first_event;
    size_t event_count;
    bool was_told_of_the_end;
};

static const struct session_disk_facts facts = {.size_bytes = DISK_BYTES};

static void tell(struct end *end, struct session_event event)
{
    assert_true(end->event_count < SCRIPT_EVENTS_MAX);
    end->events[(end->first_event + end->event_count++) % SCRIPT_EVENTS_MAX] = event;
}

static void serve(struct end *end, struct disk_request *request)
{
    uint8_t *at = end->bytes + request->offset_bytes;

    request->errnum = 0;
    request->cached = false;
    switch (request->op) {
    case DISK_READ:
    case DISK_READ_MEDIUM:
        memcpy(request->data.at, at, request->data.len_bytes);
        break;
    case DISK_WRITE:
        memcpy(at, request->data.at, request->data.len_bytes);
        break;
    case DISK_ZERO:
        memset(at, 0, request->len_bytes);
        break;
    case DISK_EXTENTS:
        request->extents[0] =
            (struct extent){.offset_bytes = request->offset_bytes, .len_bytes = request->len_bytes};
        request->extent_count = 1;
        break;
    case DISK_FLUSH:
        break;
    case DISK_INVALID:
        assert_true(request->op != DISK_INVALID);
        break;
    }
    tell(end, (struct session_event){.kind = SESSION_DISK_DONE, .request = request});
}

static void carry_out(struct end *end, const struct session_action *action)
{
    switch (action->kind) {
    case ACTION_OPEN_DISKS:
        tell(end, (struct session_event){.kind = SESSION_DISKS, .facts = &facts});
        break;
    case ACTION_SUBMIT:
        serve(end, action->request);
        break;
    case ACTION_RECORD:
        tell(end, (struct session_event){.kind = SESSION_RECORDED});
        break;
    case ACTION_IDENTIFY:
        tell(end, (struct session_event){.kind = SESSION_IDENTIFIED, .facts = &facts});
        break;
    case ACTION_COMMIT:
        tell(end, (struct session_event){.kind = SESSION_COMMITTED});
        break;
    case ACTION_FORGET:
        break;
    case ACTION_INVALID:
        assert_true(action->kind != ACTION_INVALID);
        break;
    }
}

static void step(struct end *end)
{
    struct session_actions actions;
    struct session_event event = end->events[end->first_event];

    end->first_event = (end->first_event + 1) % SCRIPT_EVENTS_MAX;
    end->event_count--;
    session_step(end->session, &event, &actions);
    if (actions.count == SESSION_ACTIONS_MAX) {
        tell(end, (struct session_event){.kind = SESSION_CONTINUE});
    }
    for (size_t i = 0; i < actions.count; i++) {
        carry_out(end, &actions.list[i]);
    }
}

/* Bytes from one to the other; the end of the link when there will be no more. */
static void carry_bytes(struct end *from, struct end *to)
{
    struct const_span outbox = session_outbox(from->session);
    struct span inbox = session_inbox(to->session);
    size_t len = outbox.len_bytes < inbox.len_bytes ? outbox.len_bytes : inbox.len_bytes;

    if (len > 0) {
        memcpy(inbox.at, outbox.at, len);
        tell(to, (struct session_event){.kind = SESSION_RECEIVED, .len_bytes = len});
        tell(from, (struct session_event){.kind = SESSION_SENT, .len_bytes = len});
    } else if (outbox.len_bytes == 0 && session_is_finished(from->session) &&
               !to->was_told_of_the_end) {
        to->was_told_of_the_end = true;
        tell(to, (struct session_event){.kind = SESSION_LINK_ENDED});
    }
}

static void init_end(struct end *end, enum session_role role, bool is_initiator, uint64_t seed)
{
    static const struct session_disk_name name = {.name = "disk"};
    struct session_config config = {
        .is_initiator = is_initiator,
        .role = role,
        .disk_count = 1,
        .local_disks = &name,
        .remote_disks = &name,
        .env = env_system(),
    };
    struct error err;

    *end = (struct end){.bytes = malloc(DISK_BYTES)};
    assert_non_null(end->bytes);
    for (size_t i = 0; i < DISK_BYTES; i++) {
        end->bytes[i] = (uint8_t)((i / LEAF_BYTES % 7 == 0 ? seed : 0) + i * 151 + i / 4096);
    }
    assert_int_equal(session_new(&config, &end->session, &err), 0);
    tell(end, (struct session_event){.kind = SESSION_START});
}

static void done_end(struct end *end)
{
    session_free(end->session);
    free(end->bytes);
}

/* Runs both to their ends. spoil: the source's proof begins with another key than the target's. */
static void run(struct end *source, struct end *target, bool spoil)
{
    struct end *ends[] = {source, target};
    bool is_spoilt = false;

    init_end(source, ROLE_SOURCE, true, 1);
    init_end(target, ROLE_TARGET, false, 2);
    for (int round = 0; round < ROUNDS_MAX; round++) {
        for (size_t i = 0; i < 2; i++) {
            while (ends[i]->event_count > 0) {
                step(ends[i]);
            }
        }
        if (session_state(source->session) == SESSION_OPENING && spoil && !is_spoilt) {
            assert_null(source->session->proof); /* it is made later, from the key */
            source->session->key[0] ^= 1;
            is_spoilt = true;
        }
        carry_bytes(source, target);
        if (target->event_count > 0) {
            continue; /* outbox and inbox are looked at afresh */
        }
        carry_bytes(target, source);
        if (source->event_count == 0 && target->event_count == 0) {
            break;
        }
    }
    assert_true(session_is_finished(source->session) && session_is_finished(target->session));
    assert_int_equal(is_spoilt, spoil);
}

static void equal_proofs_end_in_sync(void **state)
{
    struct end source;
    struct end target;

    (void)state;
    run(&source, &target, false);
    assert_int_equal(session_state(source.session), SESSION_DONE);
    assert_int_equal(session_state(target.session), SESSION_DONE);
    assert_memory_equal(source.bytes, target.bytes, DISK_BYTES);
    assert_true(session_progress(source.session)->disks[0].has_proof);
    assert_true(session_progress(target.session)->disks[0].has_proof);
    assert_true(session_progress(source.session)->disks[0].different_bytes > 0);
    done_end(&source);
    done_end(&target);
}

static void different_proofs_are_never_in_sync(void **state)
{
    struct end source;
    struct end target;

    (void)state;
    run(&source, &target, true);
    assert_int_equal(session_state(source.session), SESSION_FAILED);
    assert_int_equal(session_state(target.session), SESSION_FAILED);
    assert_non_null(strstr(session_error(target.session)->message, "different proofs"));
    assert_non_null(strstr(session_error(source.session)->message, "different proofs"));
    assert_false(session_progress(target.session)->disks[0].has_proof);
    done_end(&source);
    done_end(&target);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equal_proofs_end_in_sync),
        cmocka_unit_test(different_proofs_are_never_in_sync),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
