/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <assert.h>
#include <stdarg.h>
#include <string.h>
#include <strings.h>

#include "base/attributes.h"
#include "base/limits.h"
#include "base/uuid.h"
#include "cim/value.h"

#define UUID_TEXT_LEN (UUID_TEXT_MAX - 1U)

/* --- building ------------------------------------------------------------------------------- */

static struct cim_path *path_with_room(struct arena *arena, const char *class_name,
                                       uint32_t key_count, struct cim_key **out_keys)
{
    struct cim_path *path = arena_take(arena, sizeof *path);
    struct cim_key *keys = arena_take_many(arena, key_count, sizeof *keys);
    const char *name = arena_text(arena, class_name);

    if (path == NULL || keys == NULL || name == NULL) {
        return NULL;
    }
    *path = (struct cim_path){.host = "", .namespace_name = "", .class_name = name, .keys = keys};
    *out_keys = keys;
    return path;
}

static struct cim_key key_of(struct arena *arena, const struct cim_property *property,
                             const struct cim_value *value)
{
    struct cim_key key = {.name = property->name, .type = CIM_STRING, .text = ""};

    switch (property->type) {
    case CIM_REFERENCE:
        key.type = CIM_REFERENCE;
        key.path = value->items[0].path;
        return key;
    case CIM_BOOLEAN:
    case CIM_UINT8:
    case CIM_UINT16:
    case CIM_UINT32:
    case CIM_UINT64:
    case CIM_SINT8:
    case CIM_SINT16:
    case CIM_SINT32:
    case CIM_SINT64:
    case CIM_REAL32:
    case CIM_REAL64:
        key.type = property->type;
        break;
    case CIM_INVALID:
    case CIM_CHAR16:
    case CIM_STRING:
    case CIM_DATETIME:
    case CIM_INSTANCE:
        break;
    }
    /* A copy: the instance may be of an arena that lives for less long. */
    key.text = arena_text(arena, cim_item_text(arena, value->type, &value->items[0]));
    return key;
}

const struct cim_path *cim_instance_path(struct arena *arena, const struct cim_instance *instance,
                                         const char *namespace_name)
{
    struct cim_key *keys = NULL;

    if (instance == NULL) {
        return NULL;
    }
    uint32_t key_count = instance->class->key_count;
    struct cim_path *path = path_with_room(arena, instance->class->name, key_count, &keys);
    if (path == NULL) {
        return NULL;
    }
    path->namespace_name = arena_text(arena, namespace_name);
    for (uint32_t i = 0; i < key_count; i++) {
        const struct cim_value *value = &instance->values[i];
        if (!value->is_null && value->count == 1) {
            keys[path->key_count++] = key_of(arena, &instance->class->properties[i], value);
        }
    }
    return arena->bad ? NULL : path;
}

static uint32_t count_pairs(va_list pairs)
{
    uint32_t count = 0;

    while (va_arg(pairs, const char *) != NULL && va_arg(pairs, const char *) != NULL) {
        count++;
    }
    return count;
}

const struct cim_path *cim_path_new(struct arena *arena, const char *class_name, ...)
{
    struct cim_key *keys = NULL;
    va_list pairs;

    va_start(pairs, class_name);
    uint32_t key_count = count_pairs(pairs);
    va_end(pairs);
    assert(key_count <= CIM_KEYS_MAX);
    struct cim_path *path = path_with_room(arena, class_name, key_count, &keys);
    if (path == NULL) {
        return NULL;
    }
    va_start(pairs, class_name);
    for (const char *name = va_arg(pairs, const char *); name != NULL;
         name = va_arg(pairs, const char *)) {
        const char *value = va_arg(pairs, const char *);
        if (value == NULL) {
            assert(arena->bad); /* nothing else may leave a value out */
            break;
        }
        keys[path->key_count++] = (struct cim_key){
            .name = arena_text(arena, name), .type = CIM_STRING, .text = arena_text(arena, value)};
    }
    va_end(pairs);
    return arena->bad ? NULL : path;
}

/* --- looking -------------------------------------------------------------------------------- */

static bool is_unnamed(const struct cim_path *path)
{
    return path->key_count == 1 && path->keys[0].name[0] == '\0';
}

static const struct cim_key *find_key(const struct cim_path *path, const char *name)
{
    for (uint32_t i = 0; i < path->key_count; i++) {
        if (strcasecmp(path->keys[i].name, name) == 0) {
            return &path->keys[i];
        }
    }
    return is_unnamed(path) ? &path->keys[0] : NULL;
}

const char *cim_path_key(const struct cim_path *path, const char *name)
{
    const struct cim_key *key = path == NULL ? NULL : find_key(path, name);

    return key == NULL ? NULL : key->text;
}

/* --- equality of texts ---------------------------------------------------------------------- */

static bool is_uuid_at(const char *text)
{
    char copy[UUID_TEXT_MAX];
    struct uuid uuid;

    if (strnlen(text, UUID_TEXT_LEN) < UUID_TEXT_LEN || text[8] != '-') {
        return false;
    }
    memcpy(copy, text, UUID_TEXT_LEN);
    copy[UUID_TEXT_LEN] = '\0';
    return uuid_parse(copy, &uuid, NULL) == 0;
}

/* With case but for UUIDs, wherever they are in it: "Microsoft:<VM ID>\HVR\0". */
static bool are_texts_equal(const char *a, const char *b)
{
    while (*a != '\0' && *b != '\0') {
        size_t step = 1;
        if (is_uuid_at(a) && is_uuid_at(b)) {
            step = UUID_TEXT_LEN;
        }
        if (step == 1 ? *a != *b : strncasecmp(a, b, step) != 0) {
            return false;
        }
        a += step;
        b += step;
    }
    return *a == *b;
}

static bool is_class_name_key(const char *name)
{
    return strcasecmp(name, "CreationClassName") == 0 ||
           strcasecmp(name, "SystemCreationClassName") == 0;
}

static bool are_key_texts_equal(const char *name, const char *a, const char *b)
{
    return is_class_name_key(name) ? strcasecmp(a, b) == 0 : are_texts_equal(a, b);
}

/* --- equality of paths ---------------------------------------------------------------------- */

/*
 * Paths hold paths, as deep as a client likes: no recursion, but a stack of pairs that remain to be
 * compared. A reference that came as a text is read on the way, into memory of the comparison.
 */
struct pair {
    const struct cim_path *a;
    const struct cim_path *b;
};

#define PAIRS_MAX ((size_t)CIM_KEYS_MAX * CIM_NEST_MAX)

struct comparison {
    struct arena arena;
    struct pair pairs[PAIRS_MAX];
    size_t count;
};

static bool push_pair(struct comparison *comparison, const struct cim_path *a,
                      const struct cim_path *b)
{
    if (comparison->count == PAIRS_MAX || a == NULL || b == NULL) {
        return false;
    }
    comparison->pairs[comparison->count++] = (struct pair){.a = a, .b = b};
    return true;
}

/* A reference, as it is or read from a text; NULL: it is none. */
static const struct cim_path *path_of_key(struct comparison *comparison, const struct cim_key *key)
{
    const struct cim_path *path = NULL;

    if (key->type == CIM_REFERENCE) {
        return key->path;
    }
    if (key->type != CIM_STRING || cim_path_read(&comparison->arena, key->text, &path, NULL) != 0) {
        return NULL;
    }
    return path;
}

static bool is_number(enum cim_type type)
{
    return type >= CIM_UINT8 && type <= CIM_REAL64;
}

/* One of the two is a number or a boolean, and the other may be its text. False: they are no such
 * things. */
static bool are_typed_equal(struct comparison *comparison, const struct cim_key *a,
                            const struct cim_key *b, bool *is_equal)
{
    const enum cim_type types[] = {CIM_BOOLEAN, CIM_UINT64, CIM_SINT64, CIM_REAL64};
    bool has_number = is_number(a->type) || is_number(b->type);
    bool has_boolean = a->type == CIM_BOOLEAN || b->type == CIM_BOOLEAN;
    size_t first = has_boolean ? 0 : 1;
    size_t end = has_boolean ? 1 : ARRAY_COUNT(types);

    if (!has_number && !has_boolean) {
        return false;
    }
    *is_equal = false;
    for (size_t i = first; i < end && !*is_equal; i++) {
        union cim_item item_a = {0};
        union cim_item item_b = {0};
        if (cim_item_read(&comparison->arena, types[i], a->text, &item_a, NULL) == 0 &&
            cim_item_read(&comparison->arena, types[i], b->text, &item_b, NULL) == 0) {
            struct cim_value value_a = {.type = types[i], .count = 1, .items = &item_a};
            struct cim_value value_b = {.type = types[i], .count = 1, .items = &item_b};
            *is_equal = cim_value_equal(&value_a, &value_b);
            return true; /* whole numbers are not compared as reals, which are less exact */
        }
    }
    return true;
}

static bool are_keys_equal(struct comparison *comparison, const struct cim_key *a,
                           const struct cim_key *b)
{
    bool is_equal = false;

    if (a->type == CIM_REFERENCE || b->type == CIM_REFERENCE) {
        return push_pair(comparison, path_of_key(comparison, a), path_of_key(comparison, b));
    }
    if (are_typed_equal(comparison, a, b, &is_equal)) {
        return is_equal;
    }
    return are_key_texts_equal(a->name, a->text, b->text);
}

static bool is_slash(char c)
{
    return c == '/' || c == '\\';
}

/* Without case, with either slash, and with or without one before and behind. */
static bool are_namespaces_alike(const char *a, const char *b)
{
    a += strspn(a, "/\\");
    b += strspn(b, "/\\");
    while (*a != '\0' && *b != '\0' &&
           (strncasecmp(a, b, 1) == 0 || (is_slash(*a) && is_slash(*b)))) {
        a++;
        b++;
    }
    a += strspn(a, "/\\");
    b += strspn(b, "/\\");
    return *a == '\0' && *b == '\0';
}

static bool is_same_namespace(const char *a, const char *b)
{
    if (a[0] == '\0' || b[0] == '\0' || are_namespaces_alike(a, b)) {
        return true;
    }
    enum cim_space space = cim_space_find(a);
    return space != CIM_SPACE_NONE && space == cim_space_find(b);
}

static bool is_pair_equal(struct comparison *comparison, struct pair pair)
{
    if (strcasecmp(pair.a->class_name, pair.b->class_name) != 0 ||
        !is_same_namespace(pair.a->namespace_name, pair.b->namespace_name) ||
        pair.a->key_count != pair.b->key_count) {
        return false;
    }
    for (uint32_t i = 0; i < pair.a->key_count; i++) {
        const struct cim_key *a = &pair.a->keys[i];
        const struct cim_key *b = is_unnamed(pair.a) ? &pair.b->keys[0] : find_key(pair.b, a->name);
        if (b == NULL || !are_keys_equal(comparison, a, b)) {
            return false;
        }
    }
    return true;
}

bool cim_path_equal(const struct cim_path *a, const struct cim_path *b)
{
    struct comparison comparison = {.count = 0};
    bool is_equal;

    arena_init(&comparison.arena, CIM_REQUEST_BYTES);
    is_equal = push_pair(&comparison, a, b);
    while (is_equal && comparison.count > 0) {
        is_equal = is_pair_equal(&comparison, comparison.pairs[--comparison.count]);
    }
    arena_free(&comparison.arena);
    return is_equal;
}

/* --- matching ------------------------------------------------------------------------------- */

/* A reference of an instance with a key, which may be a text. */
static bool is_reference_matched(const struct cim_key *key, const struct cim_value *value)
{
    const struct cim_path *path = key->path;
    struct arena arena;
    bool is_read = true;

    arena_init(&arena, CIM_REQUEST_BYTES);
    if (key->type != CIM_REFERENCE) {
        is_read = cim_path_read(&arena, key->text, &path, NULL) == 0;
    }
    bool is_matched = is_read && cim_path_equal(path, value->items[0].path);
    arena_free(&arena);
    return is_matched;
}

static bool is_key_matched(const struct cim_key *key, const struct cim_property *property,
                           const struct cim_value *value)
{
    union cim_item item = {0};
    struct arena arena;

    if (value->is_null || value->count != 1) {
        return false;
    }
    if (property->type == CIM_REFERENCE) {
        return is_reference_matched(key, value);
    }
    if (key->type == CIM_REFERENCE) {
        return false;
    }
    if (property->type == CIM_STRING) {
        return are_key_texts_equal(property->name, key->text, value->items[0].text);
    }
    arena_init(&arena, CIM_REQUEST_BYTES);
    bool is_read = cim_item_read(&arena, property->type, key->text, &item, NULL) == 0;
    struct cim_value given = {.type = property->type, .count = 1, .items = &item};
    bool is_matched = is_read && cim_value_equal(&given, value);
    arena_free(&arena);
    return is_matched;
}

bool cim_path_matches(const struct cim_path *path, const struct cim_instance *instance)
{
    if (path == NULL || instance == NULL ||
        !cim_class_is_named(instance->class, path->class_name) ||
        path->key_count != instance->class->key_count) {
        return false;
    }
    for (uint32_t i = 0; i < path->key_count; i++) {
        const struct cim_property *property = &instance->class->properties[i];
        const struct cim_key *key = find_key(path, property->name);
        if (key == NULL || !is_key_matched(key, property, &instance->values[i])) {
            return false;
        }
    }
    return true;
}
