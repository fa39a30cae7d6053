/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * words.h - a command as its user writes it (--ssh="ssh -i 'my key'"), split into words as a shell
 * would, without any shell: blanks separate, '...' and "..." hold together, \ takes the next
 * character as it is (within "..." only before " and \). Nothing is expanded: no variables, no ~,
 * no patterns.
 */
#ifndef RESILVER_CLI_WORDS_H
#define RESILVER_CLI_WORDS_H

#include <stddef.h>

#include "base/attributes.h"
#include "base/error.h"
#include "base/limits.h"

struct words {
    char *text;                    /* owned: the words, each ended by NUL */
    char *list[COMMAND_WORDS_MAX]; /* borrowed from text */
    size_t count;
};

/* words_init - Errors: ERR_USAGE a quote that is not closed, no word at all, too many; ERR_LIMIT no
 * memory. */
MUST_CHECK int words_init(struct words *words, const char *text, struct error *err);
void words_done(struct words *words);

#endif
