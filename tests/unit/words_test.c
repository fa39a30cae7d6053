/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/words.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* The words joined by '|', each ended by it. */
static void expect_words(const char *text, const char *expected)
{
    struct words words = {0};
    struct error err = {0};
    char joined[1024] = "";

    if (words_init(&words, text, &err) < 0) {
        fail_msg("[%s]: %s", text, err.message);
    }
    for (size_t i = 0; i < words.count; i++) {
        size_t used = strlen(joined);
        (void)snprintf(joined + used, sizeof joined - used, "%s|", words.list[i]);
    }
    assert_string_equal(joined, expected);
    words_done(&words);
    assert_null(words.text);
}

static void expect_refused(const char *text)
{
    struct words words = {.count = 77};
    struct error err = {0};

    if (words_init(&words, text, &err) == 0) {
        fail_msg("[%s] passes", text);
    }
    assert_int_equal(err.kind, ERR_USAGE);
    assert_int_equal(words.count, 77);
}

static void blanks_separate(void **state)
{
    (void)state;
    expect_words("ssh", "ssh|");
    expect_words("ssh -p 2222", "ssh|-p|2222|");
    expect_words("  ssh\t-p \n 2222  ", "ssh|-p|2222|");
}

static void quotes_hold_together(void **state)
{
    (void)state;
    expect_words("ssh -i 'my key'", "ssh|-i|my key|");
    expect_words("ssh -i \"my key\"", "ssh|-i|my key|");
    expect_words("ssh -i my' 'key", "ssh|-i|my key|");
    expect_words("a'b\"c'd", "ab\"cd|");
    expect_words("a\"b'c\"d", "ab'cd|");
    expect_words("''", "|");
    expect_words("a '' b", "a||b|");
    expect_words("'a\nb'", "a\nb|");
}

static void a_backslash_takes_the_next_as_it_is(void **state)
{
    (void)state;
    expect_words("my\\ key", "my key|");
    expect_words("a\\\\b", "a\\b|");
    expect_words("\\'a", "'a|");
    expect_words("\"a\\\"b\"", "a\"b|");
    expect_words("\"a\\\\b\"", "a\\b|");
    expect_words("\"a\\nb\"", "a\\nb|");
    expect_words("'a\\nb'", "a\\nb|");
    expect_words("'a\\'", "a\\|");
}

static void nothing_is_expanded(void **state)
{
    (void)state;
    expect_words("~/x $HOME `id` $(id) * a;b a|b >f", "~/x|$HOME|`id`|$(id)|*|a;b|a|b|>f|");
}

static void halves_and_nothing_are_refused(void **state)
{
    (void)state;
    expect_refused("");
    expect_refused(" \t\n");
    expect_refused("'a");
    expect_refused("\"a");
    expect_refused("a'b\"c");
    expect_refused("a\\");
    expect_refused("\"a\\\"");
}

static void there_is_an_end_to_it(void **state)
{
    char text[2 * COMMAND_WORDS_MAX + 2];
    struct words words = {0};
    struct error err = {0};

    (void)state;
    for (size_t i = 0; i < COMMAND_WORDS_MAX; i++) {
        memcpy(text + 2 * i, "a ", 3);
    }
    assert_int_equal(words_init(&words, text, &err), 0);
    assert_int_equal(words.count, COMMAND_WORDS_MAX);
    words_done(&words);
    text[2 * COMMAND_WORDS_MAX] = 'a';
    text[2 * COMMAND_WORDS_MAX + 1] = '\0';
    expect_refused(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blanks_separate),
        cmocka_unit_test(quotes_hold_together),
        cmocka_unit_test(a_backslash_takes_the_next_as_it_is),
        cmocka_unit_test(nothing_is_expanded),
        cmocka_unit_test(halves_and_nothing_are_refused),
        cmocka_unit_test(there_is_an_end_to_it),
    };
    return cmocka_run_group_tests_name("words", tests, NULL, NULL);
}
