/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/credentials.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[] = "/tmp/resilver-credentials-XXXXXX";
static struct credentials credentials;

static void touch(const char *path)
{
    int fd = open(path, O_CREAT | O_WRONLY, 0600);

    assert_true(fd >= 0);
    (void)close(fd);
}

static int make_folder(void **state)
{
    (void)state;
    return mkdtemp(folder) == NULL || chdir(folder) < 0 || setenv("HOME", folder, 1) < 0;
}

static int remove_folder(void **state)
{
    (void)state;
    (void)unlink("xdg/resilver/cert.pem");
    (void)rmdir("xdg/resilver");
    (void)rmdir("xdg");
    (void)unlink(".config/resilver/cert.pem");
    (void)rmdir(".config/resilver");
    (void)rmdir(".config");
    return chdir("/") < 0 || rmdir(folder) < 0;
}

static void what_is_given_is_used(void **state)
{
    (void)state;
    credentials = (struct credentials){.cert = "c", .key = "k", .ca = "a"};
    assert_int_equal(credentials_complete(&credentials, NULL), 0);
    assert_string_equal(credentials.cert, "c");
    assert_string_equal(credentials.key, "k");
    assert_string_equal(credentials.ca, "a");
}

static void what_is_missing_is_named(void **state)
{
    struct error err = {0};

    (void)state;
    if (access("/etc/resilver/tls/cert.pem", F_OK) == 0) {
        skip(); /* this host has certificates of its own */
    }
    credentials = (struct credentials){.cert = "c"};
    assert_int_equal(setenv("XDG_CONFIG_HOME", "", 1), 0);
    assert_int_equal(credentials_complete(&credentials, &err), -1);
    assert_int_equal(err.kind, ERR_USAGE);
    assert_null(strstr(err.message, "--cert is missing"));
    assert_non_null(strstr(err.message, "--key is missing"));
    assert_non_null(strstr(err.message, "--ca is missing"));
    assert_null(credentials.key);
}

static void the_users_folder_gives_the_rest(void **state)
{
    char expected[PATH_TEXT_MAX];

    (void)state;
    assert_int_equal(mkdir(".config", 0700) < 0 || mkdir(".config/resilver", 0700) < 0, 0);
    touch(".config/resilver/cert.pem");
    credentials = (struct credentials){.ca = "a"};
    assert_int_equal(credentials_complete(&credentials, NULL), 0);
    (void)snprintf(expected, sizeof expected, "%s/.config/resilver/cert.pem", folder);
    assert_string_equal(credentials.cert, expected);
    (void)snprintf(expected, sizeof expected, "%s/.config/resilver/key.pem", folder);
    assert_string_equal(credentials.key, expected);
    assert_string_equal(credentials.ca, "a");
}

static void xdg_config_home_comes_first(void **state)
{
    (void)state;
    assert_int_equal(mkdir("xdg", 0700) < 0 || mkdir("xdg/resilver", 0700) < 0, 0);
    touch("xdg/resilver/cert.pem");
    assert_int_equal(setenv("XDG_CONFIG_HOME", "xdg", 1), 0);
    credentials = (struct credentials){.cert = NULL};
    assert_int_equal(credentials_complete(&credentials, NULL), 0);
    assert_string_equal(credentials.cert, "xdg/resilver/cert.pem");
    assert_string_equal(credentials.ca, "xdg/resilver/ca.pem");
}

static void a_name_that_is_too_long_is_no_folder(void **state)
{
    static char longest[PATH_TEXT_MAX];

    (void)state;
    if (access("/etc/resilver/tls/cert.pem", F_OK) == 0) {
        skip();
    }
    memset(longest, 'x', sizeof longest - 1);
    assert_int_equal(setenv("XDG_CONFIG_HOME", longest, 1), 0);
    credentials = (struct credentials){.cert = NULL};
    assert_int_equal(credentials_complete(&credentials, NULL), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_given_is_used),
        cmocka_unit_test(what_is_missing_is_named),
        cmocka_unit_test(the_users_folder_gives_the_rest),
        cmocka_unit_test(xdg_config_home_comes_first),
        cmocka_unit_test(a_name_that_is_too_long_is_no_folder),
    };
    return cmocka_run_group_tests_name("credentials", tests, make_folder, remove_folder);
}
