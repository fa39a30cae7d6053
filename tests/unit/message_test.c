/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Every message against schema/wire-vectors.txt, which was encoded from the specification and not
 * by this code: what is read has the values that were written there, and writing it again gives the
 * same bytes. Then every way in which a payload can be wrong.
 */
#include "wire/message.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define VECTOR_MAX 1024U

struct vector {
    char name[32];
    uint8_t bytes[VECTOR_MAX];
    size_t len_bytes;
};

static struct vector vectors[MESSAGE_TYPE_MAX + 1];
static size_t vector_count;

static int load_vectors(void **state)
{
    (void)state;
    FILE *file = fopen(WIRE_VECTORS, "r");
    char hex[2 * VECTOR_MAX];
    char line[2 * VECTOR_MAX + 64];

    assert_non_null(file);
    while (fgets(line, sizeof line, file) != NULL) {
        struct vector *v = &vectors[vector_count];
        if (line[0] == '#' || sscanf(line, "%31s %2047s", v->name, hex) != 2) {
            continue;
        }
        assert_true(vector_count <= MESSAGE_TYPE_MAX);
        for (v->len_bytes = 0; hex[0] != '-' && hex[2 * v->len_bytes] != '\0'; v->len_bytes++) {
            unsigned byte = 0;
            assert_int_equal(sscanf(hex + 2 * v->len_bytes, "%2x", &byte), 1);
            v->bytes[v->len_bytes] = (uint8_t)byte;
        }
        vector_count++;
    }
    (void)fclose(file);
    return 0;
}

static const struct vector *vector(enum message_type type)
{
    for (size_t i = 0; i < vector_count; i++) {
        if (strcmp(vectors[i].name, message_kind((uint8_t)type)->name) == 0) {
            return &vectors[i];
        }
    }
    fail_msg("no vector for %s", message_kind((uint8_t)type)->name);
    return NULL;
}

/* A message of any type, read and written again. The struct is as large as the largest. */
union any_message {
    struct message_hello hello;
    struct message_open open;
    struct message_disks disks;
    struct message_begin begin;
    struct message_nodes nodes;
    struct message_zeros zeros;
    struct message_want want;
    struct message_leaves leaves;
    struct message_pages pages;
    struct message_data data;
    struct message_zero zero;
    struct message_done done;
    struct message_sealed sealed;
    struct message_bye bye;
    struct message_behind behind;
    struct error fail;
};

static int get(enum message_type type, struct const_span payload, union any_message *m,
               struct error *err)
{
    switch (type) {
    case MESSAGE_HELLO:
        return message_get_hello(payload, &m->hello, err);
    case MESSAGE_OPEN:
        return message_get_open(payload, &m->open, err);
    case MESSAGE_DISKS:
        return message_get_disks(payload, &m->disks, err);
    case MESSAGE_BEGIN:
        return message_get_begin(payload, &m->begin, err);
    case MESSAGE_NODES:
        return message_get_nodes(payload, &m->nodes, err);
    case MESSAGE_ZEROS:
        return message_get_zeros(payload, &m->zeros, err);
    case MESSAGE_WANT_LEAVES:
    case MESSAGE_WANT_PAGES:
        return message_get_want(payload, &m->want, err);
    case MESSAGE_LEAVES:
        return message_get_leaves(payload, &m->leaves, err);
    case MESSAGE_PAGES:
        return message_get_pages(payload, &m->pages, err);
    case MESSAGE_DATA:
        return message_get_data(payload, &m->data, err);
    case MESSAGE_ZERO:
        return message_get_zero(payload, &m->zero, err);
    case MESSAGE_DONE:
        return message_get_done(payload, &m->done, err);
    case MESSAGE_SEALED:
        return message_get_sealed(payload, &m->sealed, err);
    case MESSAGE_BYE:
        return message_get_bye(payload, &m->bye, err);
    case MESSAGE_BEHIND:
        return message_get_behind(payload, &m->behind, err);
    case MESSAGE_FAIL:
        return message_get_fail(payload, &m->fail, err);
    case MESSAGE_SEAL:
    case MESSAGE_PING:
        return payload.len_bytes == 0 ? 0 : -1;
    case MESSAGE_INVALID:
        break;
    }
    return -1;
}

static void put_open(struct writer *w, const struct message_open *m)
{
    struct session_disk_name names[DISKS_MAX];
    const char *name = m->names;

    for (uint32_t i = 0; i < m->disk_count; i++) {
        names[i] = (struct session_disk_name){name, (enum disk_format)m->formats[i]};
        name += strlen(name) + 1;
    }
    message_put_open(w, &(struct session_config){
                            .role = m->role == ROLE_SOURCE ? ROLE_TARGET : ROLE_SOURCE,
                            .flags = m->flags,
                            .compress = m->compress,
                            .refine = m->refine,
                            .rate_bytes_per_s = m->rate_bytes_per_s,
                            .disk_count = m->disk_count,
                            .remote_disks = names,
                        });
}

static void put(enum message_type type, struct writer *w, const union any_message *m)
{
    switch (type) {
    case MESSAGE_HELLO:
        message_put_hello(w, &m->hello);
        break;
    case MESSAGE_OPEN:
        put_open(w, &m->open);
        break;
    case MESSAGE_DISKS:
        message_put_disks(w, &m->disks);
        break;
    case MESSAGE_BEGIN:
        message_put_begin(w, &m->begin);
        break;
    case MESSAGE_NODES:
        message_put_nodes(w, &m->nodes);
        break;
    case MESSAGE_ZEROS:
        message_put_zeros(w, &m->zeros);
        break;
    case MESSAGE_WANT_LEAVES:
    case MESSAGE_WANT_PAGES:
        message_put_want(w, &m->want);
        break;
    case MESSAGE_LEAVES:
        message_put_leaves(w, &m->leaves);
        break;
    case MESSAGE_PAGES:
        message_put_pages(w, &m->pages);
        break;
    case MESSAGE_DATA:
        message_put_data(w, &m->data);
        break;
    case MESSAGE_ZERO:
        message_put_zero(w, &m->zero);
        break;
    case MESSAGE_DONE:
        message_put_done(w, &m->done);
        break;
    case MESSAGE_SEALED:
        message_put_sealed(w, &m->sealed);
        break;
    case MESSAGE_BYE:
        message_put_bye(w, &m->bye);
        break;
    case MESSAGE_BEHIND:
        message_put_behind(w, &m->behind);
        break;
    case MESSAGE_FAIL:
        message_put_fail(w, &m->fail);
        break;
    case MESSAGE_SEAL:
    case MESSAGE_PING:
    case MESSAGE_INVALID:
        break;
    }
}

static void done_with(enum message_type type, union any_message *m)
{
    if (type == MESSAGE_OPEN) {
        message_open_done(&m->open);
    }
}

static void every_message_is_as_the_specification_says(void **state)
{
    (void)state;
    static union any_message m;

    assert_int_equal(vector_count, MESSAGE_TYPE_MAX);
    for (uint8_t type = 1; type <= MESSAGE_TYPE_MAX; type++) {
        const struct vector *v = vector((enum message_type)type);
        uint8_t again[VECTOR_MAX];
        struct writer w = writer_init((struct span){again, sizeof again});
        struct error err = {0};

        assert_true(v->len_bytes >= message_kind(type)->min_bytes);
        assert_true(v->len_bytes <= message_kind(type)->max_bytes);
        if (get((enum message_type)type, (struct const_span){v->bytes, v->len_bytes}, &m, &err) !=
            0) {
            fail_msg("%s: %s", v->name, err.message);
        }
        put((enum message_type)type, &w, &m);
        assert_int_equal(w.used_bytes, v->len_bytes);
        assert_memory_equal(again, v->bytes, v->len_bytes);
        done_with((enum message_type)type, &m);
    }
}

static void the_values_are_the_ones_written(void **state)
{
    (void)state;
    static union any_message m;
    const struct vector *v = vector(MESSAGE_OPEN);

    assert_int_equal(get(MESSAGE_OPEN, (struct const_span){v->bytes, v->len_bytes}, &m, NULL), 0);
    assert_int_equal(m.open.role, ROLE_TARGET);
    assert_int_equal(m.open.flags, SESSION_CHECK | SESSION_CREATE);
    assert_int_equal(m.open.rate_bytes_per_s, MIB);
    assert_string_equal(m.open.names, "/vm/a.qcow2");
    assert_string_equal(m.open.names + strlen(m.open.names) + 1, "export-b");
    assert_int_equal(m.open.formats[0], DISK_FORMAT_QCOW2);
    message_open_done(&m.open);
    v = vector(MESSAGE_DATA);
    assert_int_equal(get(MESSAGE_DATA, (struct const_span){v->bytes, v->len_bytes}, &m, NULL), 0);
    assert_int_equal(m.data.leaf, 162);
    assert_int_equal(m.data.encoding, DATA_ZSTD);
    assert_int_equal(m.data.pages, 0x8001);
    assert_int_equal(m.data.bytes.len_bytes, 10);
    v = vector(MESSAGE_FAIL);
    assert_int_equal(get(MESSAGE_FAIL, (struct const_span){v->bytes, v->len_bytes}, &m, NULL), 0);
    assert_int_equal(m.fail.kind, ERR_IO);
    assert_int_equal(m.fail.errnum, 5);
    assert_true(m.fail.has_offset);
    assert_int_equal(m.fail.offset_bytes, 4096);
    assert_string_equal(m.fail.disk, "b.raw");
    assert_string_equal(m.fail.message, "writing failed");
}

/* Messages that may be of several lengths: some cuts are whole messages of fewer items. */
static bool has_items(enum message_type type)
{
    return type == MESSAGE_NODES || type == MESSAGE_LEAVES || type == MESSAGE_PAGES ||
           type == MESSAGE_WANT_LEAVES || type == MESSAGE_WANT_PAGES || type == MESSAGE_DATA;
}

static void a_payload_of_the_wrong_length_is_refused(void **state)
{
    (void)state;
    static union any_message m;

    for (uint8_t number = 1; number <= MESSAGE_TYPE_MAX; number++) {
        enum message_type type = (enum message_type)number;
        const struct vector *v = vector(type);
        uint8_t longer[VECTOR_MAX + 1];
        for (size_t len = 0; len < v->len_bytes; len++) {
            struct error err = {0};
            int result = get(type, (struct const_span){v->bytes, len}, &m, &err);
            if (result == 0 && has_items(type)) {
                continue;
            }
            assert_int_equal(result, -1);
            assert_int_equal(err.kind, ERR_PEER);
        }
        memcpy(longer, v->bytes, v->len_bytes);
        longer[v->len_bytes] = 0;
        int result = get(type, (struct const_span){longer, v->len_bytes + 1}, &m, NULL);
        if (type == MESSAGE_HELLO || type == MESSAGE_DATA) {
            assert_int_equal(result, 0); /* a later HELLO may have more; DATA's end is data */
        } else {
            assert_int_equal(result, -1);
        }
    }
}

/* One byte of a vector replaced. */
static int get_with(enum message_type type, size_t at, uint8_t value)
{
    static union any_message m;
    const struct vector *v = vector(type);
    uint8_t changed[VECTOR_MAX];

    memcpy(changed, v->bytes, v->len_bytes);
    changed[at] = value;
    int result = get(type, (struct const_span){changed, v->len_bytes}, &m, NULL);
    if (result == 0) {
        done_with(type, &m);
    }
    return result;
}

static void a_field_out_of_its_range_is_refused(void **state)
{
    (void)state;
    static const struct {
        enum message_type type;
        size_t at;
        uint8_t value;
    } cases[] = {
        {MESSAGE_HELLO, 0, 'X'},  /* magic */
        {MESSAGE_HELLO, 8, 0},    /* lowest version 0 */
        {MESSAGE_HELLO, 8, 4},    /* lowest above highest */
        {MESSAGE_HELLO, 50, 0},   /* a NUL in the text */
        {MESSAGE_OPEN, 0, 0},     /* no role */
        {MESSAGE_OPEN, 0, 3},     /* no such role */
        {MESSAGE_OPEN, 1, 32},    /* an unknown flag */
        {MESSAGE_OPEN, 5, 3},     /* compress: no such choice */
        {MESSAGE_OPEN, 6, 3},     /* pages: no such choice */
        {MESSAGE_OPEN, 15, 0},    /* no disks */
        {MESSAGE_OPEN, 15, 65},   /* too many */
        {MESSAGE_OPEN, 17, 6},    /* no such format */
        {MESSAGE_OPEN, 20, 0},    /* a NUL in a path */
        {MESSAGE_DISKS, 0, 0},    /* no disks */
        {MESSAGE_DISKS, 0, 65},   /* too many */
        {MESSAGE_DISKS, 9, 0x20}, /* larger than any disk */
        {MESSAGE_BEGIN, 8, 65},   /* too many proofs */
        {MESSAGE_ZEROS, 16, 2},   /* neither read nor known */
        {MESSAGE_DATA, 24, 2},    /* no such encoding */
        {MESSAGE_ZERO, 8, 0},     /* no leaves */
        {MESSAGE_ZERO, 8, 30},    /* across the node's end */
        {MESSAGE_ZERO, 9, 1},     /* more than a node has */
        {MESSAGE_DONE, 8, 2},     /* neither the same nor not */
        {MESSAGE_SEALED, 0, 65},  /* too many disks */
        {MESSAGE_BYE, 0, 65},     /* too many disks */
        {MESSAGE_BEHIND, 0, 2},   /* neither behind nor not */
        {MESSAGE_FAIL, 0, 0},     /* no error */
        {MESSAGE_FAIL, 0, 8},     /* no such kind */
        {MESSAGE_FAIL, 5, 2},     /* neither with an offset nor without */
        {MESSAGE_FAIL, 4, 0x80},  /* no errno is so large */
    };

    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        if (get_with(cases[i].type, cases[i].at, cases[i].value) != -1) {
            fail_msg("%s with byte %zu = %u passes", message_kind((uint8_t)cases[i].type)->name,
                     cases[i].at, cases[i].value);
        }
    }
}

static void control_bytes_of_a_peers_error_are_not_shown(void **state)
{
    (void)state;
    struct error theirs = {.kind = ERR_IO, .disk = "a\x1b[2Jb", .message = "line\nline"};
    struct error read;
    uint8_t buffer[256];
    struct writer w = writer_init((struct span){buffer, sizeof buffer});

    message_put_fail(&w, &theirs);
    assert_int_equal(message_get_fail(writer_done(&w), &read, NULL), 0);
    assert_string_equal(read.disk, "a?[2Jb");
    assert_string_equal(read.message, "line?line");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_message_is_as_the_specification_says),
        cmocka_unit_test(the_values_are_the_ones_written),
        cmocka_unit_test(a_payload_of_the_wrong_length_is_refused),
        cmocka_unit_test(a_field_out_of_its_range_is_refused),
        cmocka_unit_test(control_bytes_of_a_peers_error_are_not_shown),
    };
    return cmocka_run_group_tests(tests, load_vectors, NULL);
}
