/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * render_replica.h - replicas and their points, as tables for people and as JSON. The keys are a
 * promise (schema 1).
 */
#ifndef RESILVER_CLI_RENDER_REPLICA_H
#define RESILVER_CLI_RENDER_REPLICA_H

#include <jansson.h>
#include <stdio.h>

#include "base/attributes.h"
#include "base/error.h"
#include "cli/table.h"
#include "points/replica.h"

#define RENDER_STATE_MAX 128

/* render_replica_state - "whole", "empty, half staged (12.0 MiB staged)", "whole, being written",
 * "unfinished: run resilver recover". Returns out. */
const char *render_replica_state(const struct replica_info *info, char out[RENDER_STATE_MAX]);

/* A table of replicas, a row each: begin, then one call for each, then table_print. Errors:
 * ERR_LIMIT. */
void render_replica_list_begin(struct table *table);
MUST_CHECK int render_replica_list_row(struct table *table, const struct replica_info *info,
                                       struct error *err);
MUST_CHECK int render_replica_list_bad(struct table *table, const char *path, struct error *err);

/* render_replica_show, render_replica_points - Errors: ERR_LIMIT. */
MUST_CHECK int render_replica_show(FILE *out, const struct replica_info *info, struct error *err);
MUST_CHECK int render_replica_points(FILE *out, const struct replica_info *info, struct error *err);

/* render_replica_json - a replica as an object; render_replica_json_points - its points, the
 * present one last, as a list. NULL: no memory. */
json_t *render_replica_json(const struct replica_info *info);
json_t *render_replica_json_points(const struct replica_info *info);

/* render_replica_json_print - a whole result: schema, result ("done", "incomplete") and value,
 * which is taken over, under key. */
void render_replica_json_print(FILE *out, const char *result, const char *key, json_t *value);

#endif
