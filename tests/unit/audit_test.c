/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gateway/audit.h"

#include <jansson.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

struct rig {
    char folder[32];
    char path[64];
    char other[64];
};

static int set_up(void **state)
{
    struct rig *rig = calloc(1, sizeof *rig);

    assert_non_null(rig);
    (void)snprintf(rig->folder, sizeof rig->folder, "/tmp/audit.XXXXXX");
    assert_non_null(mkdtemp(rig->folder));
    (void)snprintf(rig->path, sizeof rig->path, "%s/audit", rig->folder);
    (void)snprintf(rig->other, sizeof rig->other, "%s/audit.1", rig->folder);
    *state = rig;
    return 0;
}

static int tear_down(void **state)
{
    struct rig *rig = *state;

    (void)unlink(rig->path);
    (void)unlink(rig->other);
    (void)rmdir(rig->folder);
    free(rig);
    return 0;
}

static const struct audit_entry entry = {
    .protocol = "wsman",
    .remote = "192.0.2.7:1",
    .user = "alice",
    .operation = "Msvm_ReplicationService.Resynchronize",
    .object = "a \"b\"\nc",
    .arguments = "StartTime=",
    .result = "4096 Method Parameters Checked - Job Started",
    .message = "\x1b[2J\xff",
};

/* The object of one line of the file. */
static json_t *line_of(const char *path, unsigned number)
{
    FILE *file = fopen(path, "re");
    char line[2048] = "";

    assert_non_null(file);
    for (unsigned i = 0; i <= number; i++) {
        assert_non_null(fgets(line, sizeof line, file));
    }
    (void)fclose(file);
    assert_non_null(strchr(line, '\n'));
    assert_null(strchr(line, '\x1b'));
    json_t *object = json_loads(line, 0, NULL);
    assert_non_null(object);
    return object;
}

static unsigned count_lines(const char *path)
{
    FILE *file = fopen(path, "re");
    unsigned count = 0;

    assert_non_null(file);
    for (int c = getc(file); c != EOF; c = getc(file)) {
        count += c == '\n';
    }
    (void)fclose(file);
    return count;
}

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));

    assert_non_null(text);
    return text;
}

static void writes_one_object_a_line_whatever_it_says(void **state)
{
    const struct rig *rig = *state;
    struct audit *audit = NULL;
    struct stat info;

    assert_int_equal(audit_log_open(env_system(), rig->path, &audit, NULL), 0);
    assert_int_equal(audit_write(audit, &entry, NULL), 0);
    assert_int_equal(audit_write(audit, &(struct audit_entry){.protocol = "cimxml"}, NULL), 0);
    audit_log_close(audit);
    assert_int_equal(stat(rig->path, &info), 0);
    assert_int_equal(info.st_mode & 0777 & ~0640U, 0);
    assert_int_equal(count_lines(rig->path), 2);
    json_t *object = line_of(rig->path, 0);
    assert_int_equal(json_object_size(object), 9);
    assert_string_equal(text_of(object, "user"), "alice");
    assert_string_equal(text_of(object, "object"), "a \"b\"\nc");
    assert_string_equal(text_of(object, "message"), "\x1b[2J?");
    assert_int_equal(text_of(object, "time")[10], 'T');
    json_decref(object);
    object = line_of(rig->path, 1);
    assert_string_equal(text_of(object, "user"), "");
    json_decref(object);
}

static void appends_to_what_is_there_and_begins_anew_when_told(void **state)
{
    const struct rig *rig = *state;
    struct audit *audit = NULL;

    for (int i = 0; i < 2; i++) {
        assert_int_equal(audit_log_open(env_system(), rig->path, &audit, NULL), 0);
        assert_int_equal(audit_write(audit, &entry, NULL), 0);
        if (i == 0) {
            audit_log_close(audit);
        }
    }
    assert_int_equal(rename(rig->path, rig->other), 0);
    assert_int_equal(audit_write(audit, &entry, NULL), 0); /* to the one that was renamed */
    assert_int_equal(audit_reopen(audit, NULL), 0);
    assert_int_equal(audit_write(audit, &entry, NULL), 0);
    audit_log_close(audit);
    assert_int_equal(count_lines(rig->other), 3);
    assert_int_equal(count_lines(rig->path), 1);
}

static void goes_to_the_log_alone_without_a_path(void **state)
{
    struct audit *audit = NULL;

    (void)state;
    assert_int_equal(audit_log_open(env_system(), NULL, &audit, NULL), 0);
    assert_int_equal(audit_write(audit, &entry, NULL), 0);
    assert_int_equal(audit_reopen(audit, NULL), 0);
    audit_log_close(audit);
    assert_int_equal(audit_log_open(env_system(), "", &audit, NULL), 0);
    audit_log_close(audit);
}

static void says_when_a_line_cannot_be_written(void **state)
{
    struct audit *audit = NULL;
    struct error err = {0};

    (void)state;
    assert_int_equal(audit_log_open(env_system(), "/dev/full", &audit, NULL), 0);
    assert_int_equal(audit_write(audit, &entry, &err), -1);
    assert_int_equal(err.kind, ERR_IO);
    assert_non_null(strstr(err.message, "/dev/full"));
    audit_log_close(audit);
}

static void begins_on_a_line_of_its_own_after_a_torn_one(void **state)
{
    const struct rig *rig = *state;
    struct audit *audit = NULL;

    for (int i = 0; i < 2; i++) {
        FILE *file = fopen(rig->path, "ae");

        assert_non_null(file);
        assert_true(fputs("{\"time\":", file) >= 0);
        assert_int_equal(fclose(file), 0);
        if (i == 0) {
            assert_int_equal(audit_log_open(env_system(), rig->path, &audit, NULL), 0);
        } else {
            assert_int_equal(audit_reopen(audit, NULL), 0);
        }
        assert_int_equal(audit_write(audit, &entry, NULL), 0);
    }
    audit_log_close(audit);
    assert_int_equal(count_lines(rig->path), 4);
    json_decref(line_of(rig->path, 1));
    json_decref(line_of(rig->path, 3));
}

static void leaves_no_empty_line_when_nothing_could_be_written(void **state)
{
    const struct rig *rig = *state;
    struct audit *audit = NULL;
    struct rlimit before;
    struct stat info;

    assert_int_equal(audit_log_open(env_system(), rig->path, &audit, NULL), 0);
    assert_int_equal(audit_write(audit, &entry, NULL), 0);
    assert_int_equal(stat(rig->path, &info), 0);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    assert_ptr_not_equal(signal(SIGXFSZ, SIG_IGN), SIG_ERR);
    const struct rlimit full = {.rlim_cur = (rlim_t)info.st_size, .rlim_max = before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &full), 0);
    int result = audit_write(audit, &entry, NULL);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_int_equal(result, -1);
    assert_int_equal(audit_write(audit, &entry, NULL), 0);
    audit_log_close(audit);
    assert_int_equal(count_lines(rig->path), 2);
    json_decref(line_of(rig->path, 1));
}

static void says_in_the_log_what_is_missing_in_the_file(void **state)
{
    struct audit *audit = NULL;
    char text[4096] = "";
    FILE *file = tmpfile();
    int kept = dup(STDERR_FILENO);

    (void)state;
    assert_true(file != NULL && kept >= 0);
    assert_int_equal(audit_log_open(env_system(), "/dev/full", &audit, NULL), 0);
    assert_true(dup2(fileno(file), STDERR_FILENO) >= 0);
    audit_note(audit, &entry);
    assert_true(dup2(kept, STDERR_FILENO) >= 0);
    (void)close(kept);
    rewind(file);
    assert_true(fread(text, 1, sizeof text - 1, file) > 0);
    (void)fclose(file);
    assert_non_null(strstr(text, "a line is missing in the audit log"));
    assert_non_null(strstr(text, "/dev/full"));
    audit_log_close(audit);
}

static void follows_no_link_and_makes_no_folder(void **state)
{
    const struct rig *rig = *state;
    struct audit *audit = NULL;
    struct error err = {0};

    assert_int_equal(symlink("/dev/null", rig->path), 0);
    assert_int_equal(audit_log_open(env_system(), rig->path, &audit, &err), -1);
    assert_int_equal(err.kind, ERR_IO);
    assert_int_equal(audit_log_open(env_system(), "/nowhere/audit", &audit, NULL), -1);
}

static void *write_many(void *context)
{
    for (int i = 0; i < 50; i++) {
        if (audit_write(context, &entry, NULL) < 0) {
            return context;
        }
    }
    return NULL;
}

static void mixes_no_lines_of_several_threads(void **state)
{
    const struct rig *rig = *state;
    struct audit *audit = NULL;
    pthread_t threads[4];

    assert_int_equal(audit_log_open(env_system(), rig->path, &audit, NULL), 0);
    for (size_t i = 0; i < ARRAY_COUNT(threads); i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, write_many, audit), 0);
    }
    for (size_t i = 0; i < ARRAY_COUNT(threads); i++) {
        void *failed = NULL;
        assert_int_equal(pthread_join(threads[i], &failed), 0);
        assert_null(failed);
    }
    audit_log_close(audit);
    assert_int_equal(count_lines(rig->path), 200);
    for (unsigned i = 0; i < 200; i += 20) {
        json_decref(line_of(rig->path, i));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(writes_one_object_a_line_whatever_it_says, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(appends_to_what_is_there_and_begins_anew_when_told, set_up,
                                        tear_down),
        cmocka_unit_test(goes_to_the_log_alone_without_a_path),
        cmocka_unit_test(says_in_the_log_what_is_missing_in_the_file),
        cmocka_unit_test(says_when_a_line_cannot_be_written),
        cmocka_unit_test_setup_teardown(begins_on_a_line_of_its_own_after_a_torn_one, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(leaves_no_empty_line_when_nothing_could_be_written, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(follows_no_link_and_makes_no_folder, set_up, tear_down),
        cmocka_unit_test_setup_teardown(mixes_no_lines_of_several_threads, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
