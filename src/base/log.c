/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/log.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/env.h"

static enum log_level log_level_max = LOG_LEVEL_INFO;

void log_set_level(enum log_level level)
{
    log_level_max = level;
}

const char *log_level_name(enum log_level level)
{
    switch (level) {
    case LOG_LEVEL_INVALID:
        break;
    case LOG_LEVEL_ERROR:
        return "error";
    case LOG_LEVEL_WARNING:
        return "warning";
    case LOG_LEVEL_NOTICE:
        return "notice";
    case LOG_LEVEL_INFO:
        return "info";
    case LOG_LEVEL_DEBUG:
        return "debug";
    }
    return "invalid";
}

/* The journal's prefix: syslog's numbers. Source: sd-daemon(3), SD_ERR to SD_DEBUG. */
static int journal_level(enum log_level level)
{
    switch (level) {
    case LOG_LEVEL_INVALID:
    case LOG_LEVEL_ERROR:
        return 3;
    case LOG_LEVEL_WARNING:
        return 4;
    case LOG_LEVEL_NOTICE:
        return 5;
    case LOG_LEVEL_INFO:
        return 6;
    case LOG_LEVEL_DEBUG:
        return 7;
    }
    return 3;
}

/* A line under construction; what does not fit is dropped, always leaving room for the final NUL.
 */
struct line {
    char *out;
    size_t size_bytes;
    size_t used_bytes;
};

static void line_put(struct line *line, char c)
{
    if (line->used_bytes + 1 < line->size_bytes) {
        line->out[line->used_bytes++] = c;
    }
}

static void line_put_text(struct line *line, const char *text)
{
    for (; *text != '\0'; text++) {
        line_put(line, *text);
    }
}

/* Bytes that must not reach a terminal: C0, DEL, and C1, which UTF-8 writes as 0xc2 0x80 .. 0x9f.
 */
static bool is_control(const unsigned char *at)
{
    return at[0] < 0x20 || at[0] == 0x7f || (at[0] == 0xc2 && at[1] >= 0x80 && at[1] <= 0x9f);
}

static bool needs_quotes(const char *value)
{
    for (const unsigned char *at = (const unsigned char *)value; *at != '\0'; at++) {
        if (*at == ' ' || *at == '"' || *at == '=' || *at == '\\' || is_control(at)) {
            return true;
        }
    }
    return value[0] == '\0';
}

static void line_put_hex(struct line *line, unsigned char byte)
{
    static const char digits[] = "0123456789abcdef";

    line_put_text(line, "\\x");
    line_put(line, digits[byte >> 4]);
    line_put(line, digits[byte & 15]);
}

static void line_put_value(struct line *line, const char *value)
{
    if (!needs_quotes(value)) {
        line_put_text(line, value);
        return;
    }
    line_put(line, '"');
    for (const unsigned char *at = (const unsigned char *)value; *at != '\0'; at++) {
        if (is_control(at)) {
            line_put_hex(line, *at);
            if (*at == 0xc2) {
                line_put_hex(line, *++at);
            }
        } else {
            if (*at == '"' || *at == '\\') {
                line_put(line, '\\');
            }
            line_put(line, (char)*at);
        }
    }
    line_put(line, '"');
}

void log_format(const struct log_field *fields, size_t field_count, uint32_t suppressed_count,
                char *out, size_t size_bytes)
{
    struct line line = {.out = out, .size_bytes = size_bytes};

    for (size_t i = 0; i < field_count; i++) {
        if (fields[i].value == NULL) {
            continue;
        }
        if (line.used_bytes > 0) {
            line_put(&line, ' ');
        }
        line_put_text(&line, fields[i].key);
        line_put(&line, '=');
        line_put_value(&line, fields[i].value);
    }
    if (suppressed_count > 0) {
        char number[24];
        (void)snprintf(number, sizeof number, " suppressed=%u", suppressed_count);
        line_put_text(&line, number);
    }
    out[line.used_bytes] = '\0';
}

bool log_site_allows(struct log_site *site, uint64_t now_ns, uint32_t *out_suppressed)
{
    /* A site that never wrote has a window that began at 0 and is over, or is new: either is fine.
     */
    if (now_ns - site->window_start_ns >= LOG_SITE_WINDOW_S * NS_PER_S) {
        site->window_start_ns = now_ns;
        site->written_count = 0;
    }
    if (site->written_count >= LOG_SITE_LINES_MAX) {
        site->suppressed_count++;
        return false;
    }
    site->written_count++;
    *out_suppressed = site->suppressed_count;
    site->suppressed_count = 0;
    return true;
}

static size_t write_prefix(enum log_level level, char *out, size_t size_bytes)
{
    if (getenv("JOURNAL_STREAM") != NULL) {
        return (size_t)snprintf(out, size_bytes, "<%d>", journal_level(level));
    }
    struct timespec now = {0};
    struct tm parts = {0};
    char when[32] = "";
    (void)clock_gettime(CLOCK_REALTIME, &now); /* cannot fail: the clock exists on every Linux */
    if (gmtime_r(&now.tv_sec, &parts) != NULL) {
        (void)strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%SZ", &parts);
    }
    return (size_t)snprintf(out, size_bytes, "%s %s ", when, log_level_name(level));
}

void log_write(struct log_site *site, enum log_level level, const struct log_field *fields,
               size_t field_count)
{
    uint32_t suppressed = 0;
    char text[LOG_LINE_MAX];

    if (level > log_level_max ||
        (site != NULL && !log_site_allows(site, env_now_ns(env_system()), &suppressed))) {
        return;
    }
    size_t used = write_prefix(level, text, sizeof text);
    log_format(fields, field_count, suppressed, text + used, sizeof text - used - 1);
    used += strlen(text + used);
    text[used] = '\n';
    /* There is nobody left to tell if standard error does not take the line. */
    ssize_t written = write(STDERR_FILENO, text, used + 1);
    (void)written;
}
