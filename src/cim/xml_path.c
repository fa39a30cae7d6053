/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * xml_path.c - paths as elements. Keys may be references to paths with such keys: both ways go by a
 * stack of CIM_NEST_MAX paths and not by recursion. Source: DSP0201 2.4, 5.2.4 (VALUE.REFERENCE),
 * 5.2.5 (naming and location elements).
 */
#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/limits.h"
#include "cim/xml_internal.h"

/* --- writing ---------------------------------------------------------------------------------- */

enum form {
    FORM_NAME,  /* INSTANCENAME, CLASSNAME */
    FORM_LOCAL, /* LOCALINSTANCEPATH, LOCALCLASSPATH */
    FORM_FULL   /* INSTANCEPATH, CLASSPATH */
};

/* A path that is being written. */
struct frame {
    const struct cim_path *path;
    enum form form;
    uint32_t next; /* key */
};

void cim_xml_namespace(struct xml_text *text, const char *namespace_name)
{
    const char *at = namespace_name;

    xml_raw(text, "<LOCALNAMESPACEPATH>");
    while (*at != '\0') {
        size_t part_bytes = strcspn(at, "/\\");

        if (part_bytes > 0) {
            char part[XML_NAME_MAX + 1];
            size_t kept_bytes = part_bytes < XML_NAME_MAX ? part_bytes : XML_NAME_MAX;

            memcpy(part, at, kept_bytes);
            part[kept_bytes] = '\0';
            xml_print(text, "<NAMESPACE NAME=\"%s\"/>", part);
        }
        at += part_bytes;
        at += *at != '\0';
    }
    xml_raw(text, "</LOCALNAMESPACEPATH>");
}

static const char *namespace_of(const struct cim_path *path)
{
    return path->namespace_name[0] == '\0' ? CIM_NAMESPACE_DEFAULT : path->namespace_name;
}

/* A path without keys names a class. Names as such are always those of instances: an association's
 * end without keys is no class. */
static bool is_class(const struct frame *frame)
{
    return frame->path->key_count == 0 && frame->form != FORM_NAME;
}

static void open_frame(struct xml_text *text, const struct frame *frame)
{
    const struct cim_path *path = frame->path;

    if (frame->form == FORM_FULL) {
        xml_raw(text, is_class(frame) ? "<CLASSPATH>" : "<INSTANCEPATH>");
        xml_print(text, "<NAMESPACEPATH><HOST>%s</HOST>", path->host);
        cim_xml_namespace(text, namespace_of(path));
        xml_raw(text, "</NAMESPACEPATH>");
    } else if (frame->form == FORM_LOCAL) {
        xml_raw(text, is_class(frame) ? "<LOCALCLASSPATH>" : "<LOCALINSTANCEPATH>");
        cim_xml_namespace(text, namespace_of(path));
    }
    if (is_class(frame)) {
        xml_print(text, "<CLASSNAME NAME=\"%s\"/>", path->class_name);
    } else {
        xml_print(text, "<INSTANCENAME CLASSNAME=\"%s\">", path->class_name);
    }
}

static void close_frame(struct xml_text *text, const struct frame *frame)
{
    if (!is_class(frame)) {
        xml_raw(text, "</INSTANCENAME>");
    }
    if (frame->form == FORM_FULL) {
        xml_raw(text, is_class(frame) ? "</CLASSPATH>" : "</INSTANCEPATH>");
    } else if (frame->form == FORM_LOCAL) {
        xml_raw(text, is_class(frame) ? "</LOCALCLASSPATH>" : "</LOCALINSTANCEPATH>");
    }
}

/* As much as there is of it. */
static enum form form_of(const struct cim_path *path)
{
    if (path->host[0] != '\0') {
        return FORM_FULL;
    }
    return path->namespace_name[0] != '\0' || path->key_count == 0 ? FORM_LOCAL : FORM_NAME;
}

/* An only key without a name stands without its KEYBINDING. */
static void open_key(struct xml_text *text, const struct cim_key *key)
{
    if (key->name[0] != '\0') {
        xml_print(text, "<KEYBINDING NAME=\"%s\">", key->name);
    }
    if (key->type == CIM_REFERENCE) {
        xml_raw(text, "<VALUE.REFERENCE>");
    }
}

static void close_key(struct xml_text *text, const struct cim_key *key)
{
    if (key->type == CIM_REFERENCE) {
        xml_raw(text, "</VALUE.REFERENCE>");
    }
    if (key->name[0] != '\0') {
        xml_raw(text, "</KEYBINDING>");
    }
}

static void write_key_value(struct xml_text *text, const struct cim_key *key)
{
    const char *kind = key->type == CIM_STRING    ? "string"
                       : key->type == CIM_BOOLEAN ? "boolean"
                                                  : "numeric";

    xml_print(text, "<KEYVALUE VALUETYPE=\"%s\">%s</KEYVALUE>", kind, key->text);
}

/* A path that there was no memory for, or that is deeper than any that can be read or made, spoils
 * the text: half a path names something else. */
static bool push(struct xml_text *text, struct frame stack[CIM_NEST_MAX], uint32_t *depth,
                 struct frame frame)
{
    if (frame.path == NULL || *depth == CIM_NEST_MAX) {
        text->bad = true;
        return false;
    }
    stack[(*depth)++] = frame;
    open_frame(text, &frame);
    return true;
}

static void write_path(struct xml_text *text, const struct cim_path *path, enum form form)
{
    struct frame stack[CIM_NEST_MAX];
    uint32_t depth = 0;
    bool goes_on = push(text, stack, &depth, (struct frame){path, form, 0});

    while (goes_on && depth > 0) {
        struct frame *frame = &stack[depth - 1];

        if (frame->next == frame->path->key_count) {
            close_frame(text, frame);
            depth--;
            if (depth > 0) {
                close_key(text, &stack[depth - 1].path->keys[stack[depth - 1].next - 1]);
            }
            continue;
        }
        const struct cim_key *key = &frame->path->keys[frame->next++];

        open_key(text, key);
        if (key->type == CIM_REFERENCE) {
            enum form inner = key->path == NULL ? FORM_NAME : form_of(key->path);

            goes_on = push(text, stack, &depth, (struct frame){key->path, inner, 0});
        } else {
            write_key_value(text, key);
            close_key(text, key);
        }
    }
}

void cim_xml_instance_name(struct xml_text *text, const struct cim_path *path)
{
    write_path(text, path, FORM_NAME);
}

void cim_xml_local_path(struct xml_text *text, const struct cim_path *path)
{
    write_path(text, path, FORM_LOCAL);
}

void cim_xml_path(struct xml_text *text, const struct cim_path *path)
{
    write_path(text, path, FORM_FULL);
}

void cim_xml_reference(struct xml_text *text, const struct cim_path *path)
{
    xml_raw(text, "<VALUE.REFERENCE>");
    write_path(text, path, path == NULL ? FORM_NAME : form_of(path));
    xml_raw(text, "</VALUE.REFERENCE>");
}

/* --- reading namespaces ----------------------------------------------------------------------- */

static int refuse_element(const struct xml_element *element, const char *wanted, struct error *err)
{
    if (element == NULL) {
        return fail(err, ERR_USAGE, 0, "%s is missing", wanted);
    }
    return fail(err, ERR_USAGE, 0, "%.64s stands where %s must be", element->name, wanted);
}

static int need_attribute(const struct xml_element *element, const char *name, const char **out,
                          struct error *err)
{
    const char *value = xml_attribute(element, NULL, name);

    if (value == NULL || value[0] == '\0') {
        return fail(err, ERR_USAGE, 0, "%.64s needs the attribute %s", element->name, name);
    }
    *out = value;
    return 0;
}

/* How long the joined name is, its NUL too. */
static int measure_namespace(const struct xml_element *element, size_t *bytes, struct error *err)
{
    *bytes = 0;
    for (const struct xml_element *part = element->first; part != NULL; part = part->next) {
        const char *name = NULL;

        if (!xml_is(part, NULL, "NAMESPACE")) {
            return refuse_element(part, "NAMESPACE", err);
        }
        if (need_attribute(part, "NAME", &name, err) != 0) {
            return -1;
        }
        *bytes += strlen(name) + 1; /* a document's texts: no overflow */
    }
    if (*bytes == 0 || *bytes > XML_NAME_MAX) {
        return fail(err, ERR_USAGE, 0, "LOCALNAMESPACEPATH needs 1 to %u bytes of NAMESPACEs",
                    XML_NAME_MAX);
    }
    return 0;
}

int cim_xml_read_namespace(struct arena *arena, const struct xml_element *element, const char **out,
                           struct error *err)
{
    size_t bytes = 0;

    if (element == NULL || !xml_is(element, NULL, "LOCALNAMESPACEPATH")) {
        return refuse_element(element, "LOCALNAMESPACEPATH", err);
    }
    if (measure_namespace(element, &bytes, err) != 0) {
        return -1;
    }
    char *joined = arena_take(arena, bytes);
    size_t used = 0;

    for (const struct xml_element *part = element->first; joined != NULL && part != NULL;
         part = part->next) {
        int printed = snprintf(joined + used, bytes - used, "%s%s",
                               xml_attribute(part, NULL, "NAME"), part->next == NULL ? "" : "/");

        assert(printed > 0 && (size_t)printed < bytes - used); /* as it was measured */
        used += (size_t)printed;
    }
    if (arena_done(arena, err) != 0) {
        return -1;
    }
    assert(used + 1 == bytes);
    *out = joined;
    return 0;
}

/* --- reading paths ---------------------------------------------------------------------------- */

/* A path that is still to be read. */
struct pending {
    const struct xml_element *element;
    struct cim_path *path;
    uint32_t depth; /* of paths around it */
};

/* Each path brings CIM_KEYS_MAX others at most and the last one is taken first, so that no more
 * than that of each depth wait. */
#define PENDING_MAX (CIM_KEYS_MAX * CIM_NEST_MAX)

struct path_reader {
    struct arena *arena;
    struct error *err;
    uint32_t count;
    struct pending waiting[PENDING_MAX];
};

/* Lets the path of a reference wait for its turn. */
static struct cim_path *expect_path(struct path_reader *reader, const struct xml_element *element,
                                    uint32_t depth)
{
    if (depth >= CIM_NEST_MAX) {
        (void)fail(reader->err, ERR_LIMIT, 0, "more than %u paths are within one another",
                   CIM_NEST_MAX);
        return NULL;
    }
    struct cim_path *path = arena_take(reader->arena, sizeof *path);

    if (path == NULL) {
        int result = arena_done(reader->arena, reader->err);

        assert(result != 0);
        return NULL;
    }
    assert(reader->count < PENDING_MAX);
    *path = (struct cim_path){.host = "", .namespace_name = "", .class_name = ""};
    reader->waiting[reader->count++] = (struct pending){element, path, depth};
    return path;
}

static bool is_number_type(enum cim_type type)
{
    return type >= CIM_UINT8 && type <= CIM_REAL64;
}

static int number_type(const struct xml_element *element, enum cim_type *out, struct error *err)
{
    const char *name = xml_attribute(element, NULL, "TYPE");

    if (name == NULL) {
        *out = strchr(element->text, '-') == NULL ? CIM_UINT64 : CIM_SINT64;
        return 0;
    }
    *out = cim_type_find(name);
    if (!is_number_type(*out)) {
        return fail(err, ERR_USAGE, 0, "a numeric KEYVALUE cannot have TYPE '%.32s'", name);
    }
    return 0;
}

static int read_key_value(struct path_reader *reader, const struct xml_element *element,
                          struct cim_key *key)
{
    const char *kind = xml_attribute(element, NULL, "VALUETYPE");
    union cim_item item = {0};

    if (element->child_count > 0) {
        return fail(reader->err, ERR_USAGE, 0, "KEYVALUE holds a text, no elements");
    }
    if (kind == NULL || strcasecmp(kind, "string") == 0) {
        key->type = CIM_STRING;
        key->text = element->text;
        return 0;
    }
    if (strcasecmp(kind, "boolean") == 0) {
        key->type = CIM_BOOLEAN;
    } else if (strcasecmp(kind, "numeric") != 0) {
        return fail(reader->err, ERR_USAGE, 0,
                    "VALUETYPE '%.32s' is none of string, boolean and numeric", kind);
    } else if (number_type(element, &key->type, reader->err) != 0) {
        return -1;
    }
    if (cim_item_read(reader->arena, key->type, element->text, &item, reader->err) != 0) {
        return -1;
    }
    key->text = cim_item_text(reader->arena, key->type, &item);
    return 0;
}

/* `value` is the KEYVALUE or VALUE.REFERENCE. */
static int read_key(struct path_reader *reader, const struct xml_element *value, const char *name,
                    uint32_t depth, struct cim_key *out)
{
    struct cim_key key = {.name = name, .text = ""};

    if (xml_is(value, NULL, "KEYVALUE")) {
        if (read_key_value(reader, value, &key) != 0) {
            return -1;
        }
    } else if (xml_is(value, NULL, "VALUE.REFERENCE") && value->child_count == 1) {
        key.type = CIM_REFERENCE;
        key.path = expect_path(reader, value->first, depth + 1);
        if (key.path == NULL) {
            return -1;
        }
    } else {
        return refuse_element(value, "KEYVALUE or a VALUE.REFERENCE with one path", reader->err);
    }
    *out = key;
    return 0;
}

static bool has_key(const struct cim_key *keys, uint32_t count, const char *name)
{
    for (uint32_t i = 0; i < count; i++) {
        if (strcasecmp(keys[i].name, name) == 0) {
            return true;
        }
    }
    return false;
}

static int read_binding(struct path_reader *reader, const struct xml_element *element,
                        uint32_t depth, struct cim_key *keys, uint32_t count)
{
    const char *name = NULL;

    if (!xml_is(element, NULL, "KEYBINDING")) {
        return refuse_element(element, "KEYBINDING", reader->err);
    }
    if (need_attribute(element, "NAME", &name, reader->err) != 0) {
        return -1;
    }
    if (has_key(keys, count, name)) {
        return fail(reader->err, ERR_USAGE, 0, "the key %.64s is given twice", name);
    }
    if (element->child_count != 1) {
        return fail(reader->err, ERR_USAGE, 0, "the key %.64s needs one value", name);
    }
    return read_key(reader, element->first, name, depth, &keys[count]);
}

static int read_instance_name(struct path_reader *reader, const struct xml_element *element,
                              struct cim_path *path, uint32_t depth)
{
    uint32_t count = element->child_count;

    if (need_attribute(element, "CLASSNAME", &path->class_name, reader->err) != 0) {
        return -1;
    }
    if (count > CIM_KEYS_MAX) {
        return fail(reader->err, ERR_LIMIT, 0, "%.64s cannot have more than %u keys",
                    path->class_name, CIM_KEYS_MAX);
    }
    struct cim_key *keys = arena_take_many(reader->arena, count, sizeof *keys);

    if (keys == NULL) {
        return arena_done(reader->arena, reader->err);
    }
    path->keys = keys;
    const struct xml_element *child = element->first;

    if (count == 1 && !xml_is(child, NULL, "KEYBINDING")) { /* an only key needs no name */
        path->key_count = 1;
        return read_key(reader, child, "", depth, &keys[0]);
    }
    for (; child != NULL; child = child->next) {
        if (read_binding(reader, child, depth, keys, path->key_count) != 0) {
            return -1;
        }
        path->key_count++;
    }
    return 0;
}

static int read_name(struct path_reader *reader, const struct xml_element *element, bool is_class,
                     struct cim_path *path, uint32_t depth)
{
    if (element == NULL || !xml_is(element, NULL, is_class ? "CLASSNAME" : "INSTANCENAME")) {
        return refuse_element(element, is_class ? "CLASSNAME" : "INSTANCENAME", reader->err);
    }
    return is_class ? need_attribute(element, "NAME", &path->class_name, reader->err)
                    : read_instance_name(reader, element, path, depth);
}

static int read_namespace_path(struct path_reader *reader, const struct xml_element *element,
                               struct cim_path *path)
{
    if (element == NULL || !xml_is(element, NULL, "NAMESPACEPATH")) {
        return refuse_element(element, "NAMESPACEPATH", reader->err);
    }
    const struct xml_element *host = element->first;

    if (host == NULL || !xml_is(host, NULL, "HOST")) {
        return refuse_element(host, "HOST", reader->err);
    }
    path->host = xml_text(reader->arena, host);
    if (path->host == NULL) {
        return arena_done(reader->arena, reader->err);
    }
    return cim_xml_read_namespace(reader->arena, host->next, &path->namespace_name, reader->err);
}

/* What stands behind where the path is: the name. Only if that was read is there a `first`. */
static const struct xml_element *behind(const struct xml_element *first)
{
    return first == NULL ? NULL : first->next;
}

static int read_one(struct path_reader *reader, struct pending pending)
{
    const struct xml_element *element = pending.element;
    const struct xml_element *first = element == NULL ? NULL : element->first;
    struct cim_path *path = pending.path;
    bool is_class = xml_is(element, NULL, "CLASSNAME") || xml_is(element, NULL, "CLASSPATH") ||
                    xml_is(element, NULL, "LOCALCLASSPATH");

    if (xml_is(element, NULL, "INSTANCEPATH") || xml_is(element, NULL, "CLASSPATH")) {
        return read_namespace_path(reader, first, path) != 0
                   ? -1
                   : read_name(reader, behind(first), is_class, path, pending.depth);
    }
    if (xml_is(element, NULL, "LOCALINSTANCEPATH") || xml_is(element, NULL, "LOCALCLASSPATH")) {
        return cim_xml_read_namespace(reader->arena, first, &path->namespace_name, reader->err) != 0
                   ? -1
                   : read_name(reader, behind(first), is_class, path, pending.depth);
    }
    return read_name(reader, element, is_class, path, pending.depth);
}

int cim_xml_read_path(struct arena *arena, const struct xml_element *element,
                      const struct cim_path **out, struct error *err)
{
    struct path_reader reader = {.arena = arena, .err = err};
    struct cim_path *path = expect_path(&reader, element, 0);

    if (path == NULL) {
        return -1;
    }
    while (reader.count > 0) {
        if (read_one(&reader, reader.waiting[--reader.count]) != 0) {
            return -1;
        }
    }
    if (arena_done(arena, err) != 0) {
        return -1;
    }
    *out = path;
    return 0;
}
