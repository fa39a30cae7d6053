/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * render_relationship.h - a Relationship of the API for people.
 */
#ifndef RESILVER_CLI_RENDER_RELATIONSHIP_H
#define RESILVER_CLI_RENDER_RELATIONSHIP_H

#include <jansson.h>

#include "cli/table.h"

/* render_relationship - lines of "name: value" on standard output. */
void render_relationship(const json_t *relationship);

/* render_relationship_begin, _row - a line each in a table, which is released by table_done(). */
void render_relationship_begin(struct table *table);
MUST_CHECK int render_relationship_row(struct table *table, const json_t *relationship,
                                       struct error *err);

#endif
