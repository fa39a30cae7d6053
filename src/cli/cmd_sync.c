/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * cmd_sync.c - make disks equal, or compare them: read the command line, reach the other end, drive
 * the session, show it.
 *
 * 1. Nothing is opened before the whole command line was understood and checked.
 * 2. Standard output gets the result only: lines for people, or with --json one object. The rest
 * goes to standard error.
 * 3. A target is cut only with --yes, or after its name was typed back on a terminal.
 */
#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/env.h"
#include "base/number.h"
#include "cli/cmd_serve.h"
#include "cli/command.h"
#include "cli/credentials.h"
#include "cli/human.h"
#include "cli/plan.h"
#include "cli/render_json.h"
#include "cli/render_live.h"
#include "cli/render_text.h"
#include "cli/report.h"
#include "cli/stop.h"
#include "cli/words.h"
#include "disk/disk.h"
#include "engine/progress.h"
#include "wire/link.h"
#include "wire/loop.h"

/* Below this a single block takes more than a minute, and the other end might take us for dead. */
#define BWLIMIT_MIN_BYTES_PER_S (1 * KIB)

_Static_assert(REPORT_PROOF_BYTES == PROOF_BYTES, "a report holds a whole proof");

enum sync_option {
    OPTION_CHECK = OPTIONS_FIRST_ID,
    OPTION_CREATE,
    OPTION_DISK,
    OPTION_FORMAT,
    OPTION_SOURCE_FORMAT,
    OPTION_TARGET_FORMAT,
    OPTION_BWLIMIT,
    OPTION_COMPRESS,
    OPTION_REFINE,
    OPTION_SSH,
    OPTION_REMOTE_PATH,
    OPTION_CERT,
    OPTION_KEY,
    OPTION_CA,
    OPTION_PROGRESS,
    OPTION_JSON,
    OPTION_VERBOSE,
    OPTION_QUIET,
    OPTION_YES,
    OPTION_HELP
};

static const struct option_row sync_options[] = {
    {OPTION_CHECK, "check", 0, NULL, "compare only; exit with 3 if there are differences"},
    {OPTION_CREATE, "create", 0, NULL,
     "make the target if it is missing, or give it the right size"},
    {OPTION_DISK, "disk", 0, "SOURCE=TARGET", "one of several pairs of disks of this run"},
    {OPTION_FORMAT, "format", 0, "FMT", "both are raw, qcow2, vhdx, vmdk or vdi images"},
    {OPTION_SOURCE_FORMAT, "source-format", 0, "FMT", "the same for the sources alone"},
    {OPTION_TARGET_FORMAT, "target-format", 0, "FMT", "the same for the targets alone"},
    {OPTION_BWLIMIT, "bwlimit", 0, "RATE", "send at most so many bytes a second, as in 10M"},
    {OPTION_COMPRESS, "compress", 0, "WHEN", "compress what is sent: auto, always or never"},
    {OPTION_REFINE, "refine", 0, "WHEN", "look for equal 4 KiB in blocks that differ: auto, ..."},
    {OPTION_SSH, "ssh", 0, "COMMAND", "the ssh client and its options, as in 'ssh -p 2222'"},
    {OPTION_REMOTE_PATH, "remote-path", 0, "PATH", "the resilver program on the other host"},
    {OPTION_CERT, "cert", 0, "FILE", "for tls://: this side's certificate and its chain (PEM)"},
    {OPTION_KEY, "key", 0, "FILE", "for tls://: its private key (PEM)"},
    {OPTION_CA, "ca", 0, "FILE", "for tls://: the authority that signed the server's (PEM)"},
    {OPTION_PROGRESS, "progress", 0, "WHEN",
     "show progress: auto (on a terminal), always or never"},
    {OPTION_JSON, "json", 0, NULL, "print the result, or the error, as one JSON object"},
    {OPTION_VERBOSE, "verbose", 'v', NULL, "show the proof and the traffic too"},
    {OPTION_QUIET, "quiet", 'q', NULL, "show errors only"},
    {OPTION_YES, "yes", 'y', NULL, "with --create: cut a target that is too large without asking"},
    {OPTION_HELP, "help", 'h', NULL, "show this"},
};

static int sync_run(int argc, char **argv);

const struct command cmd_sync = {
    .name = "sync",
    .run = sync_run,
    .summary = "make one disk equal to another, or compare them",
    .synopsis =
        (const char *const[]){"[options] SOURCE TARGET",
                              "[options] --disk=SOURCE=TARGET [--disk=SOURCE=TARGET ...]", NULL},
    .options = sync_options,
    .option_count = ARRAY_COUNT(sync_options),
    .notes = "SOURCE and TARGET are each one of:\n"
             "  PATH                          a file or block device of this host\n"
             "  [USER@]HOST:PATH              one of another host, over ssh\n"
             "  tls://HOST:PORT/NAME          an export of 'resilver serve --listen'\n"
             "  nbd+unix:///NAME?socket=PATH  an NBD export of this host\n"
             "\n"
             "Exit status: 0 in sync, 1 failed, 2 wrong usage, 3 --check found differences.\n"
             "A run that was interrupted is resumed by the same command. The man page\n"
             "resilver-sync(1) has the rest.\n",
};

struct sync_settings {
    bool is_check;
    bool create;
    bool json;
    bool verbose;
    bool quiet;
    bool yes;
    enum disk_format format;        /* INVALID: not given */
    enum disk_format source_format; /* as given; INVALID: not */
    enum disk_format target_format;
    uint64_t rate_bytes_per_s; /* 0: no limit */
    enum session_when compress;
    enum session_when refine;
    enum session_when progress;
    const char *ssh;
    const char *remote_path;
    struct credentials credentials;
};

/* A target that is larger than its source, which --create would have to cut. */
struct sync_cut {
    bool is_needed;
    uint32_t index;
    uint64_t has_bytes;
    uint64_t must_bytes;
};

struct sync {
    struct sync_settings settings;
    struct plan plan;
    enum session_role role; /* ours; SOURCE when both are local */
    bool is_local;          /* both sides are this process */
    struct session_disk_name sources[DISKS_MAX];
    struct session_disk_name targets[DISKS_MAX];
    bool may_cut[DISKS_MAX]; /* its name was typed back */
    struct sync_cut cut; /* written by the thread that opens the targets, read when it has ended */
    int stop_fd;
    uint64_t start_ns;
    struct report report;
    struct render_live live;
};

/* --- opening this host's disks ------------------------------------------------------------------
 */

/* The opening of a target failed: was it that it is too large and may not be cut? Then that can be
 * asked for. */
static void look_for_cut(struct sync *sync, uint32_t index, const struct disk_open_options *wanted)
{
    struct disk_open_options look = {.path = wanted->path, .format = wanted->format};
    CLEANUP(disk_closep) struct disk *disk = NULL;

    if (!wanted->create || wanted->shrink || disk_open(&look, &disk, NULL) < 0 ||
        disk->size_bytes <= wanted->size_bytes) {
        return;
    }
    sync->cut = (struct sync_cut){.is_needed = true,
                                  .index = index,
                                  .has_bytes = disk->size_bytes,
                                  .must_bytes = wanted->size_bytes};
}

/* loop_host.open_disks for the targets of this host. */
static int open_targets(void *context, const struct session_open *open, struct loop_disks *out,
                        struct error *err)
{
    struct sync *sync = context;
    struct disk_open_options wanted[DISKS_MAX];
    uint32_t failed = 0;

    for (uint32_t i = 0; i < open->disk_count; i++) {
        cmd_serve_want_disk(open, i, &wanted[i]);
        wanted[i].shrink = wanted[i].shrink || (wanted[i].create && sync->may_cut[i]);
    }
    if (cmd_serve_open_disks(open, wanted, out, &failed, err) < 0) {
        look_for_cut(sync, failed, &wanted[failed]);
        return -1;
    }
    return 0;
}

/* --- progress and result --------------------------------------------------------------------- */

static void fill_disk(struct report_disk *to, const struct disk_progress *from)
{
    to->size_bytes = from->size_bytes;
    to->compared_bytes = from->compared_bytes;
    to->skipped_zero_bytes = from->skipped_zero_bytes;
    to->resumed_bytes = from->resumed_bytes;
    to->different_bytes = from->different_bytes;
    to->shipped_bytes = from->shipped_bytes;
    to->written_bytes = from->written_bytes;
    to->verified_bytes = from->verified_bytes;
    to->has_proof = from->has_proof;
    memcpy(to->proof, from->proof, sizeof to->proof);
}

static void fill_report(struct sync *sync, const struct progress *progress)
{
    struct report *report = &sync->report;
    const struct wire_progress *wire = &progress->wire;
    bool is_source = sync->role == ROLE_SOURCE;

    report->elapsed_ns = env_now_ns(env_system()) - sync->start_ns;
    for (uint32_t i = 0; i < progress->disk_count && i < report->disk_count; i++) {
        fill_disk(&report->disks[i], &progress->disks[i]);
    }
    /* Counted at the source's end of the link: what we sent as the target is what the source
     * received. */
    report->sent_bytes = is_source ? wire->sent_bytes : wire->received_bytes;
    report->received_bytes = is_source ? wire->received_bytes : wire->sent_bytes;
    report->compressed_from_bytes = wire->compressed_from_bytes;
}

/* loop_host.progress */
static void show_progress(void *context, const struct progress *progress)
{
    struct sync *sync = context;

    fill_report(sync, progress);
    if (progress->disk_count > 0) { /* before, nobody knows how large the disks are */
        render_live_update(&sync->live, &sync->report);
    }
}

/*
 * Where the live lines go: a stream of their own on standard error, buffered, so that a redrawing
 * is one write. A terminal that cannot move its cursor ("dumb", as in an editor) counts as none.
 */
static void open_live(struct sync *sync)
{
    const struct sync_settings *settings = &sync->settings;
    const char *term = getenv("TERM");
    bool is_terminal =
        isatty(STDERR_FILENO) == 1 && term != NULL && term[0] != '\0' && strcmp(term, "dumb") != 0;

    if (settings->progress == WHEN_NEVER ||
        (settings->progress == WHEN_AUTO && (!is_terminal || settings->quiet))) {
        return;
    }
    int fd = dup(STDERR_FILENO);
    sync->live.out = fd < 0 ? NULL : fdopen(fd, "w");
    sync->live.in_place = is_terminal;
    if (sync->live.out == NULL && fd >= 0) {
        (void)close(fd); /* no memory for a stream: no progress is shown, the run goes on */
    }
}

static void close_live(struct sync *sync)
{
    if (sync->live.out != NULL) {
        (void)fclose(sync->live.out); /* what a terminal did not take is of no use any more */
        sync->live.out = NULL;
    }
}

/* --- reaching the other end ------------------------------------------------------------------ */

/* The remote shell sees fixed words only: paths travel inside the session. --remote-path is the
 * user's own word there. */
static int connect_ssh(const struct sync *sync, const struct endpoint *endpoint, struct link **out,
                       struct error *err)
{
    struct words words = {0};
    char *argv[COMMAND_WORDS_MAX + 5];
    char destination[USER_TEXT_MAX + HOST_TEXT_MAX + 2];
    char peer[HOST_TEXT_MAX + 8];
    char serve_word[] = "serve";
    char stdio_word[] = "--stdio";
    size_t count = 0;

    if (words_init(&words, sync->settings.ssh, err) < 0) {
        return -1;
    }
    (void)snprintf(destination, sizeof destination, "%s%s%s", endpoint->user,
                   endpoint->user[0] == '\0' ? "" : "@", endpoint->host);
    (void)snprintf(peer, sizeof peer, "ssh %s", endpoint->host);
    for (; count < words.count; count++) {
        argv[count] = words.list[count];
    }
    argv[count++] = destination;
    argv[count++] = (char *)(uintptr_t)sync->settings.remote_path; /* exec does not change it */
    argv[count++] = serve_word;
    argv[count++] = stdio_word;
    argv[count] = NULL;
    int result = link_new_command(argv, peer, out, err);
    words_done(&words);
    return result;
}

static int connect_tls(const struct sync *sync, const struct endpoint *endpoint, struct link **out,
                       struct error *err)
{
    struct tls_files files = {.cert = sync->settings.credentials.cert,
                              .key = sync->settings.credentials.key,
                              .ca = sync->settings.credentials.ca};
    struct tls_context *tls = NULL;

    if (tls_context_new(&files, false, &tls, err) < 0) {
        return -1;
    }
    int result = link_connect_tls(tls, endpoint->host, endpoint->port, env_system(), out, err);
    tls_context_free(tls);
    return result;
}

static const struct endpoint *remote_endpoint(const struct sync *sync)
{
    const struct plan_pair *first = &sync->plan.pairs[0];

    return sync->role == ROLE_SOURCE ? &first->target : &first->source;
}

/* --- one session ----------------------------------------------------------------------------- */

static uint32_t session_flags(const struct sync_settings *settings)
{
    uint32_t flags = settings->is_check ? SESSION_CHECK : 0;

    if (settings->create) {
        flags |= SESSION_CREATE | (settings->yes ? SESSION_SHRINK : 0);
    }
    return flags;
}

/* Our end of the session, in this thread. */
static int run_initiator(struct sync *sync, struct link *link, struct progress *out,
                         struct error *err)
{
    bool is_source = sync->role == ROLE_SOURCE;
    struct loop_host host = {
        .open_disks = is_source ? cmd_serve_open_paths : open_targets,
        .progress = show_progress,
        .context = sync,
    };
    struct loop_config config = {
        .session = {.is_initiator = true,
                    .role = sync->role,
                    .flags = session_flags(&sync->settings),
                    .disk_count = sync->plan.disk_count,
                    .local_disks = is_source ? sync->sources : sync->targets,
                    .remote_disks = is_source ? sync->targets : sync->sources,
                    .compress = sync->settings.compress,
                    .refine = sync->settings.refine,
                    .rate_bytes_per_s = sync->settings.rate_bytes_per_s,
                    .env = env_system()},
        .link = link,
        .host = &host,
        .env = env_system(),
        .stop_fd = sync->stop_fd,
    };

    return loop_run(&config, out, err);
}

/* Local to local: the target's end, in a thread of its own. */
struct responder {
    struct sync *sync; /* borrowed */
    struct link *link; /* borrowed until the thread has ended */
    int result;
    struct progress progress;
    struct error err;
};

static void *run_responder(void *argument)
{
    struct responder *responder = argument;
    struct loop_host host = {.open_disks = open_targets, .context = responder->sync};
    /* No stop_fd: told to stop, the initiator says so over the link, and what is half done is
     * finished here in order. */
    struct loop_config config = {
        .session = {.is_initiator = false, .env = env_system()},
        .link = responder->link,
        .host = &host,
        .env = env_system(),
        .stop_fd = -1,
    };

    responder->result = loop_run(&config, &responder->progress, &responder->err);
    return NULL;
}

/* Both ends failed, and each may have passed on what the other said: take the one that knows more.
 */
static const struct error *more_telling(const struct error *ours, const struct error *theirs)
{
    if (ours->kind == ERR_PEER && theirs->kind != ERR_PEER) {
        return theirs;
    }
    if (ours->kind == theirs->kind && ours->disk[0] == '\0' && theirs->disk[0] != '\0') {
        return theirs;
    }
    return ours;
}

static int run_local(struct sync *sync, struct progress *out, struct error *err)
{
    struct responder responder = {.sync = sync};
    struct link *link = NULL;
    struct error ours = {0};
    pthread_t thread;

    if (link_new_pair(&link, &responder.link, err) < 0) {
        return -1;
    }
    int refused = pthread_create(&thread, NULL, run_responder, &responder);
    if (refused != 0) {
        link_close(link);
        link_close(responder.link);
        return fail(err, ERR_LIMIT, refused, "cannot start a thread for the target's side");
    }
    int result = run_initiator(sync, link, out, &ours);
    link_close(link); /* first: if the session failed here, this is how the other side learns of it
                       */
    (void)pthread_join(thread, NULL); /* cannot fail: it was started and nobody else joins it */
    link_close(responder.link);
    if (result < 0 && responder.result < 0) {
        *err = *more_telling(&ours, &responder.err);
    } else if (result < 0) {
        *err = ours;
    } else if (responder.result < 0) {
        *err = responder.err;
    }
    return result < 0 || responder.result < 0 ? -1 : 0;
}

static int run_remote(struct sync *sync, struct progress *out, struct error *err)
{
    const struct endpoint *endpoint = remote_endpoint(sync);
    struct link *link = NULL;

    assert(endpoint_is_remote(endpoint));
    int result = endpoint->kind == ENDPOINT_SSH ? connect_ssh(sync, endpoint, &link, err)
                                                : connect_tls(sync, endpoint, &link, err);
    if (result < 0) {
        return -1;
    }
    result = run_initiator(sync, link, out, err);
    link_close(link);
    return result;
}

static int run_once(struct sync *sync, struct progress *out, struct error *err)
{
    sync->cut.is_needed = false;
    int result = sync->is_local ? run_local(sync, out, err) : run_remote(sync, out, err);
    render_live_clear(&sync->live);
    /* Whatever else then went wrong (ssh got the same Ctrl-C), this is why. */
    if (result < 0 && stop_signal_name() != NULL) {
        return fail(err, ERR_CANCELLED, 0, "stopped by %s%s", stop_signal_name(),
                    sync->settings.is_check ? "" : "; the same command resumes the run");
    }
    return result;
}

/* --- cutting a target ------------------------------------------------------------------------ */

/* One line from the terminal, without its end; waits until it comes or the program is told to stop.
 */
static int read_line(int stop_fd, char *out, size_t size_bytes, struct error *err)
{
    struct pollfd fds[2] = {{.fd = STDIN_FILENO, .events = POLLIN},
                            {.fd = stop_fd, .events = POLLIN}};

    while (poll(fds, 2, -1) < 0 && errno == EINTR) {
    }
    if (stop_signal_name() != NULL) {
        return fail(err, ERR_CANCELLED, 0, "stopped by %s; nothing was changed",
                    stop_signal_name());
    }
    ssize_t got = read(STDIN_FILENO, out, size_bytes - 1);
    if (got < 0) {
        return fail(err, ERR_IO, errno, "cannot read the answer");
    }
    out[got] = '\0';
    out[strcspn(out, "\n")] = '\0';
    return 0;
}

static int confirm_cut(struct sync *sync, struct error *err)
{
    const struct plan_pair *pair = &sync->plan.pairs[sync->cut.index];
    char has[HUMAN_MAX];
    char must[HUMAN_MAX];
    char name[PATH_TEXT_MAX];
    char answer[PATH_TEXT_MAX] = "";
    bool can_ask = isatty(STDIN_FILENO) == 1 && isatty(STDERR_FILENO) == 1 && !sync->settings.json;

    (void)human_size(sync->cut.has_bytes, has);
    (void)human_size(sync->cut.must_bytes, must);
    if (!can_ask) {
        (void)fail(
            err, ERR_WRONG_STATE, 0,
            "%s is larger (%s) than its source (%s) and would be cut; add --yes to allow that",
            pair->target.text, has, must);
        error_set_disk(err, pair->target.text);
        return -1;
    }
    (void)human_name(pair->target.text, 0, name, sizeof name);
    (void)fprintf(stderr,
                  "%s is larger (%s) than its source (%s). What lies beyond will be lost.\n"
                  "Type its name to cut it: ",
                  name, has, must);
    if (read_line(sync->stop_fd, answer, sizeof answer, err) < 0) {
        return -1;
    }
    if (strcmp(answer, pair->target.text) != 0) {
        return fail(err, ERR_CANCELLED, 0, "that is not its name; %s was left as it is", name);
    }
    sync->may_cut[sync->cut.index] = true;
    return 0;
}

/* --- the whole run --------------------------------------------------------------------------- */

/* How the disks are named in the session. For an export no format is given (check_settings). */
static void fill_names(struct sync *sync)
{
    const struct sync_settings *settings = &sync->settings;
    enum disk_format source = settings->source_format ? settings->source_format : settings->format;
    enum disk_format target = settings->target_format ? settings->target_format : settings->format;

    sync->report.disk_count = sync->plan.disk_count;
    sync->report.is_check = settings->is_check;
    for (uint32_t i = 0; i < sync->plan.disk_count; i++) {
        const struct plan_pair *pair = &sync->plan.pairs[i];
        sync->sources[i] = (struct session_disk_name){pair->source.path, source};
        sync->targets[i] = (struct session_disk_name){pair->target.path, target};
        sync->report.disks[i].source = pair->source.text;
        sync->report.disks[i].target = pair->target.text;
    }
    sync->is_local = !endpoint_is_remote(&sync->plan.pairs[0].source) &&
                     !endpoint_is_remote(&sync->plan.pairs[0].target);
    sync->role = endpoint_is_remote(&sync->plan.pairs[0].source) ? ROLE_TARGET : ROLE_SOURCE;
}

static int run(struct sync *sync, struct error *err)
{
    struct progress progress = {0};

    if (stop_open(&sync->stop_fd, err) < 0) {
        return -1;
    }
    for (;;) {
        /* The clock that the live lines go by begins anew. */
        sync->start_ns = env_now_ns(env_system());
        sync->live.next_ns = 0;
        memset(sync->live.rates, 0, sizeof sync->live.rates);
        int result = run_once(sync, &progress, err);
        if (result == 0) {
            break;
        }
        /* Each disk is asked about once at most, so this ends. */
        if (!sync->cut.is_needed || sync->may_cut[sync->cut.index] || confirm_cut(sync, err) < 0) {
            return -1;
        }
    }
    fill_report(sync, &progress);
    return 0;
}

static int show_result(const struct sync *sync)
{
    const struct sync_settings *settings = &sync->settings;

    if (settings->json) {
        render_json_result(stdout, &sync->report);
    } else if (!settings->quiet) {
        render_text_result(stdout, &sync->report, settings->verbose);
    }
    return command_finish(report_is_different(&sync->report) ? COMMAND_DIFFERENT : COMMAND_DONE);
}

/* --- the command line ------------------------------------------------------------------------ */

static int parse_format(const char *text, enum disk_format *out, struct error *err)
{
    enum disk_format format = disk_format_parse(text);

    if (format == DISK_FORMAT_INVALID) {
        return fail(err, ERR_USAGE, 0,
                    "unknown format '%s'; there are raw, qcow2, vhdx, vmdk and vdi", text);
    }
    *out = format;
    return 0;
}

static int parse_when(const char *option, const char *text, enum session_when *out,
                      struct error *err)
{
    static const char *const names[] = {
        [WHEN_AUTO] = "auto", [WHEN_ALWAYS] = "always", [WHEN_NEVER] = "never"};

    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        if (strcmp(text, names[i]) == 0) {
            *out = (enum session_when)i;
            return 0;
        }
    }
    return fail(err, ERR_USAGE, 0, "--%s=%s is none of auto, always and never", option, text);
}

static int parse_rate(const char *text, uint64_t *out, struct error *err)
{
    uint64_t rate = 0;

    if (number_parse_size(text, &rate, err) < 0) {
        return -1;
    }
    if (rate > 0 && rate < BWLIMIT_MIN_BYTES_PER_S) {
        return fail(err, ERR_USAGE, 0,
                    "--bwlimit=%s is too slow; 1K is the least, 0 means no limit", text);
    }
    *out = rate;
    return 0;
}

static int parse_word(const char *option, const char *text, const char **out, struct error *err)
{
    if (text[0] == '\0') {
        return fail(err, ERR_USAGE, 0, "--%s is empty", option);
    }
    *out = text;
    return 0;
}

/* Those that take a value. */
static int take_value(struct sync *sync, enum sync_option id, const char *value, struct error *err)
{
    struct sync_settings *settings = &sync->settings;

    switch (id) {
    case OPTION_DISK:
        return plan_add_pair(&sync->plan, value, err);
    case OPTION_FORMAT:
        return parse_format(value, &settings->format, err);
    case OPTION_SOURCE_FORMAT:
        return parse_format(value, &settings->source_format, err);
    case OPTION_TARGET_FORMAT:
        return parse_format(value, &settings->target_format, err);
    case OPTION_BWLIMIT:
        return parse_rate(value, &settings->rate_bytes_per_s, err);
    case OPTION_COMPRESS:
        return parse_when("compress", value, &settings->compress, err);
    case OPTION_REFINE:
        return parse_when("refine", value, &settings->refine, err);
    case OPTION_PROGRESS:
        return parse_when("progress", value, &settings->progress, err);
    case OPTION_SSH:
        return parse_word("ssh", value, &settings->ssh, err);
    case OPTION_REMOTE_PATH:
        return parse_word("remote-path", value, &settings->remote_path, err);
    case OPTION_CERT:
        return parse_word("cert", value, &settings->credentials.cert, err);
    case OPTION_KEY:
        return parse_word("key", value, &settings->credentials.key, err);
    case OPTION_CA:
        return parse_word("ca", value, &settings->credentials.ca, err);
    case OPTION_CHECK:
    case OPTION_CREATE:
    case OPTION_JSON:
    case OPTION_VERBOSE:
    case OPTION_QUIET:
    case OPTION_YES:
    case OPTION_HELP:
        break;
    }
    return fail(err, ERR_INTERNAL, 0, "option %d has no code", (int)id);
}

/* One option. Returns 0, 1 when help was asked for, or -1. */
static int take_option(struct sync *sync, enum sync_option id, const char *value, struct error *err)
{
    bool *flag = NULL;

    if (id == OPTION_HELP) {
        return 1;
    }
    flag = id == OPTION_CHECK     ? &sync->settings.is_check
           : id == OPTION_CREATE  ? &sync->settings.create
           : id == OPTION_JSON    ? &sync->settings.json
           : id == OPTION_VERBOSE ? &sync->settings.verbose
           : id == OPTION_QUIET   ? &sync->settings.quiet
           : id == OPTION_YES     ? &sync->settings.yes
                                  : NULL;
    if (flag == NULL) {
        return take_value(sync, id, value, err);
    }
    *flag = true;
    return 0;
}

static int take_operands(struct sync *sync, char **operands, size_t count, struct error *err)
{
    if (sync->plan.disk_count > 0 && count > 0) {
        return fail(err, ERR_USAGE, 0,
                    "'%s' is one too many; with --disk all disks are named by --disk", operands[0]);
    }
    if (sync->plan.disk_count > 0) {
        return 0;
    }
    if (count != 2) {
        return fail(err, ERR_USAGE, 0,
                    "%s; give SOURCE and TARGET, or --disk=SOURCE=TARGET for each of several disks",
                    count == 0   ? "no disks are named"
                    : count == 1 ? "only one disk is named"
                                 : "more than two disks are named");
    }
    return plan_add(&sync->plan, operands[0], operands[1], err);
}

/* What fits together, once all is read. */
static int check_settings(struct sync *sync, struct error *err)
{
    const struct sync_settings *settings = &sync->settings;
    const struct plan_pair *first = &sync->plan.pairs[0];
    bool has_tls = first->source.kind == ENDPOINT_TLS || first->target.kind == ENDPOINT_TLS;

    if (plan_check(&sync->plan, err) < 0) {
        return -1;
    }
    if (settings->is_check && settings->create) {
        return fail(err, ERR_USAGE, 0, "--check changes nothing, so --create cannot go with it");
    }
    if ((has_tls && settings->format != DISK_FORMAT_INVALID) ||
        (first->source.kind == ENDPOINT_TLS && settings->source_format != DISK_FORMAT_INVALID) ||
        (first->target.kind == ENDPOINT_TLS && settings->target_format != DISK_FORMAT_INVALID)) {
        return fail(err, ERR_USAGE, 0,
                    "the format of a tls:// export is said where it is served (,format=FMT); give "
                    "only --%s-format here",
                    first->source.kind == ENDPOINT_TLS ? "target" : "source");
    }
    return has_tls ? credentials_complete(&sync->settings.credentials, err) : 0;
}

/* Reads and checks the whole command line. Returns as take_option. */
static int parse(struct sync *sync, int argc, char **argv, struct error *err)
{
    struct options options;
    const char *value = NULL;
    size_t operand_count = 0;

    options_init(&options, argc, argv, sync_options, ARRAY_COUNT(sync_options));
    for (;;) {
        int id = options_next(&options, &value, err);
        if (id < 0) {
            return -1;
        }
        if (id == OPTIONS_END) {
            break;
        }
        int result = take_option(sync, (enum sync_option)id, value, err);
        if (result != 0) {
            return result;
        }
    }
    char **operands = options_operands(&options, &operand_count);
    if (take_operands(sync, operands, operand_count, err) < 0) {
        return -1;
    }
    return check_settings(sync, err);
}

/* Whoever asked for JSON gets it for a mistake in the options too, wherever --json stands. */
static bool asks_for_json(int argc, char **argv)
{
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
        if (strcmp(argv[i], "--json") == 0) {
            return true;
        }
    }
    return false;
}

static int run_and_show(struct sync *sync)
{
    struct error err = {0};

    fill_names(sync);
    open_live(sync);
    int result = run(sync, &err);
    close_live(sync);
    return result < 0 ? command_fail(&err, sync->settings.json) : show_result(sync);
}

static int sync_run(int argc, char **argv)
{
    struct sync *sync = calloc(1, sizeof *sync);
    struct error err = {0};
    bool json = asks_for_json(argc, argv);
    int status = COMMAND_DONE;

    if (sync == NULL) {
        (void)fail(&err, ERR_LIMIT, ENOMEM, "cannot start");
        return command_fail(&err, json);
    }
    sync->settings.ssh = "ssh";
    sync->settings.remote_path = "resilver";
    int result = plan_init(&sync->plan, &err);
    if (result == 0) {
        result = parse(sync, argc, argv, &err);
    }
    if (result < 0) {
        status = command_fail(&err, json);
    } else if (result > 0) {
        command_print_help(&cmd_sync, stdout);
        status = command_finish(COMMAND_DONE);
    } else {
        status = run_and_show(sync);
    }
    plan_done(&sync->plan);
    free(sync);
    return status;
}
