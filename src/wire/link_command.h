/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * link_command.h - what link_new_command leaves open, for tests that cannot wait as long as people
 * do.
 */
#ifndef RESILVER_WIRE_LINK_COMMAND_H
#define RESILVER_WIRE_LINK_COMMAND_H

#include "wire/link.h"

/*
 * link_new_patient_command - link_new_command with the time that a closed link's command gets:
 * patience_ms from the end of its input to SIGTERM, and as long again to SIGKILL.
 */
MUST_CHECK int link_new_patient_command(char *const argv[], const char *peer, int patience_ms,
                                        struct link **out, struct error *err);

#endif
