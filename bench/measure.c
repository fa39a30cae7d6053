/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * measure - runs commands, waits until every process that came of them has ended, and reports what
 * that took. In C, because a child's peak memory starts with that of the process it was forked
 * from.
 *
 *   measure REPORT COMMAND [ARGUMENT...] [::: COMMAND [ARGUMENT...]]...
 *
 * runs the commands side by side, and writes one JSON object to the file REPORT: wall time from
 * before the first fork to the last exit, processor time of all processes, peak memory of the
 * largest one, what others used of the processors meanwhile, and the exit statuses.
 *
 * Called by the name `ssh` it is a stand-in for ssh that runs the command on this host: it takes
 * ssh's options, ignores them and the host, and gives the rest to a shell, with its own standard
 * input and output. Two variables of the environment tell it what to report:
 *
 *   BENCH_REMOTE_REPORT  file for a report as above about the far end
 *   BENCH_REMOTE_COUNT   file for the bytes that went either way; they are then carried through
 *                        this process, which takes time: not for runs that are timed
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/error.h"
#include "base/limits.h"

#define COMMANDS_MAX 8
#define STAT_LINE_MAX 512
#define REMOTE_COMMAND_MAX 65536
#define RELAY_BYTES (128 * KIB)
#define EXIT_NO_COMMAND 127 /* as a shell has it */
#define EXIT_OF_SSH 255     /* ssh's own failures */

/* The options of ssh(1) that take a value. */
static const char *const ssh_valued_options = "BbcDEeFIiJLlmOopQRSWw";

struct command {
    char **argv;             /* NULL-terminated; borrowed from main's */
    int stdin_fd, stdout_fd; /* -1: as ours; borrowed */
    pid_t pid;
    int status; /* as from wait */
};

struct usage {
    double wall_seconds;
    double user_seconds, system_seconds;
    uint64_t peak_rss_bytes; /* of the largest process */
    double foreign_cores;    /* used by processes that are not ours, on average */
};

static double now_seconds(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now); /* cannot fail for this clock */
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static double timeval_seconds(struct timeval t)
{
    return (double)t.tv_sec + (double)t.tv_usec / 1e6;
}

/* Processor time that this machine has spent on anything since it started; negative: not known. */
static double machine_busy_seconds(void)
{
    char line[STAT_LINE_MAX];
    FILE *file = fopen("/proc/stat", "re");
    if (file == NULL) {
        return -1;
    }
    bool has_line = fgets(line, sizeof line, file) != NULL;
    (void)fclose(file); /* opened for reading */
    if (!has_line || strncmp(line, "cpu ", 4) != 0) {
        return -1;
    }
    /* Source: proc(5): user nice system idle iowait irq softirq steal. */
    double busy = 0;
    char *at = line + 4;
    for (int i = 0; i < 8; i++) {
        unsigned long long ticks = strtoull(at, &at, 10);
        if (i != 3 && i != 4) {
            busy += (double)ticks;
        }
    }
    return busy / (double)sysconf(_SC_CLK_TCK);
}

static void use_fd(int fd, int as)
{
    if (fd >= 0 && dup2(fd, as) < 0) {
        _exit(EXIT_NO_COMMAND);
    }
}

MUST_CHECK static int command_start(struct command *command, struct error *err)
{
    pid_t pid = fork();
    if (pid < 0) {
        return fail(err, ERR_LIMIT, errno, "cannot start '%s'", command->argv[0]);
    }
    if (pid == 0) {
        use_fd(command->stdin_fd, STDIN_FILENO);
        use_fd(command->stdout_fd, STDOUT_FILENO);
        (void)execvp(command->argv[0], command->argv);
        (void)fprintf(stderr, "measure: cannot run '%s': %s\n", command->argv[0], strerror(errno));
        _exit(EXIT_NO_COMMAND);
    }
    command->pid = pid;
    return 0;
}

/* Waits for all processes: ours, and those whose parents ended before them. */
static void wait_for_all(struct command *commands, size_t count, struct usage *usage)
{
    for (;;) {
        int status = 0;
        struct rusage used;
        pid_t pid = wait4(-1, &status, 0, &used);
        if (pid < 0 && errno == EINTR) {
            continue;
        }
        if (pid < 0) {
            return; /* ECHILD: nobody is left */
        }
        usage->user_seconds += timeval_seconds(used.ru_utime);
        usage->system_seconds += timeval_seconds(used.ru_stime);
        uint64_t peak = (uint64_t)used.ru_maxrss * KIB;
        if (peak > usage->peak_rss_bytes) {
            usage->peak_rss_bytes = peak;
        }
        for (size_t i = 0; i < count; i++) {
            if (commands[i].pid == pid) {
                commands[i].status = status;
            }
        }
    }
}

MUST_CHECK static int measure(struct command *commands, size_t count, struct usage *usage,
                              struct error *err)
{
    if (prctl(PR_SET_CHILD_SUBREAPER, 1L, 0L, 0L, 0L) != 0) {
        return fail(err, ERR_INTERNAL, errno, "cannot adopt processes");
    }
    double busy_before = machine_busy_seconds();
    double start = now_seconds();
    int result = 0;
    size_t started = 0;
    while (started < count && result == 0) {
        result = command_start(&commands[started++], err);
    }
    wait_for_all(commands, count, usage);
    usage->wall_seconds = now_seconds() - start;
    double busy = machine_busy_seconds() - busy_before;
    double foreign = busy - usage->user_seconds - usage->system_seconds;
    usage->foreign_cores = foreign > 0 ? foreign / usage->wall_seconds : 0;
    return result;
}

static int exit_code(int status)
{
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

MUST_CHECK static int write_report(const char *path, const struct usage *usage,
                                   const struct command *commands, size_t count, struct error *err)
{
    FILE *file = fopen(path, "we");
    if (file == NULL) {
        return fail(err, ERR_IO, errno, "cannot open '%s' for the report", path);
    }
    (void)fprintf(file, /* fclose says whether all was written */
                  "{\"wall_seconds\":%.6f,\"user_seconds\":%.6f,\"system_seconds\":%.6f,"
                  "\"peak_rss_bytes\":%llu,\"foreign_cores\":%.3f,\"exits\":[",
                  usage->wall_seconds, usage->user_seconds, usage->system_seconds,
                  (unsigned long long)usage->peak_rss_bytes, usage->foreign_cores);
    for (size_t i = 0; i < count; i++) {
        (void)fprintf(file, "%s%d", i > 0 ? "," : "", exit_code(commands[i].status));
    }
    (void)fprintf(file, "]}\n");
    if (ferror(file) != 0 || fclose(file) != 0) {
        return fail(err, ERR_IO, errno, "cannot write the report '%s'", path);
    }
    return 0;
}

MUST_CHECK static int measure_commands(int argc, char **argv, struct error *err)
{
    struct command commands[COMMANDS_MAX];
    struct usage usage = {0};
    size_t count = 0;
    int at = 2;

    if (argc < 3) {
        return fail(err, ERR_USAGE, 0, "usage: measure REPORT COMMAND... [::: COMMAND...]");
    }
    while (at < argc && count < COMMANDS_MAX) {
        commands[count++] = (struct command){.argv = argv + at, .stdin_fd = -1, .stdout_fd = -1};
        while (at < argc && strcmp(argv[at], ":::") != 0) {
            at++;
        }
        argv[at++] = NULL; /* argv[argc] is NULL already */
        if (commands[count - 1].argv[0] == NULL) {
            return fail(err, ERR_USAGE, 0, "a command is missing before or after ':::'");
        }
    }
    if (at < argc) {
        return fail(err, ERR_USAGE, 0, "at most %d commands at a time", COMMANDS_MAX);
    }
    int result = measure(commands, count, &usage, err);
    return result < 0 ? -1 : write_report(argv[1], &usage, commands, count, err);
}

/* --- the stand-in for ssh ----------------------------------------------------------------------
 */

/* One direction of the relay. */
struct relay {
    int from_fd, to_fd; /* owned by the thread once it runs */
    uint64_t carried_bytes;
};

static void *relay_run(void *context)
{
    struct relay *relay = context;
    static _Thread_local char buffer[RELAY_BYTES];
    for (;;) {
        ssize_t got = read(relay->from_fd, buffer, sizeof buffer);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got <= 0) {
            break;
        }
        relay->carried_bytes += (uint64_t)got;
        for (ssize_t done = 0; done < got;) {
            ssize_t put = write(relay->to_fd, buffer + done, (size_t)(got - done));
            if (put < 0 && errno != EINTR) {
                break; /* the reader is gone; go on, so that the writer is not stopped */
            }
            done += put > 0 ? put : 0;
        }
    }
    (void)close(relay->to_fd); /* tells the reader that this is all */
    return NULL;
}

/* Runs the command with its input and output carried through two threads that count. */
MUST_CHECK static int measure_counted(struct command *command, struct usage *usage,
                                      const char *count_path, struct error *err)
{
    int to_child[2], from_child[2];
    if (pipe2(to_child, O_CLOEXEC) != 0 || pipe2(from_child, O_CLOEXEC) != 0) {
        return fail(err, ERR_LIMIT, errno, "cannot make pipes");
    }
    command->stdin_fd = to_child[0];
    command->stdout_fd = from_child[1];
    struct relay there = {.from_fd = STDIN_FILENO, .to_fd = to_child[1]};
    struct relay back = {.from_fd = from_child[0], .to_fd = STDOUT_FILENO};
    pthread_t threads[2];

    if (command_start(command, err) < 0) {
        return -1;
    }
    /* The far end may leave first; ssh then ends with its status, not by a signal. */
    (void)signal(SIGPIPE, SIG_IGN);
    (void)close(to_child[0]); /* the child's ends; it has its own */
    (void)close(from_child[1]);
    if (pthread_create(&threads[0], NULL, relay_run, &there) != 0 ||
        pthread_create(&threads[1], NULL, relay_run, &back) != 0) {
        return fail(err, ERR_LIMIT, 0, "cannot start a thread");
    }
    (void)pthread_join(threads[1], NULL); /* the far end has said all */
    wait_for_all(command, 1, usage);
    FILE *file = fopen(count_path, "we");
    if (file == NULL) {
        return fail(err, ERR_IO, errno, "cannot open '%s'", count_path);
    }
    (void)fprintf(file, "{\"to_remote_bytes\":%llu,\"from_remote_bytes\":%llu}\n",
                  (unsigned long long)there.carried_bytes, (unsigned long long)back.carried_bytes);
    return fclose(file) == 0 ? 0 : fail(err, ERR_IO, errno, "cannot write '%s'", count_path);
}

/* Where the remote command begins in ssh's arguments; argc if there is none. */
static int ssh_command_index(int argc, char **argv)
{
    bool has_host = false;
    int at = 1;
    for (; at < argc; at++) {
        const char *word = argv[at];
        if (word[0] != '-' || word[1] == '\0') {
            if (has_host) {
                break;
            }
            has_host = true;
        } else if (strcmp(word, "--") == 0) {
            return has_host ? at + 1 : at + 2;
        } else if (word[2] == '\0' && strchr(ssh_valued_options, word[1]) != NULL) {
            at++; /* its value is the next word */
        } else if (has_host) {
            break;
        }
    }
    return at;
}

MUST_CHECK static int ssh_join_command(int argc, char **argv, char *out, size_t size_bytes,
                                       struct error *err)
{
    size_t used = 0;
    out[0] = '\0';
    for (int at = ssh_command_index(argc, argv); at < argc; at++) {
        int n = snprintf(out + used, size_bytes - used, "%s%s", used > 0 ? " " : "", argv[at]);
        if (n < 0 || (size_t)n >= size_bytes - used) {
            return fail(err, ERR_LIMIT, 0, "the command is too long");
        }
        used += (size_t)n;
    }
    if (used == 0) {
        return fail(err, ERR_USAGE, 0, "the stand-in for ssh needs a host and a command");
    }
    return 0;
}

/* Returns the exit status for main. */
static int ssh_main(int argc, char **argv)
{
    static char command_text[REMOTE_COMMAND_MAX];
    static char shell[] = "/bin/sh", dash_c[] = "-c";
    char *shell_argv[] = {shell, dash_c, command_text, NULL};
    struct command command = {.argv = shell_argv, .stdin_fd = -1, .stdout_fd = -1};
    struct usage usage = {0};
    struct error err = {0};
    const char *count_path = getenv("BENCH_REMOTE_COUNT");
    const char *report_path = getenv("BENCH_REMOTE_REPORT");

    int result = ssh_join_command(argc, argv, command_text, sizeof command_text, &err);
    if (result == 0 && count_path != NULL) {
        result = measure_counted(&command, &usage, count_path, &err);
    } else if (result == 0) {
        result = measure(&command, 1, &usage, &err);
    }
    if (result == 0 && report_path != NULL) {
        result = write_report(report_path, &usage, &command, 1, &err);
    }
    if (result < 0) {
        (void)fprintf(stderr, "ssh (bench/measure): %s\n", err.message);
        return EXIT_OF_SSH;
    }
    return exit_code(command.status);
}

int main(int argc, char **argv)
{
    struct error err = {0};
    const char *slash = argc > 0 ? strrchr(argv[0], '/') : NULL;
    const char *name = slash != NULL ? slash + 1 : argc > 0 ? argv[0] : "";

    if (strcmp(name, "ssh") == 0) {
        return ssh_main(argc, argv);
    }
    if (measure_commands(argc, argv, &err) < 0) {
        (void)fprintf(stderr, "measure: %s\n", err.message);
        return err.kind == ERR_USAGE ? 2 : 1;
    }
    return 0;
}
