/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * show.h - what the service knows, as the objects of docs/control.md. Each returns a new reference,
 * or NULL when there is no memory.
 */
#ifndef RESILVER_CONTROL_SHOW_H
#define RESILVER_CONTROL_SHOW_H

#include <jansson.h>

#include "peer/peers.h"
#include "replica/service.h"

/* What objects are made from. */
struct show {
    const struct service *service;
    int64_t now_us;
};

/* --- pieces ---------------------------------------------------------------------------------- */

/* show_put - false when either is NULL or there is no memory; takes value in any case. */
bool show_put(json_t *object, const char *name, json_t *value);
bool show_append(json_t *list, json_t *value);

/* show_text - a text; bytes that are no UTF-8 become question marks. */
json_t *show_text(const char *text);
json_t *show_text_or_null(const char *text); /* "": null */
json_t *show_number(uint64_t number);
json_t *show_time(int64_t at_us); /* 0: null */
json_t *show_id(const struct uuid *id);

/* --- objects --------------------------------------------------------------------------------- */

json_t *show_reply(const struct service_reply *reply);
json_t *show_error(enum return_value value, const struct error *err);
json_t *show_vm(const struct show *show, const struct service_vm *vm);
json_t *show_relationship(const struct show *show, const struct relationship_row *row);
/* Of one that is gone, for those who watch. */
json_t *show_no_relationship(const struct show *show, const struct uuid *vm, const char *vm_name,
                             uint8_t hop);
json_t *show_job(const struct show *show, const struct job_row *row);
json_t *show_peer(const struct host_row *row);
json_t *show_pairing(const struct pairing *pairing);
json_t *show_authorization(const struct authorization_row *row);
json_t *show_event(const struct show *show, const struct event_row *row);
json_t *show_statistics(const struct statistics_row *row);

#endif
