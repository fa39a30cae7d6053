/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/log.h"
#include "base/env.h" /* before cmocka.h, which has a fail() too */

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static void expect_shown(const char *value, const char *expected)
{
    char line[LOG_LINE_MAX];
    char whole[LOG_LINE_MAX];
    const struct log_field field = {"key", value};

    log_format(&field, 1, 0, line, sizeof line);
    (void)snprintf(whole, sizeof whole, "key=%s", expected);
    assert_string_equal(line, whole);
}

static void plain_values_stand_alone(void **state)
{
    (void)state;
    expect_shown("vda", "vda");
    expect_shown("127.0.0.1:4711", "127.0.0.1:4711");
    expect_shown("/srv/b.raw", "/srv/b.raw");
    expect_shown("caf\xc3\xa9", "caf\xc3\xa9");
    expect_shown("[x]", "[x]");
}

static void values_that_could_be_misread_are_quoted(void **state)
{
    (void)state;
    expect_shown("", "\"\"");
    expect_shown("two words", "\"two words\"");
    expect_shown("a=b", "\"a=b\"");
    expect_shown("a\"b", "\"a\\\"b\"");
    expect_shown("a\\b", "\"a\\\\b\"");
    expect_shown("x event=\"session done\"", "\"x event=\\\"session done\\\"\"");
}

static void no_byte_from_outside_moves_a_cursor_or_ends_a_line(void **state)
{
    (void)state;
    expect_shown("a\nb", "\"a\\x0ab\"");
    expect_shown("\x1b[31m", "\"\\x1b[31m\"");
    expect_shown("\x7f", "\"\\x7f\"");
    expect_shown("\xc2\x9b", "\"\\xc2\\x9b\""); /* the C1 form of ESC [ */
    expect_shown("\xc2", "\xc2");               /* cut in the middle: nothing is read beyond */
}

static void fields_keep_their_order_and_absent_ones_are_left_out(void **state)
{
    char line[LOG_LINE_MAX];
    const struct log_field fields[] = {{"disk", NULL}, {"event", "e"}, {"peer", NULL}, {"n", "1"}};

    (void)state;
    log_format(fields, ARRAY_COUNT(fields), 0, line, sizeof line);
    assert_string_equal(line, "event=e n=1");
    log_format(fields, ARRAY_COUNT(fields), 7, line, sizeof line);
    assert_string_equal(line, "event=e n=1 suppressed=7");
    log_format(NULL, 0, 0, line, sizeof line);
    assert_string_equal(line, "");
}

static void what_does_not_fit_is_cut(void **state)
{
    char line[8];
    const struct log_field field = {"k", "0123456789"};

    (void)state;
    log_format(&field, 1, 3, line, sizeof line);
    assert_string_equal(line, "k=01234");
}

static void a_site_that_talks_too_much_is_held_back_and_says_so(void **state)
{
    struct log_site site = {0};
    uint32_t suppressed = 0;
    uint64_t now_ns = 1000 * NS_PER_S;

    (void)state;
    for (unsigned i = 0; i < LOG_SITE_LINES_MAX; i++) {
        assert_true(log_site_allows(&site, now_ns + i, &suppressed));
        assert_int_equal(suppressed, 0);
    }
    for (unsigned i = 0; i < 5; i++) {
        assert_false(log_site_allows(&site, now_ns + NS_PER_S, &suppressed));
    }
    assert_true(log_site_allows(&site, now_ns + LOG_SITE_WINDOW_S * NS_PER_S, &suppressed));
    assert_int_equal(suppressed, 5);
    assert_true(log_site_allows(&site, now_ns + LOG_SITE_WINDOW_S * NS_PER_S, &suppressed));
    assert_int_equal(suppressed, 0);
}

/* What fd 2 gets while log_event runs. */
static void catch_event(const char *journal, enum log_level level, char *out, size_t size_bytes)
{
    int fds[2];

    assert_int_equal(pipe(fds), 0);
    int saved = dup(STDERR_FILENO);
    assert_int_equal(
        journal == NULL ? unsetenv("JOURNAL_STREAM") : setenv("JOURNAL_STREAM", journal, 1), 0);
    assert_true(dup2(fds[1], STDERR_FILENO) >= 0);
    log_event(level, {"disk", "vda"}, {"event", "it happened"});
    assert_true(dup2(saved, STDERR_FILENO) >= 0);
    (void)close(saved);
    (void)close(fds[1]);
    ssize_t got = read(fds[0], out, size_bytes - 1);
    assert_true(got >= 0);
    out[got] = '\0';
    (void)close(fds[0]);
}

static void a_line_has_time_and_level_or_the_journals_number(void **state)
{
    char text[LOG_LINE_MAX];
    int year = 0;
    int end = 0;

    (void)state;
    catch_event(NULL, LOG_LEVEL_NOTICE, text, sizeof text);
    (void)sscanf(text, "%d-%*d-%*dT%*d:%*d:%*dZ notice disk=vda%n", &year, &end);
    assert_true(year >= 2024);
    assert_string_equal(text + end, " event=\"it happened\"\n");
    catch_event("8:9", LOG_LEVEL_WARNING, text, sizeof text);
    assert_string_equal(text, "<4>disk=vda event=\"it happened\"\n");
}

static void debug_is_silent_until_asked_for(void **state)
{
    char text[LOG_LINE_MAX];

    (void)state;
    catch_event("8:9", LOG_LEVEL_DEBUG, text, sizeof text);
    assert_string_equal(text, "");
    log_set_level(LOG_LEVEL_DEBUG);
    catch_event("8:9", LOG_LEVEL_DEBUG, text, sizeof text);
    assert_string_equal(text, "<7>disk=vda event=\"it happened\"\n");
    log_set_level(LOG_LEVEL_INFO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_values_stand_alone),
        cmocka_unit_test(values_that_could_be_misread_are_quoted),
        cmocka_unit_test(no_byte_from_outside_moves_a_cursor_or_ends_a_line),
        cmocka_unit_test(fields_keep_their_order_and_absent_ones_are_left_out),
        cmocka_unit_test(what_does_not_fit_is_cut),
        cmocka_unit_test(a_site_that_talks_too_much_is_held_back_and_says_so),
        cmocka_unit_test(a_line_has_time_and_level_or_the_journals_number),
        cmocka_unit_test(debug_is_silent_until_asked_for),
    };
    return cmocka_run_group_tests_name("log", tests, NULL, NULL);
}
