/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "wire/channel.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

/* Two ends that have exchanged their HELLOs (any bytes will do here). */
struct pair {
    struct channel *a;
    struct channel *b;
    uint8_t key_a[DIGEST_KEY_BYTES];
    uint8_t key_b[DIGEST_KEY_BYTES];
};

static struct pair new_pair(const uint8_t *secret_a, const uint8_t *secret_b,
                            uint8_t hello_seen_by_b)
{
    const uint8_t hello_a[] = {1, 2, 3};
    const uint8_t hello_b[] = {4, 5, 6};
    uint8_t seen[] = {1, 2, hello_seen_by_b};
    struct const_span one = {hello_a, sizeof hello_a};
    struct const_span two = {hello_b, sizeof hello_b};
    struct const_span one_seen = {seen, sizeof seen};
    struct pair pair;

    assert_int_equal(channel_new(&pair.a, NULL), 0);
    assert_int_equal(channel_new(&pair.b, NULL), 0);
    assert_int_equal(channel_set_keys(pair.a, true, secret_a, one, two, pair.key_a, NULL), 0);
    assert_int_equal(channel_set_keys(pair.b, false, secret_b, one_seen, two, pair.key_b, NULL), 0);
    return pair;
}

static void free_pair(struct pair *pair)
{
    channel_free(pair->a);
    channel_free(pair->b);
}

static void send_zero(struct channel *channel, uint64_t first_leaf)
{
    struct writer w = channel_begin(channel, 12);

    message_put_zero(&w, &(struct message_zero){.first_leaf = first_leaf, .count = 1});
    channel_end(channel, MESSAGE_ZERO, &w);
}

/* Moves up to max_bytes of what waits; byte `flip` (counted from the first moved) loses its lowest
 * bit's value. */
static size_t carry(struct channel *from, struct channel *to, size_t max_bytes, size_t flip)
{
    struct const_span out = channel_outbox(from);
    struct span in = channel_inbox(to);
    size_t len_bytes = out.len_bytes < max_bytes ? out.len_bytes : max_bytes;

    assert_true(len_bytes <= in.len_bytes);
    memcpy(in.at, out.at, len_bytes);
    if (flip < len_bytes) {
        in.at[flip] ^= 1;
    }
    channel_filled(to, len_bytes);
    channel_sent(from, len_bytes);
    return len_bytes;
}

static void frames_arrive_whole_however_they_are_cut(void **state)
{
    (void)state;
    struct pair pair = new_pair(NULL, NULL, 3);
    uint64_t expected = 0;
    struct frame frame;

    assert_memory_equal(pair.key_a, pair.key_b, DIGEST_KEY_BYTES);
    for (uint64_t i = 0; i < 100; i++) {
        send_zero(pair.a, i * 32);
    }
    for (size_t step = 1; channel_outbox(pair.a).len_bytes > 0; step = step % 50 + 1) {
        (void)carry(pair.a, pair.b, step, SIZE_MAX);
        int result = 0;
        while ((result = channel_receive(pair.b, ROLE_SOURCE, &frame, NULL)) == 1) {
            struct message_zero m;
            assert_int_equal(frame.type, MESSAGE_ZERO);
            assert_int_equal(message_get_zero(frame.payload, &m, NULL), 0);
            assert_int_equal(m.first_leaf, 32 * expected++);
        }
        assert_int_equal(result, 0);
    }
    assert_int_equal(expected, 100);
    free_pair(&pair);
}

static void every_flipped_byte_of_a_frame_is_noticed(void **state)
{
    (void)state;
    size_t frame_bytes = FRAME_HEADER_BYTES + 12 + FRAME_TAG_BYTES;

    for (size_t flip = 0; flip < frame_bytes; flip++) {
        struct pair pair = new_pair(NULL, NULL, 3);
        struct error err = {0};
        struct frame frame;
        send_zero(pair.a, 0);
        assert_int_equal(carry(pair.a, pair.b, SIZE_MAX, flip), frame_bytes);
        assert_int_equal(channel_receive(pair.b, ROLE_SOURCE, &frame, &err), -1);
        assert_int_equal(err.kind, ERR_PEER);
        free_pair(&pair);
    }
}

static void a_frame_sent_again_is_noticed(void **state)
{
    (void)state;
    struct pair pair = new_pair(NULL, NULL, 3);
    struct frame frame;
    uint8_t copy[64];

    send_zero(pair.a, 0);
    struct const_span out = channel_outbox(pair.a);
    size_t len_bytes = out.len_bytes;
    memcpy(copy, out.at, len_bytes);
    (void)carry(pair.a, pair.b, SIZE_MAX, SIZE_MAX);
    assert_int_equal(channel_receive(pair.b, ROLE_SOURCE, &frame, NULL), 1);
    memcpy(channel_inbox(pair.b).at, copy, len_bytes);
    channel_filled(pair.b, len_bytes);
    assert_int_equal(channel_receive(pair.b, ROLE_SOURCE, &frame, NULL), -1);
    free_pair(&pair);
}

/* The keys hang on both HELLOs and the link's secret: whoever changes one of them is noticed at the
 * first frame. */
static void other_keys_are_noticed(void **state)
{
    (void)state;
    const uint8_t secret[LINK_SECRET_BYTES] = {5};
    struct frame frame;
    struct pair pairs[] = {new_pair(NULL, NULL, 9), new_pair(secret, NULL, 3)};

    for (size_t i = 0; i < 2; i++) {
        assert_memory_not_equal(pairs[i].key_a, pairs[i].key_b, DIGEST_KEY_BYTES);
        send_zero(pairs[i].a, 0);
        (void)carry(pairs[i].a, pairs[i].b, SIZE_MAX, SIZE_MAX);
        assert_int_equal(channel_receive(pairs[i].b, ROLE_SOURCE, &frame, NULL), -1);
        free_pair(&pairs[i]);
    }
}

static int receive_header(struct channel *channel, enum session_role from, uint32_t length,
                          uint32_t type, struct error *err)
{
    struct writer w = writer_init(channel_inbox(channel));
    struct frame frame;

    write_u32(&w, length);
    write_u32(&w, type);
    channel_filled(channel, FRAME_HEADER_BYTES);
    return channel_receive(channel, from, &frame, err);
}

static void headers_out_of_bounds_are_refused_before_their_payload(void **state)
{
    (void)state;
    for (uint32_t type = 0; type <= MESSAGE_TYPE_MAX + 2; type++) {
        const struct message_kind *kind =
            type <= MESSAGE_TYPE_MAX ? message_kind((uint8_t)type) : NULL;
        uint32_t min = kind == NULL ? 1 : kind->min_bytes;
        uint32_t max = kind == NULL ? 1 : kind->max_bytes;
        bool is_good = kind != NULL && type != MESSAGE_HELLO;
        const struct {
            uint32_t length;
            bool is_good;
        } cases[] = {{min, is_good},
                     {max, is_good},
                     {max + 1, false},
                     {UINT32_MAX, false},
                     {min - 1, false}};
        for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
            struct pair pair = new_pair(NULL, NULL, 3);
            int result = receive_header(pair.b, ROLE_NONE, cases[i].length, type, NULL);
            /* Good and nothing to follow but the tag, or more to come: not whole yet. */
            assert_int_equal(result, cases[i].is_good ? 0 : -1);
            free_pair(&pair);
        }
    }
}

static void a_message_from_the_wrong_role_is_refused(void **state)
{
    (void)state;
    struct error err = {0};
    struct pair pair = new_pair(NULL, NULL, 3);

    assert_int_equal(receive_header(pair.b, ROLE_TARGET, 12, MESSAGE_ZERO, &err), -1);
    assert_non_null(strstr(err.message, "ZERO"));
    free_pair(&pair);
    pair = new_pair(NULL, NULL, 3);
    assert_int_equal(receive_header(pair.b, ROLE_SOURCE, 24, MESSAGE_NODES, &err), -1);
    free_pair(&pair);
}

static void a_peer_that_is_not_resilver_is_named_so(void **state)
{
    (void)state;
    struct channel *channel = NULL;
    struct error err = {0};
    struct frame frame;

    assert_int_equal(channel_new(&channel, NULL), 0);
    memcpy(channel_inbox(channel).at, "Welcome to db1!\n", 16);
    channel_filled(channel, 16);
    assert_int_equal(channel_receive(channel, ROLE_NONE, &frame, &err), -1);
    assert_non_null(strstr(err.message, "Welcome"));
    assert_non_null(strstr(err.message, "login script"));
    channel_free(channel);
}

static void the_outbox_ends_at_its_limit(void **state)
{
    (void)state;
    struct pair pair = new_pair(NULL, NULL, 3);
    size_t frames = 0;

    while (channel_room(pair.a) >= 12) {
        send_zero(pair.a, 0);
        frames++;
        assert_true(frames < OUTBOX_MAX_BYTES);
    }
    assert_true(channel_outbox(pair.a).len_bytes <= OUTBOX_MAX_BYTES);
    assert_true(channel_begin(pair.a, 12).bad);
    free_pair(&pair);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frames_arrive_whole_however_they_are_cut),
        cmocka_unit_test(every_flipped_byte_of_a_frame_is_noticed),
        cmocka_unit_test(a_frame_sent_again_is_noticed),
        cmocka_unit_test(other_keys_are_noticed),
        cmocka_unit_test(headers_out_of_bounds_are_refused_before_their_payload),
        cmocka_unit_test(a_message_from_the_wrong_role_is_refused),
        cmocka_unit_test(a_peer_that_is_not_resilver_is_named_so),
        cmocka_unit_test(the_outbox_ends_at_its_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
