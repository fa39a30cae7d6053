/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * sim - run simulated worlds, each from its seed.
 *
 *   sim --seeds FROM..TO [--verbose]   all seeds of a range, both ends included
 *   sim --seed N [--verbose]           one
 *   sim --saved FILE                   those that a file lists: they failed once
 *   sim --twice FROM..TO               each seed two times: everything must happen again as it did
 *
 * Ends with 0 when every promise was kept, with 1 at the first that was not: its seed is named.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "trace.h"
#include "world.h"

/* From so many seeds on every kind of fault must have struck at least once. */
#define SEEDS_FOR_ALL_FAULTS 1000U

/* The sanitizers' own defaults would go on after an undefined operation. */
const char *__ubsan_default_options(void);
const char *__asan_default_options(void);

const char *__ubsan_default_options(void)
{
    return "halt_on_error=1:print_stacktrace=1";
}

/* Freed memory is kept from being reused for a while, to find uses of it; 60 MiB a session are soon
 * too much. */
const char *__asan_default_options(void)
{
    return "quarantine_size_mb=64";
}

enum run_mode { RUN_NONE = 0, RUN_SEEDS, RUN_SAVED, RUN_TWICE };

struct run {
    enum run_mode mode;
    uint64_t from;
    uint64_t to;
    const char *file;
    bool is_verbose;
};

static int usage(void)
{
    fputs("usage: sim --seeds FROM..TO | --seed N | --saved FILE | --twice FROM..TO [--verbose]\n",
          stderr);
    return 2;
}

static bool parse_number(const char *text, uint64_t *out)
{
    char *end = NULL;

    errno = 0;
    *out = strtoull(text, &end, 10);
    return errno == 0 && end != text && *end == '\0' && text[0] != '-';
}

static bool parse_range(const char *text, struct run *run)
{
    char from[32];
    const char *dots = strstr(text, "..");

    if (dots == NULL || (size_t)(dots - text) >= sizeof from) {
        return false;
    }
    memcpy(from, text, (size_t)(dots - text));
    from[dots - text] = '\0';
    return parse_number(from, &run->from) && parse_number(dots + 2, &run->to) &&
           run->from <= run->to;
}

static bool parse_arguments(int argc, char **argv, struct run *run)
{
    for (int i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : "";
        bool is_right = true;
        if (strcmp(argv[i], "--verbose") == 0) {
            run->is_verbose = true;
            continue;
        }
        if (run->mode != RUN_NONE) {
            return false;
        }
        if (strcmp(argv[i], "--seed") == 0) {
            run->mode = RUN_SEEDS;
            is_right = parse_number(value, &run->from);
            run->to = run->from;
        } else if (strcmp(argv[i], "--seeds") == 0 || strcmp(argv[i], "--twice") == 0) {
            run->mode = argv[i][2] == 't' ? RUN_TWICE : RUN_SEEDS;
            is_right = parse_range(value, run);
        } else if (strcmp(argv[i], "--saved") == 0) {
            run->mode = RUN_SAVED;
            run->file = value;
        } else {
            return false;
        }
        if (!is_right) {
            return false;
        }
        i++;
    }
    return run->mode != RUN_NONE;
}

static void run_seed(uint64_t seed, struct trace *trace, struct census *census)
{
    trace_guard_seed(seed);
    world_run(seed, trace, census);
}

/* --- what was seen --------------------------------------------------------------------------- */

static void show_census(const struct census *census)
{
    printf("%" PRIu64 " seeds, %" PRIu64 " sessions: %" PRIu64 " done, %" PRIu64
           " comparisons done, %" PRIu64 " resumed; %" PRIu64 " checkpoints, %" PRIu64
           " commits; %" PRIu64 " MiB shipped; %" PRIu64 " steps\n",
           census->worlds, census->sessions, census->sessions_done, census->comparisons_done,
           census->sessions_resumed, census->checkpoints, census->commits,
           census->shipped_bytes >> 20, census->steps);
    printf("faults that struck:");
    for (uint32_t i = 1; i < FAULT_COUNT; i++) {
        printf("%s %" PRIu64 " %s", i > 1 ? "," : "", census->fired[i],
               fault_name((enum fault_kind)i));
    }
    printf("; %" PRIu64 " reasons were not heard in time\n", census->lost_farewells);
}

/* A run that is long enough proves little if a kind of fault never struck in it. */
static int check_census(const struct census *census)
{
    int result = 0;

    for (uint32_t i = 1; i < FAULT_COUNT && census->worlds >= SEEDS_FOR_ALL_FAULTS; i++) {
        if (census->fired[i] == 0) {
            printf("the fault \"%s\" never struck\n", fault_name((enum fault_kind)i));
            result = 1;
        }
    }
    if (census->worlds >= SEEDS_FOR_ALL_FAULTS && census->sessions_resumed == 0) {
        printf("no session was ever resumed\n");
        result = 1;
    }
    return result;
}

/* --- runs ------------------------------------------------------------------------------------ */

static int run_range(const struct run *run, struct trace *trace, struct census *census)
{
    for (uint64_t seed = run->from;; seed++) {
        run_seed(seed, trace, census);
        if (seed == run->to) {
            return 0;
        }
    }
}

static int run_twice(const struct run *run, struct trace *trace, struct census *census)
{
    trace->is_hashed = true;
    for (uint64_t seed = run->from;; seed++) {
        trace->hash = 0;
        run_seed(seed, trace, census);
        uint64_t first = trace->hash;
        trace->hash = 0;
        run_seed(seed, trace, census);
        if (trace->hash != first) {
            printf("seed %" PRIu64 " does not happen again as it did\n", seed);
            return 1;
        }
        if (seed == run->to) {
            return 0;
        }
    }
}

/* A file of seeds: one a line, "#" begins a comment. */
static int run_saved(const struct run *run, struct trace *trace, struct census *census)
{
    char line[256];
    FILE *file = fopen(run->file, "r");
    int result = 0;

    if (file == NULL) {
        printf("cannot read %s: %s\n", run->file, strerror(errno));
        return 1;
    }
    while (result == 0 && fgets(line, sizeof line, file) != NULL) {
        uint64_t seed = 0;
        line[strcspn(line, "# \t\n")] = '\0';
        if (line[0] == '\0') {
            continue;
        }
        if (!parse_number(line, &seed)) {
            printf("%s: \"%s\" is no seed\n", run->file, line);
            result = 1;
        } else {
            run_seed(seed, trace, census);
        }
    }
    (void)fclose(file);
    return result;
}

int main(int argc, char **argv)
{
    struct run run = {0};
    struct trace trace = {0};
    struct census census = {0};

    if (!parse_arguments(argc, argv, &run)) {
        return usage();
    }
    trace.is_verbose = run.is_verbose;
    trace_guard(argv[0]);
    int result = run.mode == RUN_SAVED   ? run_saved(&run, &trace, &census)
                 : run.mode == RUN_TWICE ? run_twice(&run, &trace, &census)
                                         : run_range(&run, &trace, &census);
    if (result == 0) {
        show_census(&census);
        result = check_census(&census);
    }
    return result;
}
