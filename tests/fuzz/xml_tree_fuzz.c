/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * xml_tree_fuzz.c - any bytes as a document, with each charset that HTTP may name. What is taken is
 * a tree as tree.h promises, and is read again from what is written of its texts.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "xml/text.h"
#include "xml/tree.h"

static void check_element(const struct xml_element *element)
{
    uint32_t count = 0;

    assert(element->name[0] != '\0' && element->space != NULL && element->text != NULL);
    assert(strlen(element->name) + strlen(element->space) <= XML_NAME_MAX);
    assert(strlen(element->text) <= XML_TEXT_MAX);
    assert(element->attribute_count <= XML_ATTRIBUTES_MAX);
    for (uint32_t i = 0; i < element->attribute_count; i++) {
        assert(element->attributes[i].name[0] != '\0');
        assert(strlen(element->attributes[i].value) <= XML_TEXT_MAX);
    }
    for (const struct xml_element *child = element->first; child != NULL; child = child->next) {
        assert(child->parent == element);
        count++;
    }
    assert(count == element->child_count);
}

/* All of it is plain characters: none is replaced when it is written. */
static void check_text(const char *value)
{
    struct xml_text text;
    struct arena arena;
    struct xml_element *root = NULL;

    arena_init(&arena, CIM_REQUEST_BYTES);
    xml_text_init(&text, HTTP_ANSWER_MAX);
    xml_print(&text, "<a>%s</a>", value);
    if (text.used_bytes <= XML_DOCUMENT_MAX && strchr(value, '\r') == NULL) {
        struct const_span span = {(const uint8_t *)text.at, text.used_bytes};
        int result = xml_parse(&arena, span, "utf-8", &root, NULL, NULL);

        assert(result == 0 && strcmp(root->text, value) == 0);
    }
    xml_text_free(&text);
    arena_free(&arena);
}

static void check_tree(const struct xml_element *root)
{
    const struct xml_element *element = root;
    uint32_t depth = 1;
    uint32_t count = 0;

    assert(root->parent == NULL && root->next == NULL);
    while (element != NULL) {
        check_element(element);
        count++;
        if (count < 100) {
            check_text(element->text);
        }
        if (element->first != NULL) {
            element = element->first;
            depth++;
            continue;
        }
        while (element != NULL && element->next == NULL) {
            element = element->parent;
            depth--;
        }
        element = element == NULL ? NULL : element->next;
        assert(depth <= XML_DEPTH_MAX && count <= XML_ELEMENTS_MAX);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const charsets[] = {NULL, "utf-8", "utf-16"};

    for (size_t i = 0; i < ARRAY_COUNT(charsets); i++) {
        struct arena arena;
        struct xml_element *root = NULL;
        enum xml_fault fault = XML_FINE;
        struct error err = {0};
        struct const_span span = {data, size};

        arena_init(&arena, CIM_REQUEST_BYTES);
        if (xml_parse(&arena, span, charsets[i], &root, &fault, &err) == 0) {
            assert(fault == XML_FINE && root != NULL);
            check_tree(root);
        } else {
            assert(fault != XML_FINE && root == NULL && err.message[0] != '\0');
            assert(err.kind == (fault == XML_TOO_MUCH ? ERR_LIMIT : ERR_USAGE));
        }
        arena_free(&arena);
    }
    return 0;
}
