/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * path_text.c - object paths as text: what WMI prints as __PATH, and what DSP0004 8.2.5 has.
 */
#include <assert.h>
#include <string.h>
#include <strings.h>

#include "base/attributes.h"
#include "base/limits.h"
#include "cim/value.h"

/* --- reading -------------------------------------------------------------------------------- */

struct cursor {
    struct arena *arena;
    const char *at;
    struct error *err;
    struct cim_key keys[CIM_KEYS_MAX];
    uint32_t key_count;
};

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_slash(char c)
{
    return c == '/' || c == '\\';
}

static void skip_blanks(struct cursor *cursor)
{
    cursor->at += strspn(cursor->at, " \t\r\n");
}

/* The message has no piece of the text in it: its reader knows what he sent. */
static int refuse(struct cursor *cursor, const char *what)
{
    return fail(cursor->err, ERR_USAGE, 0, "the object path is wrong: %s", what);
}

/* A copy of what lies before `end`; NULL: no memory. */
static const char *cut(struct cursor *cursor, const char *end)
{
    const char *text = arena_text_of(cursor->arena, cursor->at, (size_t)(end - cursor->at));

    cursor->at = end;
    return text;
}

/* "\\HOST\" or "//HOST/"; "" when there is none. */
static int read_host(struct cursor *cursor, const char **out)
{
    *out = "";
    if (!is_slash(cursor->at[0]) || cursor->at[1] != cursor->at[0]) {
        return 0;
    }
    cursor->at += 2;
    const char *end = cursor->at;
    while (is_letter(*end) || is_digit(*end) || (*end != '\0' && strchr(".-:[]", *end) != NULL)) {
        end++;
    }
    if (end == cursor->at || !is_slash(*end)) {
        return refuse(cursor, "after // or \\\\ come the name of a host, a slash and a namespace");
    }
    *out = cut(cursor, end);
    cursor->at++;
    return 0;
}

/* "NAMESPACE:": up to a colon that is not within the keys. */
static int read_namespace(struct cursor *cursor, bool has_host, const char **out)
{
    const char *end = cursor->at;

    *out = "";
    while (is_letter(*end) || is_digit(*end) || is_slash(*end) || *end == '-' || *end == '.') {
        end++;
    }
    if (*end != ':') {
        return has_host ? refuse(cursor, "after the host come a namespace, a colon and a class")
                        : 0;
    }
    if (cursor->at + strspn(cursor->at, "/\\") == end) {
        return refuse(cursor, "nothing is before the colon: leave it out, or name a namespace");
    }
    *out = cut(cursor, end);
    cursor->at++;
    return 0;
}

/* Of a class or a key. */
static int read_name(struct cursor *cursor, const char *what, const char **out)
{
    const char *end;

    skip_blanks(cursor);
    for (end = cursor->at; is_letter(*end) || (end > cursor->at && is_digit(*end)); end++) {
    }
    if (end == cursor->at) {
        return refuse(cursor, what);
    }
    *out = cut(cursor, end);
    skip_blanks(cursor);
    return 0;
}

/* The bytes that a quoted text has between its quotes once its escapes are undone; end is its
 * closing quote. */
static int measure_quoted(struct cursor *cursor, size_t *out_bytes, const char **out_end)
{
    char quote = cursor->at[0];
    const char *at = cursor->at + 1;
    size_t count = 0;

    for (; *at != quote; at++, count++) {
        if (*at == '\\') {
            at++;
            if (*at != '"' && *at != '\'' && *at != '\\') {
                return refuse(cursor, "a backslash between quotes is written twice");
            }
        }
        if (*at == '\0') {
            return refuse(cursor, "a quote is not closed");
        }
    }
    *out_bytes = count;
    *out_end = at;
    return 0;
}

static int read_quoted(struct cursor *cursor, struct cim_key *key)
{
    const char *end = NULL;
    size_t len = 0;

    if (measure_quoted(cursor, &len, &end) != 0) {
        return -1;
    }
    char *text = arena_take(cursor->arena, len + 1);
    for (size_t i = 0; text != NULL && i < len; i++) {
        cursor->at++;
        cursor->at += *cursor->at == '\\';
        text[i] = *cursor->at;
    }
    cursor->at = end + 1;
    key->type = CIM_STRING;
    key->text = text;
    return 0;
}

/* A whole number or a boolean, kept in the form that cim_item_text() gives it. */
static int read_bare(struct cursor *cursor, struct cim_key *key)
{
    static const enum cim_type types[] = {CIM_UINT64, CIM_SINT64, CIM_BOOLEAN};
    const char *end = cursor->at + strcspn(cursor->at, ", \t\r\n");
    const char *text = cut(cursor, end);
    union cim_item item = {0};

    for (size_t i = 0; text != NULL && i < ARRAY_COUNT(types); i++) {
        if (cim_item_read(cursor->arena, types[i], text, &item, NULL) == 0) {
            key->type = types[i];
            key->text = cim_item_text(cursor->arena, types[i], &item);
            return 0;
        }
    }
    if (cursor->arena->bad) { /* said at the end */
        return 0;
    }
    return refuse(cursor, "a value is neither quoted nor a number, TRUE, FALSE");
}

static int read_value(struct cursor *cursor, struct cim_key *key)
{
    skip_blanks(cursor);
    int result = *cursor->at == '"' || *cursor->at == '\'' ? read_quoted(cursor, key)
                                                           : read_bare(cursor, key);
    skip_blanks(cursor);
    return result;
}

static bool has_key(const struct cursor *cursor, const char *name)
{
    for (uint32_t i = 0; i < cursor->key_count; i++) {
        if (strcasecmp(cursor->keys[i].name, name) == 0) {
            return true;
        }
    }
    return false;
}

/* "KEY=VALUE" */
static int read_key(struct cursor *cursor)
{
    struct cim_key key = {.name = ""};

    if (read_name(cursor, "after a dot or comma comes the name of a key", &key.name) != 0) {
        return -1;
    }
    if (key.name == NULL) { /* no memory: said at the end */
        return 0;
    }
    if (*cursor->at != '=') {
        return refuse(cursor, "after the name of a key come = and its value");
    }
    cursor->at++;
    if (has_key(cursor, key.name)) {
        return refuse(cursor, "a key is there twice");
    }
    if (cursor->key_count == CIM_KEYS_MAX) {
        return refuse(cursor, "it has more keys than any class");
    }
    if (read_value(cursor, &key) != 0) {
        return -1;
    }
    cursor->keys[cursor->key_count++] = key;
    return 0;
}

static int read_keys(struct cursor *cursor)
{
    do {
        cursor->at++; /* the dot, or a comma */
        if (read_key(cursor) != 0) {
            return -1;
        }
    } while (*cursor->at == ',' && !cursor->arena->bad);
    return 0;
}

/* "=VALUE" or "=@" */
static int read_only_key(struct cursor *cursor)
{
    struct cim_key key = {.name = ""};

    cursor->at++;
    skip_blanks(cursor);
    if (*cursor->at == '@') {
        cursor->at++;
        skip_blanks(cursor);
        return 0;
    }
    if (read_value(cursor, &key) != 0) {
        return -1;
    }
    cursor->keys[cursor->key_count++] = key;
    return 0;
}

static int read_all(struct cursor *cursor, struct cim_path *path)
{
    int result = 0;

    skip_blanks(cursor);
    if (read_host(cursor, &path->host) != 0) {
        return -1;
    }
    bool has_host = path->host == NULL || path->host[0] != '\0';
    if (read_namespace(cursor, has_host, &path->namespace_name) != 0 ||
        read_name(cursor, "it has no class: say CLASS.KEY=\"VALUE\"", &path->class_name) != 0) {
        return -1;
    }
    if (*cursor->at == '.') {
        result = read_keys(cursor);
    } else if (*cursor->at == '=') {
        result = read_only_key(cursor);
    }
    if (result == 0 && *cursor->at != '\0' && !cursor->arena->bad) {
        return refuse(cursor, "something is behind its end; a comma is between keys");
    }
    return result;
}

int cim_path_read(struct arena *arena, const char *text, const struct cim_path **out,
                  struct error *err)
{
    struct cursor cursor = {.arena = arena, .at = text, .err = err};
    struct cim_path read = {.host = ""};

    if (strnlen(text, CIM_TEXT_MAX + 1) > CIM_TEXT_MAX) {
        return refuse(&cursor, "it is too long");
    }
    if (read_all(&cursor, &read) != 0) {
        return -1;
    }
    struct cim_path *path = arena_take(arena, sizeof *path);
    struct cim_key *keys = arena_take_many(arena, cursor.key_count, sizeof *keys);
    if (path != NULL && keys != NULL) {
        memcpy(keys, cursor.keys, cursor.key_count * sizeof *keys);
        *path = read;
        path->keys = keys;
        path->key_count = cursor.key_count;
    }
    if (arena_done(arena, err) != 0) {
        return -1;
    }
    *out = path;
    return 0;
}

/* --- writing -------------------------------------------------------------------------------- */

/* A text that is first measured, with `out` NULL, then written. */
struct pen {
    char *out;
    size_t len;
};

static void write_raw(struct pen *pen, char c)
{
    if (pen->out != NULL) {
        pen->out[pen->len] = c;
    }
    pen->len++;
}

/* Within so many quotes: each of them escapes what those inside have escaped. A quote gets 2^n - 1
 * backslashes, a backslash becomes 2^n of them. */
static void write_char(struct pen *pen, unsigned int quotes, char c)
{
    if (c == '"' || c == '\\') {
        for (size_t i = 1; i < (size_t)1 << quotes; i++) {
            write_raw(pen, '\\');
        }
    }
    write_raw(pen, c);
}

static void write_text(struct pen *pen, unsigned int quotes, const char *text)
{
    for (; *text != '\0'; text++) {
        write_char(pen, quotes, *text);
    }
}

/* "//HOST/NAMESPACE:CLASS", with the slashes of DMTF. */
static void write_head(struct pen *pen, unsigned int quotes, const struct cim_path *path)
{
    const char *name = path->namespace_name;

    if (path->host[0] != '\0') {
        write_text(pen, quotes, "//");
        write_text(pen, quotes, path->host);
        write_char(pen, quotes, '/');
    }
    name += strspn(name, "/\\");
    for (; *name != '\0'; name++) {
        write_char(pen, quotes, *name == '\\' ? '/' : *name);
    }
    if (path->namespace_name[0] != '\0') {
        write_char(pen, quotes, ':');
    }
    write_text(pen, quotes, path->class_name);
}

/* A path of those that are being written, and its next key: those inside are behind it. */
struct level {
    const struct cim_path *path;
    uint32_t key;
};

static void write_key_name(struct pen *pen, unsigned int quotes, const struct level *level)
{
    const struct cim_key *key = &level->path->keys[level->key];

    if (key->name[0] != '\0') {
        write_char(pen, quotes, level->key == 0 ? '.' : ',');
        write_text(pen, quotes, key->name);
    }
    write_char(pen, quotes, '=');
}

static void write_key_value(struct pen *pen, unsigned int quotes, const struct cim_key *key)
{
    if (key->type != CIM_STRING) {
        write_text(pen, quotes, key->text);
        return;
    }
    write_char(pen, quotes, '"');
    write_text(pen, quotes + 1, key->text);
    write_char(pen, quotes, '"');
}

/* No recursion: a client may have put paths into paths. What is deeper than CIM_NEST_MAX is left
 * empty, which names nothing. */
static void write_path(struct pen *pen, const struct cim_path *path)
{
    struct level levels[CIM_NEST_MAX] = {{.path = path}};
    unsigned int depth = 1;

    write_head(pen, 0, path);
    while (depth > 0) {
        struct level *level = &levels[depth - 1];
        unsigned int quotes = depth - 1;
        if (level->key == level->path->key_count) {
            depth--;
            if (depth > 0) {
                write_char(pen, depth - 1, '"');
            }
            continue;
        }
        const struct cim_key *key = &level->path->keys[level->key];
        write_key_name(pen, quotes, level);
        level->key++;
        if (key->type != CIM_REFERENCE) {
            write_key_value(pen, quotes, key);
        } else if (depth < CIM_NEST_MAX && key->path != NULL) {
            write_char(pen, quotes, '"');
            write_head(pen, quotes + 1, key->path);
            levels[depth++] = (struct level){.path = key->path};
        } else {
            write_text(pen, quotes, "\"\"");
        }
    }
}

const char *cim_path_text(struct arena *arena, const struct cim_path *path)
{
    struct pen pen = {.out = NULL};

    if (path == NULL) {
        return "";
    }
    write_path(&pen, path);
    size_t len = pen.len;
    pen = (struct pen){.out = arena_take(arena, len + 1)};
    if (pen.out == NULL) {
        return "";
    }
    write_path(&pen, path);
    assert(pen.len == len);
    return pen.out;
}
