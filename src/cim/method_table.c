/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cim/method_table.h"

#include "base/attributes.h"

#define SERVICE "Msvm_ReplicationService"
#define SYSTEM "Msvm_ComputerSystem"
#define JOB "Msvm_ConcreteJob"

const struct cim_method_row cim_method_rows[] = {
    {SYSTEM, "RequestReplicationStateChange", method_request_replication_state},
    {SYSTEM, "RequestReplicationStateChangeEx", method_request_replication_state_ex},

    {JOB, "GetError", method_job_get_error},
    {JOB, "GetErrorEx", method_job_get_error_ex},
    {JOB, "KillJob", method_job_kill},
    {JOB, "RequestStateChange", method_job_request_state},

    {SERVICE, "AddAuthorizationEntry", method_add_authorization},
    {SERVICE, "ChangeReplicationModeToPrimary", method_not_supported_by_vm},
    {SERVICE, "CommitFailover", method_not_supported_by_vm},
    {SERVICE, "CreateReplicationRelationship", method_create_relationship},
    {SERVICE, "GetReplicationStatistics", method_get_statistics},
    {SERVICE, "GetReplicationStatisticsEx", method_get_statistics_ex},
    {SERVICE, "GetSystemCertificates", method_get_certificates},
    {SERVICE, "ImportInitialReplica", method_not_supported_by_vm},
    {SERVICE, "InitiateFailback", method_not_supported_by_vm},
    {SERVICE, "InitiateFailover", method_not_supported_by_vm},
    {SERVICE, "ModifyAuthorizationEntry", method_modify_authorization},
    {SERVICE, "ModifyReplicationSettings", method_modify_settings},
    {SERVICE, "ModifyServiceSettings", method_modify_service_settings},
    {SERVICE, "RemoveAuthorizationEntry", method_remove_authorization},
    {SERVICE, "RemoveReplicationRelationship", method_remove_relationship},
    {SERVICE, "RemoveReplicationRelationshipEx", method_remove_relationship_ex},
    {SERVICE, "RequestStateChange", method_no_service_state},
    {SERVICE, "ResetReplicationStatistics", method_reset_statistics},
    {SERVICE, "ResetReplicationStatisticsEx", method_reset_statistics_ex},
    {SERVICE, "Resynchronize", method_resynchronize},
    {SERVICE, "ReverseReplicationRelationship", method_not_supported_by_vm},
    {SERVICE, "RevertFailover", method_not_supported_by_vm},
    {SERVICE, "SetAuthorizationEntry", method_not_supported_by_vm},
    {SERVICE, "SetFailoverNetworkAdapterSettings", method_not_supported_by_vm},
    {SERVICE, "StartReplication", method_start_replication},
    {SERVICE, "StartService", method_no_service_state},
    {SERVICE, "StopService", method_no_service_state},
    {SERVICE, "TestReplicaSystem", method_not_supported_by_vm},
    {SERVICE, "TestReplicationConnection", method_test_connection},
};

const uint32_t cim_method_row_count = ARRAY_COUNT(cim_method_rows);
