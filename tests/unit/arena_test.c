/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/arena.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static bool is_zero(const unsigned char *bytes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (bytes[i] != 0) {
            return false;
        }
    }
    return true;
}

static void what_is_taken_is_zero_and_aligned(void **state)
{
    struct arena arena;

    (void)state;
    arena_init(&arena, 256 * KIB);
    for (size_t size = 0; size < 300; size += 7) {
        unsigned char *at = arena_take(&arena, size);
        assert_non_null(at);
        assert_int_equal((uintptr_t)at % _Alignof(max_align_t), 0);
        assert_true(is_zero(at, size));
        memset(at, 0xff, size); /* the next one must not have these */
    }
    assert_int_equal(arena_done(&arena, NULL), 0);
    arena_free(&arena);
}

static void things_do_not_overlap_whatever_their_size(void **state)
{
    unsigned char *all[200];
    size_t sizes[200];
    struct arena arena;

    (void)state;
    arena_init(&arena, 8 * KIB * KIB);
    for (size_t i = 0; i < ARRAY_COUNT(all); i++) {
        sizes[i] = i % 10 == 9 ? 20 * KIB + i : 1 + i * 3; /* with blocks of their own between */
        all[i] = arena_take(&arena, sizes[i]);
        assert_non_null(all[i]);
        memset(all[i], (int)(i + 1), sizes[i]);
    }
    for (size_t i = 0; i < ARRAY_COUNT(all); i++) {
        for (size_t k = 0; k < sizes[i]; k++) {
            assert_int_equal(all[i][k], (unsigned char)(i + 1));
        }
    }
    arena_free(&arena);
}

static void the_limit_is_reached_exactly(void **state)
{
    struct error err = {0};
    struct arena arena;

    (void)state;
    arena_init(&arena, 64);
    assert_non_null(arena_take(&arena, 48));
    assert_non_null(arena_take(&arena, 16));
    assert_int_equal(arena_done(&arena, NULL), 0);
    assert_null(arena_take(&arena, 1));
    assert_int_equal(arena_done(&arena, &err), -1);
    assert_int_equal(err.kind, ERR_LIMIT);
    arena_free(&arena);
}

static void after_one_refusal_all_are_refused(void **state)
{
    struct arena arena;

    (void)state;
    arena_init(&arena, KIB);
    assert_null(arena_take(&arena, 2 * KIB));
    assert_null(arena_take(&arena, 1));
    assert_null(arena_text(&arena, "x"));
    assert_null(arena_print(&arena, "%d", 1));
    assert_null(arena_take_many(&arena, 1, 1));
    arena_free(&arena);
}

static void sizes_that_overflow_are_refused(void **state)
{
    const size_t sizes[] = {SIZE_MAX, SIZE_MAX - 1, SIZE_MAX - 15, SIZE_MAX - 16, SIZE_MAX / 2};

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(sizes); i++) {
        struct arena arena;
        arena_init(&arena, 64 * KIB);
        assert_null(arena_take(&arena, sizes[i]));
        assert_true(arena.bad);
        arena_free(&arena);
        assert_null(arena_take_many(&arena, sizes[i], 2 * KIB));
        assert_true(arena.bad);
        arena_free(&arena);
        assert_null(arena_text_of(&arena, "", sizes[i]));
        assert_true(arena.bad);
        arena_free(&arena);
    }
}

static void a_freed_arena_serves_anew(void **state)
{
    struct arena arena;

    (void)state;
    arena_init(&arena, KIB);
    arena_free(&arena);
    for (int round = 0; round < 3; round++) {
        assert_non_null(arena_take(&arena, KIB));
        assert_null(arena_take(&arena, 1));
        arena_free(&arena);
        assert_int_equal(arena_done(&arena, NULL), 0);
    }
}

static void texts_are_copied(void **state)
{
    char source[] = "text";
    struct arena arena;

    (void)state;
    arena_init(&arena, 256 * KIB);
    const char *copy = arena_text(&arena, source);
    const char *part = arena_text_of(&arena, source, 2);
    const char *none = arena_text_of(&arena, NULL, 0);
    const char *made = arena_print(&arena, "%s %05u", source, 42U);
    source[0] = 'n';
    assert_string_equal(copy, "text");
    assert_string_equal(part, "te");
    assert_string_equal(none, "");
    assert_string_equal(made, "text 00042");
    arena_free(&arena);
}

static void a_printed_text_may_be_larger_than_a_block(void **state)
{
    struct arena arena;

    (void)state;
    arena_init(&arena, 256 * KIB);
    const char *made = arena_print(&arena, "%*s", 100 * 1024, "x");
    assert_non_null(made);
    assert_int_equal(strlen(made), 100 * KIB);
    arena_free(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_taken_is_zero_and_aligned),
        cmocka_unit_test(things_do_not_overlap_whatever_their_size),
        cmocka_unit_test(the_limit_is_reached_exactly),
        cmocka_unit_test(after_one_refusal_all_are_refused),
        cmocka_unit_test(sizes_that_overflow_are_refused),
        cmocka_unit_test(a_freed_arena_serves_anew),
        cmocka_unit_test(texts_are_copied),
        cmocka_unit_test(a_printed_text_may_be_larger_than_a_block),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
