/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * log.h - one line an event on standard error, for people and for grep:
 *
 *   2026-03-01T10:20:30Z notice disk=vda event="session ended" peer="192.0.2.7:4711 (db1)"
 * result=in-sync
 *
 * The fields rel, job and disk come first, in that order, where an event has them; numbers carry
 * their unit in the key. Values from outside are escaped: control bytes, quotes and backslashes can
 * neither end a field nor move a terminal's cursor. Under systemd (JOURNAL_STREAM is set) the line
 * begins with the level in angle brackets instead of the time, which is the journal's way. Lines
 * are written whole by one write(2), so processes and threads do not mix theirs.
 */
#ifndef RESILVER_BASE_LOG_H
#define RESILVER_BASE_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attributes.h"

enum log_level {
    LOG_LEVEL_INVALID = 0,
    LOG_LEVEL_ERROR,   /* someone must act */
    LOG_LEVEL_WARNING, /* we recovered, or refused */
    LOG_LEVEL_NOTICE,  /* state changed */
    LOG_LEVEL_INFO,
    LOG_LEVEL_DEBUG
};

#define LOG_LINE_MAX 2048 /* longer lines are cut */
#define LOG_SITE_LINES_MAX                                                                         \
    20U /* lines of one call site in LOG_SITE_WINDOW_S; what is more is counted, not written */
#define LOG_SITE_WINDOW_S 10U

struct log_field {
    const char *key;   /* borrowed for the call */
    const char *value; /* borrowed for the call; NULL: the field is left out */
};

/* The memory of one call site: how much it wrote lately. One thread at a time. */
struct log_site {
    uint64_t window_start_ns;
    uint32_t written_count;
    uint32_t suppressed_count;
};

/* log_level_name - "error", "warning", ...; never NULL. */
const char *log_level_name(enum log_level level);

/* log_set_level - lines less important than this are not written; LOG_LEVEL_INFO at first. */
void log_set_level(enum log_level level);

/* log_write - write one line; use log_event(), which brings the call site's memory (site NULL: the
 * line is never held back). Never fails: a
 * line that standard error does not take is lost. */
void log_write(struct log_site *site, enum log_level level, const struct log_field *fields,
               size_t field_count);

/* log_event(LOG_LEVEL_NOTICE, {"disk", name}, {"event", "session started"}) */
#define log_event(level, ...)                                                                      \
    ({                                                                                             \
        static struct log_site log_site_;                                                          \
        const struct log_field log_fields_[] = {__VA_ARGS__};                                      \
        log_write(&log_site_, (level), log_fields_, ARRAY_COUNT(log_fields_));                     \
    })

/* log_always(...) - the same for what must never be held back: an audit line. */
#define log_always(level, ...)                                                                     \
    ({                                                                                             \
        const struct log_field log_fields_[] = {__VA_ARGS__};                                      \
        log_write(NULL, (level), log_fields_, ARRAY_COUNT(log_fields_));                           \
    })

/* log_format - what log_write would write, without its time or level, as a string ended by NUL; for
 * log_write and tests. */
void log_format(const struct log_field *fields, size_t field_count, uint32_t suppressed_count,
                char *out, size_t size_bytes);

/* log_site_allows - count one line against the site's rate at now_ns; *out_suppressed is how many
 * were held back before this one. For log_write and tests. */
MUST_CHECK bool log_site_allows(struct log_site *site, uint64_t now_ns, uint32_t *out_suppressed);

#endif
