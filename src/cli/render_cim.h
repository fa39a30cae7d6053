/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * render_cim.h - instances, values and outcomes of the CIM model for people and as JSON.
 */
#ifndef RESILVER_CLI_RENDER_CIM_H
#define RESILVER_CLI_RENDER_CIM_H

#include <jansson.h>

#include "cim/operations.h"

/* render_cim_instance - a line a property that is not null, "Name = value", after a line with the
 * path. */
void render_cim_instance(struct arena *arena, const struct cim_instance *instance,
                         const char *namespace_name);

/* render_cim_value - "NAME = value"; nothing when null. */
void render_cim_value(struct arena *arena, const char *name, const struct cim_value *value);

/* The same as JSON: numbers, booleans, texts, arrays, null; a path is its text, an embedded
 * instance an object. With "__PATH" and "__CLASS". NULL: no memory. */
json_t *render_cim_json(struct arena *arena, const struct cim_instance *instance,
                        const char *namespace_name);
json_t *render_cim_json_value(struct arena *arena, const struct cim_value *value);

#endif
