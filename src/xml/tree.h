/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * tree.h - an XML document from outside as a bounded tree in an arena. By expat, with namespaces.
 *
 * Refused: any DOCTYPE (so no entities but the five of XML), processing instructions, more depth,
 * elements, attributes or text than limits.h allows, encodings but UTF-8 and UTF-16, characters
 * that XML 1.0 does not have. Comments are left out. No recursion: a tree is walked by its links.
 */
#ifndef RESILVER_XML_TREE_H
#define RESILVER_XML_TREE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/span.h"

struct xml_attribute {
    const char *space; /* its namespace's URI; "": none */
    const char *name;  /* local name */
    const char *value;
};

/* All texts end with NUL, are UTF-8, never NULL, and are of the arena, as the elements are. */
struct xml_element {
    const char *space; /* namespace URI; "": none */
    const char *name;  /* local name */
    const char *text;  /* what stands directly in it, pieces joined; "" */
    struct xml_attribute *attributes;
    uint32_t attribute_count;
    uint32_t child_count;
    struct xml_element *parent; /* NULL: the root */
    struct xml_element *first;  /* child; NULL: none */
    struct xml_element *next;   /* sibling; NULL: the last */
};

/* Why a document was refused. */
enum xml_fault {
    XML_FINE = 0,
    XML_NOT_WELL_FORMED,
    XML_FORBIDDEN, /* DOCTYPE, processing instruction */
    XML_TOO_MUCH,  /* a limit */
    XML_ENCODING   /* neither UTF-8 nor UTF-16 */
};

/*
 * xml_parse - the root element in *out.
 *
 * @charset  what HTTP said, "utf-8" or "utf-16", or NULL: as the document looks
 * @fault    why, on failure; may be NULL
 * Errors: ERR_USAGE with the line; ERR_LIMIT.
 */
MUST_CHECK int xml_parse(struct arena *arena, struct const_span document, const char *charset,
                         struct xml_element **out, enum xml_fault *fault, struct error *err);

/* xml_is - whether it is that element; space NULL: in whatever namespace. */
bool xml_is(const struct xml_element *element, const char *space, const char *name);

/* xml_child - the first child so named; xml_sibling - the next one after `element` so named. NULL:
 * none. xml_child(NULL, ...) is NULL. */
const struct xml_element *xml_child(const struct xml_element *element, const char *space,
                                    const char *name);
const struct xml_element *xml_sibling(const struct xml_element *element, const char *space,
                                      const char *name);

/* xml_attribute - an attribute's value; space "": without a namespace; NULL: in any. Returns NULL
 * where there is none. */
const char *xml_attribute(const struct xml_element *element, const char *space, const char *name);

/* xml_text - its text without the white space around it, in the arena; "" for NULL. */
const char *xml_text(struct arena *arena, const struct xml_element *element);

#endif
