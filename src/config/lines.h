/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * lines.h - an INI file, line by line, with the numbers of its lines.
 *
 * "[section]", "key = value"; # and ; begin a line of comment, a ; after a blank ends a value. The
 * text is UTF-8. Blanks at a line's beginning mean nothing: no line goes on in the next.
 */
#ifndef RESILVER_CONFIG_LINES_H
#define RESILVER_CONFIG_LINES_H

#include <stdint.h>
#include <stdio.h>

#include "base/attributes.h"
#include "base/error.h"

/* Who takes what a file says; each returns 0, or -1 with err set, which ends the reading. The texts
 * are borrowed for the call. */
struct lines_sink {
    int (*section)(void *context, uint32_t line, const char *name, struct error *err);
    int (*key)(void *context, uint32_t line, const char *key, const char *value, struct error *err);
    void *context;
};

/*
 * lines_read - from where file is to its end.
 *
 * @name  the file's, for messages: "NAME:LINE: ..."
 * Errors: the sink's; ERR_USAGE what is no INI file; ERR_IO reading failed; ERR_LIMIT no memory.
 */
MUST_CHECK int lines_read(FILE *file, const char *name, const struct lines_sink *sink,
                          struct error *err);

#endif
