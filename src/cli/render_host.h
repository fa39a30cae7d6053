/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * render_host.h - this host, the API's Host, for people.
 */
#ifndef RESILVER_CLI_RENDER_HOST_H
#define RESILVER_CLI_RENDER_HOST_H

#include <jansson.h>

void render_host(const json_t *host);

#endif
