/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * text.h - XML being written: a text that grows to a limit, with everything from outside escaped.
 *
 * Sticky: what does not fit sets `bad` and changes nothing more; ask xml_text_done() at the end.
 */
#ifndef RESILVER_XML_TEXT_H
#define RESILVER_XML_TEXT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/attributes.h"
#include "base/error.h"
#include "base/span.h"

struct xml_text {
    char *at; /* owned; always NUL-terminated once anything was written */
    size_t used_bytes;
    size_t room_bytes;
    size_t max_bytes;
    bool bad;
};

void xml_text_init(struct xml_text *text, size_t max_bytes);
void xml_text_free(struct xml_text *text);

/* xml_text_done - 0, or ERR_LIMIT when it did not fit. */
MUST_CHECK int xml_text_done(const struct xml_text *text, struct error *err);

/* xml_text_cut - what was written after the first used_bytes is taken back, and with it that it did
 * not fit. */
void xml_text_cut(struct xml_text *text, size_t used_bytes);

/* xml_raw - as it is. */
void xml_raw(struct xml_text *text, const char *literal);

/*
 * xml_print - as printf, with every %s escaped: & < > " ' become the five named entities, CR, LF
 * and TAB stay, characters that XML 1.0 does not have (most below U+0020, U+FFFE, broken UTF-8)
 * become U+FFFD. Conversions: %s %u %d %lu %ld %zu %" PRIu64 "... and %%, without flags or widths.
 * (wbemcli reads no character references.)
 */
void xml_print(struct xml_text *text, const char *format, ...) FORMAT_AT(2, 3);

/* xml_escape - one text, escaped, as %s. */
void xml_escape(struct xml_text *text, const char *value);

#endif
