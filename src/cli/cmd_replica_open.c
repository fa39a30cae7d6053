/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * cmd_replica_open.c - a point's disks for other programs: read-only NBD exports on a Unix socket,
 * until the program is told to end. The replica stays locked meanwhile, so that the point stays.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/env.h"
#include "cli/cmd_replica.h"
#include "cli/human.h"
#include "cli/json_out.h"
#include "cli/render_replica.h"
#include "cli/render_text.h"
#include "cli/stop.h"
#include "wire/nbd_export.h"

/* Every byte of a name or path as %XX, and the rest of a URI. */
#define URI_MAX (3 * (DISK_NAME_MAX + PATH_TEXT_MAX) + 64)

static int open_run(int argc, char **argv);

static const struct option_row open_options[] = {
    {REPLICA_OPTION_POINT, "point", 0, "POINT", "which point; without it the present one"},
    {REPLICA_OPTION_SOCKET, "socket", 0, "SOCKET",
     "where to listen; without it in a folder of its own"},
    {REPLICA_OPTION_DISK, "disk", 0, "NAME", "only this disk"},
    REPLICA_ROW_JSON,
    REPLICA_ROW_HELP,
};

const struct command cmd_replica_open = {
    .name = "replica open",
    .run = open_run,
    .summary = "offer the disks of a point to other programs, read-only (NBD)",
    .synopsis = (const char *const[]){"[--point=POINT] [options] PATH", NULL},
    .options = open_options,
    .option_count = ARRAY_COUNT(open_options),
    .notes =
        "POINT is a number that 'resilver replica points' shows, or 'present'. One line for each\n"
        "disk is printed, with the URI that qemu-img, nbdcopy and others take. Ends when it is\n"
        "interrupted; until then the replica cannot be synchronized.\n",
};

struct serving {
    const struct replica_args *args; /* borrowed */
    struct replica_info info;
    struct point_record record;
    uint32_t count;
    uint32_t indexes[DISKS_MAX];   /* of those that are served, in the record */
    struct disk *disks[DISKS_MAX]; /* owned */
    struct nbd_export exports[DISKS_MAX];
    char folder[PATH_TEXT_MAX]; /* made for the socket, to be removed; "": none */
    char socket[PATH_TEXT_MAX];
    bool has_told; /* the result is printed: what goes wrong then is told beside it */
};

/* --- the socket's place ---------------------------------------------------------------------- */

static bool make_folder_in(struct serving *serving, const char *parent)
{
    if (parent == NULL || parent[0] != '/') {
        return false;
    }
    int used = snprintf(serving->folder, sizeof serving->folder, "%s/resilver-XXXXXX", parent);
    bool fits =
        used > 0 && (size_t)used + sizeof "/nbd" <= sizeof((struct sockaddr_un *)NULL)->sun_path;
    if (!fits || mkdtemp(serving->folder) == NULL) { /* mode 0700 */
        serving->folder[0] = '\0';
        return false;
    }
    return true;
}

static int place_socket(struct serving *serving, struct error *err)
{
    const char *wanted = serving->args->socket;
    int used = 0;

    if (wanted == NULL) {
        if (!make_folder_in(serving, secure_getenv("XDG_RUNTIME_DIR")) &&
            !make_folder_in(serving, "/run/resilver") && !make_folder_in(serving, "/tmp")) {
            return fail(err, ERR_IO, errno,
                        "cannot make a folder for the socket below $XDG_RUNTIME_DIR, /run/resilver "
                        "or /tmp; say where with --socket");
        }
        used = snprintf(serving->socket, sizeof serving->socket, "%.*s/nbd",
                        (int)sizeof serving->socket - 8, serving->folder);
    } else if (wanted[0] == '/') {
        used = snprintf(serving->socket, sizeof serving->socket, "%s", wanted);
    } else {
        char here[PATH_TEXT_MAX];
        if (getcwd(here, sizeof here) == NULL) {
            return fail(err, ERR_IO, errno, "cannot tell which folder this is");
        }
        used = snprintf(serving->socket, sizeof serving->socket, "%s/%s", here, wanted);
    }
    return used < (int)sizeof serving->socket
               ? 0
               : fail(err, ERR_USAGE, 0, "the socket's path is too long: %s", wanted);
}

/* --- the disks ------------------------------------------------------------------------------- */

static int fail_no_disk(const struct serving *serving, struct error *err)
{
    char list[400] = "";
    size_t used = 0;

    for (uint32_t i = 0; i < serving->record.disk_count && used < sizeof list; i++) {
        used += (size_t)snprintf(list + used, sizeof list - used, "%s%s", i == 0 ? "" : ", ",
                                 serving->record.disks[i].name);
    }
    return fail(err, ERR_USAGE, 0, "point %" PRIu64 " has no disk '%.100s'; it has %s",
                serving->record.number, serving->args->disk, list);
}

static int choose_disks(struct serving *serving, struct error *err)
{
    const char *wanted = serving->args->disk;

    for (uint32_t i = 0; i < serving->record.disk_count; i++) {
        if (wanted == NULL || strcmp(wanted, serving->record.disks[i].name) == 0) {
            serving->indexes[serving->count++] = i;
        }
    }
    return serving->count > 0 ? 0 : fail_no_disk(serving, err);
}

static int open_disks(struct serving *serving, struct replica *replica, struct error *err)
{
    for (uint32_t i = 0; i < serving->count; i++) {
        uint32_t index = serving->indexes[i];
        const char *name = serving->record.disks[index].name;
        if (replica_open_point(replica, serving->record.number, index, &serving->disks[i], err) <
            0) {
            error_set_disk(err, name);
            return -1;
        }
        serving->exports[i] = (struct nbd_export){.name = name, .disk = serving->disks[i]};
    }
    return 0;
}

/* --- telling --------------------------------------------------------------------------------- */

/* Text within a URI. Source: RFC 3986 2.3; a slash means nothing special in either place. */
static size_t put_escaped(char *out, const char *text)
{
    static const char digits[] = "0123456789ABCDEF";
    char *at = out;

    for (; *text != '\0'; text++) {
        unsigned char byte = (unsigned char)*text;
        bool is_plain = (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
                        (byte >= '0' && byte <= '9') || strchr("-._~/", byte) != NULL;
        if (is_plain) {
            *at++ = (char)byte;
        } else {
            *at++ = '%';
            *at++ = digits[byte >> 4];
            *at++ = digits[byte & 15];
        }
    }
    *at = '\0';
    return (size_t)(at - out);
}

/* Source: NBD doc/uri.md, "NBD URI syntax" */
static void make_uri(const char *name, const char *socket, char out[URI_MAX])
{
    static const char head[] = "nbd+unix:///";
    static const char middle[] = "?socket=";
    char *at = out;

    memcpy(at, head, sizeof head - 1);
    at += sizeof head - 1;
    at += put_escaped(at, name);
    memcpy(at, middle, sizeof middle - 1);
    at += sizeof middle - 1;
    (void)put_escaped(at, socket);
}

static bool fill_disks(json_t *list, const struct serving *serving)
{
    char uri[URI_MAX];

    for (uint32_t i = 0; i < serving->count; i++) {
        json_t *disk = json_object();
        make_uri(serving->exports[i].name, serving->socket, uri);
        if (disk == NULL || json_array_append_new(list, disk) != 0 ||
            !json_out_put(disk, "name", json_out_text(serving->exports[i].name)) ||
            !json_out_put(disk, "size_bytes", json_out_amount(serving->disks[i]->size_bytes)) ||
            !json_out_put(disk, "uri", json_out_text(uri))) {
            return false;
        }
    }
    return true;
}

static json_t *make_json(const struct serving *serving)
{
    json_t *object = json_object();
    json_t *disks = json_array();

    if (object == NULL) {
        json_decref(disks);
        return NULL;
    }
    if (!json_out_put(object, "disks", disks) || !fill_disks(disks, serving) ||
        !json_out_put(object, "path", json_out_text(serving->args->path)) ||
        !json_out_put(object, "point", json_out_amount(serving->record.number)) ||
        !json_out_put(object, "time", json_out_time(serving->record.time_ns)) ||
        !json_out_put(object, "socket", json_out_text(serving->socket))) {
        json_decref(object);
        return NULL;
    }
    return object;
}

/* nbd_export_host.listening */
static void show_listening(void *context, const char *socket_path)
{
    struct serving *serving = context;
    char uri[URI_MAX];

    serving->has_told = true;
    (void)socket_path; /* the one that it was told */
    if (serving->args->json) {
        render_replica_json_print(stdout, "done", "opened", make_json(serving));
    }
    for (uint32_t i = 0; !serving->args->json && i < serving->count; i++) {
        make_uri(serving->exports[i].name, serving->socket, uri);
        (void)printf("%s\n", uri);
    }
    (void)fflush(stdout); /* command_finish() asks the stream */
    if (isatty(STDERR_FILENO) == 1) {
        char time[HUMAN_MAX];
        (void)fprintf(stderr, "point %" PRIu64 " of %s is open; interrupt (Ctrl-C) to close it\n",
                      serving->record.number, human_time(serving->record.time_ns, time));
    }
}

/* nbd_export_host.dropped */
static void show_dropped(void *context, const struct error *err)
{
    (void)context;
    render_text_error(stderr, err);
}

/* --- the whole ------------------------------------------------------------------------------- */

static int serve(struct serving *serving, struct error *err)
{
    struct nbd_export_host host = {
        .listening = show_listening, .dropped = show_dropped, .context = serving};
    struct nbd_export_config config = {.socket_path = serving->socket,
                                       .exports = serving->exports,
                                       .count = serving->count,
                                       .env = env_system(),
                                       .host = &host};

    if (stop_open(&config.stop_fd, err) < 0) {
        return -1;
    }
    int result = nbd_export_run(&config, err);
    if (result < 0 && serving->has_told) {
        render_text_error(stderr, err);
        return COMMAND_FAILED;
    }
    return result < 0 ? -1 : COMMAND_DONE;
}

static int find_and_serve(struct serving *serving, struct replica *replica, struct error *err)
{
    const char *word = serving->args->point == NULL ? "present" : serving->args->point;
    struct replica_point point;

    if (cmd_replica_pick(&serving->info, word, &point, err) < 0 ||
        replica_get_point(replica, point.number, &serving->record, err) < 0 ||
        choose_disks(serving, err) < 0 || open_disks(serving, replica, err) < 0 ||
        place_socket(serving, err) < 0) {
        return -1;
    }
    return serve(serving, err);
}

static int open_do(const struct replica_args *args, struct error *err)
{
    struct serving *serving = calloc(1, sizeof *serving);
    struct replica *replica = NULL;

    if (serving == NULL) {
        return fail(err, ERR_LIMIT, ENOMEM, "cannot open a point");
    }
    serving->args = args;
    int result = cmd_replica_lock(args->path, &replica, &serving->info, err);
    if (result == 0) {
        result = find_and_serve(serving, replica, err);
    }
    for (uint32_t i = 0; i < serving->count; i++) {
        disk_close(serving->disks[i]);
    }
    if (serving->folder[0] != '\0') {
        (void)rmdir(serving->folder); /* what somebody else put there is left to him */
    }
    replica_close(replica);
    free(serving);
    return result;
}

static int open_run(int argc, char **argv)
{
    return replica_args_run(&cmd_replica_open, argc, argv, 1, 1, open_do);
}
