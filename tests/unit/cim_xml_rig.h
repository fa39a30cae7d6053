/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * cim_xml_rig.h - an arena and a text for the tests of cim/xml.h, and what any text must be that
 * real clients are to read.
 */
#ifndef RESILVER_TESTS_CIM_XML_RIG_H
#define RESILVER_TESTS_CIM_XML_RIG_H

#include "base/limits.h"
#include "cim/xml.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct rig {
    struct arena arena;
    struct xml_text text;
    struct error err;
};

static inline int rig_set_up(void **state)
{
    struct rig *rig = calloc(1, sizeof *rig);

    if (rig == NULL) {
        return -1;
    }
    arena_init(&rig->arena, CIM_REQUEST_BYTES);
    xml_text_init(&rig->text, HTTP_ANSWER_MAX);
    *state = rig;
    return 0;
}

static inline int rig_tear_down(void **state)
{
    struct rig *rig = *state;

    arena_free(&rig->arena);
    xml_text_free(&rig->text);
    free(rig);
    return 0;
}

#define RIG_TEST(name) cmocka_unit_test_setup_teardown(name, rig_set_up, rig_tear_down)

/* wbemcli breaks on these: only NAMESPACE and CLASSNAME may be empty elements, and there are no
 * comments, null items, CDATA and character references, and no array says that it has embedded
 * instances. */
static inline void rig_expect_readable(const char *text)
{
    static const char *const broken[] = {"<!", "VALUE.NULL", "&#", "<?", "CDATA"};

    for (size_t i = 0; i < ARRAY_COUNT(broken); i++) {
        if (strstr(text, broken[i]) != NULL) {
            fail_msg("%s in %s", broken[i], text);
        }
    }
    for (const char *at = strstr(text, "<PROPERTY.ARRAY "); at != NULL;
         at = strstr(at + 1, "<PROPERTY.ARRAY ")) {
        const char *attribute = strstr(at, "EmbeddedObject");

        if (attribute != NULL && attribute < strchr(at, '>')) {
            fail_msg("an attribute that arrays have not: %.80s", at);
        }
    }
    for (const char *at = strstr(text, "/>"); at != NULL; at = strstr(at + 1, "/>")) {
        const char *start = at;

        while (start > text && *start != '<') {
            start--;
        }
        if (strncmp(start, "<NAMESPACE ", 11) != 0 && strncmp(start, "<CLASSNAME ", 11) != 0) {
            fail_msg("an empty element: %.60s", start);
        }
    }
}

/* What was written since the last time. */
static inline const char *rig_written(struct rig *rig)
{
    assert_int_equal(xml_text_done(&rig->text, NULL), 0);
    char *text = arena_text_of(&rig->arena, rig->text.at, rig->text.used_bytes);

    assert_non_null(text);
    rig_expect_readable(text);
    xml_text_free(&rig->text);
    return text;
}

static inline void rig_expect_written(struct rig *rig, const char *expected)
{
    assert_string_equal(rig_written(rig), expected);
}

static inline const struct xml_element *rig_parse(struct rig *rig, const char *text)
{
    struct const_span span = {(const uint8_t *)text, strlen(text)};
    struct xml_element *root = NULL;

    if (xml_parse(&rig->arena, span, "utf-8", &root, NULL, &rig->err) != 0) {
        fail_msg("%s: %s", rig->err.message, text);
    }
    return root;
}

static inline const struct xml_element *rig_parse_written(struct rig *rig)
{
    return rig_parse(rig, rig_written(rig));
}

/* After a call that refused: why. */
static inline void rig_expect_reason(struct rig *rig, const char *text, enum error_kind kind,
                                     const char *reason)
{
    if (rig->err.kind != kind || strstr(rig->err.message, reason) == NULL) {
        fail_msg("%s: '%s', without '%s'", text, rig->err.message, reason);
    }
    rig->err = (struct error){0};
}

#endif
