/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * cmd_relationship.h - the verbs of `resilver relationship`, and what they share.
 */
#ifndef RESILVER_CLI_CMD_RELATIONSHIP_H
#define RESILVER_CLI_CMD_RELATIONSHIP_H

#include "cli/api.h"

extern const struct command cmd_relationship_list;
extern const struct command cmd_relationship_show;
extern const struct command cmd_relationship_create;
extern const struct command cmd_relationship_start;
extern const struct command cmd_relationship_set;
extern const struct command cmd_relationship_suspend;
extern const struct command cmd_relationship_resume;
extern const struct command cmd_relationship_cancel;
extern const struct command cmd_relationship_remove;

/* The settings that a relationship can have. */
#define RELATIONSHIP_ROWS_SETTINGS                                                                 \
    API_ROW(HISTORY, "recovery-history", "N", "keep so many earlier points, at most 24"),          \
        API_ROW(INTERVAL, "interval", "S", "replicate every S seconds"),                           \
        API_ROW(RATE, "rate", "RATE", "at most so many bytes a second: 40MB; 0: no limit"),        \
        API_ROW(COMPRESSION, "compression", "on|off", "compress what travels"),                    \
        API_ROW(AUTO_RESYNC, "auto-resync", "WINDOW",                                              \
                "resynchronize by itself within 18:30-06:00; or off")

/* cmd_relationship_path - the path of the relationship that the command line means, with `tail`
 * behind it. *out_vm is its VM, owned; *out_found is borrowed from that. */
MUST_CHECK int cmd_relationship_path(struct api *api, const char *tail, char out[API_PATH_MAX],
                                     json_t **out_vm, const json_t **out_found, struct error *err);

/* cmd_relationship_begin - the initial copy of that at a hop: with --at, --seeded. *out is a Reply.
 */
MUST_CHECK int cmd_relationship_begin(struct api *api, const char *vm_id, int64_t hop, json_t **out,
                                      struct error *err);

#endif
