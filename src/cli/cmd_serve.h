/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * cmd_serve.h - opening the disks that a session names: what `resilver serve --stdio` does for its
 * peer, and `resilver sync` for itself.
 */
#ifndef RESILVER_CLI_CMD_SERVE_H
#define RESILVER_CLI_CMD_SERVE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/attributes.h"
#include "base/error.h"

struct disk_open_options;
struct loop_disks;
struct session_open;
struct target_host;

/* cmd_serve_want_disk - how the session wants disk `index` opened, its name taken for a path;
 * borrowed from open. */
void cmd_serve_want_disk(const struct session_open *open, uint32_t index,
                         struct disk_open_options *out);

/* cmd_serve_open_paths - open all of the session's disks, whose names are paths. Errors: as
 * target_host_open(). */
MUST_CHECK int cmd_serve_open_paths(struct target_host *host, const struct session_open *open,
                                    struct loop_disks *out, struct error *err);

/* cmd_serve_say_waiting - what loop_host.waiting tells, for people. */
void cmd_serve_say_waiting(const struct error *why);

#endif
