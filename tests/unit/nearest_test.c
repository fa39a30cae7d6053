/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/nearest.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void the_nearest_word_is_found(void **state)
{
    (void)state;
    assert_string_equal(nearest_pick("snyc", NULL, "sync"), "sync");
    assert_string_equal(nearest_pick("syn", NULL, "sync"), "sync");
    assert_string_equal(nearest_pick("syncs", NULL, "sync"), "sync");
    assert_string_equal(nearest_pick("serv", "sync", "serve"), "serve");
    assert_string_equal(nearest_pick("sync", "sync", "serve"), "sync");
    assert_null(nearest_pick("xyz", NULL, "sync"));
    assert_null(nearest_pick("", NULL, "sync"));
    assert_null(nearest_pick("sy", NULL, "sync"));
    assert_null(nearest_pick("a-word-that-is-longer-than-anything-known", NULL, "sync"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_nearest_word_is_found),
    };

    return cmocka_run_group_tests_name("nearest", tests, NULL, NULL);
}
