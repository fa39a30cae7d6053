/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * api_find.h - what a word on the command line means to resilverd: a VM, one of its relationships,
 * a job, a host.
 */
#ifndef RESILVER_CLI_API_FIND_H
#define RESILVER_CLI_API_FIND_H

#include "cli/api.h"

#define API_ID_MAX 64 /* a job's id: a UUID, and room */

/* api_find_vm - the Vm of that id or name; *out is owned. Errors: as api_call; of a name that is
 * not there, the nearest is in the message. */
MUST_CHECK int api_find_vm(struct api *api, const char *name, json_t **out, struct error *err);

/*
 * api_find_relationship - that of --hop; without it the one that this host is the source of, else
 * the only one. *out is borrowed from vm.
 * Errors: ERR_WRONG_STATE the VM is not replicated; ERR_USAGE there is none at that hop, or two.
 */
MUST_CHECK int api_find_relationship(const struct api *api, const json_t *vm, const json_t **out,
                                     struct error *err);

/* api_find_job - the whole id of the one job whose id begins with a word of at least four digits.
 * Errors: as api_call; ERR_USAGE none, several, or too short. */
MUST_CHECK int api_find_job(struct api *api, const char *word, char out[API_ID_MAX],
                            struct error *err);

/* api_suggest_host - after a call that named a host: if it is refused because there is none of that
 * name, the nearest goes into the message. Returns -1. */
int api_suggest_host(struct api *api, const char *name, struct error *err);

/* api_fail_no_host - no such host in a list of Peers; the nearest is in the message. */
int api_fail_no_host(const json_t *hosts, const char *name, struct error *err);

#endif
