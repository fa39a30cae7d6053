/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "engine/stretch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static struct layout two_disks(void)
{
    const uint64_t sizes[] = {10 * NODE_BYTES, 10 * NODE_BYTES};
    struct layout layout;

    assert_int_equal(layout_init(&layout, 2, sizes, NULL), 0);
    return layout;
}

static struct stretch zeros(uint64_t first, uint64_t count, bool was_read)
{
    return (struct stretch){
        .first_node = first, .count = count, .is_zero = true, .was_read = was_read};
}

static struct stretch node(uint64_t first)
{
    return (struct stretch){
        .first_node = first, .count = 1, .leaf_count = LEAVES_PER_NODE, .has_leaves = true};
}

static void push(struct stretch_queue *queue, const struct layout *layout, struct stretch stretch)
{
    stretch_queue_push(queue, layout, &stretch);
}

static void zeros_in_a_row_are_one_stretch(void **state)
{
    (void)state;
    struct layout layout = two_disks();
    struct stretch_queue queue;

    assert_int_equal(stretch_queue_init(&queue, 4, NULL), 0);
    push(&queue, &layout, zeros(0, 3, false));
    push(&queue, &layout, zeros(3, 2, false));
    assert_int_equal(queue.count, 1);
    push(&queue, &layout, zeros(5, 5, true)); /* read, not known: counted apart */
    assert_int_equal(queue.count, 2);
    push(&queue, &layout, zeros(10, 1, true)); /* the next disk */
    assert_int_equal(queue.count, 3);
    push(&queue, &layout, node(11));
    assert_true(stretch_queue_is_full(&queue));
    stretch_queue_done(&queue);
}

static void a_node_is_found_wherever_it_lies(void **state)
{
    (void)state;
    struct layout layout = two_disks();
    struct stretch_queue queue;

    assert_int_equal(stretch_queue_init(&queue, 3, NULL), 0);
    /* Go around the ring several times, so that head and tail lie everywhere. */
    for (uint64_t first = 0; first + 3 <= 20; first += 2) {
        while (queue.count > 0) {
            stretch_queue_pop_nodes(&queue, 1);
        }
        push(&queue, &layout, node(first));
        if ((first + 1) / 10 == (first + 2) / 10) {
            push(&queue, &layout, zeros(first + 1, 2, true));
        }
        assert_ptr_equal(stretch_queue_find(&queue, first), stretch_queue_head(&queue));
        assert_ptr_equal(stretch_queue_find(&queue, first + 2),
                         queue.count > 1 ? stretch_queue_tail(&queue) : NULL);
        assert_null(stretch_queue_find(&queue, first + 3));
        assert_true(first == 0 || stretch_queue_find(&queue, first - 1) == NULL);
    }
    stretch_queue_done(&queue);
}

static void zeros_can_be_taken_in_pieces(void **state)
{
    (void)state;
    struct layout layout = two_disks();
    struct stretch_queue queue;

    assert_int_equal(stretch_queue_init(&queue, 2, NULL), 0);
    push(&queue, &layout, zeros(0, 10, false));
    stretch_queue_pop_nodes(&queue, 4);
    assert_int_equal(stretch_queue_head(&queue)->first_node, 4);
    assert_int_equal(stretch_queue_head(&queue)->count, 6);
    stretch_queue_pop_nodes(&queue, 6);
    assert_null(stretch_queue_head(&queue));
    stretch_queue_done(&queue);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(zeros_in_a_row_are_one_stretch),
        cmocka_unit_test(a_node_is_found_wherever_it_lies),
        cmocka_unit_test(zeros_can_be_taken_in_pieces),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
