/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "points/leaf_map.h"

#include "disk_drive.h"

#include <signal.h>
#include <sys/resource.h>

#define PAGE_VALUES (PAGE_BYTES / sizeof(struct leaf_value))
#define LEAVES_16_TIB (16 * TIB / LEAF_BYTES)

static struct leaf_map *map_new(const char *folder, uint64_t leaf_count)
{
    struct leaf_map *map = NULL;

    assert_int_equal(leaf_map_new(folder, leaf_count, &map, NULL), 0);
    return map;
}

static struct leaf_value value_of(uint64_t leaf)
{
    struct leaf_value value = {.position = leaf * 3 + 1};

    memset(value.check.bytes, (int)(leaf % 251), DIGEST_BYTES);
    return value;
}

static void set(struct leaf_map *map, uint64_t leaf)
{
    struct leaf_value value = value_of(leaf);

    assert_int_equal(leaf_map_set(map, leaf, &value, NULL), 0);
}

static bool has(struct leaf_map *map, uint64_t leaf)
{
    struct leaf_value expected = value_of(leaf);
    struct leaf_value value;

    assert_int_equal(leaf_map_get(map, leaf, &value, NULL), 0);
    if (value.position == 0) {
        return false;
    }
    assert_int_equal(value.position, expected.position);
    assert_true(digest_equal(&value.check, &expected.check));
    return true;
}

static uint64_t next(struct leaf_map *map, uint64_t from)
{
    uint64_t leaf = 0;

    assert_int_equal(leaf_map_next(map, from, &leaf, NULL), 0);
    return leaf;
}

static void what_was_set_is_found_and_nothing_else(void **state)
{
    (void)state;
    const uint64_t leaves = 3 * LEAF_MAP_PAGES * PAGE_VALUES; /* thrice what the cache holds */
    struct leaf_map *map = map_new(NULL, leaves);

    for (uint64_t leaf = 0; leaf < leaves; leaf += 7) {
        set(map, leaf);
    }
    for (uint64_t leaf = 0; leaf < leaves; leaf++) {
        assert_true(has(map, leaf) == (leaf % 7 == 0));
    }
    leaf_map_free(map);
}

static void the_last_value_counts(void **state)
{
    (void)state;
    struct leaf_map *map = map_new(NULL, 10);
    struct leaf_value other = {.position = 99};
    struct leaf_value value;

    set(map, 9);
    assert_int_equal(leaf_map_set(map, 9, &other, NULL), 0);
    assert_int_equal(leaf_map_get(map, 9, &value, NULL), 0);
    assert_int_equal(value.position, 99);
    assert_true(digest_is_zero(&value.check));
    other.position = 0;
    assert_int_equal(leaf_map_set(map, 9, &other, NULL), 0);
    assert_int_equal(next(map, 0), UINT64_MAX);
    leaf_map_free(map);
}

static void next_finds_each_in_order_wherever_it_is_kept(void **state)
{
    (void)state;
    const uint64_t leaves = 4 * LEAF_MAP_PAGES * PAGE_VALUES;
    struct leaf_map *map = map_new(NULL, leaves);
    uint64_t count = 0;
    uint64_t found = 0;

    assert_int_equal(next(map, 0), UINT64_MAX);
    /* Set in an order that leaves some pages dirty in the cache and some in the file. */
    for (uint64_t i = 0; i < leaves; i += 977, count++) {
        set(map, i * 31 % leaves);
    }
    for (uint64_t from = 0; (from = next(map, from)) != UINT64_MAX; from++, found++) {
        assert_true(has(map, from));
    }
    assert_int_equal(found, count);
    assert_int_equal(next(map, leaves), UINT64_MAX);
    leaf_map_free(map);
}

static void it_agrees_with_a_plain_array(void **state)
{
    (void)state;
    const uint64_t leaves = 2 * LEAF_MAP_PAGES * PAGE_VALUES + 5;
    struct leaf_map *map = map_new(NULL, leaves);
    bool *is_set = calloc(leaves, sizeof *is_set);
    uint64_t x = 88172645463325252ULL;

    assert_non_null(is_set);
    for (uint32_t step = 0; step < 20000; step++) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        uint64_t leaf = (x >> 8) % leaves;
        if (x % 3 == 0) {
            set(map, leaf);
            is_set[leaf] = true;
        } else if (x % 3 == 1) {
            assert_true(has(map, leaf) == is_set[leaf]);
        } else {
            uint64_t expected = leaf;
            while (expected < leaves && !is_set[expected]) {
                expected++;
            }
            assert_int_equal(next(map, leaf), expected < leaves ? expected : UINT64_MAX);
        }
    }
    free(is_set);
    leaf_map_free(map);
}

static void a_map_of_16_tib_with_few_leaves_is_searched_at_once(void **state)
{
    (void)state;
    struct leaf_map *map = map_new(NULL, LEAVES_16_TIB);
    uint64_t start_ns = env_now_ns(env_system());

    set(map, 5);
    set(map, LEAVES_16_TIB / 2);
    set(map, LEAVES_16_TIB - 1);
    for (uint32_t i = 0; i < 100; i++) {
        assert_int_equal(next(map, 0), 5);
        assert_int_equal(next(map, 6), LEAVES_16_TIB / 2);
        assert_int_equal(next(map, LEAVES_16_TIB / 2 + 1), LEAVES_16_TIB - 1);
    }
    assert_true(env_now_ns(env_system()) - start_ns < 10 * NS_PER_S);
    leaf_map_free(map);
}

static void its_file_has_no_name(void **state)
{
    (void)state;
    char folder[DRIVE_PATH_MAX];

    drive_temporary(folder, sizeof folder);
    struct leaf_map *map = map_new(folder, LEAVES_16_TIB);
    for (uint64_t leaf = 0; leaf < LEAVES_16_TIB; leaf += LEAVES_16_TIB / 1000) {
        set(map, leaf);
    }
    assert_true(has(map, 0));
    assert_int_equal(rmdir(folder), 0); /* it is empty */
    assert_true(has(map, LEAVES_16_TIB / 1000));
    leaf_map_free(map);
}

static void a_map_of_no_leaves_has_none(void **state)
{
    (void)state;
    struct leaf_map *map = map_new(NULL, 0);

    assert_int_equal(next(map, 0), UINT64_MAX);
    leaf_map_free(map);
    leaf_map_free(NULL);
}

static void a_folder_that_is_not_there_is_an_error(void **state)
{
    (void)state;
    struct leaf_map *map = NULL;
    struct error err = {.kind = ERR_NONE};

    assert_int_equal(leaf_map_new("/nowhere/at/all", 10, &map, &err), -1);
    assert_int_equal(err.kind, ERR_IO);
    assert_non_null(strstr(err.message, "/nowhere/at/all"));
    assert_null(map);
}

/* A file may grow to 64 KiB only: what is set beyond fails when its page makes way. */
static void no_room_for_the_map_is_said(void **state)
{
    (void)state;
    struct leaf_map *map = map_new(NULL, LEAVES_16_TIB);
    const struct rlimit small = {65536, RLIM_INFINITY};
    struct rlimit before;
    struct error err = {.kind = ERR_NONE};
    uint64_t leaf = 0;
    int result = 0;

    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    (void)signal(SIGXFSZ, SIG_IGN);
    while (result == 0 && leaf < 1000 * PAGE_VALUES) {
        struct leaf_value value = value_of(leaf);
        result = leaf_map_set(map, leaf, &value, &err);
        leaf += PAGE_VALUES;
    }
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_int_equal(result, -1);
    assert_int_equal(err.kind, ERR_LIMIT);
    assert_int_equal(err.errnum, EFBIG);
    assert_true(has(map, 0)); /* with room again, nothing of what was taken is lost */
    assert_true(has(map, 16 * PAGE_VALUES));
    leaf_map_free(map);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_set_is_found_and_nothing_else),
        cmocka_unit_test(the_last_value_counts),
        cmocka_unit_test(next_finds_each_in_order_wherever_it_is_kept),
        cmocka_unit_test(it_agrees_with_a_plain_array),
        cmocka_unit_test(a_map_of_16_tib_with_few_leaves_is_searched_at_once),
        cmocka_unit_test(its_file_has_no_name),
        cmocka_unit_test(a_map_of_no_leaves_has_none),
        cmocka_unit_test(a_folder_that_is_not_there_is_an_error),
        cmocka_unit_test(no_room_for_the_map_is_said),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
