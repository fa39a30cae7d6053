/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * answer.h - what an object of the control API has under a name. A member that is not there, is
 * null, or is of another kind is "", 0, false or NULL: an older or newer daemon is shown as far as
 * it is understood.
 */
#ifndef RESILVER_CLI_ANSWER_H
#define RESILVER_CLI_ANSWER_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/instant.h"

const char *answer_text(const json_t *object, const char *key); /* borrowed from object */
int64_t answer_number(const json_t *object, const char *key);
bool answer_flag(const json_t *object, const char *key);

/* answer_amount - a number that cannot be negative. */
uint64_t answer_amount(const json_t *object, const char *key);

/* answer_text_of - a member of a member: the name of the "vm". */
const char *answer_text_of(const json_t *object, const char *key, const char *inner);

/* answer_us - a time in microseconds since 1970; 0: none. */
int64_t answer_us(const json_t *object, const char *key);

/* answer_time - a time as this host's local time, or "-"; fills out and returns it. */
const char *answer_time(const json_t *object, const char *key, char out[INSTANT_TEXT_MAX]);

#endif
