/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * settings.h - what the command line of `resilver sync` says, read and checked as a whole.
 */
#ifndef RESILVER_CLI_SETTINGS_H
#define RESILVER_CLI_SETTINGS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/attributes.h"
#include "base/error.h"
#include "cli/credentials.h"
#include "cli/options.h"
#include "cli/plan.h"

enum settings_when { SETTINGS_AUTO = 0, SETTINGS_ALWAYS, SETTINGS_NEVER };

struct settings {
    bool is_check;
    bool create;
    bool atomic;
    bool in_place;
    bool json;
    bool verbose;
    bool quiet;
    bool yes;
    const char *format;        /* --format alone; borrowed from argv; NULL: not given */
    const char *source_format; /* what holds for the sources; NULL: nothing said. The words are not
                                  looked at: disk/ knows the formats */
    const char *target_format;
    uint64_t rate_bytes_per_s; /* 0: no limit */
    enum settings_when compress;
    enum settings_when refine;
    enum settings_when progress;
    const char *ssh; /* borrowed from argv or constant */
    const char *remote_path;
    struct credentials credentials; /* complete if an endpoint is tls:// */
};

#define SETTINGS_ROWS 22
extern const struct option_row settings_rows[SETTINGS_ROWS];

/*
 * settings_read - read argv into settings and plan (initialised by the caller), and check that all
 * fits together. Returns 0, or 1 when help was asked for (then nothing is checked). Errors:
 * ERR_USAGE; settings then holds what was read up to there.
 */
MUST_CHECK int settings_read(struct settings *settings, struct plan *plan, int argc, char **argv,
                             struct error *err);

/* settings_ask_for_json - whether --json is among the arguments: whoever asked for JSON gets it for
 * a mistake in the others too, wherever it stands. */
bool settings_ask_for_json(int argc, char **argv);

#endif
