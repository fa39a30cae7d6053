/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * show.h - what the service has, as the objects of docs/control.md. NULL: no memory.
 */
#ifndef RESILVER_CONTROL_SHOW_H
#define RESILVER_CONTROL_SHOW_H

#include <jansson.h>

#include "control/server.h"

json_t *show_time(int64_t at_us); /* a text, or null */

/* Text that may have come from anywhere: where it is no UTF-8, its bytes are replaced. */
json_t *show_text(const char *text);
json_t *show_host(const struct control_config *config, uint64_t uptime_s);
json_t *show_vm(const struct service *service, const struct service_vm *vm);
json_t *show_relationship(const struct service *service, const struct relationship_row *row);
json_t *show_job(const struct service *service, const struct job_row *row);
json_t *show_peer(const struct host_row *row);
json_t *show_pairing(const struct pairing *pairing);
json_t *show_authorization(const struct authorization_row *row);
json_t *show_event(const struct service *service, const struct event_row *row);
json_t *show_statistics(const struct statistics_row *row);
json_t *show_reply(enum return_value value, const struct uuid *job, const char *message);

#endif
