/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What store_open takes, and what it refuses, with which words. */
#include "store_rig.h"

static void expect_refused(const char *path, enum error_kind kind, const char *words)
{
    struct store *store = NULL;
    struct error err = {0};

    assert_int_equal(store_open(path, &store, &err), -1);
    assert_null(store);
    if (err.kind != kind || strstr(err.message, words) == NULL) {
        fail_msg("kind %d: %s", (int)err.kind, err.message);
    }
}

static void make_one(const char *path)
{
    struct store *store = rig_open(path);

    rig_put_all(store);
    store_close(store);
}

static void a_new_file_is_for_its_owner_alone(void **state)
{
    mode_t before = umask(0);
    struct stat info;

    (void)state;
    make_one(rig_path);
    (void)umask(before);
    assert_int_equal(stat(rig_path, &info), 0);
    assert_int_equal(info.st_mode & 07777, 0600);
}

static void an_empty_file_is_a_lost_database(void **state)
{
    (void)state;
    rig_save(rig_path, "", 0);
    expect_refused(rig_path, ERR_WRONG_STATE, "lost");
}

static void a_file_that_others_may_read_is_refused(void **state)
{
    static const mode_t modes[] = {0640, 0604, 0620, 0602, 0610, 0601, 0666};

    (void)state;
    make_one(rig_path);
    for (size_t i = 0; i < ARRAY_COUNT(modes); i++) {
        assert_int_equal(chmod(rig_path, modes[i]), 0);
        expect_refused(rig_path, ERR_WRONG_STATE, "chmod 600");
    }
    assert_int_equal(chmod(rig_path, 0600), 0);
    store_close(rig_open(rig_path));
}

static void a_link_in_place_of_the_file_is_refused(void **state)
{
    char target[300];
    struct stat info;

    (void)state;
    rig_in_folder("other.db", target);
    assert_int_equal(symlink(target, rig_path), 0);
    expect_refused(rig_path, ERR_WRONG_STATE, "is no file"); /* it leads nowhere */
    assert_int_equal(stat(target, &info), -1);               /* and nothing was made there */
    make_one(target);
    expect_refused(rig_path, ERR_WRONG_STATE, "is no file");
}

static void a_link_above_the_file_is_followed(void **state)
{
    char real[300];
    char link[300];
    char path[320];

    (void)state;
    rig_in_folder("real", real);
    rig_in_folder("other.db", link);
    assert_int_equal(mkdir(real, 0700), 0);
    assert_int_equal(symlink(real, link), 0);
    (void)snprintf(path, sizeof path, "%s/state.db", link);
    make_one(path);
    store_close(rig_open(path));
    assert_int_equal(remove(path), 0);
}

static void a_name_without_a_folder_is_in_the_working_directory(void **state)
{
    int before = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    (void)state;
    assert_int_equal(chdir(rig_folder), 0);
    make_one("state.db");
    store_close(rig_open("state.db"));
    assert_int_equal(fchdir(before), 0);
    assert_int_equal(close(before), 0);
    store_close(rig_open(rig_path));
}

static void a_directory_is_refused(void **state)
{
    (void)state;
    expect_refused(rig_folder, ERR_WRONG_STATE, "is no file");
}

static void a_folder_that_is_not_there_is_an_io_error(void **state)
{
    char path[300];

    (void)state;
    rig_in_folder("none/state.db", path);
    expect_refused(path, ERR_IO, "No such file or directory");
}

static void a_path_too_long_is_refused(void **state)
{
    static char path[PATH_TEXT_MAX + 1];

    (void)state;
    memset(path, 'x', sizeof path - 1);
    expect_refused(path, ERR_USAGE, "too long");
}

static void a_second_opener_is_refused(void **state)
{
    int status = -1;

    (void)state;
    struct store *store = rig_open(rig_path);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct store *second = NULL;
        struct error err = {0};
        bool is_refused = store_open(rig_path, &second, &err) < 0 && err.kind == ERR_WRONG_STATE &&
                          strstr(err.message, "is held by another resilverd") != NULL;
        _exit(is_refused ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    expect_refused(rig_path, ERR_WRONG_STATE, "is held by another resilverd");
    rig_put_all(store); /* the first goes on */
    store_close(store);
    store_close(rig_open(rig_path)); /* and then it is free */
}

#define RIVALS 4
#define RACES 25

/* A child that opens, says how it went, and holds what it has until the parent closes its end. */
static void open_and_hold(const int end[2], const int said[2])
{
    struct store *store = NULL;
    char letter = 0;

    (void)close(end[1]); /* the parent's */
    letter = store_open(rig_path, &store, NULL) == 0 ? 'o' : 'r';
    ssize_t written = write(said[1], &letter, 1);
    _exit(written == 1 && read(end[0], &letter, 1) == 0 ? 0 : 1);
}

/* How many of them have the database at once, where there was no file. */
static int race(void)
{
    int end[2];
    int said[2];
    int count = 0;

    assert_true(pipe(end) == 0 && pipe(said) == 0);
    for (int i = 0; i < RIVALS; i++) {
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            open_and_hold(end, said);
        }
    }
    for (int i = 0; i < RIVALS; i++) {
        char letter = 0;
        assert_int_equal(read(said[0], &letter, 1), 1);
        count += letter == 'o';
    }
    assert_int_equal(close(end[1]), 0);
    for (int i = 0; i < RIVALS; i++) {
        int status = -1;
        assert_true(wait(&status) > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0);
    }
    assert_true(close(end[0]) == 0 && close(said[0]) == 0 && close(said[1]) == 0);
    return count;
}

/* Two that made the file would each have one of their own, and none would be refused. All may be:
 * each has begun, and finds the others. */
static void of_those_that_make_the_file_at_once_one_has_it(void **state)
{
    int total = 0;

    (void)state;
    for (int i = 0; i < RACES; i++) {
        int count = race();
        assert_in_range(count, 0, 1);
        total += count;
        assert_int_equal(remove(rig_path), 0);
    }
    print_message("%d races of %d: %d won by one, none by two\n", RACES, RIVALS, total);
    assert_true(total > 0);
}

static void a_newer_schema_is_refused_with_both_numbers(void **state)
{
    char words[64];

    (void)state;
    make_one(rig_path);
    rig_sql(rig_path, "PRAGMA user_version = 77");
    (void)snprintf(words, sizeof words, "(schema 77, this one knows %d)", STORE_SCHEMA);
    expect_refused(rig_path, ERR_WRONG_STATE, words);
}

static void what_is_no_database_is_refused_and_left_alone(void **state)
{
    static const char text[] = "A letter to somebody, longer than what SQLite calls a head: it is "
                               "no database, and nobody wants it overwritten. Truly yours, a user.";
    size_t len_bytes = 0;

    (void)state;
    rig_save(rig_path, text, sizeof text);
    expect_refused(rig_path, ERR_WRONG_STATE, "is no state database of Resilver");
    uint8_t *after = rig_load(rig_path, &len_bytes);
    assert_int_equal(len_bytes, sizeof text);
    assert_memory_equal(after, text, sizeof text);
    free(after);
}

static void another_programs_database_is_refused(void **state)
{
    (void)state;
    rig_sql(rig_path, "CREATE TABLE photos (name TEXT)");
    expect_refused(rig_path, ERR_WRONG_STATE, "is no state database of Resilver");
    rig_sql(rig_path, "PRAGMA application_id = 5; DROP TABLE photos");
    expect_refused(rig_path, ERR_WRONG_STATE, "is no state database of Resilver");
}

/* It says that it is ours, and has more, less or other tables than ours. */
static void other_tables_than_the_schemas_are_refused(void **state)
{
    static const char *const changes[] = {
        "CREATE TABLE more (a)",
        "CREATE TRIGGER t AFTER INSERT ON hosts BEGIN DELETE FROM hosts; END",
        "CREATE VIEW v AS SELECT * FROM hosts",
        "DROP INDEX jobs_by_end",
        "DROP TABLE authorizations",
        "ALTER TABLE hosts ADD COLUMN more TEXT",
        "ALTER TABLE jobs RENAME COLUMN owner TO asker",
        "PRAGMA user_version = 0",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(changes); i++) {
        make_one(rig_path);
        rig_sql(rig_path, changes[i]);
        expect_refused(rig_path, ERR_WRONG_STATE, "is damaged");
        assert_int_equal(remove(rig_path), 0);
    }
}

static void rows_that_no_version_wrote_are_refused(void **state)
{
    static const char *const changes[] = {
        "PRAGMA ignore_check_constraints = 1; UPDATE jobs SET percent = 101",
        "PRAGMA ignore_check_constraints = 1; UPDATE hosts SET fingerprint = x'00'",
        "PRAGMA ignore_check_constraints = 1; UPDATE events SET hop = 2",
        "DELETE FROM relationships", /* without its disks */
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(changes); i++) {
        make_one(rig_path);
        rig_sql(rig_path, changes[i]);
        expect_refused(rig_path, ERR_WRONG_STATE, "is damaged");
        assert_int_equal(remove(rig_path), 0);
    }
}

static void a_list_of_disks_with_a_gap_or_too_many_is_damage(void **state)
{
    static const char *const changes[] = {
        "DELETE FROM relationship_disks WHERE position = 5",
        "DELETE FROM relationship_disks WHERE position = 63",
        "UPDATE relationships SET disk_count = 63",
        "UPDATE relationships SET disk_count = 0",
    };
    struct error err = {0};

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(changes); i++) {
        make_one(rig_path);
        rig_sql(rig_path, changes[i]);
        struct store *store = rig_open(rig_path);
        assert_null(rig_say(store, &err));
        assert_int_equal(err.kind, ERR_WRONG_STATE);
        assert_non_null(strstr(err.message, "'relationship_disks'"));
        store_close(store);
        assert_int_equal(remove(rig_path), 0);
    }
}

/* A daemon of the first release left it so (tests/unit/store_schema_1.sql, which .dump wrote, with
 * a row of each kind): every version after it opens it, and finds all of it. */
static void the_first_schemas_database_opens(void **state)
{
    size_t len_bytes = 0;
    char *dump = (char *)rig_load(SOURCE_ROOT "/tests/unit/store_schema_1.sql", &len_bytes);
    char *rows = (char *)rig_load(SOURCE_ROOT "/tests/unit/store_schema_1.rows", &len_bytes);

    (void)state;
    rig_sql(rig_path, dump);
    for (int i = 0; i < 2; i++) { /* brought to the newest schema, and as such again */
        struct store *store = rig_open(rig_path);
        rig_expect(store, rows);
        store_close(store);
    }
    free(dump);
    free(rows);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_new_file_is_for_its_owner_alone, rig_begin, rig_end),
        cmocka_unit_test_setup_teardown(an_empty_file_is_a_lost_database, rig_begin, rig_end),
        cmocka_unit_test_setup_teardown(a_file_that_others_may_read_is_refused, rig_begin, rig_end),
        cmocka_unit_test_setup_teardown(a_link_in_place_of_the_file_is_refused, rig_begin, rig_end),
        cmocka_unit_test_setup_teardown(a_link_above_the_file_is_followed, rig_begin, rig_end),
        cmocka_unit_test_setup_teardown(a_name_without_a_folder_is_in_the_working_directory,
                                        rig_begin, rig_end),
        cmocka_unit_test_setup_teardown(a_directory_is_refused, rig_begin, rig_end),
        cmocka_unit_test_setup_teardown(a_folder_that_is_not_there_is_an_io_error, rig_begin,
                                        rig_end),
        cmocka_unit_test_setup_teardown(a_path_too_long_is_refused, rig_begin, rig_end),
        cmocka_unit_test_setup_teardown(a_second_opener_is_refused, rig_begin, rig_end),
        cmocka_unit_test_setup_teardown(of_those_that_make_the_file_at_once_one_has_it, rig_begin,
                                        rig_end),
        cmocka_unit_test_setup_teardown(a_newer_schema_is_refused_with_both_numbers, rig_begin,
                                        rig_end),
        cmocka_unit_test_setup_teardown(what_is_no_database_is_refused_and_left_alone, rig_begin,
                                        rig_end),
        cmocka_unit_test_setup_teardown(another_programs_database_is_refused, rig_begin, rig_end),
        cmocka_unit_test_setup_teardown(other_tables_than_the_schemas_are_refused, rig_begin,
                                        rig_end),
        cmocka_unit_test_setup_teardown(rows_that_no_version_wrote_are_refused, rig_begin, rig_end),
        cmocka_unit_test_setup_teardown(a_list_of_disks_with_a_gap_or_too_many_is_damage, rig_begin,
                                        rig_end),
        cmocka_unit_test_setup_teardown(the_first_schemas_database_opens, rig_begin, rig_end),
    };
    return cmocka_run_group_tests_name("store open", tests, NULL, NULL);
}
