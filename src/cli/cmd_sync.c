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
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/env.h"
#include "cli/ask.h"
#include "cli/cmd_serve.h"
#include "cli/command.h"
#include "cli/human.h"
#include "cli/plan.h"
#include "cli/render_json.h"
#include "cli/render_live.h"
#include "cli/render_text.h"
#include "cli/report.h"
#include "cli/settings.h"
#include "cli/stop.h"
#include "cli/words.h"
#include "disk/disk.h"
#include "engine/progress.h"
#include "wire/link.h"
#include "wire/loop.h"
#include "wire/target_host.h"

_Static_assert(REPORT_PROOF_BYTES == PROOF_BYTES, "a report holds a whole proof");

static int sync_run(int argc, char **argv);

const struct command cmd_sync = {
    .name = "sync",
    .run = sync_run,
    .summary = "make one disk equal to another, or compare them",
    .synopsis =
        (const char *const[]){"[options] SOURCE TARGET",
                              "[options] --disk=SOURCE=TARGET [--disk=SOURCE=TARGET ...]", NULL},
    .options = settings_rows,
    .option_count = SETTINGS_ROWS,
    .notes = "SOURCE and TARGET are each one of:\n"
             "  PATH                          a file or block device of this host\n"
             "  [USER@]HOST:PATH              one of another host, over ssh\n"
             "  [USER@][HOST:]FOLDER/         as TARGET: the disk in the replica kept in FOLDER\n"
             "  tls://HOST:PORT/NAME          an export of 'resilver serve --listen'\n"
             "  nbd+unix:///NAME?socket=PATH  an NBD export of this host\n"
             "\n"
             "Exit status: 0 in sync, 1 failed, 2 wrong usage, 3 --check found differences.\n"
             "A run that was interrupted is resumed by the same command. The man page\n"
             "resilver-sync(1) has the rest.\n",
};

/* A target that is larger than its source, which --create would have to cut. */
struct sync_cut {
    bool is_needed;
    uint32_t index;
    uint64_t has_bytes;
    uint64_t must_bytes;
};

struct sync {
    struct settings settings;
    struct plan plan;
    enum session_role role; /* ours; SOURCE when both are local */
    bool is_local;          /* both sides are this process */
    struct session_disk_name sources[DISKS_MAX];
    struct session_disk_name targets[DISKS_MAX];
    bool may_cut[DISKS_MAX];   /* its name was typed back */
    struct target_host target; /* of the end that is the target, if that is here */
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
    if (target_host_open(&sync->target, open, wanted, out, &failed, err) < 0) {
        look_for_cut(sync, failed, &wanted[failed]);
        return -1;
    }
    return 0;
}

/* loop_host.open_disks for the sources of this host. */
static int open_sources(void *context, const struct session_open *open, struct loop_disks *out,
                        struct error *err)
{
    struct target_host none = {.env = env_system()}; /* a source is never staged */

    (void)context;
    return cmd_serve_open_paths(&none, open, out, err);
}

/* loop_host.commit */
static int commit_targets(void *context, const struct session_seal *seal, struct error *err)
{
    struct sync *sync = context;

    return target_host_commit(&sync->target, seal, err);
}

/* loop_host.waiting */
static void say_waiting(void *context, const struct error *why)
{
    (void)context;
    cmd_serve_say_waiting(why);
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

    report->elapsed_ns = env_now_ns(env_system()) - sync->start_ns;
    for (uint32_t i = 0; i < progress->disk_count && i < report->disk_count; i++) {
        fill_disk(&report->disks[i], &progress->disks[i]);
    }
    /* In the end a session has what was counted at the source's end, whichever end is ours. */
    report->sent_bytes = wire->sent_bytes;
    report->received_bytes = wire->received_bytes;
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
    const struct settings *settings = &sync->settings;
    const char *term = getenv("TERM");
    bool is_terminal =
        isatty(STDERR_FILENO) == 1 && term != NULL && term[0] != '\0' && strcmp(term, "dumb") != 0;

    if (settings->progress == SETTINGS_NEVER ||
        (settings->progress == SETTINGS_AUTO && (!is_terminal || settings->quiet))) {
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

static uint32_t session_flags(const struct sync *sync)
{
    const struct settings *settings = &sync->settings;
    uint32_t flags = settings->is_check ? SESSION_CHECK : 0;

    flags |= settings->atomic ? SESSION_ATOMIC : 0;
    flags |= sync->plan.pairs[0].is_replica ? SESSION_REPLICA : 0;
    if (settings->create) {
        flags |= SESSION_CREATE | (settings->yes ? SESSION_SHRINK : 0);
    }
    return flags;
}

static enum session_when session_when(enum settings_when when)
{
    switch (when) {
    case SETTINGS_AUTO:
        return WHEN_AUTO;
    case SETTINGS_ALWAYS:
        return WHEN_ALWAYS;
    case SETTINGS_NEVER:
        return WHEN_NEVER;
    }
    return WHEN_AUTO;
}

/* Our end of the session, in this thread. */
static int run_initiator(struct sync *sync, struct link *link, struct progress *out,
                         struct error *err)
{
    bool is_source = sync->role == ROLE_SOURCE;
    struct loop_host host = {
        .open_disks = is_source ? open_sources : open_targets,
        .commit = commit_targets,
        .waiting = say_waiting,
        .progress = show_progress,
        .context = sync,
    };
    struct loop_config config = {
        .session = {.is_initiator = true,
                    .role = sync->role,
                    .flags = session_flags(sync),
                    .disk_count = sync->plan.disk_count,
                    .local_disks = is_source ? sync->sources : sync->targets,
                    .remote_disks = is_source ? sync->targets : sync->sources,
                    .compress = session_when(sync->settings.compress),
                    .refine = session_when(sync->settings.refine),
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
    struct loop_host host = {.open_disks = open_targets,
                             .commit = commit_targets,
                             .waiting = say_waiting,
                             .context = responder->sync};
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

/*
 * The other end names its disks by their paths there; the user knows them by what he wrote. Not
 * where a disk of this host has the same path: then nobody could say which of the two is meant.
 */
static void name_remote_disk(const struct sync *sync, struct error *err)
{
    for (uint32_t i = 0; i < sync->plan.disk_count; i++) {
        const struct plan_pair *pair = &sync->plan.pairs[i];
        bool is_source = strcmp(err->disk, pair->source.path) == 0;
        bool is_target = strcmp(err->disk, pair->target.path) == 0;
        const struct endpoint *meant = is_source ? &pair->source : &pair->target;
        if (is_source != is_target && endpoint_is_remote(meant)) {
            err->disk[0] = '\0';
            error_set_disk(err, meant->text);
            return;
        }
    }
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
    if (result < 0) {
        name_remote_disk(sync, err);
    }
    return result;
}

static int run_once(struct sync *sync, struct progress *out, struct error *err)
{
    sync->cut.is_needed = false;
    sync->target.env = env_system();
    int result = sync->is_local ? run_local(sync, out, err) : run_remote(sync, out, err);
    target_host_done(&sync->target);
    render_live_clear(&sync->live);
    /* Whatever else then went wrong (ssh got the same Ctrl-C), this is why. */
    if (result < 0 && stop_signal_name() != NULL) {
        return fail(err, ERR_CANCELLED, 0, "stopped by %s%s", stop_signal_name(),
                    sync->settings.is_check ? "" : "; the same command resumes the run");
    }
    return result;
}

/* --- cutting a target ------------------------------------------------------------------------ */

static int confirm_cut(struct sync *sync, struct error *err)
{
    const struct plan_pair *pair = &sync->plan.pairs[sync->cut.index];
    char has[HUMAN_MAX];
    char must[HUMAN_MAX];
    char name[PATH_TEXT_MAX];
    char answer[PATH_TEXT_MAX] = "";

    (void)human_size(sync->cut.has_bytes, has);
    (void)human_size(sync->cut.must_bytes, must);
    if (sync->settings.json || !ask_can()) {
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
    if (ask_line(sync->stop_fd, answer, sizeof answer, err) < 0) {
        return -1;
    }
    if (strcmp(answer, pair->target.text) != 0) {
        return fail(err, ERR_CANCELLED, 0, "that is not its name; %s was left as it is", name);
    }
    sync->may_cut[sync->cut.index] = true;
    return 0;
}

/* --- the whole run --------------------------------------------------------------------------- */

static int parse_format(const char *text, enum disk_format *out, struct error *err)
{
    enum disk_format format = text == NULL ? DISK_FORMAT_INVALID : disk_format_parse(text);

    if (text != NULL && format == DISK_FORMAT_INVALID) {
        return fail(err, ERR_USAGE, 0,
                    "unknown format '%s'; there are raw, qcow2, vhdx, vmdk and vdi", text);
    }
    *out = format;
    return 0;
}

/* How the disks are named in the session and in the report. */
static int fill_names(struct sync *sync, struct error *err)
{
    const struct plan_pair *first = &sync->plan.pairs[0];
    enum disk_format source = DISK_FORMAT_INVALID;
    enum disk_format target = DISK_FORMAT_INVALID;

    if (parse_format(sync->settings.source_format, &source, err) < 0 ||
        parse_format(sync->settings.target_format, &target, err) < 0) {
        return -1;
    }
    sync->report.disk_count = sync->plan.disk_count;
    sync->report.is_check = sync->settings.is_check;
    for (uint32_t i = 0; i < sync->plan.disk_count; i++) {
        const struct plan_pair *pair = &sync->plan.pairs[i];
        sync->sources[i] = (struct session_disk_name){pair->source.path, source};
        sync->targets[i] = (struct session_disk_name){pair->target.path, target};
        sync->report.disks[i].source = pair->source.text;
        sync->report.disks[i].target = pair->target.text;
    }
    sync->is_local = !endpoint_is_remote(&first->source) && !endpoint_is_remote(&first->target);
    sync->role = endpoint_is_remote(&first->source) ? ROLE_TARGET : ROLE_SOURCE;
    return 0;
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
    const struct settings *settings = &sync->settings;

    if (settings->json) {
        render_json_result(stdout, &sync->report);
    } else if (!settings->quiet) {
        render_text_result(stdout, &sync->report, settings->verbose);
    }
    return command_finish(report_is_different(&sync->report) ? COMMAND_DIFFERENT : COMMAND_DONE);
}

static int run_and_show(struct sync *sync)
{
    struct error err = {0};

    if (fill_names(sync, &err) < 0) {
        return command_fail(&err, sync->settings.json);
    }
    open_live(sync);
    int result = run(sync, &err);
    close_live(sync);
    return result < 0 ? command_fail(&err, sync->settings.json) : show_result(sync);
}

static int sync_run(int argc, char **argv)
{
    struct sync *sync = calloc(1, sizeof *sync);
    struct error err = {0};
    bool json = settings_ask_for_json(argc, argv);
    int status = COMMAND_DONE;

    if (sync == NULL) {
        (void)fail(&err, ERR_LIMIT, ENOMEM, "cannot start");
        return command_fail(&err, json);
    }
    int result = plan_init(&sync->plan, &err);
    if (result == 0) {
        result = settings_read(&sync->settings, &sync->plan, argc, argv, &err);
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
