/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config/server_options.h"

#include "config/config.h"

#include <getopt.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define GO_ON (-1)

static struct server_options options;
static const char *folder;
static const char *service;

static const struct server_option more[] = {
    {"folder", &folder},
    {"service", &service},
    {NULL, NULL},
};

/* The words after the program's name, up to a NULL. */
static int read_words(char **words)
{
    char name[] = "resilver-gateway";
    char *argv[8] = {name};
    int argc = 1;

    for (; words[argc - 1] != NULL; argc++) {
        argv[argc] = words[argc - 1];
    }
    folder = NULL;
    service = NULL;
    options = (struct server_options){
        .program = "resilver-gateway", .usage = "usage: ...\n", .more = more};
    optind = 0; /* glibc: begin anew */
    return server_options_read(argc, argv, &options);
}

#define READ(...) read_words((char *[]){__VA_ARGS__, NULL})

static void without_any_it_has_its_defaults(void **state)
{
    (void)state;
    assert_int_equal(read_words((char *[]){NULL}), GO_ON);
    assert_string_equal(options.config_path, CONFIG_PATH_DEFAULT);
    assert_false(options.is_config_given);
    assert_null(folder);
    assert_null(service);
}

static void it_has_a_configuration_and_what_is_the_programs_own(void **state)
{
    char config[] = "--config=/tmp/a.conf";
    char in[] = "--folder=/tmp/pam.d";
    char name[] = "--service";
    char value[] = "login";

    (void)state;
    assert_int_equal(READ(in, config, name, value), GO_ON);
    assert_string_equal(options.config_path, "/tmp/a.conf");
    assert_true(options.is_config_given);
    assert_string_equal(folder, "/tmp/pam.d");
    assert_string_equal(service, "login");
}

/* The default path when somebody wrote it is not optional either. */
static void the_default_path_may_be_given(void **state)
{
    char config[] = "--config=" CONFIG_PATH_DEFAULT;

    (void)state;
    assert_int_equal(READ(config), GO_ON);
    assert_true(options.is_config_given);
}

static void verbose_ends_nothing(void **state)
{
    char verbose[] = "-v";
    char word[] = "--verbose";

    (void)state;
    assert_int_equal(READ(verbose, word), GO_ON);
    assert_false(options.is_config_given);
}

static void help_and_version_end_it(void **state)
{
    char help[] = "--help";
    char letter[] = "-h";
    char version[] = "--version";
    char unknown[] = "--unknown";

    (void)state;
    assert_int_equal(READ(help, unknown), 0);
    assert_int_equal(READ(letter), 0);
    assert_int_equal(READ(version), 0);
}

static void what_it_does_not_know_is_refused(void **state)
{
    char unknown[] = "--unknown";
    char word[] = "word";
    char config[] = "--config";
    char in[] = "--folder";

    (void)state;
    assert_int_equal(READ(unknown), EXIT_USAGE);
    assert_int_equal(READ(word), EXIT_USAGE);
    assert_int_equal(READ(config), EXIT_USAGE);
    assert_int_equal(READ(in), EXIT_USAGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_any_it_has_its_defaults),
        cmocka_unit_test(it_has_a_configuration_and_what_is_the_programs_own),
        cmocka_unit_test(the_default_path_may_be_given),
        cmocka_unit_test(verbose_ends_nothing),
        cmocka_unit_test(help_and_version_end_it),
        cmocka_unit_test(what_it_does_not_know_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
