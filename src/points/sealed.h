/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * sealed.h - what every record of ours begins and ends with: a magic and a version, and the SHA-256
 * of all before it. Within it is for the record's own reader, which can trust that no bit flipped,
 * and nothing else.
 */
#ifndef RESILVER_POINTS_SEALED_H
#define RESILVER_POINTS_SEALED_H

#include "base/attributes.h"
#include "base/error.h"
#include "base/reader.h"
#include "base/span.h"
#include "base/writer.h"

/* sealed_begin - a writer on the buffer, with the head written. */
struct writer sealed_begin(struct span buffer, uint32_t magic, uint32_t version);

/* sealed_end - add the sum; *out is the whole record. Errors: ERR_INTERNAL it does not fit. */
MUST_CHECK int sealed_end(struct writer *w, struct const_span *out, struct error *err);

/* sealed_open - check head and sum; *out reads what is between them. Errors: ERR_WRONG_STATE,
 * with words that go on after "NAME: ". */
MUST_CHECK int sealed_open(struct const_span bytes, uint32_t magic, uint32_t version,
                           struct reader *out, struct error *err);

#endif
