/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/words.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\n';
}

/*
 * Copies one word from *in to *out without its quotes and ends it with NUL; a word never grows, so
 * it always fits. False: a quote or a backslash at the end of the text lacks its other half.
 */
static bool take_word(const char **in, char **out)
{
    const char *from = *in;
    char *to = *out;
    char quote = '\0';

    for (; *from != '\0' && (quote != '\0' || !is_blank(*from)); from++) {
        bool escapes =
            *from == '\\' && quote != '\'' && (quote == '\0' || from[1] == '"' || from[1] == '\\');
        if (escapes) {
            from++;
            if (*from == '\0') {
                return false;
            }
            *to++ = *from;
        } else if (quote == '\0' && (*from == '\'' || *from == '"')) {
            quote = *from;
        } else if (quote != '\0' && *from == quote) {
            quote = '\0';
        } else {
            *to++ = *from;
        }
    }
    *to++ = '\0';
    *in = from;
    *out = to;
    return quote == '\0';
}

int words_init(struct words *words, const char *text, struct error *err)
{
    /* Each word is followed by at least one character that it does not keep: a blank or the end. */
    char *buffer = calloc(1, strlen(text) + 1);
    struct words made = {.text = buffer};

    if (buffer == NULL) {
        return fail(err, ERR_LIMIT, ENOMEM, "cannot read the command '%s'", text);
    }
    for (const char *at = text;;) {
        while (is_blank(*at)) {
            at++;
        }
        if (*at == '\0') {
            break;
        }
        if (made.count == COMMAND_WORDS_MAX) {
            words_done(&made);
            return fail(err, ERR_USAGE, 0, "the command '%s' has more than %u words", text,
                        COMMAND_WORDS_MAX);
        }
        made.list[made.count++] = buffer;
        if (!take_word(&at, &buffer)) {
            words_done(&made);
            return fail(err, ERR_USAGE, 0,
                        "the command '%s' has a quote or backslash without its other half", text);
        }
    }
    if (made.count == 0) {
        words_done(&made);
        return fail(err, ERR_USAGE, 0, "the command is empty; name a program, as in --ssh=ssh");
    }
    *words = made;
    return 0;
}

void words_done(struct words *words)
{
    free(words->text);
    *words = (struct words){0};
}
