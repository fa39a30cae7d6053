/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * failpoint.h - named places, before and after each durable step, at which a test can end the
 * process as a crash would. Only in builds with -Dfailpoints=true; otherwise they are nothing.
 *
 * RESILVER_FAILPOINT=NAME[:K] in the environment: at the K-th time (1 unless said) that NAME is
 * reached, its name and a newline are appended to the file that RESILVER_FAILPOINT_LOG names, so
 * that a test can assert that it fired, and the process ends at once (SIGKILL to itself).
 * tools/list_failpoints reads all names from the source.
 */
#ifndef RESILVER_BASE_FAILPOINT_H
#define RESILVER_BASE_FAILPOINT_H

#ifdef RESILVER_FAILPOINTS
void failpoint_reached(const char *name);
#define FAILPOINT(name) failpoint_reached(name)
#else
#define FAILPOINT(name) ((void)0)
#endif

#endif
