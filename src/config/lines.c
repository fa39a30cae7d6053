/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * lines.c - inih takes lines apart into key and value; what it cannot do is done here, in the
 * function from which it gets its lines:
 *
 * - Sections: it keeps 50 bytes of a name, and a VM's may have 255; it never sees such a line.
 * - Numbers of lines: its handler is told none, in the library as Debian builds it. It asks for one
 *   line at a time and calls the handler for it before it asks for the next, so the number is that
 *   of the line given last.
 * - Continued values: it takes a line that begins with a blank for more of the value before, so an
 *   indented key would become a part of that. It gets lines without such blanks.
 */
#include "config/lines.h"

#include <errno.h>
#include <ini.h>
#include <stdbool.h>
#include <string.h>

#include "base/limits.h"

#define BYTE_ORDER_MARK "\xef\xbb\xbf"

struct lines {
    FILE *file; /* borrowed, as all here, for lines_read() */
    const char *name;
    const struct lines_sink *sink;
    uint32_t line; /* the number of the one at hand; the first is 1 */
    bool has_section;
    bool has_failed; /* err is set: nothing is read or told any more */
    struct error *err;
};

static void fail_line(struct lines *lines, const char *what)
{
    lines->has_failed = true;
    (void)fail(lines->err, ERR_USAGE, 0, "%.255s:%u: %s", lines->name, lines->line, what);
}

/* --- one line -------------------------------------------------------------------------------- */

/* The bytes of the character at `at`, whose first is 0x80 or more; 0: it is no UTF-8, or a control
 * character. Source: RFC 3629 section 4. */
static size_t character_bytes(const unsigned char *at)
{
    unsigned char least = 0x80;
    unsigned char most = 0xbf;
    size_t count = at[0] >= 0xf0 ? 4 : at[0] >= 0xe0 ? 3 : 2;

    if (at[0] < 0xc2 || at[0] > 0xf4) {
        return 0;
    }
    if (at[0] == 0xe0 || at[0] == 0xc2) {
        least = 0xa0; /* 0xc2: what is below are the control characters U+0080 to U+009F */
    } else if (at[0] == 0xf0) {
        least = 0x90;
    } else if (at[0] == 0xed || at[0] == 0xf4) {
        most = at[0] == 0xed ? 0x9f : 0x8f;
    }
    for (size_t i = 1; i < count; i++) {
        if (at[i] < least || at[i] > most) {
            return 0;
        }
        least = 0x80;
        most = 0xbf;
    }
    return count;
}

static bool is_good_text(const char *text)
{
    const unsigned char *at = (const unsigned char *)text;

    while (*at != '\0') {
        if ((*at < 0x20 && *at != '\t') || *at == 0x7f) {
            return false;
        }
        size_t count = *at < 0x80 ? 1 : character_bytes(at);
        if (count == 0) {
            return false;
        }
        at += count;
    }
    return true;
}

/* The next line, without its end. False: there is none, or it failed. */
static bool get_line(struct lines *lines, char text[CONFIG_LINE_MAX])
{
    size_t used = 0;
    int byte = 0;

    lines->line++;
    while ((byte = getc(lines->file)) != EOF && byte != '\n') {
        if (byte == '\0') {
            fail_line(lines, "there is a NUL byte: this is no text");
            return false;
        }
        if (used == CONFIG_LINE_MAX - 1) {
            fail_line(lines, "this line is longer than 8191 bytes");
            return false;
        }
        text[used++] = (char)byte;
    }
    if (byte == EOF && ferror(lines->file)) {
        lines->has_failed = true;
        (void)fail(lines->err, ERR_IO, errno, "reading %s failed", lines->name);
        return false;
    }
    if (byte == EOF && used == 0) {
        return false;
    }
    if (used > 0 && text[used - 1] == '\r') {
        used--;
    }
    text[used] = '\0';
    return true;
}

static const char *skip_blanks(const char *text)
{
    return text + strspn(text, " \t");
}

/* "[name]", and nothing behind it but a comment. */
static void take_section(struct lines *lines, char *text)
{
    char *name = text + 1;
    char *end = strchr(name, ']');
    const char *rest = end == NULL ? "" : skip_blanks(end + 1);

    if (end == NULL || (*rest != '\0' && *rest != '#' && *rest != ';')) {
        fail_line(lines, end == NULL ? "a section's name ends with ]"
                                     : "nothing may stand behind a section's ]");
        return;
    }
    *end = '\0';
    name += strspn(name, " \t");
    while (end > name && (end[-1] == ' ' || end[-1] == '\t')) {
        *--end = '\0';
    }
    lines->has_section = true;
    if (lines->sink->section(lines->sink->context, lines->line, name, lines->err) < 0) {
        lines->has_failed = true;
    }
}

/* --- what inih calls ------------------------------------------------------------------------- */

/* As fgets(3). */
static char *give_line(char *out, int size_bytes, void *context)
{
    struct lines *lines = context;
    char text[CONFIG_LINE_MAX];

    if (lines->has_failed || !get_line(lines, text)) {
        return NULL;
    }
    char *at = text;
    if (lines->line == 1 && strncmp(at, BYTE_ORDER_MARK, strlen(BYTE_ORDER_MARK)) == 0) {
        at += strlen(BYTE_ORDER_MARK);
    }
    at += strspn(at, " \t");
    if (!is_good_text(at)) {
        fail_line(lines, "this line is not UTF-8 text, or has control characters");
        return NULL;
    }
    if (*at == '[') {
        take_section(lines, at);
        at = text;
        *at = '\0';
    }
    if (lines->has_failed) {
        return NULL;
    }
    int used = snprintf(out, (size_t)size_bytes, "%s\n", at);
    if (used >= size_bytes) {
        fail_line(lines, "this line is longer than the library that reads it (inih) was built for");
        return NULL;
    }
    return out;
}

/* Returns 0 for an error. */
static int take_key(void *context, const char *section, const char *key, const char *value)
{
    struct lines *lines = context;

    (void)section; /* the sink knows it */
    if (lines->has_failed) {
        return 0;
    }
    if (!lines->has_section) {
        fail_line(lines, "a key stands before the first [section]");
    } else if (lines->sink->key(lines->sink->context, lines->line, key, value, lines->err) < 0) {
        lines->has_failed = true;
    }
    return !lines->has_failed;
}

/* Debian makes variables of inih's settings; elsewhere they are its builder's. All callers set the
 * same values, so it does not matter who was first. */
static void allow_long_lines(void)
{
#ifdef HAVE_INI_SETTINGS
    ini_use_stack = false;
    ini_initial_alloc = CONFIG_LINE_MAX + 2;
    ini_max_line = CONFIG_LINE_MAX + 2;
#endif
}

int lines_read(FILE *file, const char *name, const struct lines_sink *sink, struct error *err)
{
    struct error why = {0};
    struct lines lines = {.file = file, .name = name, .sink = sink, .err = &why};

    allow_long_lines();
    int result = ini_parse_stream(give_line, &lines, take_key, &lines);
    if (result == -2) {
        return fail(err, ERR_LIMIT, ENOMEM, "out of memory reading %s", name);
    }
    /* Of a line that it cannot take apart it tells nobody until the end. */
    if (result > 0 && (!lines.has_failed || (uint32_t)result < lines.line)) {
        return fail(err, ERR_USAGE, 0,
                    "%.255s:%d: this is neither [section] nor key = value nor a comment", name,
                    result);
    }
    if (lines.has_failed && err != NULL) {
        *err = why;
    }
    return lines.has_failed ? -1 : 0;
}
