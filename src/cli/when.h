/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * when.h - a moment as a person types it.
 */
#ifndef RESILVER_CLI_WHEN_H
#define RESILVER_CLI_WHEN_H

#include <stdint.h>

#include "base/attributes.h"
#include "base/error.h"

/* What the help and the errors say of it. */
#define WHEN_FORMS "22:00, \"2026-03-01 22:00\", 2026-03-01T22:00:00Z or +2h30m"

/*
 * when_read - microseconds since 1970 from
 *
 *   "22:00", "22:00:30"      the next such moment by this host's local time, later than now
 *   "2026-03-01 22:00[:30]"  local time
 *   "2026-03-01T22:00:00Z"   RFC 3339, and what else instant_read() takes as a moment
 *   "+2h", "+1d12h", "+90s"  so much later than now: days, hours, minutes, seconds
 *
 * @now_us  the present moment
 * Errors: ERR_USAGE none of these; the text and the forms are in the message.
 */
MUST_CHECK int when_read(const char *text, int64_t now_us, int64_t *out_us, struct error *err);

#endif
