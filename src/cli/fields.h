/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * fields.h - one thing, shown to people as lines of "name: value" on standard output; values are
 * made safe for a terminal.
 */
#ifndef RESILVER_CLI_FIELDS_H
#define RESILVER_CLI_FIELDS_H

#include <jansson.h>
#include <stdint.h>

#include "base/attributes.h"

void field_text(const char *label, const char *text); /* "": the line is left out */
void field_number(const char *label, int64_t number);
void field_format(const char *label, const char *format, ...) FORMAT_AT(2, 3);

/* A member of an object of the API. */
void field_of(const char *label, const json_t *object, const char *key);
void field_time_of(const char *label, const json_t *object, const char *key);
void field_size_of(const char *label, const json_t *object, const char *key);

#endif
