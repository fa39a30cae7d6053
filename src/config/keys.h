/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * keys.h - the keys of the sections that there are once: [host], [control], [replication],
 * [gateway].
 */
#ifndef RESILVER_CONFIG_KEYS_H
#define RESILVER_CONFIG_KEYS_H

#include "config/config.h"

struct config_key {
    const char *section;
    const char *name;
    /* Puts the value in its place; the sentence of an error is about the value alone. */
    int (*take)(struct config *config, const char *value, struct error *err);
};

/* keys_defaults - what holds where no file says otherwise. The host's name is "" if the
 * machine's cannot be used. Errors: ERR_IO. */
MUST_CHECK int keys_defaults(struct config *config, struct error *err);

/* keys_check_gateway - what of [gateway] does not fit together. Errors: ERR_USAGE. */
MUST_CHECK int keys_check_gateway(const struct config_gateway *gateway, struct error *err);

/* keys_find - NULL: there is none; then *out_nearest is what was probably meant, or NULL. */
const struct config_key *keys_find(const char *section, const char *name, const char **out_nearest);

/* keys_elsewhere - the section that has a key of this name; NULL: none. */
const char *keys_elsewhere(const char *name);

/* keys_section - the section as a text that lives on; NULL: there is none of the name, and
 * *out_nearest is as above. "vm" is not among them, but may be the nearest. */
const char *keys_section(const char *name, const char **out_nearest);

/* The keys of [gateway], for keys.c. */
extern const struct config_key keys_gateway[];
extern const size_t keys_gateway_count;
void keys_gateway_defaults(struct config_gateway *gateway);

#endif
