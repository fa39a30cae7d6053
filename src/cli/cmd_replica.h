/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * cmd_replica.h - the verbs of `resilver replica`, and what they share.
 */
#ifndef RESILVER_CLI_CMD_REPLICA_H
#define RESILVER_CLI_CMD_REPLICA_H

#include "cli/command.h"
#include "cli/replica_args.h"
#include "points/replica.h"

extern const struct command cmd_replica_list;
extern const struct command cmd_replica_show;
extern const struct command cmd_replica_points;
extern const struct command cmd_replica_verify;
extern const struct command cmd_replica_open;
extern const struct command cmd_replica_rollback;
extern const struct command cmd_replica_init;
extern const struct command cmd_replica_set;
extern const struct command cmd_replica_drop;

/* cmd_replica_look - replica_look, that takes no plain target's state folder for a replica. */
MUST_CHECK int cmd_replica_look(const char *path, struct replica_info *out, struct error *err);

/* cmd_replica_lock - replica_open, and what is there then. Nothing stays open on failure. */
MUST_CHECK int cmd_replica_lock(const char *path, struct replica **out, struct replica_info *info,
                                struct error *err);
void cmd_replica_unlockp(struct replica **replica); /* for CLEANUP */

/*
 * cmd_replica_pick - which point a word means: a number, "present" or "latest".
 * Errors: ERR_USAGE none of those that there are, which are named; ERR_WRONG_STATE there is none.
 */
MUST_CHECK int cmd_replica_pick(const struct replica_info *info, const char *word,
                                struct replica_point *out, struct error *err);

/*
 * cmd_replica_confirm - go on only with --yes, or when the replica's name was typed back.
 *
 * @what  what will happen, as a whole sentence
 * Errors: ERR_WRONG_STATE nobody to ask; ERR_CANCELLED another answer, or stopped.
 */
MUST_CHECK int cmd_replica_confirm(const struct replica_args *args, const char *what,
                                   struct error *err);

/* cmd_replica_show_json - the result of what changed a replica, with --json: as `show` has it. */
MUST_CHECK int cmd_replica_show_json(struct replica *replica, struct error *err);

#endif
