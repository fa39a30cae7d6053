/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * method_table.h - the functions behind the rows of method_table.c, one file a noun.
 */
#ifndef RESILVER_CIM_METHOD_TABLE_H
#define RESILVER_CIM_METHOD_TABLE_H

#include "cim/provider.h"

typedef int cim_method_function(struct cim_request *request, const struct cim_instance *on,
                                const struct cim_arguments *in, struct cim_outcome *out,
                                struct error *err);

/* method_resync.c */
cim_method_function method_resynchronize;

/* method_relationship.c */
cim_method_function method_create_relationship, method_modify_settings, method_start_replication,
    method_remove_relationship, method_remove_relationship_ex;

/* method_system.c */
cim_method_function method_request_replication_state, method_request_replication_state_ex;

/* method_statistics.c */
cim_method_function method_get_statistics, method_get_statistics_ex, method_reset_statistics,
    method_reset_statistics_ex;

/* method_authorization.c */
cim_method_function method_add_authorization, method_modify_authorization,
    method_remove_authorization;

/* method_service.c */
cim_method_function method_modify_service_settings, method_test_connection, method_get_certificates,
    method_not_supported_by_vm, method_no_service_state;

/* method_job.c */
cim_method_function method_job_request_state, method_job_get_error, method_job_get_error_ex,
    method_job_kill;

#endif
