/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * cmd_host.h - the verbs of `resilver host`.
 */
#ifndef RESILVER_CLI_CMD_HOST_H
#define RESILVER_CLI_CMD_HOST_H

#include "cli/command.h"

extern const struct command cmd_host_pair;

#endif
