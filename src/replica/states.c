/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "replica/states.h"

/* Numbers of these enums come out of the state database and off the wire: one that has no name here
 * is "unknown" and nothing worse. */
static const char unknown[] = "unknown";

const char *replication_state_name(enum replication_state state)
{
    switch (state) {
    case STATE_DISABLED:
        return "disabled";
    case STATE_READY:
        return "ready for initial copy";
    case STATE_WAITING_INITIAL:
        return "waiting for initial copy";
    case STATE_REPLICATING:
        return "replicating";
    case STATE_SYNCED_COMPLETE:
        return "prepared for planned failover";
    case STATE_RECOVERED:
        return "failed over";
    case STATE_COMMITTED:
        return "failover committed";
    case STATE_SUSPENDED:
        return "suspended";
    case STATE_CRITICAL:
        return "critical";
    case STATE_WAITING_RESYNC:
        return "resynchronization required";
    case STATE_RESYNCHRONIZING:
        return "resynchronizing";
    case STATE_RESYNC_SUSPENDED:
        return "resynchronization suspended";
    case STATE_RECOVERY_IN_PROGRESS:
        return "failover in progress";
    case STATE_FAILBACK_IN_PROGRESS:
        return "failback in progress";
    case STATE_FAILBACK_COMPLETE:
        return "failback complete";
    }
    return unknown;
}

const char *replication_health_name(enum replication_health health)
{
    switch (health) {
    case HEALTH_NONE:
        return "not applicable";
    case HEALTH_OK:
        return "ok";
    case HEALTH_WARNING:
        return "warning";
    case HEALTH_CRITICAL:
        return "critical";
    }
    return unknown;
}

const char *replication_mode_name(enum replication_mode mode)
{
    switch (mode) {
    case MODE_NONE:
        return "none";
    case MODE_PRIMARY:
        return "primary";
    case MODE_REPLICA:
        return "replica";
    case MODE_TEST:
        return "test replica";
    case MODE_EXTENDED:
        return "extended replica";
    }
    return unknown;
}

const char *relationship_role_name(enum relationship_role role)
{
    switch (role) {
    case RELATIONSHIP_INVALID:
        break;
    case RELATIONSHIP_PRIMARY:
        return "primary";
    case RELATIONSHIP_REPLICA:
        return "replica";
    case RELATIONSHIP_EXTENDING:
        return "extending";
    case RELATIONSHIP_EXTENDED:
        return "extended";
    }
    return unknown;
}

const char *job_type_name(enum job_type type)
{
    switch (type) {
    case JOB_TYPE_NONE:
        return "none";
    case JOB_CREATE:
        return "create";
    case JOB_MODIFY:
        return "modify";
    case JOB_REMOVE:
        return "remove";
    case JOB_INITIAL:
        return "initial copy";
    case JOB_STATE_CHANGE:
        return "state change";
    case JOB_RESYNC:
        return "resync";
    case JOB_STOP_INITIAL:
        return "stop initial copy";
    case JOB_STOP_RESYNC:
        return "stop resync";
    case JOB_TEST_CONNECTION:
        return "test connection";
    case JOB_RESYNC_INITIAL:
        return "initial copy onto a seed";
    case JOB_RESYNC_EXTENDED:
        return "resync of extended replica";
    }
    return unknown;
}

const char *job_state_name(enum job_state state)
{
    switch (state) {
    case JOB_NEW:
        return "new";
    case JOB_STARTING:
        return "starting";
    case JOB_RUNNING:
        return "running";
    case JOB_SUSPENDED:
        return "suspended";
    case JOB_SHUTTING_DOWN:
        return "shutting down";
    case JOB_COMPLETED:
        return "completed";
    case JOB_TERMINATED:
        return "terminated";
    case JOB_KILLED:
        return "killed";
    case JOB_EXCEPTION:
        return "failed";
    case JOB_COMPLETED_WITH_WARNINGS:
        return "completed with warnings";
    }
    return unknown;
}

/* Source: Msvm_ReplicationService's methods, "Return value"; "in used" there is a slip of the pen.
 */
const char *return_value_name(enum return_value value)
{
    switch (value) {
    case RETURN_DONE:
        return "Completed with No Error";
    case RETURN_JOB_STARTED:
        return "Method Parameters Checked - Job Started";
    case RETURN_FAILED:
        return "Failed";
    case RETURN_ACCESS_DENIED:
        return "Access Denied";
    case RETURN_NOT_SUPPORTED:
        return "Not Supported";
    case RETURN_UNKNOWN:
        return "Status is unknown";
    case RETURN_TIMEOUT:
        return "Timeout";
    case RETURN_INVALID_PARAMETER:
        return "Invalid parameter";
    case RETURN_IN_USE:
        return "System is in use";
    case RETURN_INVALID_STATE:
        return "Invalid state for this operation";
    case RETURN_WRONG_TYPE:
        return "Incorrect data type";
    case RETURN_NOT_AVAILABLE:
        return "System is not available";
    case RETURN_OUT_OF_MEMORY:
        return "Out of memory";
    case RETURN_FILE_NOT_FOUND:
        return "File not found";
    }
    return unknown;
}
