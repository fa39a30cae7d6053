/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * uuid.h - the names of VMs, jobs and entries: 16 bytes, written as RFC 4122 does.
 */
#ifndef RESILVER_BASE_UUID_H
#define RESILVER_BASE_UUID_H

#include <stdbool.h>
#include <stdint.h>

#include "base/attributes.h"
#include "base/env.h"
#include "base/error.h"

#define UUID_BYTES 16U
#define UUID_TEXT_MAX 37 /* 36 characters and the NUL */

/* All zeros (nil) is nobody: no VM, no job. */
struct uuid {
    uint8_t bytes[UUID_BYTES];
};

extern const struct uuid uuid_nil;

bool uuid_is_nil(const struct uuid *uuid);
bool uuid_equal(const struct uuid *a, const struct uuid *b);

/* uuid_compare - as memcmp: an order to sort by. */
int uuid_compare(const struct uuid *a, const struct uuid *b);

/* uuid_parse - "6f1c2a9e-....", in either case, nothing around it. Errors: ERR_USAGE. */
MUST_CHECK int uuid_parse(const char *text, struct uuid *out, struct error *err);

/* uuid_format - in lower case. */
void uuid_format(const struct uuid *uuid, char out[UUID_TEXT_MAX]);

/* uuid_new - a random one (version 4). Errors: those of env_random. */
MUST_CHECK int uuid_new(const struct env *env, struct uuid *out, struct error *err);

#endif
