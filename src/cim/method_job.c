/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * method_job.c - jobs: suspended, resumed, ended, and why they failed.
 */
#include <string.h>

#include "cim/map_error.h"
#include "cim/method_common.h"
#include "cim/method_table.h"

/* What RequestStateChange of a job returns. Source: CIM_ConcreteJob.RequestStateChange. */
enum job_value {
    JOB_DONE = 0,
    JOB_NOT_SUPPORTED = 1,
    JOB_UNKNOWN = 2,
    JOB_TIMEOUT = 3,
    JOB_FAILED = 4,
    JOB_INVALID_PARAMETER = 5,
    JOB_IN_USE = 6,
    JOB_TRANSITION_STARTED = 4096,
    JOB_INVALID_TRANSITION = 4097,
    JOB_NO_TIMEOUTS = 4098,
    JOB_BUSY = 4099
};

/* RequestedState 2 .. 5; 6 (Service) means nothing to jobs of ours. */
enum { STATE_START = 2, STATE_KILL = 5, STATE_SERVICE = 6 };

static uint32_t job_value_of(uint32_t value)
{
    switch ((enum method_value)value) {
    case METHOD_DONE:
        return JOB_DONE;
    case METHOD_JOB_STARTED:
        return JOB_TRANSITION_STARTED;
    case METHOD_NOT_SUPPORTED:
        return JOB_NOT_SUPPORTED;
    case METHOD_UNKNOWN:
        return JOB_UNKNOWN;
    case METHOD_TIMEOUT:
        return JOB_TIMEOUT;
    case METHOD_INVALID_PARAMETER:
    case METHOD_WRONG_TYPE:
        return JOB_INVALID_PARAMETER;
    case METHOD_IN_USE:
        return JOB_IN_USE;
    case METHOD_INVALID_STATE:
        return JOB_INVALID_TRANSITION;
    case METHOD_OUT_OF_MEMORY: /* as many jobs as may be: later it may go */
        return JOB_BUSY;
    case METHOD_ACCESS_DENIED: /* no value of these: refuse_denied() has seen to it */
    case METHOD_NOT_AVAILABLE:
    case METHOD_FILE_NOT_FOUND:
    case METHOD_FAILED:
        break;
    }
    return JOB_FAILED;
}

static int deny(struct method *method, const char *message, struct error *err)
{
    method->request->status = CIM_ACCESS_DENIED;
    return fail(err, ERR_USAGE, 0, "%s", message);
}

/* The Job of the control API; *out is the caller's. False: answered with a METHOD_ value. */
static bool get_job(struct method *method, const struct cim_instance *on, json_t **out)
{
    const char *id = cim_get_text(on, "InstanceID");

    return method_get(method, method_path(method, "/v1/jobs/", id != NULL ? id : "", ""), out);
}

/* Jobs belong to their VM, and who may what with it. */
static bool may_with_job(const struct method *method, const json_t *job, enum cim_role role)
{
    return cim_may(method->request, json_object_get(job, "vm"), role);
}

/* --- states ----------------------------------------------------------------------------------- */

/* False: answered, with one of the job's values. */
static bool take_wish(struct method *method, uint64_t *out)
{
    const char *timeout = NULL;
    uint64_t wish = 0;

    if (!method_take_number(method, "RequestedState", &wish) ||
        !method_take_interval(method, "TimeoutPeriod", &timeout)) {
        method->out->return_value = JOB_INVALID_PARAMETER;
        return false;
    }
    if (timeout != NULL && strncmp(timeout, "00000000000000.000000", 21) != 0) {
        return method_refuse(method, JOB_NO_TIMEOUTS,
                             "TimeoutPeriod is not supported: leave it out, or give none");
    }
    if (wish == STATE_SERVICE) {
        return method_refuse(method, JOB_NOT_SUPPORTED, "jobs here have no state Service");
    }
    if (wish < STATE_START || wish > STATE_KILL) {
        return method_refuse(method, JOB_INVALID_PARAMETER,
                             "RequestedState must be 2 (start), 3 (suspend), 4 (terminate) or 5 "
                             "(kill)");
    }
    *out = wish;
    return true;
}

static void ask_for_state(struct method *method, const json_t *job, uint64_t wish)
{
    const char *id = json_string_value(json_object_get(job, "id"));

    (void)method_ask_with(method, "POST",
                          method_path(method, "/v1/jobs/", id != NULL ? id : "", "/state"),
                          json_pack("{s:I}", "requested_state", (json_int_t)wish));
}

int method_job_request_state(struct cim_request *request, const struct cim_instance *on,
                             const struct cim_arguments *in, struct cim_outcome *out,
                             struct error *err)
{
    struct method method = method_begin(request, in, out);
    CLEANUP(json_done) json_t *job = NULL;
    uint64_t wish = 0;

    if (get_job(&method, on, &job)) {
        if (!may_with_job(&method, job, CIM_ROLE_OPERATOR)) {
            return deny(&method,
                        "the caller may not change jobs of this VM: it needs the role "
                        "operator",
                        err);
        }
        if (!take_wish(&method, &wish)) {
            return 0;
        }
        ask_for_state(&method, job, wish);
    }
    if (out->return_value == METHOD_ACCESS_DENIED) {
        return deny(&method, out->message, err);
    }
    out->return_value = job_value_of(out->return_value);
    return 0;
}

/* Not supported by Msvm_ConcreteJob, and here neither: RequestStateChange is. */
int method_job_kill(struct cim_request *request, const struct cim_instance *on,
                    const struct cim_arguments *in, struct cim_outcome *out, struct error *err)
{
    struct method method = method_begin(request, in, out);

    (void)on;
    (void)err;
    (void)method_refuse(&method, JOB_NOT_SUPPORTED,
                        "KillJob is not supported: RequestStateChange with 4 terminates a job");
    return 0;
}

/* --- errors ----------------------------------------------------------------------------------- */

/* Why the job failed; *out stays NULL when it did not. */
static bool find_error(struct method *method, const struct cim_instance *on,
                       const struct cim_instance **out)
{
    CLEANUP(json_done) json_t *job = NULL;

    if (!get_job(method, on, &job)) {
        return false;
    }
    if (!may_with_job(method, job, CIM_ROLE_VIEWER)) {
        return method_refuse(method, METHOD_ACCESS_DENIED,
                             "the caller may not look at jobs of this VM");
    }
    *out = map_error_of_job(method->request->arena, job);
    return !method->request->arena->bad ||
           method_refuse(method, METHOD_OUT_OF_MEMORY, "out of memory for the error");
}

int method_job_get_error(struct cim_request *request, const struct cim_instance *on,
                         const struct cim_arguments *in, struct cim_outcome *out, struct error *err)
{
    struct method method = method_begin(request, in, out);
    const struct cim_instance *error = NULL;

    (void)err;
    if (find_error(&method, on, &error)) {
        method_put_instance(&method, "Error", error);
    }
    return 0;
}

int method_job_get_error_ex(struct cim_request *request, const struct cim_instance *on,
                            const struct cim_arguments *in, struct cim_outcome *out,
                            struct error *err)
{
    struct method method = method_begin(request, in, out);
    const struct cim_instance *error = NULL;

    (void)err;
    if (find_error(&method, on, &error) && error != NULL) {
        const struct cim_list errors = {.all = &error, .count = 1};
        method_put_instances(&method, "Errors", &errors);
    }
    return 0;
}
