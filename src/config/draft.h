/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * draft.h - a configuration while its files are read: what it says so far, and where.
 */
#ifndef RESILVER_CONFIG_DRAFT_H
#define RESILVER_CONFIG_DRAFT_H

#include <stdio.h>

#include "config/config.h"

struct draft;

MUST_CHECK int draft_new(struct draft **out, struct error *err);

/* draft_read - take what a file says; a later one overrides. name is copied. After an error the
 * draft is good for nothing. Errors: see config_load. */
MUST_CHECK int draft_read(struct draft *draft, FILE *file, const char *name, struct error *err);

/* draft_finish - look at the whole of it and make it a configuration, which the caller owns. The
 * draft is empty then. Errors: ERR_USAGE, ERR_LIMIT. */
MUST_CHECK int draft_finish(struct draft *draft, struct config **out, struct error *err);

void draft_free(struct draft *draft);
void draft_freep(struct draft **draft);

#endif
