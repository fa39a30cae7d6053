/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * tree.c - expat's events become a tree, and stop it as soon as they pass a limit.
 *
 *  1. expat decides nothing about encodings: it is told UTF-8 or one of UTF-16's orders, and what
 *     the document declares may only agree with that.
 *  2. After the first fault no handler does anything more: expat still calls a few after it was
 *     stopped.
 *  3. levels[depth - 1] belongs to the element that is open at that depth; level_count == depth.
 *
 * No handler loads anything and no entity is ever declared, since a DOCTYPE's first token ends it.
 */
#include "xml/tree.h"

#include <assert.h>
#include <expat.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/limits.h"

/* Between a namespace's URI and a name: no document can have it, not even as a reference. */
#define SEPARATOR '\f'
#define FIRST_TEXT_BYTES ((size_t)256)

/* An element that is open. */
struct level {
    struct xml_element *element;
    struct xml_element *last; /* its youngest child; NULL: none */
    char *text;               /* owned: what came so far; kept for the next element here */
    size_t text_bytes;
    size_t room_bytes;
};

struct builder {
    XML_Parser parser; /* owned */
    struct arena *arena;
    struct xml_element *root;
    const char *space; /* the last namespace's copy: most elements share it */
    bool is_wide;      /* UTF-16 */
    uint32_t depth;
    uint32_t element_count;
    uint32_t declaration_count; /* of namespaces, for the element that comes next */
    enum xml_fault fault;
    const char *reason; /* of the fault */
    struct level levels[XML_DEPTH_MAX];
};

/* --- faults ----------------------------------------------------------------------------------- */

static void stop(struct builder *builder, enum xml_fault fault, const char *reason)
{
    if (builder->fault == XML_FINE) {
        builder->fault = fault;
        builder->reason = reason;
        (void)XML_StopParser(builder->parser, XML_FALSE); /* fails only if it has stopped already */
    }
}

/* A copy in the arena; NULL after a fault. Texts of no bytes need no memory. */
static const char *keep(struct builder *builder, const char *text, size_t len_bytes)
{
    const char *copy = len_bytes == 0 ? "" : arena_text_of(builder->arena, text, len_bytes);

    if (copy == NULL) {
        stop(builder, XML_TOO_MUCH, "it takes more memory than one request may have");
    }
    return copy;
}

/* --- elements --------------------------------------------------------------------------------- */

static const char *keep_space(struct builder *builder, const char *space, size_t len_bytes)
{
    if (strlen(builder->space) == len_bytes && memcmp(builder->space, space, len_bytes) == 0) {
        return builder->space;
    }
    const char *copy = keep(builder, space, len_bytes);

    if (copy != NULL && len_bytes > 0) {
        builder->space = copy;
    }
    return copy;
}

/* Takes apart what expat makes of a name: [URI SEPARATOR] local name. */
static bool keep_name(struct builder *builder, const char *whole, const char **space,
                      const char **name)
{
    const char *end = strchr(whole, SEPARATOR);

    if (strlen(whole) > XML_NAME_MAX) {
        stop(builder, XML_TOO_MUCH, "a name is too long");
        return false;
    }
    *space = end == NULL ? "" : keep_space(builder, whole, (size_t)(end - whole));
    const char *local = end == NULL ? whole : end + 1;
    *name = keep(builder, local, strlen(local));
    return *space != NULL && *name != NULL;
}

static bool keep_attribute(struct builder *builder, const char *const *pair,
                           struct xml_attribute *out)
{
    size_t value_bytes = strlen(pair[1]);

    if (value_bytes > XML_TEXT_MAX) {
        stop(builder, XML_TOO_MUCH, "an attribute's value is too long");
        return false;
    }
    out->value = keep(builder, pair[1], value_bytes);
    return out->value != NULL && keep_name(builder, pair[0], &out->space, &out->name);
}

static bool keep_attributes(struct builder *builder, struct xml_element *element,
                            const char *const *pairs)
{
    uint32_t count = 0;

    while (count <= XML_ATTRIBUTES_MAX && pairs[(size_t)2 * count] != NULL) {
        count++;
    }
    if (count > XML_ATTRIBUTES_MAX - builder->declaration_count) {
        stop(builder, XML_TOO_MUCH, "an element has too many attributes");
        return false;
    }
    element->attributes = arena_take_many(builder->arena, count, sizeof *element->attributes);
    if (element->attributes == NULL) {
        stop(builder, XML_TOO_MUCH, "it takes more memory than one request may have");
        return false;
    }
    for (element->attribute_count = 0; element->attribute_count < count;
         element->attribute_count++) {
        uint32_t index = element->attribute_count;

        if (!keep_attribute(builder, pairs + (size_t)2 * index, &element->attributes[index])) {
            return false;
        }
    }
    return true;
}

static void hang_in(struct builder *builder, struct xml_element *element)
{
    if (builder->depth == 0) {
        assert(builder->root == NULL);
        builder->root = element;
        return;
    }
    struct level *above = &builder->levels[builder->depth - 1];

    element->parent = above->element;
    above->element->child_count++;
    if (above->last == NULL) {
        above->element->first = element;
    } else {
        above->last->next = element;
    }
    above->last = element;
}

static struct xml_element *new_element(struct builder *builder)
{
    if (builder->depth == XML_DEPTH_MAX) {
        stop(builder, XML_TOO_MUCH, "its elements are too deep in one another");
        return NULL;
    }
    if (builder->element_count == XML_ELEMENTS_MAX) {
        stop(builder, XML_TOO_MUCH, "it has too many elements");
        return NULL;
    }
    struct xml_element *element = arena_take(builder->arena, sizeof *element);

    if (element == NULL) {
        stop(builder, XML_TOO_MUCH, "it takes more memory than one request may have");
        return NULL;
    }
    element->text = "";
    builder->element_count++;
    return element;
}

static void XMLCALL on_start(void *data, const char *name, const char **pairs)
{
    struct builder *builder = data;
    struct xml_element *element = builder->fault == XML_FINE ? new_element(builder) : NULL;

    if (element == NULL || !keep_name(builder, name, &element->space, &element->name) ||
        !keep_attributes(builder, element, (const char *const *)pairs)) {
        return;
    }
    hang_in(builder, element);
    struct level *level = &builder->levels[builder->depth++];

    level->element = element;
    level->last = NULL;
    level->text_bytes = 0;
    builder->declaration_count = 0;
}

static void XMLCALL on_end(void *data, const char *name)
{
    struct builder *builder = data;

    (void)name; /* expat has seen that it fits */
    if (builder->fault != XML_FINE) {
        return;
    }
    assert(builder->depth > 0 && builder->depth <= XML_DEPTH_MAX);
    struct level *level = &builder->levels[--builder->depth];
    const char *text = keep(builder, level->text, level->text_bytes);

    if (text != NULL) {
        level->element->text = text;
    }
}

/* --- text ------------------------------------------------------------------------------------- */

/* Doubling, since expat brings a text in pieces as small as one line end. */
static bool grow_text(struct level *level, size_t more_bytes)
{
    size_t room_bytes = level->room_bytes == 0 ? FIRST_TEXT_BYTES : level->room_bytes;

    while (room_bytes - level->text_bytes < more_bytes) {
        room_bytes *= 2;
    }
    if (room_bytes != level->room_bytes) {
        char *text = realloc(level->text, room_bytes);

        if (text == NULL) {
            return false;
        }
        level->text = text;
        level->room_bytes = room_bytes;
    }
    return true;
}

static void XMLCALL on_text(void *data, const char *piece, int piece_bytes)
{
    struct builder *builder = data;
    size_t more_bytes = (size_t)piece_bytes;

    if (builder->fault != XML_FINE || builder->depth == 0) {
        return;
    }
    struct level *level = &builder->levels[builder->depth - 1];

    assert(piece_bytes >= 0 && level->text_bytes <= XML_TEXT_MAX);
    if (more_bytes > XML_TEXT_MAX - level->text_bytes) {
        stop(builder, XML_TOO_MUCH, "a text is too long");
    } else if (!grow_text(level, more_bytes)) {
        stop(builder, XML_TOO_MUCH, "memory is short");
    } else {
        memcpy(level->text + level->text_bytes, piece, more_bytes);
        level->text_bytes += more_bytes;
    }
}

/* --- what is refused -------------------------------------------------------------------------- */

static void XMLCALL on_namespace(void *data, const char *prefix, const char *uri)
{
    struct builder *builder = data;

    (void)prefix;
    if (builder->fault != XML_FINE) {
        return;
    }
    if (uri != NULL && strlen(uri) > XML_NAME_MAX) {
        stop(builder, XML_TOO_MUCH, "a namespace's name is too long");
    } else if (builder->declaration_count == XML_ATTRIBUTES_MAX) {
        stop(builder, XML_TOO_MUCH, "an element declares too many namespaces");
    } else {
        builder->declaration_count++;
    }
}

static void XMLCALL on_doctype(void *data, const char *name, const char *system,
                               const char *public_id, int has_subset)
{
    (void)name;
    (void)system;
    (void)public_id;
    (void)has_subset;
    stop(data, XML_FORBIDDEN, "it has a DOCTYPE, which no request needs");
}

static void XMLCALL on_instruction(void *data, const char *target, const char *text)
{
    (void)target;
    (void)text;
    stop(data, XML_FORBIDDEN, "it has a processing instruction, which no request needs");
}

static void XMLCALL on_declaration(void *data, const char *version, const char *encoding,
                                   int standalone)
{
    struct builder *builder = data;

    (void)version;
    (void)standalone;
    if (encoding == NULL) {
        return;
    }
    bool is_wide = strncasecmp(encoding, "utf-16", 6) == 0;
    bool is_known =
        is_wide ? encoding[6] == '\0' || strcasecmp(encoding + 6, "le") == 0 ||
                      strcasecmp(encoding + 6, "be") == 0
                : strcasecmp(encoding, "utf-8") == 0 || strcasecmp(encoding, "us-ascii") == 0;

    if (!is_known) {
        stop(builder, XML_ENCODING, "its encoding is neither UTF-8 nor UTF-16");
    } else if (is_wide && !builder->is_wide) {
        /* The other way round is what a gateway leaves behind that recoded it; HTTP's charset
         * counts then (RFC 7303 8.11). */
        stop(builder, XML_ENCODING, "it says that it is UTF-16 and is not");
    }
}

/* expat is told a name that it knows, so that this is for a version of it that does not. */
static int XMLCALL on_unknown_encoding(void *data, const char *name, XML_Encoding *info)
{
    (void)name;
    (void)info;
    stop(data, XML_ENCODING, "its encoding is neither UTF-8 nor UTF-16");
    return XML_STATUS_ERROR;
}

/* --- encodings -------------------------------------------------------------------------------- */

enum encoding { ENCODING_REFUSED, ENCODING_UTF8, ENCODING_UTF16_BIG, ENCODING_UTF16_LITTLE };

/* From the byte order mark or where the NUL of the first '<' or blank is (XML 1.0 appendix F). */
static enum encoding look_at(struct const_span document)
{
    const uint8_t *at = document.at;

    if (document.len_bytes < 2) {
        return ENCODING_UTF8;
    }
    if ((at[0] == 0xFE && at[1] == 0xFF) || (at[0] == 0 && at[1] != 0)) {
        return ENCODING_UTF16_BIG;
    }
    if ((at[0] == 0xFF && at[1] == 0xFE) || (at[0] != 0 && at[1] == 0)) {
        return ENCODING_UTF16_LITTLE;
    }
    return ENCODING_UTF8;
}

/* What it is, if HTTP's charset agrees. */
static enum encoding choose_encoding(struct const_span document, const char *charset)
{
    enum encoding seen = look_at(document);

    if (charset == NULL) {
        return seen;
    }
    if (strcasecmp(charset, "utf-8") == 0 || strcasecmp(charset, "us-ascii") == 0) {
        return seen == ENCODING_UTF8 ? seen : ENCODING_REFUSED;
    }
    if (strcasecmp(charset, "utf-16") == 0) {
        return seen == ENCODING_UTF8 ? ENCODING_REFUSED : seen;
    }
    return ENCODING_REFUSED;
}

/* Whether every surrogate has its other half. expat makes some character of a high one and whatever
 * follows it. */
static bool has_pairs_only(struct const_span document, enum encoding encoding)
{
    size_t high = encoding == ENCODING_UTF16_BIG ? 0 : 1; /* which byte of a unit says it */
    bool is_second = false;

    for (size_t i = 0; i + 1 < document.len_bytes; i += 2) {
        uint8_t kind = document.at[i + high] & 0xFC;

        if ((kind == 0xDC) != is_second) {
            return false;
        }
        is_second = kind == 0xD8;
    }
    return !is_second;
}

/* --- parsing ---------------------------------------------------------------------------------- */

static XML_Parser new_parser(struct builder *builder, enum encoding encoding)
{
    const char *name = encoding == ENCODING_UTF8        ? "UTF-8"
                       : encoding == ENCODING_UTF16_BIG ? "UTF-16BE"
                                                        : "UTF-16LE";
    XML_Parser parser = XML_ParserCreateNS(name, SEPARATOR);

    if (parser != NULL) {
        XML_SetUserData(parser, builder);
        XML_SetElementHandler(parser, on_start, on_end);
        XML_SetCharacterDataHandler(parser, on_text);
        XML_SetStartNamespaceDeclHandler(parser, on_namespace);
        XML_SetStartDoctypeDeclHandler(parser, on_doctype);
        XML_SetProcessingInstructionHandler(parser, on_instruction);
        XML_SetXmlDeclHandler(parser, on_declaration);
        XML_SetUnknownEncodingHandler(parser, on_unknown_encoding, builder);
    }
    return parser;
}

static void note_parser_error(struct builder *builder)
{
    enum XML_Error code = XML_GetErrorCode(builder->parser);

    if (builder->fault != XML_FINE) {
        return; /* what a handler said is more exact */
    }
    switch (code) {
    case XML_ERROR_NO_MEMORY:
        builder->fault = XML_TOO_MUCH;
        builder->reason = "memory is short";
        break;
    case XML_ERROR_UNKNOWN_ENCODING:
    case XML_ERROR_INCORRECT_ENCODING:
        builder->fault = XML_ENCODING;
        builder->reason = "its encoding is neither UTF-8 nor UTF-16";
        break;
    default:
        builder->fault = XML_NOT_WELL_FORMED;
        builder->reason = XML_ErrorString(code);
        break;
    }
}

static int refuse(enum xml_fault *out, enum xml_fault fault, unsigned long line, const char *reason,
                  struct error *err)
{
    enum error_kind kind = fault == XML_TOO_MUCH ? ERR_LIMIT : ERR_USAGE;

    assert(fault != XML_FINE && reason != NULL);
    if (out != NULL) {
        *out = fault;
    }
    return fail(err, kind, 0, "the XML is refused at line %lu: %s", line, reason);
}

static int build(struct builder *builder, struct const_span document, struct xml_element **out,
                 enum xml_fault *fault, struct error *err)
{
    assert(document.len_bytes <= XML_DOCUMENT_MAX);
    if (XML_Parse(builder->parser, (const char *)document.at, (int)document.len_bytes, XML_TRUE) !=
        XML_STATUS_OK) {
        note_parser_error(builder);
    }
    if (builder->fault != XML_FINE) {
        return refuse(fault, builder->fault, XML_GetCurrentLineNumber(builder->parser),
                      builder->reason, err);
    }
    assert(builder->root != NULL && builder->depth == 0);
    *out = builder->root;
    return 0;
}

static void builder_free(struct builder *builder)
{
    for (size_t i = 0; i < ARRAY_COUNT(builder->levels); i++) {
        free(builder->levels[i].text);
    }
    if (builder->parser != NULL) {
        XML_ParserFree(builder->parser);
    }
}

int xml_parse(struct arena *arena, struct const_span document, const char *charset,
              struct xml_element **out, enum xml_fault *fault, struct error *err)
{
    CLEANUP(builder_free) struct builder builder = {.arena = arena, .space = ""};
    enum encoding encoding = choose_encoding(document, charset);

    if (document.len_bytes > XML_DOCUMENT_MAX) {
        return refuse(fault, XML_TOO_MUCH, 1, "it is too long", err);
    }
    if (encoding == ENCODING_REFUSED) {
        return refuse(fault, XML_ENCODING, 1,
                      "it is not what its charset says, which may be utf-8 or utf-16", err);
    }
    builder.is_wide = encoding != ENCODING_UTF8;
    if (builder.is_wide && !has_pairs_only(document, encoding)) {
        return refuse(fault, XML_NOT_WELL_FORMED, 1, "a surrogate is without its other half", err);
    }
    builder.parser = new_parser(&builder, encoding);
    if (builder.parser == NULL) {
        return refuse(fault, XML_TOO_MUCH, 1, "memory is short", err);
    }
    return build(&builder, document, out, fault, err);
}

/* --- looking ---------------------------------------------------------------------------------- */

static bool is_space(const char *wanted, const char *space)
{
    return wanted == NULL || strcmp(wanted, space) == 0;
}

bool xml_is(const struct xml_element *element, const char *space, const char *name)
{
    return element != NULL && strcmp(element->name, name) == 0 && is_space(space, element->space);
}

/* From `element` on. */
static const struct xml_element *find_from(const struct xml_element *element, const char *space,
                                           const char *name)
{
    while (element != NULL && !xml_is(element, space, name)) {
        element = element->next;
    }
    return element;
}

const struct xml_element *xml_child(const struct xml_element *element, const char *space,
                                    const char *name)
{
    return element == NULL ? NULL : find_from(element->first, space, name);
}

const struct xml_element *xml_sibling(const struct xml_element *element, const char *space,
                                      const char *name)
{
    return element == NULL ? NULL : find_from(element->next, space, name);
}

const char *xml_attribute(const struct xml_element *element, const char *space, const char *name)
{
    for (uint32_t i = 0; element != NULL && i < element->attribute_count; i++) {
        const struct xml_attribute *attribute = &element->attributes[i];

        if (strcmp(attribute->name, name) == 0 && is_space(space, attribute->space)) {
            return attribute->value;
        }
    }
    return NULL;
}

const char *xml_text(struct arena *arena, const struct xml_element *element)
{
    static const char WHITE[] = " \t\r\n";
    const char *text = element == NULL ? "" : element->text;

    text += strspn(text, WHITE);
    size_t len_bytes = strlen(text);

    while (len_bytes > 0 && strchr(WHITE, text[len_bytes - 1]) != NULL) {
        len_bytes--;
    }
    return text[len_bytes] == '\0' ? text : arena_text_of(arena, text, len_bytes);
}
