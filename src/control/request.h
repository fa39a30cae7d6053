/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * request.h - what a caller sent, read: percent-encoded names, a body of JSON, and its members.
 * Knows nothing of HTTP connections, so that it can be tried alone.
 */
#ifndef RESILVER_CONTROL_REQUEST_H
#define RESILVER_CONTROL_REQUEST_H

#include <jansson.h>
#include <stdbool.h>

#include "base/span.h"
#include "replica/states.h"
#include "store/rows.h"

/*
 * request_decode - a percent-encoded name (RFC 3986, 2.1), of a path, a query or a header. Errors:
 * ERR_USAGE: a % that no two hexadecimal digits follow, a NUL, no UTF-8, longer than size_bytes
 * - 1.
 */
MUST_CHECK int request_decode(struct const_span encoded, char *out, size_t size_bytes,
                              struct error *err);

/* request_parse - a body: one object of JSON (nothing at all is an empty one). *out is the
 * caller's. Errors: ERR_USAGE, ERR_LIMIT. */
MUST_CHECK int request_parse(struct const_span body, json_t **out, struct error *err);

/*
 * The members of an object, read one after the other. The first thing that is wrong sticks; what is
 * asked for afterwards is not there. members_end() says it, and refuses what nobody asked for. A
 * member that is null is not there.
 */
struct members {
    const json_t *object; /* borrowed; NULL: has none */
    const char *known[CONTROL_MEMBERS_MAX];
    uint32_t known_count;
    enum return_value value; /* RETURN_DONE: nothing is wrong so far */
    struct error error;
};

struct members members_of(const json_t *object);

/* members_text - borrowed from the object; NULL: not there. */
const char *members_text(struct members *members, const char *name);
/* members_needed_text - NULL: something is wrong. */
const char *members_needed_text(struct members *members, const char *name);

/* The others leave *out as it is when the member is not there; true: it was. */
bool members_integer(struct members *members, const char *name, uint64_t max, uint64_t *out);
bool members_flag(struct members *members, const char *name, bool *out);
const json_t *members_object(struct members *members, const char *name);
const json_t *members_list(struct members *members, const char *name);

/* members_minute - "18:30": minutes since midnight. */
bool members_minute(struct members *members, const char *name, uint32_t *out);

/* A query's values are texts: "7", "true". */
bool members_query_number(struct members *members, const char *name, uint64_t max, uint64_t *out);
bool members_query_flag(struct members *members, const char *name, bool *out);

/* members_wrong - what is wrong with a member, said by who used it. Only the first counts. */
void members_wrong(struct members *members, enum return_value value, const char *format, ...)
    FORMAT_AT(3, 4);

/* members_end - Errors: ERR_USAGE; members->value says which return value it is. */
MUST_CHECK int members_end(struct members *members, struct error *err);

/* request_settings - the members of Settings that are there, over what *settings holds. Returns
 * what members_end would; *out_value is set when it fails. */
MUST_CHECK int request_settings(const json_t *object, struct relationship_settings *settings,
                                enum return_value *out_value, struct error *err);

#endif
