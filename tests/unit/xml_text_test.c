/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "xml/text.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "xml/tree.h"

#define REPLACED "\xEF\xBF\xBD"

static void expect_escaped(const char *value, const char *expected)
{
    struct xml_text text;

    xml_text_init(&text, 4096);
    xml_print(&text, "<%s>", value);
    assert_int_equal(xml_text_done(&text, NULL), 0);
    assert_true(text.used_bytes >= 2);
    text.at[text.used_bytes - 1] = '\0';
    assert_string_equal(text.at + 1, expected);
    xml_text_free(&text);
}

static void raw_text_stays_as_it_is(void **state)
{
    struct xml_text text;

    (void)state;
    xml_text_init(&text, 100);
    xml_raw(&text, "<a b=\"c\">");
    xml_raw(&text, "&amp;</a>");
    assert_string_equal(text.at, "<a b=\"c\">&amp;</a>");
    assert_int_equal(text.used_bytes, strlen(text.at));
    xml_text_free(&text);
    assert_null(text.at);
}

static void markup_becomes_the_five_entities(void **state)
{
    (void)state;
    expect_escaped("", "");
    expect_escaped("plain", "plain");
    expect_escaped("<a href=\"x\">'&'</a>",
                   "&lt;a href=&quot;x&quot;&gt;&apos;&amp;&apos;&lt;/a&gt;");
    expect_escaped("]]>", "]]&gt;");
    expect_escaped("&lt;", "&amp;lt;");
    expect_escaped("a\tb\nc\rd", "a\tb\nc\rd");
}

static void what_xml_has_not_is_replaced(void **state)
{
    (void)state;
    expect_escaped("a\x01z", "a" REPLACED "z");
    expect_escaped("\x1F", REPLACED);
    expect_escaped("\x7F", "\x7F");
    expect_escaped("\xEF\xBF\xBE", REPLACED REPLACED REPLACED); /* U+FFFE */
    expect_escaped("\xEF\xBF\xBF", REPLACED REPLACED REPLACED); /* U+FFFF */
    expect_escaped("\xED\xA0\x80", REPLACED REPLACED REPLACED); /* a surrogate */
    expect_escaped("\xC0\xBC", REPLACED REPLACED);              /* '<', overlong */
    expect_escaped("\xE0\x80\xBC", REPLACED REPLACED REPLACED); /* the same in three */
    expect_escaped("\xF0\x80\x80\xBC", REPLACED REPLACED REPLACED REPLACED);
    expect_escaped("\xF4\x90\x80\x80", REPLACED REPLACED REPLACED REPLACED); /* U+110000 */
    expect_escaped("\xF8\x88\x80\x80\x80", REPLACED REPLACED REPLACED REPLACED REPLACED);
    expect_escaped("\x80", REPLACED);
    expect_escaped("half \xE2\x82", "half " REPLACED REPLACED);
    expect_escaped("\xE2<", REPLACED "&lt;");
    expect_escaped("\xFF\xFE", REPLACED REPLACED);
}

static void characters_of_every_length_stay_raw(void **state)
{
    static const char *const texts[] = {
        "\xC2\x80",     "Fu\xC3\x9F",   "\xE0\xA0\x80",     "\xE2\x82\xAC",     "\xED\x9F\xBF",
        "\xEE\x80\x80", "\xEF\xBF\xBD", "\xF0\x90\x80\x80", "\xF0\x9F\x98\x80", "\xF4\x8F\xBF\xBF",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(texts); i++) {
        expect_escaped(texts[i], texts[i]);
    }
}

static void numbers_are_decimal(void **state)
{
    struct xml_text text;

    (void)state;
    xml_text_init(&text, 1000);
    xml_print(&text, "%u %d %lu %ld %zu %" PRIu64 " %" PRId64 " 100%%", 4096U, -1, 7UL, -8L,
              (size_t)9, UINT64_MAX, INT64_MIN);
    assert_string_equal(text.at, "4096 -1 7 -8 9 18446744073709551615 -9223372036854775808 100%");
    xml_text_free(&text);
}

static void no_text_at_all_prints_nothing(void **state)
{
    struct xml_text text;

    (void)state;
    xml_text_init(&text, 1000);
    xml_escape(&text, NULL);
    xml_raw(&text, "x");
    assert_string_equal(text.at, "x");
    xml_text_free(&text);
}

static void a_text_reaches_its_limit_and_not_beyond(void **state)
{
    struct xml_text text;
    struct error err = {0};

    (void)state;
    xml_text_init(&text, 5000);
    for (int i = 0; i < 5000; i++) {
        xml_raw(&text, "x");
    }
    assert_int_equal(xml_text_done(&text, &err), 0);
    assert_int_equal(text.used_bytes, 5000);
    xml_raw(&text, "");
    assert_int_equal(xml_text_done(&text, &err), 0);
    xml_raw(&text, "y");
    assert_int_equal(xml_text_done(&text, &err), -1);
    assert_int_equal(err.kind, ERR_LIMIT);
    assert_int_equal(text.used_bytes, 5000);
    assert_int_equal(strlen(text.at), 5000);
    xml_text_free(&text);
}

static void after_the_limit_nothing_is_written(void **state)
{
    struct xml_text text;

    (void)state;
    xml_text_init(&text, 4);
    xml_raw(&text, "12345");
    xml_raw(&text, "1");
    xml_print(&text, "%s%u", "<", 1U);
    assert_int_equal(text.used_bytes, 0);
    assert_int_equal(xml_text_done(&text, NULL), -1);
    xml_text_free(&text);
}

/* Every byte in every place: what comes out is always a document, and has one element. */
static void whatever_is_escaped_can_be_read(void **state)
{
    (void)state;
    for (unsigned first = 1; first < 256; first++) {
        for (unsigned second = 1; second < 256; second++) {
            const char value[] = {(char)first, (char)second, '<', (char)second, 0};
            struct xml_text text;
            struct arena arena;
            struct xml_element *root = NULL;

            xml_text_init(&text, 4096);
            xml_print(&text, "<a b=\"%s\">%s</a>", value, value);
            arena_init(&arena, 65536);
            struct const_span bytes = {(const uint8_t *)text.at, text.used_bytes};
            assert_int_equal(xml_parse(&arena, bytes, "utf-8", &root, NULL, NULL), 0);
            assert_int_equal(root->child_count, 0);
            assert_int_equal(root->attribute_count, 1);
            arena_free(&arena);
            xml_text_free(&text);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(raw_text_stays_as_it_is),
        cmocka_unit_test(markup_becomes_the_five_entities),
        cmocka_unit_test(what_xml_has_not_is_replaced),
        cmocka_unit_test(characters_of_every_length_stay_raw),
        cmocka_unit_test(numbers_are_decimal),
        cmocka_unit_test(no_text_at_all_prints_nothing),
        cmocka_unit_test(a_text_reaches_its_limit_and_not_beyond),
        cmocka_unit_test(after_the_limit_nothing_is_written),
        cmocka_unit_test(whatever_is_escaped_can_be_read),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
