/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * cmd_serve.h - opening the disks that a session names: what `resilver serve --stdio` does for its
 * peer, and `resilver sync` for itself.
 */
#ifndef RESILVER_CLI_CMD_SERVE_H
#define RESILVER_CLI_CMD_SERVE_H

#include <stdint.h>

#include "base/attributes.h"
#include "base/error.h"

struct disk_open_options;
struct loop_disks;
struct session_open;

/* cmd_serve_want_disk - how the session wants disk `index` opened, its name taken for a path;
 * borrowed from open. */
void cmd_serve_want_disk(const struct session_open *open, uint32_t index,
                         struct disk_open_options *out);

/*
 * cmd_serve_open_disks - open all of the session's disks, disk i as wanted[i] says. On failure
 * nothing stays open, err->disk is the disk's name in the session, and *out_failed (may be NULL)
 * its index. Errors: as disk_open().
 */
MUST_CHECK int cmd_serve_open_disks(const struct session_open *open,
                                    const struct disk_open_options *wanted, struct loop_disks *out,
                                    uint32_t *out_failed, struct error *err);

/* cmd_serve_open_paths - loop_host.open_disks: the names are paths; context is not used. */
int cmd_serve_open_paths(void *context, const struct session_open *open, struct loop_disks *out,
                         struct error *err);

#endif
