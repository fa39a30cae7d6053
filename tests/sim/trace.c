/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "trace.h"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sanitizer.h"

#define LINE_BYTES 512
#define SEED_SECONDS 300U /* that one seed may take: a session that never returns from a step */

static char guarded[LINE_BYTES]; /* the sentence that says how to repeat the seed that runs now */
static const char *program_name = "sim";

static uint64_t hash_text(uint64_t hash, const char *text)
{
    /* FNV-1a, 64 bits. */
    for (; *text != '\0'; text++) {
        hash = (hash ^ (unsigned char)*text) * 0x100000001b3U;
    }
    return hash;
}

void trace_say(struct trace *trace, const char *format, ...)
{
    char line[LINE_BYTES];
    va_list args;

    if (!trace_wants(trace)) {
        return;
    }
    va_start(args, format);
    (void)vsnprintf(line, sizeof line, format, args); /* cut if longer */
    va_end(args);
    if (trace->is_hashed) {
        trace->hash = hash_text(trace->hash + *trace->now_ns, line);
    }
    if (trace->is_verbose) {
        printf("%12.6f ms  %s\n", (double)*trace->now_ns / 1e6, line);
    }
}

void trace_fail(const struct trace *trace, const char *format, ...)
{
    char line[LINE_BYTES];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(line, sizeof line, format, args);
    va_end(args);
    printf("seed %llu: %s\n", (unsigned long long)trace->seed, line);
    fputs(guarded, stdout);
    (void)fflush(stdout);
    _exit(1); /* what the world holds is of no interest any more */
}

static void end_by_signal(int number)
{
    const char *what = number == SIGALRM ? "the seed took too long\n" : "";

    (void)!write(STDOUT_FILENO, what, strlen(what));
    (void)!write(STDOUT_FILENO, guarded, strlen(guarded));
    if (number == SIGALRM) {
        _exit(1);
    }
    (void)signal(number, SIG_DFL);
    (void)raise(number);
}

#ifdef SANITIZER_IS_ON
static void end_by_sanitizer(void)
{
    (void)!write(STDOUT_FILENO, guarded, strlen(guarded));
}
#endif

void trace_guard(const char *program)
{
    program_name = program;
    (void)signal(SIGABRT, end_by_signal);
    (void)signal(SIGALRM, end_by_signal);
#ifdef SANITIZER_IS_ON
    __sanitizer_set_death_callback(end_by_sanitizer);
#endif
}

void trace_guard_seed(uint64_t seed)
{
    (void)snprintf(guarded, sizeof guarded, "repeat it with: %s --seed %llu --verbose\n",
                   program_name, (unsigned long long)seed);
    (void)alarm(SEED_SECONDS);
}
