/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * xml_read.c - values and instances from elements. A text may hold an instance, whose texts may
 * hold more: the functions call each other for these, CIM_EMBEDDED_MAX deep and no deeper. Source:
 * DSP0201 2.4, 5.2.4 (values), 5.2.6 (INSTANCE, PROPERTY); DSP0004 2.7, 7.9 (embedded).
 */
#include <assert.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>

#include "base/limits.h"
#include "cim/xml_internal.h"

#define WHITE " \t\r\n"
#define GIVEN_BITS 64U

/* How the items of one value are to be read. */
struct wanted {
    struct arena *arena;
    enum cim_type type;
    const char *embedded_class; /* NULL: a string is a string */
    uint32_t depth;             /* of embedded instances around it */
};

static int read_embedded(struct arena *arena, const char *text, const char *wanted, uint32_t depth,
                         const struct cim_instance **out, struct error *err);

static int refuse_element(const struct xml_element *element, const char *wanted, struct error *err)
{
    return fail(err, ERR_USAGE, 0, "%.64s stands where %s must be", element->name, wanted);
}

/* --- items ------------------------------------------------------------------------------------ */

static int read_text(struct wanted wanted, const struct xml_element *element, union cim_item *out,
                     struct error *err)
{
    if (!xml_is(element, NULL, "VALUE")) {
        return xml_is(element, NULL, "VALUE.NULL")
                   ? fail(err, ERR_USAGE, 0, "an array's item cannot be null here: leave it out")
                   : refuse_element(element, "VALUE", err);
    }
    if (element->child_count > 0) {
        return fail(err, ERR_USAGE, 0,
                    "VALUE holds a text: an instance in it must be escaped (&lt;INSTANCE ...)");
    }
    if (strlen(element->text) >= CIM_TEXT_MAX) {
        return fail(err, ERR_LIMIT, 0, "a text may have %u bytes at most",
                    (unsigned)(CIM_TEXT_MAX - 1));
    }
    return cim_item_read(wanted.arena, wanted.type, element->text, out, err);
}

/* wbemcli and others write elements; some write an object path as text. */
static int read_reference(struct wanted wanted, const struct xml_element *element,
                          union cim_item *out, struct error *err)
{
    if (xml_is(element, NULL, "VALUE") && element->child_count == 0) {
        return cim_path_read(wanted.arena, element->text, &out->path, err);
    }
    if (!xml_is(element, NULL, "VALUE.REFERENCE")) {
        return refuse_element(element, "VALUE.REFERENCE", err);
    }
    if (element->child_count != 1) {
        return fail(err, ERR_USAGE, 0, "VALUE.REFERENCE needs one path");
    }
    return cim_xml_read_path(wanted.arena, element->first, &out->path, err);
}

static int read_item(struct wanted wanted, const struct xml_element *element, union cim_item *out,
                     struct error *err)
{
    return wanted.type == CIM_REFERENCE ? read_reference(wanted, element, out, err)
                                        : read_text(wanted, element, out, err);
}

/* --- values ----------------------------------------------------------------------------------- */

static bool holds_xml(const char *text)
{
    return text[strspn(text, WHITE)] == '<';
}

/* Strings that are instances become such, if all of them are: where an object's name may stand for
 * it, whoever takes the value has to tell which is which. */
static int unfold(struct wanted wanted, struct cim_value *value, struct error *err)
{
    if (wanted.type != CIM_STRING || wanted.embedded_class == NULL || value->count == 0) {
        return 0;
    }
    for (uint32_t i = 0; i < value->count; i++) {
        if (!holds_xml(value->items[i].text)) {
            return 0;
        }
    }
    for (uint32_t i = 0; i < value->count; i++) {
        const struct cim_instance *instance = NULL;

        if (read_embedded(wanted.arena, value->items[i].text, wanted.embedded_class,
                          wanted.depth + 1, &instance, err) != 0) {
            return -1;
        }
        value->items[i].instance = instance;
    }
    value->type = CIM_INSTANCE;
    return 0;
}

static int read_items(struct wanted wanted, const struct xml_element *first, uint32_t count,
                      struct cim_value *value, struct error *err)
{
    union cim_item *items = arena_take_many(wanted.arena, count, sizeof *items);

    if (items == NULL) {
        return arena_done(wanted.arena, err);
    }
    value->is_null = false;
    value->count = count;
    value->items = items;
    for (uint32_t i = 0; i < count; i++, first = first->next) {
        assert(first != NULL);
        if (read_item(wanted, first, &items[i], err) != 0) {
            return -1;
        }
    }
    return unfold(wanted, value, err);
}

static int read_array(struct wanted wanted, const struct xml_element *element,
                      struct cim_value *value, struct error *err)
{
    const char *name = wanted.type == CIM_REFERENCE ? "VALUE.REFARRAY" : "VALUE.ARRAY";

    if (!xml_is(element, NULL, name)) {
        return refuse_element(element, name, err);
    }
    if (element->child_count > CIM_ARRAY_MAX) {
        return fail(err, ERR_LIMIT, 0, "an array may have %u items at most", CIM_ARRAY_MAX);
    }
    return read_items(wanted, element->first, element->child_count, value, err);
}

static int read_value(struct wanted wanted, const struct xml_element *element, bool is_array,
                      struct cim_value *out, struct error *err)
{
    struct cim_value value = cim_null(wanted.type, is_array);
    int result = 0;

    if (element != NULL) {
        result = is_array ? read_array(wanted, element, &value, err)
                          : read_items(wanted, element, 1, &value, err);
    }
    if (result != 0 || arena_done(wanted.arena, err) != 0) {
        return -1;
    }
    *out = value;
    return 0;
}

int cim_xml_read_value(struct arena *arena, const struct xml_element *element, enum cim_type type,
                       bool is_array, const char *embedded_class, struct cim_value *out,
                       struct error *err)
{
    struct wanted wanted = {.arena = arena, .type = type, .embedded_class = embedded_class};

    return read_value(wanted, element, is_array, out, err);
}

/* --- properties ------------------------------------------------------------------------------- */

/* The only child that is no QUALIFIER: the value; NULL: null. */
static int find_value(const struct xml_element *element, const struct xml_element **out,
                      struct error *err)
{
    const struct xml_element *value = NULL;

    for (const struct xml_element *child = element->first; child != NULL; child = child->next) {
        if (xml_is(child, NULL, "QUALIFIER")) {
            continue;
        }
        if (value != NULL) {
            return fail(err, ERR_USAGE, 0, "%.64s has more than one value", element->name);
        }
        value = child;
    }
    *out = value;
    return 0;
}

/* Whether the element is what such a property is written as, and its TYPE the property's. */
static int check_property(const struct xml_element *element, const struct cim_property *property,
                          struct error *err)
{
    bool is_reference = property->type == CIM_REFERENCE;
    const char *wanted = is_reference         ? "PROPERTY.REFERENCE"
                         : property->is_array ? "PROPERTY.ARRAY"
                                              : "PROPERTY";
    const char *type = xml_attribute(element, NULL, "TYPE");

    if (!xml_is(element, NULL, wanted)) {
        return fail(err, ERR_USAGE, 0, "%s must be a %s, not a %.64s", property->name, wanted,
                    element->name);
    }
    if (type != NULL && !is_reference && cim_type_find(type) != property->type) {
        return fail(err, ERR_USAGE, 0, "%s is a %s, not a '%.32s'", property->name,
                    cim_type_name(property->type), type);
    }
    return 0;
}

/* An instance that is being read. */
struct instance_reader {
    struct cim_instance *instance;
    uint64_t given[2];
    uint32_t depth;
};

/* Which property an element is of. -1: err; WMI's own (__CLASS, __PATH ...), which it writes among
 * the others, are `*is_skipped`. */
static int find_property(const struct instance_reader *reader, const struct xml_element *element,
                         uint32_t *out, bool *is_skipped, struct error *err)
{
    const struct cim_class *class = reader->instance->class;
    const char *name = xml_attribute(element, NULL, "NAME");

    if (name == NULL) {
        return fail(err, ERR_USAGE, 0, "a %.64s of %s has no NAME", element->name, class->name);
    }
    *is_skipped = strncmp(name, "__", 2) == 0;
    if (*is_skipped) {
        return 0;
    }
    int index = cim_property_index(class, name);

    if (index < 0) {
        return fail(err, ERR_USAGE, 0, "%s has no property '%.64s'", class->name, name);
    }
    *out = (uint32_t)index;
    assert(*out < 2 * GIVEN_BITS);
    if ((reader->given[*out / GIVEN_BITS] >> (*out % GIVEN_BITS) & 1U) != 0) {
        return fail(err, ERR_USAGE, 0, "the property %.64s is given twice", name);
    }
    return 0;
}

static int read_property(struct instance_reader *reader, const struct xml_element *element,
                         struct error *err)
{
    const struct xml_element *value = NULL;
    bool is_skipped = false;
    uint32_t index = 0;

    if (find_property(reader, element, &index, &is_skipped, err) != 0) {
        return -1;
    }
    if (is_skipped) {
        return 0;
    }
    const struct cim_property *property = &reader->instance->class->properties[index];
    struct wanted wanted = {reader->instance->arena, property->type, property->embedded_class,
                            reader->depth};

    if (check_property(element, property, err) != 0 || find_value(element, &value, err) != 0 ||
        read_value(wanted, value, property->is_array, &reader->instance->values[index], err) != 0) {
        return -1;
    }
    reader->given[index / GIVEN_BITS] |= (uint64_t)1 << (index % GIVEN_BITS);
    return 0;
}

/* --- instances -------------------------------------------------------------------------------- */

static int find_class(const struct xml_element *element, const struct cim_class **out,
                      struct error *err)
{
    const enum cim_space anywhere =
        (enum cim_space)((unsigned)CIM_SPACE_VIRTUALIZATION | (unsigned)CIM_SPACE_INTEROP);
    const char *name = xml_attribute(element, NULL, "CLASSNAME");

    if (!xml_is(element, NULL, "INSTANCE")) {
        return refuse_element(element, "INSTANCE", err);
    }
    if (name == NULL) {
        return fail(err, ERR_USAGE, 0, "INSTANCE needs the attribute CLASSNAME");
    }
    *out = cim_class_find(anywhere, name);
    if (*out == NULL) {
        return fail(err, ERR_USAGE, 0, "there is no class '%.64s'", name);
    }
    return 0;
}

/* All properties null but for those that are there: a default of the class is the service's to
 * fill in, where something is made anew. */
static int read_instance(struct instance_reader *reader, const struct xml_element *element,
                         struct error *err)
{
    const struct cim_class *class = reader->instance->class;

    for (uint32_t i = 0; i < class->property_count; i++) {
        const struct cim_property *property = &class->properties[i];

        reader->instance->values[i] = cim_null(property->type, property->is_array);
    }
    for (const struct xml_element *child = element->first; child != NULL; child = child->next) {
        if (!xml_is(child, NULL, "QUALIFIER") && read_property(reader, child, err) != 0) {
            return -1;
        }
    }
    return 0;
}

static int read_new(struct arena *arena, const struct xml_element *element, uint32_t depth,
                    struct instance_reader *reader, struct error *err)
{
    const struct cim_class *class = NULL;

    if (element == NULL) {
        return fail(err, ERR_USAGE, 0, "INSTANCE is missing");
    }
    if (find_class(element, &class, err) != 0) {
        return -1;
    }
    *reader = (struct instance_reader){.instance = cim_instance_new(arena, class), .depth = depth};
    if (arena_done(arena, err) != 0) {
        return -1;
    }
    assert(reader->instance != NULL && class->property_count <= 2 * GIVEN_BITS);
    return read_instance(reader, element, err);
}

int cim_xml_read_instance(struct arena *arena, const struct xml_element *element,
                          struct cim_instance **out, uint64_t given[2], struct error *err)
{
    struct instance_reader reader;

    if (read_new(arena, element, 0, &reader, err) != 0) {
        return -1;
    }
    *out = reader.instance;
    if (given != NULL) {
        memcpy(given, reader.given, sizeof reader.given);
    }
    return 0;
}

/* --- embedded instances ----------------------------------------------------------------------- */

static bool is_wrapper(const struct xml_element *element)
{
    static const char *const names[] = {
        "CIM",
        "DECLARATION",
        "DECLGROUP",
        "DECLGROUP.WITHNAME",
        "VALUE.OBJECT",
        "DECLGROUP.WITHPATH",
        "VALUE.NAMEDINSTANCE",
        "VALUE.NAMEDOBJECT",
        "VALUE.INSTANCEWITHPATH",
    };

    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        if (xml_is(element, NULL, names[i])) {
            return true;
        }
    }
    return false;
}

/* The one INSTANCE in what some write around it; the names that they give it are of no use here. */
static int unwrap(const struct xml_element *root, const struct xml_element **out, struct error *err)
{
    const struct xml_element *at = root;

    while (at != NULL && is_wrapper(at)) {
        const struct xml_element *child = at->first;

        while (child != NULL && !xml_is(child, NULL, "INSTANCE") && !is_wrapper(child)) {
            child = child->next;
        }
        if (child != NULL && child->next != NULL) {
            return fail(err, ERR_USAGE, 0, "an embedded text must hold one INSTANCE, no more");
        }
        at = child;
    }
    if (!xml_is(at, NULL, "INSTANCE")) {
        return fail(err, ERR_USAGE, 0, "an embedded text must hold an INSTANCE, not %.64s",
                    at == NULL ? "nothing" : at->name);
    }
    *out = at;
    return 0;
}

/* Past an XML declaration: a text within a message has the message's encoding, whatever it had
 * (.NET's writers say UTF-16). */
static const char *skip_declaration(const char *text)
{
    const char *at = text + strspn(text, WHITE);

    if (strncmp(at, "<?xml", 5) == 0 && at[5] != '\0' && strchr(WHITE, at[5]) != NULL) {
        const char *end = strstr(at, "?>");

        return end == NULL ? at : end + 2;
    }
    return at;
}

static int parse_embedded(struct arena *arena, const char *text, const struct xml_element **out,
                          struct error *err)
{
    const char *at = skip_declaration(text);
    struct xml_element *root = NULL;

    at += strspn(at, WHITE);
    if (*at != '<') {
        bool is_mof = strncasecmp(at, "instance", 8) == 0;

        return fail(err, ERR_USAGE, 0,
                    "an embedded instance must be XML (<INSTANCE CLASSNAME=...>)%s",
                    is_mof ? ", not MOF" : "");
    }
    struct const_span document = {(const uint8_t *)at, strlen(at)};

    if (xml_parse(arena, document, "utf-8", &root, NULL, err) != 0) {
        return -1;
    }
    return unwrap(root, out, err);
}

static int read_embedded(struct arena *arena, const char *text, const char *wanted, uint32_t depth,
                         const struct cim_instance **out, struct error *err)
{
    const struct xml_element *element = NULL;
    struct instance_reader reader;

    assert(depth >= 1);
    if (depth > CIM_EMBEDDED_MAX) {
        return fail(err, ERR_LIMIT, 0, "more than %u instances are embedded in one another",
                    CIM_EMBEDDED_MAX);
    }
    if (parse_embedded(arena, text, &element, err) != 0 ||
        read_new(arena, element, depth, &reader, err) != 0) {
        return -1;
    }
    if (wanted != NULL && !cim_class_is_named(reader.instance->class, wanted)) {
        return fail(err, ERR_USAGE, 0, "the embedded instance must be a %.64s, not a %s", wanted,
                    reader.instance->class->name);
    }
    *out = reader.instance;
    return 0;
}

int cim_xml_read_embedded(struct arena *arena, const char *text, const char *wanted,
                          const struct cim_instance **out, struct error *err)
{
    return read_embedded(arena, text, wanted, 1, out, err);
}
