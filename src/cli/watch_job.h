/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * watch_job.h - a job of resilverd, watched until it ends.
 */
#ifndef RESILVER_CLI_WATCH_JOB_H
#define RESILVER_CLI_WATCH_JOB_H

#include "cli/api.h"

/*
 * watch_job - show the progress of all disks on a terminal, and at the end what came of it: the job
 * as JSON, or its counters and proofs.
 *
 * Returns COMMAND_DONE, or COMMAND_FAILED: it failed, as JSON. Errors: as api_call; ERR_CANCELLED
 * the job was cancelled, or the watching was stopped, and the job goes on; ERR_WRONG_STATE it
 * failed.
 */
MUST_CHECK int watch_job(struct api *api, const char *id, struct error *err);

/* watch_job_is_end - a Job that has ended. */
bool watch_job_is_end(const json_t *job);

/* watch_job_print_report - the counters and proofs of a job's "report", a few lines a disk. */
void watch_job_print_report(const json_t *job);

#endif
