/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A disk in an image file of one of QEMU's formats, served to us as an NBD export by a QEMU program
 * that we start for it: qemu-storage-daemon, or qemu-nbd where that is not installed.
 *
 * Its socket is in a directory that only our user can enter, and both are removed as soon as we are
 * connected: nobody else ever finds it, and nothing stays behind if we are killed later.
 *
 *   image file <- helper process <- private Unix socket <- the NBD driver <- this wrapper
 */
#include "disk/disk.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#include "disk/helper.h"
#include "disk/image_chain.h"
#include "disk/image_fit.h"
#include "disk/nbd.h"
#include "disk/qemu.h"

#define EXPORT_NAME "disk"

struct image_disk {
    struct disk disk;
    struct disk *nbd;         /* owned */
    struct helper *helper;    /* owned; must outlive nbd */
    struct image_chain chain; /* owned; its locks must outlive helper */
    char *path;               /* owned; absolute */
    enum disk_format format;
    bool is_created;   /* the file was made in this open: remove it if the open fails */
    char *dir_path;    /* owned; NULL when the directory is not there (any more) */
    char *socket_path; /* owned; in dir_path */
    char *description; /* owned; the chain for QEMU */
};

static struct image_disk *image_of(struct disk *disk)
{
    return (struct image_disk *)disk;
}

/* --- the operations: the NBD driver's ----------------------------------------------------------
 */

static void image_submit(struct disk *disk, struct disk_request *request)
{
    disk_submit(image_of(disk)->nbd, request);
}

static struct disk_request *image_reap(struct disk *disk)
{
    return disk_reap(image_of(disk)->nbd);
}

static void image_poll_on(struct disk *disk, int *fd, short *events)
{
    disk_poll_on(image_of(disk)->nbd, fd, events);
}

static int image_identity(struct disk *disk, bool stamp, uint8_t identity[DISK_IDENTITY_BYTES],
                          struct error *err)
{
    return disk_identity(image_of(disk)->nbd, stamp, identity, err);
}

static void dir_remove(struct image_disk *image)
{
    if (image->dir_path != NULL) {
        /* Either may be gone: QEMU removes its socket when it ends in good order. */
        (void)unlink(image->socket_path);
        (void)rmdir(image->dir_path);
    }
    free(image->dir_path);
    free(image->socket_path);
    image->dir_path = NULL;
    image->socket_path = NULL;
}

static void image_free(struct image_disk *image)
{
    disk_close(image->nbd);
    helper_end(image->helper);
    dir_remove(image);
    image_chain_close(&image->chain);
    if (image->is_created) {
        (void)unlink(image->path); /* the open failed; the error to report is that one */
    }
    free(image->description);
    free(image->path);
    free(image);
}

static void image_freep(struct image_disk **image)
{
    if (*image != NULL) {
        image_free(*image);
    }
    *image = NULL;
}

static void image_close(struct disk *disk)
{
    image_free(image_of(disk));
}

#define IMAGE_OPS(format_name)                                                                     \
    {                                                                                              \
        .name = (format_name), .submit = image_submit, .reap = image_reap,                         \
        .poll_on = image_poll_on, .identity = image_identity, .close = image_close,                \
    }

static const struct disk_ops image_ops[] = {
    [DISK_FORMAT_QCOW2] = IMAGE_OPS("qcow2"),
    [DISK_FORMAT_VHDX] = IMAGE_OPS("vhdx"),
    [DISK_FORMAT_VMDK] = IMAGE_OPS("vmdk"),
    [DISK_FORMAT_VDI] = IMAGE_OPS("vdi"),
};

/* --- the private directory ------------------------------------------------------------------- */

static int dir_make_in(struct image_disk *image, const char *parent)
{
    char *dir_path = NULL;
    char *socket_path = NULL;

    if (parent == NULL || parent[0] != '/' ||
        asprintf(&dir_path, "%s/resilver-XXXXXX", parent) < 0) {
        return -1;
    }
    if (asprintf(&socket_path, "%s/nbd", dir_path) < 0) {
        free(dir_path);
        return -1;
    }
    if (strlen(socket_path) >= sizeof((struct sockaddr_un *)0)->sun_path ||
        mkdtemp(dir_path) == NULL) { /* mode 0700 */
        free(dir_path);
        free(socket_path);
        return -1;
    }
    memcpy(socket_path, dir_path, strlen(dir_path)); /* the X are letters now */
    image->dir_path = dir_path;
    image->socket_path = socket_path;
    return 0;
}

static int dir_make(struct image_disk *image, struct error *err)
{
    if (dir_make_in(image, secure_getenv("XDG_RUNTIME_DIR")) == 0 ||
        dir_make_in(image, "/run") == 0 || dir_make_in(image, "/tmp") == 0) {
        return 0;
    }
    return fail(err, ERR_IO, errno,
                "cannot make a private directory below $XDG_RUNTIME_DIR, /run or /tmp, which %s "
                "needs",
                image->path);
}

/* --- the helper ------------------------------------------------------------------------------ */

static int start_storage_daemon(struct image_disk *image, char *reason, struct error *err)
{
    json_t *server =
        json_pack("{s:{s:s, s:s}}", "addr", "type", "unix", "path", image->socket_path);
    json_t *export =
        json_pack("{s:s, s:s, s:s, s:s, s:b}", "type", "nbd", "id", "export", "node-name",
                  IMAGE_NODE, "name", EXPORT_NAME, "writable", image->disk.is_writable);
    char *server_text = server == NULL ? NULL : json_dumps(server, JSON_COMPACT);
    char *export_text = export == NULL ? NULL : json_dumps(export, JSON_COMPACT);
    int result = -1;

    if (server_text == NULL || export_text == NULL) {
        result = fail(err, ERR_LIMIT, ENOMEM, "cannot open %s", image->path);
    } else {
        char *const argv[] = {"qemu-storage-daemon", "--blockdev", image->description,
                              "--nbd-server",        server_text,  "--export",
                              export_text,           NULL};
        result = helper_start(argv, image->socket_path, reason, &image->helper, err);
    }
    free(server_text);
    free(export_text);
    json_decref(server);
    json_decref(export);
    return result;
}

static int start_qemu_nbd(struct image_disk *image, char *reason, struct error *err)
{
    char *file = NULL;
    char *mode = image->disk.is_writable ? "--discard=unmap" : "--read-only";

    if (asprintf(&file, "json:%s", image->description) < 0) {
        return fail(err, ERR_LIMIT, ENOMEM, "cannot open %s", image->path);
    }
    /* Persistent: the first connection only asks whether it is there. Shared: so do both fit. */
    char *const argv[] = {
        "qemu-nbd",      "--persistent", "--shared=2", "--socket", image->socket_path,
        "--export-name", EXPORT_NAME,    mode,         file,       NULL};
    int result = helper_start(argv, image->socket_path, reason, &image->helper, err);
    free(file);
    return result;
}

static int helper_bring_up(struct image_disk *image, struct error *err)
{
    char reason[HELPER_REASON_BYTES];
    struct error cause = {.kind = ERR_NONE};
    int result = start_storage_daemon(image, reason, &cause);

    if (result != 0 && cause.errnum == ENOENT) {
        result = start_qemu_nbd(image, reason, &cause);
    }
    if (result == 0) {
        return 0;
    }
    if (cause.errnum == ENOENT) {
        return fail(
            err, ERR_IO, 0,
            "%s is a %s image, for which qemu-storage-daemon or qemu-nbd is needed: install "
            "qemu-system-common or qemu-utils",
            image->path, disk_format_name(image->format));
    }
    if (reason[0] != '\0') {
        return qemu_fail(image->path, image->format, "use", reason, err);
    }
    return fail(err, cause.kind, 0, "cannot open %s: %s", image->path, cause.message);
}

/* Past the page cache, so that what is verified comes from the medium; where that is possible. */
static bool can_be_direct(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECT | O_CLOEXEC);

    if (fd < 0) {
        return false;
    }
    (void)close(fd); /* nothing was written through it */
    return true;
}

static int serve(struct image_disk *image, struct error *err)
{
    bool write = image->disk.is_writable;

    if (image_chain_open(image->path, image->format, write, &image->chain, err) != 0) {
        return -1;
    }
    image->description =
        image_chain_describe(&image->chain, write, write && can_be_direct(image->path));
    if (image->description == NULL) {
        return fail(err, ERR_USAGE, 0,
                    "cannot open %s: its path, or that of an image behind it, is not UTF-8, or "
                    "memory is short",
                    image->path);
    }
    if (dir_make(image, err) != 0 || helper_bring_up(image, err) != 0) {
        return -1;
    }
    return disk_open_nbd_socket(image->socket_path, EXPORT_NAME, image->disk.name, write,
                                &image->nbd, err);
}

/* --- opening --------------------------------------------------------------------------------- */

static int make_absolute(const char *path, char **out, struct error *err)
{
    char *absolute = NULL;
    char *here = NULL;

    if (path[0] == '/') {
        absolute = strdup(path);
    } else {
        here = getcwd(NULL, 0);
        if (here == NULL) {
            return fail(err, ERR_IO, errno, "cannot find %s from here", path);
        }
        if (asprintf(&absolute, "%s/%s", here, path) < 0) {
            absolute = NULL;
        }
        free(here);
    }
    if (absolute == NULL) {
        return fail(err, ERR_LIMIT, ENOMEM, "cannot open %s", path);
    }
    *out = absolute;
    return 0;
}

static int image_new(const struct disk_open_options *options, enum disk_format format,
                     struct image_disk **out, struct error *err)
{
    struct image_disk *image = calloc(1, sizeof *image);

    if (image == NULL) {
        return fail(err, ERR_LIMIT, ENOMEM, "cannot open %s", options->path);
    }
    image->disk.ops = &image_ops[format];
    image->disk.is_writable = options->write;
    image->format = format;
    (void)snprintf(image->disk.name, sizeof image->disk.name, "%s", options->path);
    *out = image;
    return 0;
}

static int check_final_size(const struct image_disk *image, const struct disk_open_options *options,
                            struct error *err)
{
    if (options->create && image->nbd->size_bytes != options->size_bytes) {
        return fail(err, ERR_WRONG_STATE, 0, "%s has %llu bytes where %llu were asked for",
                    image->path, (unsigned long long)image->nbd->size_bytes,
                    (unsigned long long)options->size_bytes);
    }
    return 0;
}

int disk_open_image(const struct disk_open_options *options, enum disk_format format,
                    struct disk **out, struct error *err)
{
    CLEANUP(image_freep) struct image_disk *image = NULL;

    if (format == DISK_FORMAT_INVALID || format == DISK_FORMAT_RAW) {
        return fail(err, ERR_INTERNAL, 0, "%s is not of an image format", options->path);
    }
    assert((size_t)format < ARRAY_COUNT(image_ops) && image_ops[format].name != NULL);
    if (image_new(options, format, &image, err) != 0 ||
        make_absolute(options->path, &image->path, err) != 0 ||
        image_fit(options, image->path, format, &image->is_created, err) != 0 ||
        serve(image, err) != 0 || check_final_size(image, options, err) != 0) {
        return -1;
    }
    image->disk.size_bytes = image->nbd->size_bytes;
    image->disk.block_bytes = image->nbd->block_bytes;
    image->is_created = false;
    dir_remove(image);
    *out = &TAKE(image)->disk;
    return 0;
}
