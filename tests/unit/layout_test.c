/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "engine/layout.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static void each_disk_begins_at_a_node_of_its_own(void **state)
{
    (void)state;
    const uint64_t sizes[] = {1, NODE_BYTES, 0, NODE_BYTES + 1, 3 * NODE_BYTES};
    struct layout layout;

    assert_int_equal(layout_init(&layout, 5, sizes, NULL), 0);
    assert_int_equal(layout.node_count, 1 + 1 + 0 + 2 + 3);
    assert_int_equal(layout_disk_of(&layout, 0), 0);
    assert_int_equal(layout_disk_of(&layout, 1), 1);
    assert_int_equal(layout_disk_of(&layout, 2), 3); /* not the empty one that begins there too */
    assert_int_equal(layout_disk_of(&layout, 3), 3);
    assert_int_equal(layout_disk_of(&layout, 6), 4);
}

static void short_ends_are_short(void **state)
{
    (void)state;
    const uint64_t size = NODE_BYTES + LEAF_BYTES + 5;
    struct layout layout;

    assert_int_equal(layout_init(&layout, 1, &size, NULL), 0);
    assert_int_equal(layout_leaves(&layout, 0), LEAVES_PER_NODE);
    assert_int_equal(layout_leaves(&layout, 1), 2);
    assert_int_equal(layout_node(&layout, 1).len_bytes, LEAF_BYTES + 5);
    struct place last = layout_leaf(&layout, LEAVES_PER_NODE + 1);
    assert_int_equal(last.offset_bytes, NODE_BYTES + LEAF_BYTES);
    assert_int_equal(last.len_bytes, 5);
    assert_true(layout_has_leaf(&layout, LEAVES_PER_NODE + 1));
    assert_false(layout_has_leaf(&layout, LEAVES_PER_NODE + 2));
    assert_false(layout_has_leaf(&layout, UINT64_MAX));
    assert_int_equal(layout_bytes(&layout, 0, 2), size);
    assert_int_equal(layout_bytes(&layout, 1, 0), 0);
}

static void too_many_or_too_large_is_refused(void **state)
{
    (void)state;
    uint64_t sizes[DISKS_MAX + 1] = {0};
    struct layout layout;
    struct error err;

    assert_int_equal(layout_init(&layout, 0, sizes, &err), -1);
    assert_int_equal(layout_init(&layout, DISKS_MAX + 1, sizes, &err), -1);
    assert_int_equal(err.kind, ERR_LIMIT);
    assert_int_equal(layout_init(&layout, DISKS_MAX, sizes, &err), 0);
    sizes[3] = DISK_SIZE_MAX + 1;
    assert_int_equal(layout_init(&layout, DISKS_MAX, sizes, &err), -1);
    sizes[3] = DISK_SIZE_MAX;
    assert_int_equal(layout_init(&layout, DISKS_MAX, sizes, &err), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_disk_begins_at_a_node_of_its_own),
        cmocka_unit_test(short_ends_are_short),
        cmocka_unit_test(too_many_or_too_large_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
