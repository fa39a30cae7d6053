/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * routes.h - the one table of calls (docs/control.md).
 */
#ifndef RESILVER_CONTROL_ROUTES_H
#define RESILVER_CONTROL_ROUTES_H

#include "control/call.h"

struct route {
    const char *method;
    const char *pattern; /* "/v1/vms/{vm}": what is in braces is one segment */
    enum operation operation;
    void (*handle)(struct call *call);
};

/* routes_table - *out_count rows; for the dispatcher, and for tests that walk all of them. */
const struct route *routes_table(size_t *out_count);

/* routes_handle - find the call's route, ask authorize(), and handle it. */
void routes_handle(struct call *call);

/* The handlers, in route_*.c. */
void route_get_host(struct call *call);
void route_get_vms(struct call *call);
void route_get_vm(struct call *call);
void route_get_relationships(struct call *call);
void route_create_relationship(struct call *call);
void route_get_relationship(struct call *call);
void route_modify_relationship(struct call *call);
void route_remove_relationship(struct call *call);
void route_start(struct call *call);
void route_request_state(struct call *call);
void route_get_statistics(struct call *call);
void route_reset_statistics(struct call *call);
void route_resynchronize(struct call *call);
void route_get_jobs(struct call *call);
void route_get_job(struct call *call);
void route_request_job_state(struct call *call);
void route_get_hosts(struct call *call);
void route_modify_host(struct call *call);
void route_revoke_host(struct call *call);
void route_test_host(struct call *call);
void route_begin_pairing(struct call *call);
void route_get_pairings(struct call *call);
void route_get_pairing(struct call *call);
void route_confirm_pairing(struct call *call);
void route_refuse_pairing(struct call *call);
void route_get_authorizations(struct call *call);
void route_set_authorization(struct call *call);
void route_remove_authorization(struct call *call);
void route_get_events(struct call *call);
void route_watch(struct call *call);
void route_backup(struct call *call);

#endif
