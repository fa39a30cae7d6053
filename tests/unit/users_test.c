/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config/users.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define FINGERPRINT "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

struct rig {
    char folder[32];
    char path[64];
};

static int set_up(void **state)
{
    struct rig *rig = calloc(1, sizeof *rig);

    assert_non_null(rig);
    (void)snprintf(rig->folder, sizeof rig->folder, "/tmp/users.XXXXXX");
    assert_non_null(mkdtemp(rig->folder));
    (void)snprintf(rig->path, sizeof rig->path, "%s/users", rig->folder);
    *state = rig;
    return 0;
}

static int tear_down(void **state)
{
    struct rig *rig = *state;

    (void)unlink(rig->path);
    (void)rmdir(rig->folder); /* and so nothing else was left in it */
    assert_int_equal(access(rig->folder, F_OK), -1);
    free(rig);
    return 0;
}

static void put(const struct rig *rig, const char *text)
{
    FILE *file = fopen(rig->path, "we");

    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fchmod(fileno(file), 0640), 0);
    assert_int_equal(fclose(file), 0);
}

static void get(const struct rig *rig, char *out, size_t size_bytes)
{
    FILE *file = fopen(rig->path, "re");

    assert_non_null(file);
    out[fread(out, 1, size_bytes - 1, file)] = '\0';
    (void)fclose(file);
}

static struct users *load(const struct rig *rig)
{
    struct users *users = NULL;
    struct error err = {0};

    if (users_load(rig->path, &users, &err) < 0) {
        fail_msg("%s", err.message);
    }
    return users;
}

/* --- reading --------------------------------------------------------------------------------- */

static void a_missing_file_has_no_users(void **state)
{
    struct users *users = load(*state);

    assert_int_equal(users->count, 0);
    assert_null(users_find(users, "alice"));
    users_free(users);
}

static void reads_roles_machines_and_fingerprints(void **state)
{
    const struct rig *rig = *state;

    put(rig, "# people\n"
             "\n"
             "alice:$y$hash:administrator\n"
             "bob:*:none:db%3A1=operator,web%20=viewer\n"
             "carol:*:viewer:" FINGERPRINT "\n"
             "erin:pam:operator\n"
             "dave:*:none:vm=none:0F"
             "112233445566778899AABBCCDDEEFF00112233445566778899aabbccddeeff\n");
    struct users *users = load(rig);
    assert_int_equal(users->count, 5);
    assert_true(users_asks_pam(users_find(users, "erin")));
    assert_false(users_asks_pam(users_find(users, "bob")));
    assert_false(users_verify(users_find(users, "erin"), "pam"));
    assert_int_equal(users_find(users, "alice")->role, USER_ADMINISTRATOR);
    assert_string_equal(users_find(users, "alice")->hash, "$y$hash");
    const struct user *bob = users_find(users, "bob");
    assert_int_equal(bob->role, USER_NOBODY);
    assert_int_equal(bob->vm_count, 2);
    assert_string_equal(bob->vms[0].vm, "db:1");
    assert_int_equal(bob->vms[0].role, USER_OPERATOR);
    assert_string_equal(bob->vms[1].vm, "web ");
    assert_string_equal(users_find(users, "carol")->fingerprint, FINGERPRINT);
    assert_string_equal(users_find(users, "dave")->fingerprint,
                        "0f112233445566778899aabbccddeeff00112233445566778899aabbccddeeff");
    assert_int_equal(users_find(users, "dave")->vms[0].role, USER_NOBODY);
    assert_null(users_find(users, "ALICE"));
    users_free(users);
}

static void refuses_a_file_with_a_wrong_line(void **state)
{
    static const char *const lines[] = {
        "alice\n",
        "alice:$y$x\n",
        ":$y$x:viewer\n",
        "alice:$y$x:root\n",
        "alice:$y$x:Viewer\n",
        "alice:plain:viewer\n",
        "alice::viewer\n",
        "alice:!:viewer\n",
        "alice:PAM:viewer\n",
        "alice:pam2:viewer\n",
        " alice:*:viewer\n",
        "al\tice:*:viewer\n",
        "alice:*:viewer:\n",
        "alice:*:viewer:vm\n",
        "alice:*:viewer:vm=boss\n",
        "alice:*:viewer:=viewer\n",
        "alice:*:viewer:a=viewer,\n",
        "alice:*:viewer:a%zz=viewer\n",
        "alice:*:viewer:a%00=viewer\n",
        "alice:*:viewer:abcdef\n",
        "alice:*:viewer:a=viewer:abcdef\n",
        "alice:*:viewer:a=viewer:" FINGERPRINT ":\n",
        "alice:*:viewer\nalice:*:viewer\n",
        "alice:*:viewer:" FINGERPRINT "\nbob:*:viewer:" FINGERPRINT "\n",
    };
    const struct rig *rig = *state;

    for (size_t i = 0; i < ARRAY_COUNT(lines); i++) {
        struct users *users = NULL;
        struct error err = {0};
        put(rig, lines[i]);
        if (users_load(rig->path, &users, &err) == 0) {
            fail_msg("this was taken: %s", lines[i]);
        }
        assert_null(users);
        assert_int_equal(err.kind, ERR_USAGE);
        assert_non_null(strstr(err.message, "/users:"));
        assert_null(strstr(err.message, "$y$"));
    }
}

static void refuses_a_file_that_others_could_have_written_or_read(void **state)
{
    static const mode_t modes[] = {0660, 0642, 0644, 0604};
    const struct rig *rig = *state;
    struct users *users = NULL;

    put(rig, "alice:*:viewer\n");
    for (size_t i = 0; i < ARRAY_COUNT(modes); i++) {
        struct error err = {0};
        assert_int_equal(chmod(rig->path, modes[i]), 0);
        assert_int_equal(users_load(rig->path, &users, &err), -1);
        assert_int_equal(err.kind, ERR_WRONG_STATE);
        assert_non_null(strstr(err.message, "chmod 0640"));
    }
    assert_int_equal(chmod(rig->path, 0600), 0);
    users_free(load(rig));
}

static void does_not_wait_at_a_pipe(void **state)
{
    const struct rig *rig = *state;
    struct users *users = NULL;
    struct error err = {0};

    assert_int_equal(mkfifo(rig->path, 0640), 0);
    assert_int_equal(users_load(rig->path, &users, &err), -1);
    assert_int_equal(err.kind, ERR_WRONG_STATE);
    assert_non_null(strstr(err.message, "is no file"));
}

static void refuses_more_users_than_its_limit(void **state)
{
    const struct rig *rig = *state;
    FILE *file = fopen(rig->path, "we");
    struct users *users = NULL;
    struct error err = {0};

    assert_non_null(file);
    assert_int_equal(fchmod(fileno(file), 0640), 0);
    for (unsigned i = 0; i < USERS_MAX; i++) {
        (void)fprintf(file, "user%u:*:viewer\n", i);
    }
    assert_int_equal(fflush(file), 0);
    users = load(rig);
    assert_int_equal(users->count, USERS_MAX);
    users_free(users);
    users = NULL;
    (void)fprintf(file, "more:*:viewer\n");
    assert_int_equal(fclose(file), 0);
    assert_int_equal(users_load(rig->path, &users, &err), -1);
    assert_int_equal(err.kind, ERR_LIMIT);
    assert_int_equal(
        users_set(rig->path, &(struct user){.name = "x", .hash = "*", .role = USER_VIEWER}, NULL),
        -1);
}

/* --- writing --------------------------------------------------------------------------------- */

static void makes_a_file_that_only_owner_and_group_read(void **state)
{
    const struct rig *rig = *state;
    struct user_vm vms[] = {{"a:b,c=d%e", USER_OPERATOR}, {"web 1", USER_VIEWER}};
    const struct user user = {.name = "alice",
                              .hash = "*",
                              .role = USER_NOBODY,
                              .vm_count = 2,
                              .vms = vms,
                              .fingerprint = FINGERPRINT};
    struct stat info;

    assert_int_equal(users_set(rig->path, &user, NULL), 0);
    assert_int_equal(stat(rig->path, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0640);
    struct users *users = load(rig);
    const struct user *found = users_find(users, "alice");
    assert_non_null(found);
    assert_int_equal(found->vm_count, 2);
    assert_string_equal(found->vms[0].vm, "a:b,c=d%e");
    assert_int_equal(found->vms[0].role, USER_OPERATOR);
    assert_string_equal(found->vms[1].vm, "web 1");
    assert_string_equal(found->fingerprint, FINGERPRINT);
    users_free(users);
}

static void changes_one_line_and_keeps_the_others(void **state)
{
    const struct rig *rig = *state;
    char text[512];

    put(rig, "# first\nalice:*:viewer\n\nbob:*:operator\n# last");
    assert_int_equal(chmod(rig->path, 0600), 0);
    assert_int_equal(
        users_set(rig->path, &(struct user){.name = "alice", .hash = "$y$n", .role = USER_OPERATOR},
                  NULL),
        0);
    get(rig, text, sizeof text);
    assert_string_equal(text, "# first\nalice:$y$n:operator\n\nbob:*:operator\n# last\n");
    assert_int_equal(users_set(rig->path,
                               &(struct user){.name = "carol", .hash = "*", .role = USER_NOBODY},
                               NULL),
                     0);
    assert_int_equal(users_remove(rig->path, "bob", NULL), 0);
    get(rig, text, sizeof text);
    assert_string_equal(text, "# first\nalice:$y$n:operator\n\n# last\ncarol:*:none\n");
    struct stat info;
    assert_int_equal(stat(rig->path, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0600);
}

static void refuses_to_remove_who_is_not_there(void **state)
{
    const struct rig *rig = *state;
    struct error err = {0};

    put(rig, "alice:*:viewer\n");
    assert_int_equal(users_remove(rig->path, "ali", &err), -1);
    assert_int_equal(err.kind, ERR_USAGE);
    assert_non_null(strstr(err.message, "'ali'"));
}

static void refuses_to_write_what_it_would_not_read(void **state)
{
    static const char *const names[] = {"", "a:b", "a\nb", "#a", " a", "a ", "a\x7f"};
    const struct rig *rig = *state;

    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        struct user user = {.hash = "*", .role = USER_VIEWER};
        (void)snprintf(user.name, sizeof user.name, "%s", names[i]);
        assert_int_equal(users_set(rig->path, &user, NULL), -1);
    }
    assert_int_equal(
        users_set(rig->path, &(struct user){.name = "a", .hash = "x:y", .role = USER_VIEWER}, NULL),
        -1);
    assert_int_equal(
        users_set(
            rig->path,
            &(struct user){.name = "a", .hash = "*", .role = USER_VIEWER, .fingerprint = "ab:cd"},
            NULL),
        -1);
    assert_int_equal(access(rig->path, F_OK), -1);
    put(rig, "alice:*:viewer:" FINGERPRINT "\nwrong\n");
    assert_int_equal(
        users_set(rig->path, &(struct user){.name = "a", .hash = "*", .role = USER_VIEWER}, NULL),
        -1);
}

static void gives_a_certificate_to_one_user_only(void **state)
{
    const struct rig *rig = *state;
    struct user user = {
        .name = "bob", .hash = "*", .role = USER_VIEWER, .fingerprint = FINGERPRINT};

    put(rig, "alice:*:viewer:" FINGERPRINT "\n");
    assert_int_equal(users_set(rig->path, &user, NULL), -1);
    (void)snprintf(user.name, sizeof user.name, "alice");
    assert_int_equal(users_set(rig->path, &user, NULL), 0);
}

/* --- passwords ------------------------------------------------------------------------------- */

static void a_hash_fits_its_password_alone(void **state)
{
    struct user user = {.name = "alice", .role = USER_VIEWER};
    char other[USER_HASH_MAX];

    (void)state;
    assert_int_equal(users_hash("correct horse", user.hash, NULL), 0);
    assert_int_equal(strncmp(user.hash, "$y$", 3), 0);
    assert_int_equal(users_hash("correct horse", other, NULL), 0);
    assert_string_not_equal(user.hash, other); /* the salt */
    assert_true(users_verify(&user, "correct horse"));
    assert_false(users_verify(&user, "correct hors"));
    assert_false(users_verify(&user, "correct horsf"));
    assert_false(users_verify(&user, ""));
    assert_false(users_verify(NULL, "correct horse"));
    assert_false(users_verify(NULL, ""));
}

static void a_user_without_a_password_has_none(void **state)
{
    static const char *const hashes[] = {"*", "", "*0", "$", "$y$", "$y$j9T$abc", "x"};

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(hashes); i++) {
        struct user user = {.name = "alice", .role = USER_VIEWER};
        (void)snprintf(user.hash, sizeof user.hash, "%s", hashes[i]);
        assert_false(users_verify(&user, ""));
        assert_false(users_verify(&user, hashes[i]));
        assert_false(users_verify(&user, "*0"));
    }
}

static void refuses_passwords_that_are_none(void **state)
{
    char hash[USER_HASH_MAX] = "";
    char text[1024];

    (void)state;
    assert_int_equal(users_hash("", hash, NULL), -1);
    memset(text, 'x', sizeof text);
    text[sizeof text - 1] = '\0';
    assert_int_equal(users_hash(text, hash, NULL), -1);
    assert_string_equal(hash, "");
}

static void roles_have_one_name_each(void **state)
{
    enum user_role role = USER_NOBODY;

    (void)state;
    for (int i = USER_NOBODY; i <= USER_ADMINISTRATOR; i++) {
        assert_true(user_role_parse(user_role_name((enum user_role)i), &role));
        assert_int_equal(role, i);
    }
    assert_false(user_role_parse("admin", &role));
    assert_false(user_role_parse("", &role));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_missing_file_has_no_users, set_up, tear_down),
        cmocka_unit_test_setup_teardown(reads_roles_machines_and_fingerprints, set_up, tear_down),
        cmocka_unit_test_setup_teardown(refuses_a_file_with_a_wrong_line, set_up, tear_down),
        cmocka_unit_test_setup_teardown(refuses_a_file_that_others_could_have_written_or_read,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(does_not_wait_at_a_pipe, set_up, tear_down),
        cmocka_unit_test_setup_teardown(refuses_more_users_than_its_limit, set_up, tear_down),
        cmocka_unit_test_setup_teardown(makes_a_file_that_only_owner_and_group_read, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(changes_one_line_and_keeps_the_others, set_up, tear_down),
        cmocka_unit_test_setup_teardown(refuses_to_remove_who_is_not_there, set_up, tear_down),
        cmocka_unit_test_setup_teardown(refuses_to_write_what_it_would_not_read, set_up, tear_down),
        cmocka_unit_test_setup_teardown(gives_a_certificate_to_one_user_only, set_up, tear_down),
        cmocka_unit_test(a_hash_fits_its_password_alone),
        cmocka_unit_test(a_user_without_a_password_has_none),
        cmocka_unit_test(refuses_passwords_that_are_none),
        cmocka_unit_test(roles_have_one_name_each),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
