/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * body.h - the members of a call's JSON object: each is taken by name and type; what is left over
 * in the end is not known, and refused.
 */
#ifndef RESILVER_CONTROL_BODY_H
#define RESILVER_CONTROL_BODY_H

#include <jansson.h>

#include "base/attributes.h"
#include "base/error.h"

struct body {
    json_t *object; /* owned: the members that nobody took yet */
    json_t *kept;   /* owned: a list of what texts were borrowed from; NULL: none yet */
    bool is_bad;    /* error is set: something taken was not as it should be */
    struct error error;
};

/* body_open - no bytes are an empty object. Errors: ERR_USAGE: not JSON, not an object, a member
 * given twice. */
MUST_CHECK int body_open(struct body *body, const char *text, size_t len_bytes, struct error *err);

/* Each returns false, and leaves *out, when the member is not there or null; of the wrong type it
 * marks the body as bad. Text is borrowed until body_done. */
bool body_take_text(struct body *body, const char *name, size_t size_bytes, const char **out);
bool body_take_number(struct body *body, const char *name, uint64_t max, uint64_t *out);
bool body_take_bool(struct body *body, const char *name, bool *out);
bool body_take_object(struct body *body, const char *name, struct body *out);
/* A list of texts: at most max; *out_count. */
bool body_take_texts(struct body *body, const char *name, const char **out, uint32_t max,
                     uint32_t *out_count);

/* body_need_text - the same for one that must be there. */
void body_need_text(struct body *body, const char *name, size_t size_bytes, const char **out);

/* body_fail - mark as bad, unless it is. */
void body_fail(struct body *body, const char *format, ...) FORMAT_AT(2, 3);

/* body_close - 0, or -1 with what was wrong, members that nobody took included. */
MUST_CHECK int body_close(struct body *body, struct error *err);

void body_done(struct body *body);

#endif
