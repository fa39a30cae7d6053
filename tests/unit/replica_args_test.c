/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/replica_args.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct option_row rows[] = {
    {REPLICA_OPTION_POINT, "point", 0, "POINT", "a point"},
    {REPLICA_OPTION_TO, "to", 0, "POINT", "a point, too"},
    {REPLICA_OPTION_HISTORY, "history", 0, "N", "a number"},
    {REPLICA_OPTION_STAGED, "staged", 0, NULL, "a flag"},
    {REPLICA_OPTION_DROP, "drop", 0, NULL, "a flag"},
    {REPLICA_OPTION_SOCKET, "socket", 0, "SOCKET", "a path"},
    {REPLICA_OPTION_DISK, "disk", 0, "NAME", "a name"},
    REPLICA_ROW_YES,
    REPLICA_ROW_JSON,
    REPLICA_ROW_HELP,
};

static const struct command command = {
    .name = "replica test",
    .summary = "a test",
    .synopsis = (const char *const[]){"PATH", NULL},
    .options = rows,
    .option_count = ARRAY_COUNT(rows),
};

static struct replica_args seen;
static size_t seen_count;
static int answer;

static int note(const struct replica_args *args, struct error *err)
{
    seen = *args;
    seen_count++;
    return answer < 0 ? (fail)(err, ERR_IO, 0, "as asked for") : answer;
}

/* Runs with up to four words; returns the status. */
static int run(size_t least, size_t most, const char *const words[4])
{
    static char name[] = "replica test";
    char *argv[6] = {name};
    int argc = 1;

    for (size_t i = 0; i < 4 && words[i] != NULL; i++) {
        argv[argc] = strdup(words[i]);
        assert_non_null(argv[argc]);
        argc++;
    }
    seen_count = 0;
    int status = replica_args_run(&command, argc, argv, least, most, note);
    for (int i = 1; i < argc; i++) {
        free(argv[i]); /* what seen borrows is not looked at any more but by its caller's copies */
    }
    return status;
}

#define RUN(least, most, ...) run(least, most, (const char *const[4]){__VA_ARGS__})

static void every_option_has_its_place(void **state)
{
    (void)state;
    answer = COMMAND_DONE;
    assert_int_equal(RUN(1, 1, "vm", "--staged", "-y", "--drop"), COMMAND_DONE);
    assert_true(seen_count == 1 && seen.staged && seen.yes && seen.drop && !seen.json);
    assert_true(!seen.has_history && seen.point == NULL && seen.socket == NULL);
    assert_int_equal(RUN(1, 1, "--history", "24", "--", "vm"), COMMAND_DONE);
    assert_true(seen.has_history && seen.history == 24 && seen.path_count == 1);
    assert_int_equal(RUN(1, 1, "--point=3", "--socket=s", "--disk=d", "vm"), COMMAND_DONE);
    assert_true(seen.point != NULL && seen.socket != NULL && seen.disk != NULL);
    assert_int_equal(RUN(1, 1, "--to=3", "vm", "--json"), COMMAND_DONE);
    assert_true(seen.point != NULL && seen.json);
    assert_int_equal(RUN(0, 1, NULL), COMMAND_DONE);
    assert_true(seen.path == NULL && seen.path_count == 0);
    assert_int_equal(RUN(1, SIZE_MAX, "a", "b", "c"), COMMAND_DONE);
    assert_int_equal(seen.path_count, 3);
}

static void what_is_wrong_is_refused_before_anything_is_done(void **state)
{
    (void)state;
    answer = COMMAND_DONE;
    assert_int_equal(RUN(1, 1, NULL), COMMAND_USAGE);
    assert_int_equal(RUN(1, 1, "a", "b"), COMMAND_USAGE);
    assert_int_equal(RUN(1, 1, ""), COMMAND_USAGE);
    assert_int_equal(RUN(1, 1, "a", "--history=25"), COMMAND_USAGE);
    assert_int_equal(RUN(1, 1, "a", "--history="), COMMAND_USAGE);
    assert_int_equal(RUN(1, 1, "a", "--point="), COMMAND_USAGE);
    assert_int_equal(RUN(1, 1, "a", "--socket="), COMMAND_USAGE);
    assert_int_equal(RUN(1, 1, "a", "--nonsense"), COMMAND_USAGE);
    assert_int_equal(RUN(1, 1, "a", "--json", "--nonsense"), COMMAND_USAGE);
    assert_int_equal(seen_count, 0);
}

static void help_does_nothing_else(void **state)
{
    (void)state;
    assert_int_equal(RUN(1, 1, "--help"), COMMAND_DONE);
    assert_int_equal(RUN(1, 1, "-h", "a", "b", "c"), COMMAND_DONE);
    assert_int_equal(seen_count, 0);
}

static void the_status_is_the_actions(void **state)
{
    (void)state;
    answer = COMMAND_FAILED;
    assert_int_equal(RUN(1, 1, "a"), COMMAND_FAILED);
    answer = -1;
    assert_int_equal(RUN(1, 1, "a"), COMMAND_FAILED);
    assert_int_equal(seen_count, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_option_has_its_place),
        cmocka_unit_test(what_is_wrong_is_refused_before_anything_is_done),
        cmocka_unit_test(help_does_nothing_else),
        cmocka_unit_test(the_status_is_the_actions),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
