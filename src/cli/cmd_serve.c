/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * cmd_serve.c - the answering end: on the standard streams (what ssh starts), or on a TCP port with
 * TLS.
 *
 * 1. A listening server never opens anything but its exports, by name; a path from a peer is just a
 * name that is not there.
 * 2. No disk is opened before TLS is up and the client's certificate was let in.
 * 3. One process a session, so a session that fails takes nothing with it; the parent opens no
 * disks.
 */
#include "cli/cmd_serve.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/env.h"
#include "base/log.h"
#include "cli/children.h"
#include "cli/command.h"
#include "cli/credentials.h"
#include "cli/endpoint.h"
#include "cli/export.h"
#include "cli/human.h"
#include "cli/listener.h"
#include "cli/stop.h"
#include "disk/disk.h"
#include "wire/link.h"
#include "wire/loop.h"
#include "wire/target_host.h"

/* How long a server that ran out of descriptors lets the next connection wait. */
#define EXHAUSTED_PAUSE_MS 1000

enum serve_option {
    OPTION_STDIO = OPTIONS_FIRST_ID,
    OPTION_LISTEN,
    OPTION_EXPORT,
    OPTION_ALLOW,
    OPTION_CERT,
    OPTION_KEY,
    OPTION_CA,
    OPTION_VERBOSE,
    OPTION_HELP
};

static const struct option_row serve_options[] = {
    {OPTION_STDIO, "stdio", 0, NULL, "serve one session on standard input and output (ssh does)"},
    {OPTION_LISTEN, "listen", 0, "ADDR:PORT", "serve sessions over TLS on this address"},
    {OPTION_EXPORT, "export", 0, "NAME=PATH[,...]",
     "offer a disk under a name; then: ,format=FMT ,read-only ,create"},
    {OPTION_ALLOW, "allow", 0, "NAME", "let in only clients whose certificate has this name"},
    {OPTION_CERT, "cert", 0, "FILE", "this side's certificate and its chain (PEM)"},
    {OPTION_KEY, "key", 0, "FILE", "its private key (PEM)"},
    {OPTION_CA, "ca", 0, "FILE", "the authority that signs clients' certificates (PEM)"},
    {OPTION_VERBOSE, "verbose", 'v', NULL, "log more"},
    {OPTION_HELP, "help", 'h', NULL, "show this"},
};

static int serve_run(int argc, char **argv);

const struct command cmd_serve = {
    .name = "serve",
    .run = serve_run,
    .summary = "offer disks of this host to resilver sync on another",
    .synopsis = (const char *const[]){"--listen=ADDR:PORT --export=NAME=PATH [options]",
                                      "--stdio [--export=NAME=PATH ...]", NULL},
    .options = serve_options,
    .option_count = ARRAY_COUNT(serve_options),
    .notes = "--export and --allow may be repeated. The man page resilver-serve(1) has the rest.\n",
};

struct serve {
    bool is_stdio;
    const char *listen_address; /* NULL: not given */
    struct credentials credentials;
    struct exports exports;
    uint32_t allow_count;
    const char *allow[ALLOW_MAX];
    struct log_site *refusals; /* owned, memory that all sessions share; NULL: one session only */
};

/* One session, in its own process. */
struct serve_session {
    struct serve *serve; /* borrowed */
    struct link *link;   /* borrowed */
    struct target_host target;
    uint32_t disk_count; /* of those opened */
    enum session_role role;
    char names[DISKS_MAX][EXPORT_NAME_MAX];
};

/* --- opening ---------------------------------------------------------------------------------- */

void cmd_serve_want_disk(const struct session_open *open, uint32_t index,
                         struct disk_open_options *out)
{
    bool is_written = open->role == ROLE_TARGET && (open->flags & SESSION_CHECK) == 0;

    *out = (struct disk_open_options){
        .path = open->disks[index].name,
        .format = open->disks[index].format,
        .write = is_written,
        .create = is_written && (open->flags & SESSION_CREATE) != 0,
        .shrink = is_written && (open->flags & SESSION_SHRINK) != 0,
        .size_bytes = open->size_bytes[index],
    };
}

void cmd_serve_say_waiting(const struct error *why)
{
    char text[ERROR_MESSAGE_MAX];

    if (why == NULL) {
        (void)fprintf(stderr, "resilver: there is room again; going on\n");
        return;
    }
    (void)human_name(why->message, 0, text, sizeof text);
    (void)fprintf(stderr, "resilver: %s: waiting for that (Ctrl-C keeps what is staged)\n", text);
}

int cmd_serve_open_paths(struct target_host *host, const struct session_open *open,
                         struct loop_disks *out, struct error *err)
{
    struct disk_open_options wanted[DISKS_MAX];

    for (uint32_t i = 0; i < open->disk_count; i++) {
        cmd_serve_want_disk(open, i, &wanted[i]);
    }
    return target_host_open(host, open, wanted, out, NULL, err);
}

/* Whether this session may have the export in the way that it wants it; wanted is changed to how it
 * is opened. */
static int check_export(const struct export *export, const struct session_open *open,
                        struct disk_open_options *wanted, struct error *err)
{
    enum disk_format format = disk_format_parse(export->format);

    if (wanted->write && export->is_read_only) {
        return fail(err, ERR_USAGE, 0, "export '%s' is read-only here and cannot be a target",
                    export->name);
    }
    if ((open->flags & SESSION_REPLICA) != 0) {
        return fail(err, ERR_USAGE, 0, "export '%s' is a disk and not a replica's folder",
                    export->name);
    }
    if ((open->flags & SESSION_CREATE) != 0 && wanted->write && !export->can_create) {
        return fail(err, ERR_USAGE, 0,
                    "export '%s' may not be made or resized from outside; leave out --create, or "
                    "let the server export it with ,create",
                    export->name);
    }
    /* How bytes are to be understood is the server's to say: a guest could write a header that
     * names other files. */
    if (wanted->format != DISK_FORMAT_INVALID && wanted->format != format) {
        return fail(err, ERR_USAGE, 0,
                    "the format of export '%s' is the server's to say (,format=%s); leave it out",
                    export->name, disk_format_name(wanted->format));
    }
    wanted->path = export->path;
    wanted->format = format;
    return 0;
}

static bool is_named_before(const struct session_open *open, uint32_t index)
{
    for (uint32_t i = 0; i < index; i++) {
        if (strcmp(open->disks[i].name, open->disks[index].name) == 0) {
            return true;
        }
    }
    return false;
}

static int want_export(struct serve_session *session, const struct session_open *open,
                       uint32_t index, struct disk_open_options *wanted, struct error *err)
{
    struct exports *exports = &session->serve->exports;
    const struct export *export = exports_find(exports, open->disks[index].name);

    cmd_serve_want_disk(open, index, wanted);
    if (export == NULL) {
        return fail(err, ERR_USAGE, 0, "this server exports nothing of the name '%s'",
                    open->disks[index].name);
    }
    if (is_named_before(open, index)) {
        return fail(err, ERR_USAGE, 0, "export '%s' is named twice in one session", export->name);
    }
    if (check_export(export, open, wanted, err) < 0 ||
        exports_lock(exports, export, wanted->write, err) < 0) {
        return -1;
    }
    (void)snprintf(session->names[index], EXPORT_NAME_MAX, "%s", export->name);
    return 0;
}

static bool is_let_in(const struct serve_session *session)
{
    const struct serve *serve = session->serve;

    for (uint32_t i = 0; i < serve->allow_count; i++) {
        if (link_peer_has_name(session->link, serve->allow[i])) {
            return true;
        }
    }
    return serve->allow_count == 0;
}

/* loop_host.open_disks of a server with exports. */
static int open_exports(void *context, const struct session_open *open, struct loop_disks *out,
                        struct error *err)
{
    struct serve_session *session = context;
    struct disk_open_options wanted[DISKS_MAX];

    if (!is_let_in(session)) {
        return fail(err, ERR_PEER, 0,
                    "this server does not let in the certificate of %s; its --allow names others",
                    session->link->peer);
    }
    for (uint32_t i = 0; i < open->disk_count; i++) {
        if (want_export(session, open, i, &wanted[i], err) < 0) {
            error_set_disk(err, open->disks[i].name);
            return -1;
        }
    }
    if (target_host_open(&session->target, open, wanted, out, NULL, err) < 0) {
        return -1;
    }
    session->disk_count = open->disk_count;
    session->role = open->role;
    return 0;
}

/* loop_host.open_disks of a server without: names are paths. */
static int open_paths(void *context, const struct session_open *open, struct loop_disks *out,
                      struct error *err)
{
    struct serve_session *session = context;

    return cmd_serve_open_paths(&session->target, open, out, err);
}

/* loop_host.commit */
static int commit(void *context, const struct session_seal *seal, struct error *err)
{
    struct serve_session *session = context;

    return target_host_commit(&session->target, seal, err);
}

/* loop_host.waiting: to the log, or over ssh to the user's own screen. */
static void waiting(void *context, const struct error *why)
{
    const struct serve_session *session = context;

    if (session->serve->is_stdio) {
        cmd_serve_say_waiting(why);
    } else {
        log_event(LOG_LEVEL_WARNING, {"event", why != NULL ? "waiting for room" : "going on"},
                  {"why", why != NULL ? why->message : "there is room again"},
                  {"peer", session->link->peer});
    }
}

/* --- one session --------------------------------------------------------------------------------
 */

static int run_session(struct serve_session *session, int stop_fd, struct progress *out,
                       struct error *err)
{
    bool has_exports = !session->serve->is_stdio || session->serve->exports.count > 0;
    struct loop_host host = {
        .open_disks = has_exports ? open_exports : open_paths,
        .commit = commit,
        .waiting = waiting,
        .context = session,
    };
    struct loop_config config = {
        .session = {.is_initiator = false, .env = env_system()},
        .link = session->link,
        .host = &host,
        .env = env_system(),
        .stop_fd = stop_fd,
    };

    session->target.env = env_system();
    int result = loop_run(&config, out, err);
    target_host_done(&session->target);
    return result;
}

/*
 * The peer is told of every failure that the session can still speak about, and shows it; here a
 * line of ours would be its second. Only if nobody ever spoke is there nobody who could show it.
 */
static int serve_stdio(struct serve *serve)
{
    struct serve_session session = {.serve = serve};
    struct progress progress = {0};
    struct error err = {0};
    int stop_fd = -1;

    if (isatty(STDIN_FILENO) == 1) {
        (void)fail(&err, ERR_USAGE, 0,
                   "serve --stdio speaks to resilver sync, which starts it over ssh, and not to a "
                   "terminal");
        return command_fail(&err, false);
    }
    if (stop_open(&stop_fd, &err) < 0 || link_new_fd(STDIN_FILENO, STDOUT_FILENO, "stdio",
                                                     "resilver sync", &session.link, &err) < 0) {
        return command_fail(&err, false);
    }
    int result = run_session(&session, stop_fd, &progress, &err);
    link_close(session.link);
    if (result < 0 && progress.wire.received_bytes == 0) {
        return command_fail(&err, false);
    }
    return result < 0 ? COMMAND_FAILED : COMMAND_DONE;
}

static const char *format_bytes(uint64_t bytes, char out[24])
{
    (void)snprintf(out, 24, "%" PRIu64, bytes);
    return out;
}

/* One line a disk, so that grep for a disk gives its whole story; one without a disk when none was
 * opened. */
static void log_end(const struct serve_session *session, const struct progress *progress,
                    const struct error *err)
{
    const char *role = session->role == ROLE_SOURCE ? "source" : "target";

    if (session->disk_count == 0 && err != NULL) {
        log_event(LOG_LEVEL_WARNING, {"disk", err->disk[0] == '\0' ? NULL : err->disk},
                  {"event", "session refused"}, {"peer", session->link->peer},
                  {"kind", error_kind_name(err->kind)}, {"error", err->message});
        return;
    }
    for (uint32_t i = 0; i < session->disk_count; i++) {
        const struct disk_progress *disk = &progress->disks[i];
        char compared[24];
        char different[24];
        char written[24];
        log_event(err == NULL ? LOG_LEVEL_NOTICE : LOG_LEVEL_WARNING, {"disk", session->names[i]},
                  {"event", err == NULL ? "session done" : "session failed"},
                  {"peer", session->link->peer}, {"role", role},
                  {"compared_bytes", format_bytes(disk->compared_bytes, compared)},
                  {"different_bytes", format_bytes(disk->different_bytes, different)},
                  {"written_bytes", format_bytes(disk->written_bytes, written)},
                  {"kind", err == NULL ? NULL : error_kind_name(err->kind)},
                  {"error", err == NULL ? NULL : err->message});
    }
}

/* The child's whole life. Returns its exit status. */
static int serve_connection(struct serve *serve, struct tls_context *tls, int fd, int stop_fd)
{
    struct serve_session session = {.serve = serve};
    struct progress progress = {0};
    struct error err = {0};
    char peer[LISTENER_SHOWN_MAX];

    listener_peer_text(fd, peer);
    if (link_accept_tls(tls, fd, env_system(), &session.link, &err) < 0) {
        const struct log_field fields[] = {
            {"event", "connection refused"}, {"peer", peer}, {"error", err.message}};
        log_write(serve->refusals, LOG_LEVEL_WARNING, fields, ARRAY_COUNT(fields));
        return COMMAND_FAILED;
    }
    log_event(LOG_LEVEL_INFO, {"event", "session started"}, {"peer", session.link->peer});
    int result = run_session(&session, stop_fd, &progress, &err);
    log_end(&session, &progress, result < 0 ? &err : NULL);
    link_close(session.link);
    return result < 0 ? COMMAND_FAILED : COMMAND_DONE;
}

/* --- listening ------------------------------------------------------------------------------- */

static void start_session(struct serve *serve, struct tls_context *tls, struct listener *listener,
                          struct children *children, int fd)
{
    struct error err = {0};
    char peer[LISTENER_SHOWN_MAX];
    int stop_fd = -1;

    listener_peer_text(fd, peer);
    if (children->count == LISTEN_SESSIONS_MAX) {
        log_event(LOG_LEVEL_WARNING, {"event", "connection refused"}, {"peer", peer},
                  {"error", "as many sessions as this server has at a time are at work"});
        (void)close(fd); /* nothing was said on it */
        return;
    }
    int side = children_fork(children, &stop_fd, &err);
    if (side == CHILDREN_CHILD) {
        listener_close(listener);
        _exit(serve_connection(serve, tls, fd, stop_fd));
    }
    if (side < 0) {
        log_event(LOG_LEVEL_ERROR, {"event", "connection refused"}, {"peer", peer},
                  {"error", err.message});
    }
    (void)close(fd); /* the child has its own */
}

/* Accepts all that wait. Returns how long the next poll may take: -1 as long as it likes. */
static int accept_sessions(struct serve *serve, struct tls_context *tls, struct listener *listener,
                           struct children *children)
{
    struct error err = {0};
    enum listener_result result = LISTENER_ACCEPTED;
    int fd = -1;

    while ((result = listener_accept(listener, &fd, &err)) == LISTENER_ACCEPTED) {
        start_session(serve, tls, listener, children, fd);
    }
    if (result == LISTENER_EXHAUSTED) {
        log_event(LOG_LEVEL_ERROR, {"event", "connection delayed"}, {"error", err.message});
        return EXHAUSTED_PAUSE_MS;
    }
    return -1;
}

static void serve_sessions(struct serve *serve, struct tls_context *tls, struct listener *listener,
                           int stop_fd)
{
    struct children children = {.count = 0};
    struct pollfd fds[2 + LISTEN_SESSIONS_MAX];
    int wait_ms = -1;

    while (stop_signal_name() == NULL) {
        fds[0] = (struct pollfd){.fd = stop_fd, .events = POLLIN};
        /* While descriptors are short the listener would be ready without end. */
        fds[1] = (struct pollfd){.fd = wait_ms < 0 ? listener->fd : -1, .events = POLLIN};
        size_t count = 2 + children_poll(&children, fds + 2);
        (void)poll(fds, (nfds_t)count, wait_ms); /* interrupted: look at everything again */
        children_reap(&children);
        wait_ms = accept_sessions(serve, tls, listener, &children);
    }
    log_event(LOG_LEVEL_NOTICE, {"event", "server stops"}, {"signal", stop_signal_name()});
    listener_close(listener);
    children_end(&children, env_system());
}

/* A disk that is not there now may come; whoever starts the server should know. */
static void warn_of_missing(const struct exports *exports)
{
    for (uint32_t i = 0; i < exports->count; i++) {
        const struct export *export = &exports->list[i];
        struct stat st;
        if (!export->can_create && strncmp(export->path, "nbd+unix:", 9) != 0 &&
            stat(export->path, &st) < 0) {
            log_event(LOG_LEVEL_WARNING, {"disk", export->name},
                      {"event", "export is not there now"}, {"path", export->path});
        }
    }
}

/*
 * Anybody who reaches the port can make a connection fail, as often as he likes. Each failure is
 * told by a process of its own, so what bounds their lines must be shared. Two at once may count as
 * one: the bound is no exact one.
 */
static int share_refusals(struct serve *serve, struct error *err)
{
    void *page = mmap(NULL, sizeof *serve->refusals, PROT_READ | PROT_WRITE,
                      MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    if (page == MAP_FAILED) {
        return fail(err, ERR_LIMIT, errno, "cannot share memory between sessions");
    }
    serve->refusals = page;
    return 0;
}

static int serve_listen(struct serve *serve)
{
    struct error err = {0};
    struct listener listener = {.fd = -1};
    struct tls_context *tls = NULL;
    int stop_fd = -1;

    if (credentials_complete(&serve->credentials, &err) < 0) {
        return command_fail(&err, false);
    }
    struct tls_files files = {.cert = serve->credentials.cert,
                              .key = serve->credentials.key,
                              .ca = serve->credentials.ca};
    if (tls_context_new(&files, true, &tls, &err) < 0) {
        return command_fail(&err, false);
    }
    if (share_refusals(serve, &err) < 0 || stop_open(&stop_fd, &err) < 0 ||
        listener_open(serve->listen_address, &listener, &err) < 0) {
        tls_context_free(tls);
        return command_fail(&err, false);
    }
    warn_of_missing(&serve->exports);
    printf("listening on %s\n", listener.shown);
    int status = command_finish(COMMAND_DONE);
    if (status == COMMAND_DONE) {
        serve_sessions(serve, tls, &listener, stop_fd);
    }
    listener_close(&listener);
    tls_context_free(tls);
    return status;
}

/* --- the command line ------------------------------------------------------------------------ */

static int add_allowed(struct serve *serve, const char *name, struct error *err)
{
    if (serve->allow_count == ALLOW_MAX) {
        return fail(err, ERR_USAGE, 0, "more than %u times --allow", ALLOW_MAX);
    }
    /* "" would be a name that nobody has; a script's empty variable must not look like "everybody".
     */
    if (name[0] == '\0') {
        return fail(err, ERR_USAGE, 0, "--allow needs a certificate's name");
    }
    serve->allow[serve->allow_count++] = name;
    return 0;
}

static int add_export(struct serve *serve, const char *text, struct error *err)
{
    if (exports_add(&serve->exports, text, err) < 0) {
        return -1;
    }
    const struct export *export = &serve->exports.list[serve->exports.count - 1];
    if (export->format[0] != '\0' && disk_format_parse(export->format) == DISK_FORMAT_INVALID) {
        return fail(err, ERR_USAGE, 0,
                    "export '%s': unknown format '%s'; there are raw, qcow2, vhdx, vmdk and vdi",
                    export->name, export->format);
    }
    return 0;
}

/* One option. Returns 0, 1 when help was asked for, or -1. */
static int take_option(struct serve *serve, int id, const char *value, struct error *err)
{
    switch ((enum serve_option)id) {
    case OPTION_STDIO:
        serve->is_stdio = true;
        return 0;
    case OPTION_LISTEN:
        serve->listen_address = value;
        return 0;
    case OPTION_EXPORT:
        return add_export(serve, value, err);
    case OPTION_ALLOW:
        return add_allowed(serve, value, err);
    case OPTION_CERT:
        serve->credentials.cert = value;
        return 0;
    case OPTION_KEY:
        serve->credentials.key = value;
        return 0;
    case OPTION_CA:
        serve->credentials.ca = value;
        return 0;
    case OPTION_VERBOSE:
        log_set_level(LOG_LEVEL_DEBUG);
        return 0;
    case OPTION_HELP:
        return 1;
    }
    return fail(err, ERR_INTERNAL, 0, "option %d has no code", id);
}

static int check_options(const struct serve *serve, size_t operand_count, struct error *err)
{
    if (operand_count > 0) {
        return fail(err, ERR_USAGE, 0,
                    "serve takes options only; give disks as --export=NAME=PATH");
    }
    if (serve->is_stdio == (serve->listen_address != NULL)) {
        return fail(err, ERR_USAGE, 0, "give either --listen=ADDR:PORT or --stdio");
    }
    if (serve->is_stdio && serve->allow_count > 0) {
        return fail(err, ERR_USAGE, 0, "--allow is for --listen; with --stdio ssh decides who may");
    }
    if (!serve->is_stdio && serve->exports.count == 0) {
        return fail(err, ERR_USAGE, 0, "there is nothing to serve; give --export=NAME=PATH");
    }
    return 0;
}

/* Reads the whole command line. Returns as take_option. */
static int parse(struct serve *serve, int argc, char **argv, struct error *err)
{
    struct options options;
    const char *value = NULL;
    size_t operand_count = 0;

    options_init(&options, argc, argv, serve_options, ARRAY_COUNT(serve_options));
    for (;;) {
        int id = options_next(&options, &value, err);
        if (id < 0) {
            return -1;
        }
        if (id == OPTIONS_END) {
            break;
        }
        int result = take_option(serve, id, value, err);
        if (result != 0) {
            return result;
        }
    }
    (void)options_operands(&options, &operand_count);
    return check_options(serve, operand_count, err);
}

static int serve_run(int argc, char **argv)
{
    struct serve serve = {.is_stdio = false};
    struct error err = {0};
    int status = COMMAND_DONE;

    if (exports_init(&serve.exports, &err) < 0) {
        return command_fail(&err, false);
    }
    int result = parse(&serve, argc, argv, &err);
    if (result < 0) {
        status = command_fail(&err, false);
    } else if (result > 0) {
        command_print_help(&cmd_serve, stdout);
        status = command_finish(COMMAND_DONE);
    } else {
        status = serve.is_stdio ? serve_stdio(&serve) : serve_listen(&serve);
    }
    if (serve.refusals != NULL) {
        (void)munmap(serve.refusals, sizeof *serve.refusals); /* cannot fail: it was mapped so */
    }
    exports_done(&serve.exports);
    return status;
}
