/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * address.h - "HOST:PORT" as people write it. An IPv6 address stands in brackets: "[::1]:8490".
 */
#ifndef RESILVER_BASE_ADDRESS_H
#define RESILVER_BASE_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/attributes.h"
#include "base/error.h"
#include "base/limits.h"

/*
 * address_parse - "HOST:PORT" or "[IPV6]:PORT".
 * @min_port      0: port 0 is allowed
 * @needs_host    false: HOST may be empty
 * Errors: ERR_USAGE.
 */
MUST_CHECK int address_parse(const char *text, unsigned min_port, bool needs_host,
                             char host[HOST_TEXT_MAX], char port[PORT_TEXT_MAX], struct error *err);

/*
 * address_take_host - the host at the beginning of text, which must be followed by a colon:
 * "name:", "192.0.2.1:", "[2001:db8::1]:". Returns the length up to the colon, 0 if there is no
 * such thing.
 */
size_t address_take_host(const char *text, char host[HOST_TEXT_MAX]);

/* address_is_made_of - not empty, none but letters, digits and those in `others`, and beginning
 * with no '-', which ssh would take for an option. */
bool address_is_made_of(const char *text, size_t len_bytes, const char *others);

#endif
