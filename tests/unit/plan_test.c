/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/plan.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[] = "/tmp/resilver-plan-XXXXXX";

static int enter_folder(void **state)
{
    (void)state;
    if (mkdtemp(folder) == NULL || chdir(folder) < 0) {
        return -1;
    }
    for (int i = 0; i < 2; i++) {
        int fd = open(i == 0 ? "a" : "b", O_CREAT | O_WRONLY, 0600);
        if (fd < 0 || close(fd) < 0) {
            return -1;
        }
    }
    return link("a", "hard") < 0 || symlink("a", "soft") < 0;
}

static int leave_folder(void **state)
{
    (void)state;
    (void)unlink("a");
    (void)unlink("b");
    (void)unlink("hard");
    (void)unlink("soft");
    return chdir("/") < 0 || rmdir(folder) < 0;
}

/* Checks the plan of one or two pairs; NULL: it is good, else what the message must contain. */
static void expect_plan(const char *source, const char *target, const char *pair, const char *words)
{
    struct plan plan = {0};
    struct error err = {0};

    assert_int_equal(plan_init(&plan, &err), 0);
    assert_int_equal(plan_add(&plan, source, target, &err), 0);
    if (pair != NULL) {
        assert_int_equal(plan_add_pair(&plan, pair, &err), 0);
    }
    int result = plan_check(&plan, &err);
    if ((result == 0) != (words == NULL)) {
        fail_msg("%s and %s and %s: %s", source, target, pair == NULL ? "-" : pair, err.message);
    }
    if (words != NULL) {
        assert_int_equal(err.kind, ERR_USAGE);
        assert_non_null(strstr(err.message, words));
    }
    plan_done(&plan);
    assert_null(plan.pairs);
}

static void one_side_at_most_is_remote(void **state)
{
    (void)state;
    expect_plan("a", "b", NULL, NULL);
    expect_plan("a", "db1:b", NULL, NULL);
    expect_plan("db1:a", "b", NULL, NULL);
    expect_plan("tls://db1:1/a", "b", NULL, NULL);
    expect_plan("db1:a", "db2:b", NULL, "both on other hosts");
    expect_plan("db1:a", "tls://db1:1/b", NULL, "both on other hosts");
}

static void each_side_is_one_host(void **state)
{
    (void)state;
    expect_plan("a", "db1:b", "b=db1:c", NULL);
    expect_plan("a", "db1:b", "b=db2:c", "not on one host");
    expect_plan("a", "db1:b", "b=c", "not on one host");
    expect_plan("db1:a", "b", "c=d", "not on one host");
    expect_plan("a", "tls://db1:1/b", "b=tls://db1:2/c", "not on one host");
    expect_plan("a", "root@db1:b", "b=db1:c", "not on one host");
}

static void a_disk_is_never_its_own_source(void **state)
{
    (void)state;
    expect_plan("a", "a", NULL, "same disk");
    expect_plan("a", "./a", NULL, "same disk");
    expect_plan("a", "hard", NULL, "same disk");
    expect_plan("soft", "a", NULL, "same disk");
    expect_plan("a", "soft", NULL, "same disk");
    expect_plan("not-there", "not-there", NULL, "same disk");
    expect_plan("nbd+unix:///x?socket=/s", "nbd+unix:///x?socket=/s", NULL, "same disk");
    expect_plan("nbd+unix:///x?socket=/s", "nbd+unix:///y?socket=/s", NULL, NULL);
    /* Nor the source of another pair, in either order. */
    expect_plan("a", "b", "soft=c", NULL);
    expect_plan("a", "c", "b=hard", "same disk");
    expect_plan("b", "hard", "a=c", "same disk");
}

static void a_disk_is_a_target_once(void **state)
{
    (void)state;
    expect_plan("x", "a", "y=soft", "cannot both be targets");
    expect_plan("x", "db1:a", "y=db1:a", "cannot both be targets");
    expect_plan("x", "not-there", "y=not-there", "cannot both be targets");
    expect_plan("x", "db1:a", "y=db1:b", NULL);
}

static void there_is_at_least_one_disk_and_no_end_of_them(void **state)
{
    struct plan plan = {0};
    struct error err = {0};

    (void)state;
    assert_int_equal(plan_init(&plan, &err), 0);
    assert_int_equal(plan_check(&plan, &err), -1);
    assert_int_equal(err.kind, ERR_USAGE);
    for (unsigned i = 0; i < DISKS_MAX; i++) {
        char pair[32];
        (void)snprintf(pair, sizeof pair, "a=t%u", i);
        assert_int_equal(plan_add_pair(&plan, pair, &err), 0);
    }
    assert_int_equal(plan_check(&plan, &err), 0);
    assert_int_equal(plan_add_pair(&plan, "a=last", &err), -1);
    assert_int_equal(err.kind, ERR_USAGE);
    plan_done(&plan);
}

static void what_is_no_endpoint_is_not_added(void **state)
{
    struct plan plan = {0};
    struct error err = {0};

    (void)state;
    assert_int_equal(plan_init(&plan, &err), 0);
    assert_int_equal(plan_add(&plan, "", "b", &err), -1);
    assert_int_equal(plan_add(&plan, "a", ":b", &err), -1);
    assert_int_equal(plan_add_pair(&plan, "a", &err), -1);
    assert_int_equal(plan.disk_count, 0);
    plan_done(&plan);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_side_at_most_is_remote),
        cmocka_unit_test(each_side_is_one_host),
        cmocka_unit_test(a_disk_is_never_its_own_source),
        cmocka_unit_test(a_disk_is_a_target_once),
        cmocka_unit_test(there_is_at_least_one_disk_and_no_end_of_them),
        cmocka_unit_test(what_is_no_endpoint_is_not_added),
    };
    return cmocka_run_group_tests_name("plan", tests, enter_folder, leave_folder);
}
