/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "xml/tree.h"

#include <glob.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "base/limits.h"

#define CPU_S_MAX 1.0 /* for any document, as the security tests want it */

/* --- documents -------------------------------------------------------------------------------- */

struct fixture {
    struct arena arena;
    struct xml_element *root;
    enum xml_fault fault;
    struct error err;
};

static int set_up(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);

    if (fixture == NULL) {
        return -1;
    }
    arena_init(&fixture->arena, CIM_REQUEST_BYTES);
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;

    arena_free(&fixture->arena);
    free(fixture);
    return 0;
}

static int parse_bytes(struct fixture *fixture, const void *bytes, size_t len_bytes,
                       const char *charset)
{
    struct const_span span = {bytes, len_bytes};
    clock_t begin = clock();

    arena_free(&fixture->arena);
    fixture->root = NULL;
    fixture->fault = XML_FINE;
    fixture->err = (struct error){0};
    int result =
        xml_parse(&fixture->arena, span, charset, &fixture->root, &fixture->fault, &fixture->err);
    assert_true((double)(clock() - begin) / CLOCKS_PER_SEC <= CPU_S_MAX);
    assert_true(fixture->arena.used_bytes <= CIM_REQUEST_BYTES);
    return result;
}

static const struct xml_element *parse(struct fixture *fixture, const char *text)
{
    if (parse_bytes(fixture, text, strlen(text), NULL) != 0) {
        fail_msg("refused: %s", fixture->err.message);
    }
    return fixture->root;
}

static void expect_refused_bytes(struct fixture *fixture, const void *bytes, size_t len_bytes,
                                 const char *charset, enum xml_fault fault)
{
    if (parse_bytes(fixture, bytes, len_bytes, charset) == 0) {
        fail_msg("taken: %.60s", (const char *)bytes);
    }
    if (fixture->fault != fault) {
        fail_msg("fault %d, not %d: %s", (int)fixture->fault, (int)fault, fixture->err.message);
    }
    assert_int_equal(fixture->err.kind, fault == XML_TOO_MUCH ? ERR_LIMIT : ERR_USAGE);
    assert_non_null(strstr(fixture->err.message, "line"));
    assert_null(fixture->root);
}

static void expect_refused(struct fixture *fixture, const char *text, enum xml_fault fault)
{
    expect_refused_bytes(fixture, text, strlen(text), NULL, fault);
}

/* A document made of parts: head, count times what is repeated (%zu in it is its number), tail. */
static char *repeat(const char *head, const char *part, size_t count, const char *tail,
                    size_t *len_bytes)
{
    size_t part_bytes = strlen(part) + 20;
    char *text = malloc(strlen(head) + count * part_bytes + strlen(tail) + 1);
    size_t used = 0;

    assert_non_null(text);
    memcpy(text, head, strlen(head));
    used += strlen(head);
    for (size_t i = 0; i < count; i++) {
        const char *number = strchr(part, '#');
        int plain_bytes = number == NULL ? (int)strlen(part) : (int)(number - part);

        memcpy(text + used, part, (size_t)plain_bytes);
        used += (size_t)plain_bytes;
        if (number != NULL) {
            used += (size_t)snprintf(text + used, part_bytes, "%zu%s", i, number + 1);
        }
    }
    memcpy(text + used, tail, strlen(tail));
    *len_bytes = used + strlen(tail);
    return text;
}

static void expect_repeated(struct fixture *fixture, const char *head, const char *part,
                            size_t count, const char *tail, enum xml_fault fault)
{
    size_t len_bytes = 0;
    char *text = repeat(head, part, count, tail, &len_bytes);

    if (fault != XML_FINE) {
        expect_refused_bytes(fixture, text, len_bytes, NULL, fault);
    } else if (parse_bytes(fixture, text, len_bytes, NULL) != 0) {
        fail_msg("refused: %s", fixture->err.message);
    }
    free(text);
}

/* --- trees ------------------------------------------------------------------------------------ */

static void a_document_becomes_a_tree(void **state)
{
    const struct xml_element *root =
        parse(*state, "<?xml version=\"1.0\" encoding=\"utf-8\" ?>\n<a x='1' y=\"2\"><b/>t<c>u"
                      "</c><b>v</b></a>");

    assert_true(xml_is(root, "", "a") && root->parent == NULL && root->next == NULL);
    assert_int_equal(root->child_count, 3);
    assert_int_equal(root->attribute_count, 2);
    assert_string_equal(root->text, "t");
    assert_string_equal(xml_attribute(root, "", "x"), "1");
    assert_string_equal(xml_attribute(root, NULL, "y"), "2");
    assert_null(xml_attribute(root, "", "z"));
    assert_null(xml_attribute(root, "urn:x", "x"));

    const struct xml_element *first = xml_child(root, "", "b");

    assert_ptr_equal(first, root->first);
    assert_string_equal(first->text, "");
    assert_ptr_equal(first->parent, root);
    assert_string_equal(xml_sibling(first, NULL, "b")->text, "v");
    assert_string_equal(xml_sibling(first, "", "c")->text, "u");
    assert_null(xml_sibling(xml_sibling(first, NULL, "b"), NULL, "b"));
    assert_null(xml_child(root, "", "d"));
    assert_null(xml_child(NULL, "", "b"));
    assert_null(xml_sibling(NULL, "", "b"));
    assert_null(xml_attribute(NULL, "", "b"));
    assert_false(xml_is(NULL, "", "a"));
}

static void names_have_their_namespaces(void **state)
{
    const struct xml_element *root =
        parse(*state, "<s:a xmlns:s='urn:s' xmlns='urn:d' s:x='1' x='2'><b><c xmlns=''/></b>"
                      "<t:b xmlns:t='urn:s' xml:lang='de'/></s:a>");

    assert_true(xml_is(root, "urn:s", "a") && xml_is(root, NULL, "a") && !xml_is(root, "", "a"));
    assert_string_equal(xml_attribute(root, "urn:s", "x"), "1");
    assert_string_equal(xml_attribute(root, "", "x"), "2");
    assert_non_null(xml_attribute(root, NULL, "x"));
    assert_int_equal(root->attribute_count, 2);
    assert_true(xml_is(root->first, "urn:d", "b"));
    assert_true(xml_is(root->first->first, "", "c"));
    const struct xml_element *second = xml_child(root, "urn:s", "b");

    assert_ptr_equal(second, root->first->next);
    assert_string_equal(xml_attribute(second, "http://www.w3.org/XML/1998/namespace", "lang"),
                        "de");
}

static void pieces_of_text_are_joined(void **state)
{
    const struct xml_element *root =
        parse(*state, "<a>one &lt;<!-- no\nmore --><b>in</b><![CDATA[<two>]]>&#228;\r\nend</a>");

    assert_string_equal(root->text, "one <<two>\xC3\xA4\nend");
    assert_string_equal(root->first->text, "in");
}

static void text_is_stripped_on_demand(void **state)
{
    struct fixture *fixture = *state;
    const struct xml_element *root = parse(fixture, "<a> \n\tx y\r\n <b>  </b><c>z</c></a>");

    assert_string_equal(xml_text(&fixture->arena, root), "x y");
    assert_string_equal(xml_text(&fixture->arena, xml_child(root, "", "b")), "");
    assert_string_equal(xml_text(&fixture->arena, xml_child(root, "", "c")), "z");
    assert_string_equal(xml_text(&fixture->arena, NULL), "");
}

static void the_five_entities_are_known(void **state)
{
    const struct xml_element *root =
        parse(*state, "<a b='&quot;&apos;'>&lt;&gt;&amp;&#x41;&#65;</a>");

    assert_string_equal(root->text, "<>&AA");
    assert_string_equal(root->attributes[0].value, "\"'");
}

static void what_is_not_well_formed_is_refused(void **state)
{
    static const char *const texts[] = {
        "",
        " ",
        "text",
        "<a>",
        "<a></b>",
        "<a/><b/>",
        "<a b='1' b='2'/>",
        "<a b=1/>",
        "<a><b></a></b>",
        "<a>&nbsp;</a>",
        "<a>&#0;</a>",
        "<a>&#1;</a>",
        "<a>&#xFFFE;</a>",
        "<a>&#xD800;</a>",
        "<a>&#x110000;</a>",
        "<a>]]></a>",
        "<a b='<'/>",
        "<x:a/>",
        "<a x:b='1'/>",
        "<a xmlns:x='urn:1' xmlns:y='urn:1' x:b='' y:b=''/>",
        "<a xmlns:x=''/>",
        "<a xmlns:xml='urn:x'/>",
        "<?xml version='1.1'?",
        "<a/>trailing",
        "<a>\x01</a>",
        "<a b='&#x0C;'/>",
        "<a xmlns='urn:&#12;x'/>",
        "<a><!-- -- --></a>",
        "<a:b:c xmlns:a='u'/>",
    };

    for (size_t i = 0; i < ARRAY_COUNT(texts); i++) {
        expect_refused(*state, texts[i], XML_NOT_WELL_FORMED);
    }
}

static void the_line_is_named(void **state)
{
    struct fixture *fixture = *state;

    expect_refused(fixture, "<a>\n\n<b></a>", XML_NOT_WELL_FORMED);
    assert_non_null(strstr(fixture->err.message, "line 3"));
}

static void a_fault_need_not_be_wanted(void **state)
{
    struct fixture *fixture = *state;
    struct const_span span = {(const uint8_t *)"<a>", 3};

    assert_int_equal(xml_parse(&fixture->arena, span, NULL, &fixture->root, NULL, &fixture->err),
                     -1);
    assert_int_equal(xml_parse(&fixture->arena, span, NULL, &fixture->root, NULL, NULL), -1);
}

/* --- S14: attacks ----------------------------------------------------------------------------- */

static void any_dtd_is_refused(void **state)
{
    static const char *const texts[] = {
        "<!DOCTYPE a><a/>",
        "<!DOCTYPE a []><a/>",
        "<!DOCTYPE a SYSTEM 'http://127.0.0.1:1/a.dtd'><a/>",
        "<!DOCTYPE a PUBLIC '-//x//y' 'file:///etc/passwd'><a/>",
        "<!DOCTYPE CIM SYSTEM \"HTTP://www.dmtf.org/cim-v2.dtd\"><CIM/>",
        "<!DOCTYPE a [<!ENTITY x SYSTEM 'file:///etc/passwd'>]><a>&x;</a>",
        "<!DOCTYPE a [<!ENTITY x SYSTEM 'http://127.0.0.1:1/'>]><a>&x;</a>",
        "<!DOCTYPE a [<!ENTITY % p SYSTEM 'file:///dev/zero'> %p;]><a/>",
        "<!DOCTYPE a [<!ENTITY % p '<!ENTITY x \"y\">'> %p;]><a>&x;</a>",
        "<!DOCTYPE a [<!ATTLIST a b CDATA 'default'>]><a/>",
        "<!DOCTYPE a [<!NOTATION n SYSTEM 'file:///'><!ENTITY x SYSTEM 'y' NDATA n>]><a/>",
        "<!DOCTYPE a [<!ENTITY x '&x;'>]><a>&x;</a>",
        "<!DOCTYPE a [<!ELEMENT a ((((((a))))))>]><a/>",
        "<?xml version='1.0' standalone='no'?><!DOCTYPE a SYSTEM '/dev/zero'><a/>",
    };

    for (size_t i = 0; i < ARRAY_COUNT(texts); i++) {
        expect_refused(*state, texts[i], XML_FORBIDDEN);
    }
}

static void nested_entities_are_refused(void **state)
{
    expect_repeated(*state, "<!DOCTYPE a [<!ENTITY e 'lol'>",
                    "<!ENTITY e# '&e;&e;&e;&e;&e;&e;&e;&e;&e;&e;'>", 30, "]><a>&e9;</a>",
                    XML_FORBIDDEN);
    /* The quadratic sort: one long entity, often. */
    expect_repeated(*state, "<!DOCTYPE a [<!ENTITY x 'xxxxxxxxxxxxxxxxxxxxxxxxxxx'>]><a>", "&x;",
                    200000, "</a>", XML_FORBIDDEN);
}

static void processing_instructions_are_refused(void **state)
{
    expect_refused(*state, "<?xml-stylesheet href='http://127.0.0.1:1/'?><a/>", XML_FORBIDDEN);
    expect_refused(*state, "<a><?php x?></a>", XML_FORBIDDEN);
    expect_refused(*state, "<a/><?x?>", XML_FORBIDDEN);
}

static void an_inclusion_is_an_element_like_others(void **state)
{
    const struct xml_element *root =
        parse(*state, "<a xmlns:i='http://www.w3.org/2001/XInclude'>"
                      "<i:include href='file:///etc/passwd' parse='text'/></a>");

    assert_int_equal(root->child_count, 1);
    assert_string_equal(root->text, "");
    assert_int_equal(root->first->child_count, 0);
    assert_string_equal(root->first->text, "");
}

static void depth_is_bounded(void **state)
{
    size_t len_bytes = 0;
    char *end = repeat("", "</a>", XML_DEPTH_MAX, "", &len_bytes);

    end[len_bytes] = '\0';
    expect_repeated(*state, "", "<a>", XML_DEPTH_MAX, end, XML_FINE);
    expect_repeated(*state, "", "<a>", XML_DEPTH_MAX + 1, "", XML_TOO_MUCH);
    expect_repeated(*state, "", "<a>", 100000, "", XML_TOO_MUCH);
    expect_repeated(*state, "", "<a b=''>", 100000, "", XML_TOO_MUCH);
    free(end);
}

static void elements_are_bounded(void **state)
{
    struct fixture *fixture = *state;

    expect_repeated(fixture, "<a>", "<b/>", XML_ELEMENTS_MAX - 1, "</a>", XML_FINE);
    assert_int_equal(fixture->root->child_count, XML_ELEMENTS_MAX - 1);
    expect_repeated(fixture, "<a>", "<b/>", XML_ELEMENTS_MAX, "</a>", XML_TOO_MUCH);
    expect_repeated(fixture, "<a>", "<b/>", 200000, "</a>", XML_TOO_MUCH);
}

static void attributes_are_bounded(void **state)
{
    expect_repeated(*state, "<a", " b#=''", XML_ATTRIBUTES_MAX, "/>", XML_FINE);
    expect_repeated(*state, "<a", " b#=''", XML_ATTRIBUTES_MAX + 1, "/>", XML_TOO_MUCH);
    expect_repeated(*state, "<a", " b#=''", 80000, "/>", XML_TOO_MUCH);
    expect_repeated(*state, "<a", " b#=''", 1000000, "/>", XML_TOO_MUCH);
    expect_repeated(*state, "<a>", "<b c='' d='' e=''/>", XML_ELEMENTS_MAX - 1, "</a>", XML_FINE);
}

static void namespaces_count_as_attributes(void **state)
{
    expect_repeated(*state, "<a", " xmlns:b#='u'", XML_ATTRIBUTES_MAX, "/>", XML_FINE);
    expect_repeated(*state, "<a c=''", " xmlns:b#='u'", XML_ATTRIBUTES_MAX, "/>", XML_TOO_MUCH);
    expect_repeated(*state, "<a", " xmlns:b#='u'", XML_ATTRIBUTES_MAX + 1, "/>", XML_TOO_MUCH);
    expect_repeated(*state, "<a", " xmlns:b#='u'", 60000, "/>", XML_TOO_MUCH);
    /* Those of one element are not those of the next. */
    expect_repeated(*state, "<a>", "<b xmlns='urn:#' xmlns:c='urn:c' c:d=''/>", 1000, "</a>",
                    XML_FINE);
}

static void names_are_bounded(void **state)
{
    expect_repeated(*state, "<", "a", XML_NAME_MAX, "/>", XML_FINE);
    expect_repeated(*state, "<", "a", XML_NAME_MAX + 1, "/>", XML_TOO_MUCH);
    expect_repeated(*state, "<b ", "a", XML_NAME_MAX + 1, "=''/>", XML_TOO_MUCH);
    expect_repeated(*state, "<a xmlns='", "u", XML_NAME_MAX - 2, "'/>", XML_FINE);
    expect_repeated(*state, "<a xmlns='", "u", XML_NAME_MAX - 1, "'/>", XML_TOO_MUCH);
    expect_repeated(*state, "<a xmlns:b='", "u", XML_NAME_MAX + 1, "'/>", XML_TOO_MUCH);
    expect_repeated(*state, "<a xmlns='", "u", 900000, "'/>", XML_TOO_MUCH);
}

static void texts_are_bounded(void **state)
{
    struct fixture *fixture = *state;

    expect_repeated(fixture, "<a>", "x", XML_TEXT_MAX, "</a>", XML_FINE);
    assert_int_equal(strlen(fixture->root->text), XML_TEXT_MAX);
    expect_repeated(fixture, "<a>", "x", XML_TEXT_MAX + 1, "</a>", XML_TOO_MUCH);
    expect_repeated(fixture, "<a>", "\n", XML_TEXT_MAX, "</a>", XML_FINE);
    expect_repeated(fixture, "<a>", "&lt;", XML_TEXT_MAX, "</a>", XML_FINE);
    expect_repeated(fixture, "<a>", "x<b/>", XML_ELEMENTS_MAX - 1, "</a>", XML_FINE);
    expect_repeated(fixture, "<a b='", "x", XML_TEXT_MAX, "'/>", XML_FINE);
    expect_repeated(fixture, "<a b='", "x", XML_TEXT_MAX + 1, "'/>", XML_TOO_MUCH);
}

static void documents_are_bounded(void **state)
{
    struct fixture *fixture = *state;
    size_t long_bytes = (size_t)200 * 1000 * 1000;
    char *text = malloc(long_bytes);

    assert_non_null(text);
    memset(text, 'x', long_bytes);
    memcpy(text, "<a>", 3);
    expect_refused_bytes(fixture, text, long_bytes, NULL, XML_TOO_MUCH);
    assert_int_equal(fixture->arena.used_bytes, 0);
    expect_refused_bytes(fixture, text, XML_DOCUMENT_MAX + 1, NULL, XML_TOO_MUCH);
    expect_refused_bytes(fixture, text, XML_DOCUMENT_MAX, NULL, XML_TOO_MUCH);
    free(text);
    expect_repeated(fixture, "<a><!--", "x", 500000, "--></a>", XML_FINE);
    expect_repeated(fixture, "<a>", "<!--x-->", 100000, "</a>", XML_FINE);
    expect_repeated(fixture, "<a>", "<![CDATA[]]>", 80000, "</a>", XML_FINE);
}

static void an_arena_that_is_too_small_refuses(void **state)
{
    struct fixture *fixture = *state;
    size_t len_bytes = 0;
    char *text = repeat("<a xmlns='urn:x'>", "<b c='d'>text</b>", 3000, "</a>", &len_bytes);

    for (size_t max_bytes = 0; max_bytes < 400; max_bytes += 8) {
        arena_free(&fixture->arena);
        fixture->arena.max_bytes = max_bytes;
        expect_refused_bytes(fixture, text, len_bytes, NULL, XML_TOO_MUCH);
        assert_true(fixture->arena.bad && fixture->arena.used_bytes <= max_bytes);
    }
    free(text);
}

/* --- encodings -------------------------------------------------------------------------------- */

/* ASCII as UTF-16, with or without a mark. */
static size_t widen(const char *text, bool is_big, bool has_mark, uint8_t *out)
{
    size_t used = 0;

    if (has_mark) {
        out[used++] = is_big ? 0xFE : 0xFF;
        out[used++] = is_big ? 0xFF : 0xFE;
    }
    for (const char *at = text; *at != '\0'; at++) {
        out[used + (is_big ? 1 : 0)] = (uint8_t)*at;
        out[used + (is_big ? 0 : 1)] = 0;
        used += 2;
    }
    return used;
}

static void utf16_is_read_with_a_mark_or_without(void **state)
{
    static const char *const texts[] = {
        "<a b='c'>t</a>", "<?xml version='1.0' encoding='UTF-16'?><a b='c'>t</a>",
        "<?xml version='1.0' encoding='utf-8'?><a b='c'>t</a>", /* recoded on its way */
    };
    struct fixture *fixture = *state;
    uint8_t wide[400];

    for (size_t i = 0; i < ARRAY_COUNT(texts); i++) {
        for (unsigned kind = 0; kind < 8; kind++) {
            size_t len_bytes = widen(texts[i], (kind & 1) != 0, (kind & 2) != 0, wide);
            const char *charset = (kind & 4) != 0 ? "UTF-16" : NULL;

            if (parse_bytes(fixture, wide, len_bytes, charset) != 0) {
                fail_msg("%s (%u): %s", texts[i], kind, fixture->err.message);
            }
            assert_string_equal(fixture->root->text, "t");
            assert_string_equal(fixture->root->attributes[0].value, "c");
        }
    }
}

static void utf8_may_have_a_mark(void **state)
{
    struct fixture *fixture = *state;
    static const char TEXT[] =
        "\xEF\xBB\xBF<?xml version='1.0' encoding='UTF-8'?><a>\xE2\x82\xAC</a>";

    assert_string_equal(parse(fixture, TEXT)->text, "\xE2\x82\xAC");
    assert_int_equal(parse_bytes(fixture, TEXT, strlen(TEXT), "utf-8"), 0);
    assert_string_equal(parse(fixture, "<?xml version='1.0' encoding='us-ascii'?><a>x</a>")->text,
                        "x");
}

static void other_encodings_are_refused(void **state)
{
    static const char *const names[] = {
        "ISO-8859-1",   "utf-7",  "UTF-32",  "UCS-4",  "windows-1252",
        "EBCDIC-CP-US", "latin1", "UTF-16X", "utf-8x", "x",
    };
    char text[100];
    uint8_t wide[400];

    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        (void)snprintf(text, sizeof text, "<?xml version='1.0' encoding='%s'?><a/>", names[i]);
        expect_refused(*state, text, XML_ENCODING);
        expect_refused_bytes(*state, text, strlen(text), "utf-8", XML_ENCODING);
        expect_refused_bytes(*state, wide, widen(text, false, true, wide), NULL, XML_ENCODING);
        expect_refused_bytes(*state, "<a/>", 4, names[i], XML_ENCODING);
    }
}

static void a_charset_must_fit_the_bytes(void **state)
{
    uint8_t wide[100];
    size_t len_bytes = widen("<a>t</a>", false, true, wide);

    expect_refused_bytes(*state, wide, len_bytes, "utf-8", XML_ENCODING);
    expect_refused_bytes(*state, wide + 2, len_bytes - 2, "utf-8", XML_ENCODING);
    expect_refused_bytes(*state, "<a>t</a>", 8, "utf-16", XML_ENCODING);
    expect_refused_bytes(*state, "<a/>", 4, "", XML_ENCODING);
    expect_refused(*state, "<?xml version='1.0' encoding='UTF-16'?><a/>", XML_ENCODING);
}

static void encodings_hide_no_markup(void **state)
{
    static const uint8_t WIDE32[] = {0xFF, 0xFE, 0, 0, '<', 0, 0, 0, 'a', 0, 0, 0, '/', 0, 0, 0};
    static const uint8_t BIG32[] = {0, 0, 0xFE, 0xFF, 0, 0, 0, '<', 0, 0, 0, 'a', 0, 0, 0, '/'};
    uint8_t wide[200];

    expect_refused(*state, "+ADw-a/+AD4-", XML_NOT_WELL_FORMED);
    expect_refused_bytes(*state, WIDE32, sizeof WIDE32, NULL, XML_NOT_WELL_FORMED);
    expect_refused_bytes(*state, BIG32, sizeof BIG32, NULL, XML_NOT_WELL_FORMED);
    expect_refused_bytes(*state, wide, widen("<!DOCTYPE a []><a/>", true, true, wide), NULL,
                         XML_FORBIDDEN);
    expect_refused_bytes(*state, wide, widen("<?pi x?><a/>", false, false, wide), "utf-16",
                         XML_FORBIDDEN);
    /* Odd length: half a character at the end. */
    expect_refused_bytes(*state, wide, widen("<a></a>", false, true, wide) - 1, NULL,
                         XML_NOT_WELL_FORMED);
}

static void broken_utf8_is_refused(void **state)
{
    static const char *const texts[] = {
        "<a>\xC0\xBC</a>",
        "<a>\xE0\x80\xBC</a>",
        "<a>\xF0\x80\x80\xBC</a>",
        "<a>\xC0\x80</a>",
        "<a>\xED\xA0\x80</a>",
        "<a>\xED\xBF\xBF</a>",
        "<a>\xEF\xBF\xBE</a>",
        "<a>\xEF\xBF\xBF</a>",
        "<a>\xF4\x90\x80\x80</a>",
        "<a>\xF8\x88\x80\x80\x80</a>",
        "<a>\x80</a>",
        "<a>\xE2\x82</a>",
        "<a b='\xC0\xA7'/>",
        "<a>\xFF</a>",
        "<a\xC0\xAF>",
    };

    for (size_t i = 0; i < ARRAY_COUNT(texts); i++) {
        expect_refused(*state, texts[i], XML_NOT_WELL_FORMED);
    }
    expect_refused_bytes(*state, "<a>x\0y</a>", 10, NULL, XML_NOT_WELL_FORMED);
    expect_refused_bytes(*state, "<a/>\0", 5, NULL, XML_NOT_WELL_FORMED);
    expect_refused_bytes(*state, "<a b='\0'/>", 10, NULL, XML_NOT_WELL_FORMED);
    expect_refused_bytes(*state, "\0", 1, NULL, XML_NOT_WELL_FORMED);
}

/* One unit in the text of <a>..</a>, or two. */
static void put_units(uint8_t *wide, bool is_big, unsigned first, unsigned second)
{
    size_t high = is_big ? 0 : 1;
    size_t at = 2 + (size_t)2 * 3;

    wide[at + high] = (uint8_t)(first >> 8);
    wide[at + 1 - high] = (uint8_t)first;
    wide[at + 2 + high] = (uint8_t)(second >> 8);
    wide[at + 3 - high] = (uint8_t)second;
}

static void lone_surrogates_are_refused(void **state)
{
    static const struct {
        unsigned first;
        unsigned second;
    } broken[] = {{0xD800, 'x'},    {'x', 0xD800},    {0xDC00, 'x'},    {'x', 0xDC00},
                  {0xDC00, 0xD800}, {0xD800, 0xD800}, {0xFFFE, 'x'},    {'x', 0xFFFF},
                  {0, 'x'},         {1, 'x'},         {0xDBFF, 0xDBFF}, {0xDFFF, 0xDFFF}};
    struct fixture *fixture = *state;
    uint8_t wide[100];

    for (unsigned is_big = 0; is_big < 2; is_big++) {
        size_t len_bytes = widen("<a>xx</a>", is_big == 1, true, wide);

        for (size_t i = 0; i < ARRAY_COUNT(broken); i++) {
            put_units(wide, is_big == 1, broken[i].first, broken[i].second);
            expect_refused_bytes(fixture, wide, len_bytes, NULL, XML_NOT_WELL_FORMED);
        }
        put_units(wide, is_big == 1, 0xD83D, 0xDE00);
        assert_int_equal(parse_bytes(fixture, wide, len_bytes, NULL), 0);
        assert_string_equal(fixture->root->text, "\xF0\x9F\x98\x80");
    }
    size_t len_bytes = widen("<a/>x", false, true, wide);

    wide[len_bytes - 1] = 0xD8;
    expect_refused_bytes(fixture, wide, len_bytes, NULL, XML_NOT_WELL_FORMED);
}

/* --- real clients ----------------------------------------------------------------------------- */

/* The body of a request in a file; 0: there is none. */
static size_t read_body(const char *path, char *out, size_t room_bytes, const char **body)
{
    FILE *file = fopen(path, "r");

    assert_non_null(file);
    size_t used = fread(out, 1, room_bytes - 1, file);

    assert_int_equal(fclose(file), 0);
    out[used] = '\0';
    const char *end = strstr(out, "\r\n\r\n");

    *body = end == NULL ? strstr(out, "\n\n") : end;
    assert_non_null(*body);
    *body += strspn(*body, "\r\n");
    return strlen(*body);
}

static void requests_of_real_clients_are_read(void **state)
{
    static char content[65536];
    struct fixture *fixture = *state;
    glob_t found;
    size_t read_count = 0;

    assert_int_equal(glob(SOURCE_ROOT "/tests/interop/requests/*.http", 0, NULL, &found), 0);
    for (size_t i = 0; i < found.gl_pathc; i++) {
        const char *body = NULL;
        size_t body_bytes = read_body(found.gl_pathv[i], content, sizeof content, &body);

        if (body_bytes == 0) {
            continue;
        }
        if (parse_bytes(fixture, body, body_bytes, "utf-8") != 0) {
            fail_msg("%s: %s", found.gl_pathv[i], fixture->err.message);
        }
        assert_true(xml_is(fixture->root, "", "CIM") || xml_is(fixture->root, NULL, "Envelope"));
        read_count++;
    }
    globfree(&found);
    assert_true(read_count >= 30);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_document_becomes_a_tree),
        TEST(names_have_their_namespaces),
        TEST(pieces_of_text_are_joined),
        TEST(text_is_stripped_on_demand),
        TEST(the_five_entities_are_known),
        TEST(what_is_not_well_formed_is_refused),
        TEST(the_line_is_named),
        TEST(a_fault_need_not_be_wanted),
        TEST(any_dtd_is_refused),
        TEST(nested_entities_are_refused),
        TEST(processing_instructions_are_refused),
        TEST(an_inclusion_is_an_element_like_others),
        TEST(depth_is_bounded),
        TEST(elements_are_bounded),
        TEST(attributes_are_bounded),
        TEST(namespaces_count_as_attributes),
        TEST(names_are_bounded),
        TEST(texts_are_bounded),
        TEST(documents_are_bounded),
        TEST(an_arena_that_is_too_small_refuses),
        TEST(utf16_is_read_with_a_mark_or_without),
        TEST(utf8_may_have_a_mark),
        TEST(other_encodings_are_refused),
        TEST(a_charset_must_fit_the_bytes),
        TEST(encodings_hide_no_markup),
        TEST(broken_utf8_is_refused),
        TEST(lone_surrogates_are_refused),
        TEST(requests_of_real_clients_are_read),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
