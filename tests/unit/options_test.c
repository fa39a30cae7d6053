/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/options.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { FLAG = OPTIONS_FIRST_ID, VALUE, LONG_NAME };

static const struct option_row rows[] = {
    {FLAG, "check", 'c', NULL, "a flag"},
    {VALUE, "format", 'f', "FMT", "a value"},
    {LONG_NAME, "a-rather-long-name", 0, "SOMETHING", "a line of its own"},
};

static struct options options;
static char *arguments[8];

static void begin(char *first, char *second, char *third)
{
    static char name[] = "test";
    int argc = 1;

    arguments[0] = name;
    for (size_t i = 0; i < 3; i++) {
        char *argument = i == 0 ? first : i == 1 ? second : third;
        if (argument != NULL) {
            arguments[argc++] = argument;
        }
    }
    arguments[argc] = NULL;
    options_init(&options, argc, arguments, rows, ARRAY_COUNT(rows));
}

static int next(const char **value)
{
    struct error err = {0};
    int id = options_next(&options, value, &err);

    if (id < 0) {
        fail_msg("%s", err.message);
    }
    return id;
}

static void expect_refused(char *first, const char *words)
{
    const char *value = NULL;
    struct error err = {0};

    begin(first, NULL, NULL);
    assert_int_equal(options_next(&options, &value, &err), -1);
    assert_int_equal(err.kind, ERR_USAGE);
    if (strstr(err.message, words) == NULL) {
        fail_msg("no '%s' in: %s", words, err.message);
    }
}

static void both_forms_of_an_option_are_read(void **state)
{
    static char check[] = "--check";
    static char format[] = "--format=raw";
    static char letter[] = "-c";
    static char letter_value[] = "-fvdi";
    static char letter_alone[] = "-f";
    static char value_alone[] = "vhdx";
    const char *value = NULL;

    (void)state;
    begin(check, format, NULL);
    assert_int_equal(next(&value), FLAG);
    assert_null(value);
    assert_int_equal(next(&value), VALUE);
    assert_string_equal(value, "raw");
    assert_int_equal(next(&value), OPTIONS_END);
    begin(letter, letter_value, NULL);
    assert_int_equal(next(&value), FLAG);
    assert_null(value);
    assert_int_equal(next(&value), VALUE);
    assert_string_equal(value, "vdi");
    begin(letter_alone, value_alone, NULL);
    assert_int_equal(next(&value), VALUE);
    assert_string_equal(value, "vhdx");
    assert_int_equal(next(&value), OPTIONS_END);
}

static void operands_may_stand_anywhere(void **state)
{
    static char first[] = "a.raw";
    static char check[] = "--check";
    static char second[] = "b.raw";
    static char end[] = "--";
    const char *value = NULL;
    size_t count = 0;

    (void)state;
    begin(first, check, second);
    assert_int_equal(next(&value), FLAG);
    assert_int_equal(next(&value), OPTIONS_END);
    char **operands = options_operands(&options, &count);
    assert_int_equal(count, 2);
    assert_string_equal(operands[0], "a.raw");
    assert_string_equal(operands[1], "b.raw");
    begin(end, check, NULL);
    assert_int_equal(next(&value), OPTIONS_END);
    operands = options_operands(&options, &count);
    assert_int_equal(count, 1);
    assert_string_equal(operands[0], "--check");
}

static void mistakes_are_named_with_their_cure(void **state)
{
    static char typo[] = "--chekc";
    static char typo_value[] = "--formt=raw";
    static char far[] = "--quite-another";
    static char letter[] = "-x";
    static char wanted[] = "--check=yes";
    static char missing[] = "--format";
    static char missing_letter[] = "-f";
    static char strange[] = "--\x1b[31m";

    (void)state;
    expect_refused(typo, "did you mean '--check'");
    expect_refused(typo_value, "unknown option '--formt'; did you mean '--format'");
    expect_refused(far, "'resilver help test'");
    expect_refused(letter, "'-x'");
    expect_refused(wanted, "'--check' takes no value");
    expect_refused(missing, "--format=FMT");
    expect_refused(missing_letter, "--format=FMT");
    expect_refused(strange, "--?[31m");
}

static void help_is_the_table(void **state)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);

    (void)state;
    assert_non_null(out);
    options_print(out, rows, ARRAY_COUNT(rows));
    assert_int_equal(fclose(out), 0);
    assert_string_equal(text, "  -c, --check                 a flag\n"
                              "  -f, --format=FMT            a value\n"
                              "      --a-rather-long-name=SOMETHING\n"
                              "                              a line of its own\n");
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_forms_of_an_option_are_read),
        cmocka_unit_test(operands_may_stand_anywhere),
        cmocka_unit_test(mistakes_are_named_with_their_cure),
        cmocka_unit_test(help_is_the_table),
    };
    return cmocka_run_group_tests_name("options", tests, NULL, NULL);
}
