/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/export.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static int make(void **state)
{
    static struct exports exports;

    *state = &exports;
    return exports_init(&exports, NULL);
}

static int unmake(void **state)
{
    exports_done(*state);
    return 0;
}

static const struct export *add_well(struct exports *exports, const char *text)
{
    struct error err = {0};

    if (exports_add(exports, text, &err) < 0) {
        fail_msg("%s: %s", text, err.message);
    }
    return &exports->list[exports->count - 1];
}

static void each_part_is_read(void **state)
{
    const struct export *export = add_well(*state, "vda=/srv/a.raw");

    assert_string_equal(export->name, "vda");
    assert_string_equal(export->path, "/srv/a.raw");
    assert_string_equal(export->format, "");
    assert_false(export->is_read_only);
    assert_false(export->can_create);
    export = add_well(*state, "vm1/disk-1=b=c.qcow2,format=qcow2,create");
    assert_string_equal(export->name, "vm1/disk-1");
    assert_string_equal(export->path, "b=c.qcow2");
    assert_string_equal(export->format, "qcow2");
    assert_true(export->can_create);
    export = add_well(*state, "ro=/dev/vdb,read-only");
    assert_true(export->is_read_only);
    export = add_well(*state, "comma=/srv/a,,b,,,format=raw");
    assert_string_equal(export->path, "/srv/a,b,");
    assert_string_equal(export->format, "raw");
    export = add_well(*state, "n=nbd+unix:///x?socket=/s");
    assert_string_equal(export->path, "nbd+unix:///x?socket=/s");
}

static void anything_else_is_refused(void **state)
{
    static const char *const texts[] = {
        "",
        "a",
        "a=",
        "=b",
        "a=,create",
        "/a=b",
        "../a=b",
        "a b=c",
        "a=b,",
        "a=b,readonly",
        "a=b,create,",
        "a=b,format",
        "a=b,create,read-only",
        "a=b,FORMAT=raw",
        "-a=b",
        "a:b=c",
        "a=b,format=0123456789012345",
    };
    struct exports *exports = *state;
    struct error err = {0};

    for (size_t i = 0; i < ARRAY_COUNT(texts); i++) {
        if (exports_add(exports, texts[i], &err) == 0) {
            fail_msg("'%s' passes", texts[i]);
        }
        assert_int_equal(err.kind, ERR_USAGE);
        assert_int_equal(exports->count, 0);
    }
}

static void a_path_of_any_length_is_taken_or_refused(void **state)
{
    static char text[PATH_TEXT_MAX + 3];
    struct exports *exports = *state;
    struct error err = {0};

    memset(text, 'x', sizeof text - 1);
    memcpy(text, "a=", 2);
    assert_int_equal(exports_add(exports, text, &err), -1);
    text[PATH_TEXT_MAX + 1] = '\0';
    assert_int_equal(exports_add(exports, text, &err), 0);
    assert_int_equal(strlen(exports->list[0].path), PATH_TEXT_MAX - 1);
}

static void a_name_belongs_to_one(void **state)
{
    struct exports *exports = *state;
    struct error err = {0};

    (void)add_well(exports, "a=/x");
    assert_int_equal(exports_add(exports, "a=/y", &err), -1);
    assert_int_equal(exports->count, 1);
}

static void only_the_exact_name_is_found(void **state)
{
    struct exports *exports = *state;
    const struct export *export = add_well(exports, "vda=/srv/a.raw");

    assert_ptr_equal(exports_find(exports, "vda"), export);
    assert_null(exports_find(exports, "/srv/a.raw"));
    assert_null(exports_find(exports, "vd"));
    assert_null(exports_find(exports, "vda2"));
    assert_null(exports_find(exports, "VDA"));
    assert_null(exports_find(exports, ""));
    assert_null(exports_find(exports, "./vda"));
}

static void there_is_an_end_to_them(void **state)
{
    struct exports *exports = *state;
    struct error err = {0};
    char text[32];

    for (unsigned i = 0; i < EXPORTS_MAX; i++) {
        (void)snprintf(text, sizeof text, "d%u=/x", i);
        (void)add_well(exports, text);
    }
    assert_int_equal(exports_add(exports, "last=/x", &err), -1);
    assert_int_equal(err.kind, ERR_USAGE);
}

/* Tries the lock in another process, as another session would. Returns the kind of its error. */
static enum error_kind try_elsewhere(struct exports *exports, uint32_t index, bool write)
{
    struct error err = {0};
    int status = 0;
    pid_t child = fork();

    assert_true(child >= 0);
    if (child == 0) {
        exports->lock_fd = -1; /* what the parent's session opened is not the child's */
        int result = exports_lock(exports, &exports->list[index], write, &err);
        _exit(result < 0 ? (int)err.kind : 0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    return (enum error_kind)WEXITSTATUS(status);
}

static void a_writer_is_alone_and_readers_are_not(void **state)
{
    struct exports *exports = *state;

    (void)add_well(exports, "a=/x");
    (void)add_well(exports, "b=/x");
    assert_int_equal(exports_lock(exports, &exports->list[0], true, NULL), 0);
    assert_int_equal(exports_lock(exports, &exports->list[1], false, NULL), 0);
    assert_int_equal(try_elsewhere(exports, 0, true), ERR_WRONG_STATE);
    assert_int_equal(try_elsewhere(exports, 0, false), ERR_WRONG_STATE);
    assert_int_equal(try_elsewhere(exports, 1, true), ERR_WRONG_STATE);
    assert_int_equal(try_elsewhere(exports, 1, false), ERR_NONE);
    /* The end of a session, however it comes, ends its locks. */
    (void)close(exports->lock_fd);
    exports->lock_fd = -1;
    assert_int_equal(try_elsewhere(exports, 0, true), ERR_NONE);
    assert_int_equal(exports_lock(exports, &exports->list[0], true, NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(each_part_is_read, make, unmake),
        cmocka_unit_test_setup_teardown(anything_else_is_refused, make, unmake),
        cmocka_unit_test_setup_teardown(a_path_of_any_length_is_taken_or_refused, make, unmake),
        cmocka_unit_test_setup_teardown(a_name_belongs_to_one, make, unmake),
        cmocka_unit_test_setup_teardown(only_the_exact_name_is_found, make, unmake),
        cmocka_unit_test_setup_teardown(there_is_an_end_to_them, make, unmake),
        cmocka_unit_test_setup_teardown(a_writer_is_alone_and_readers_are_not, make, unmake),
    };
    return cmocka_run_group_tests_name("export", tests, NULL, NULL);
}
