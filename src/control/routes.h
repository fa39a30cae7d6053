/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * routes.h - every call there is: one table, from which requests are answered, which tests walk,
 * and against which schema/control.yaml is checked.
 */
#ifndef RESILVER_CONTROL_ROUTES_H
#define RESILVER_CONTROL_ROUTES_H

#include "base/span.h"
#include "replica/authorize.h"

struct exchange;

/* Answers the exchange, or asks the service to (exchange_ask). */
typedef void route_handler(struct exchange *exchange);

struct route {
    const char *method;
    const char *path; /* {vm} {host} {id}: a name; {hop}: 0 or 1 */
    enum operation operation;
    route_handler *handle;
};

uint32_t routes_count(void);
const struct route *routes_at(uint32_t index);

/* What a path was found to name; spans are parts of the path, still encoded. */
struct route_match {
    const struct route *route; /* NULL: none has this path and method */
    bool is_path_known;        /* with another method */
    struct const_span name;
    struct const_span hop; /* of length 0: the path has none */
};

struct route_match routes_find(const char *method, const char *path);

/* routes_allowed - "GET, DELETE": for a path that is known. */
void routes_allowed(const char *path, char *out, size_t size_bytes);

/* --- the handlers, one file a noun ----------------------------------------------------------- */
route_handler route_show_host, route_backup;
route_handler route_list_vms, route_show_vm, route_resynchronize;
route_handler route_list_relationships, route_create_relationship, route_show_relationship,
    route_modify_relationship, route_remove_relationship, route_start_relationship,
    route_set_relationship_state, route_list_statistics, route_reset_statistics;
route_handler route_list_jobs, route_show_job, route_set_job_state;
route_handler route_list_hosts, route_move_host, route_revoke_host, route_test_host;
route_handler route_begin_pairing, route_list_pairings, route_show_pairing, route_confirm_pairing,
    route_refuse_pairing;
route_handler route_list_authorizations, route_set_authorization, route_remove_authorization;
route_handler route_list_events, route_watch;

#endif
