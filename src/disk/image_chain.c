/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The chain is walked one layer at a time, and only after its format is known: QEMU, asked for the
 * whole chain, would guess the format of a layer that nobody has named by the layer's first bytes,
 * and whoever can write those (a guest can, to a raw disk) could have it open any file of the host.
 */
#include "disk/image_chain.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "disk/lock.h"
#include "disk/qemu.h"

static int fail_open(const char *path, const char *front, bool write, struct error *err)
{
    if (front != NULL) {
        return fail(err, ERR_IO, errno, "cannot open %s, which is the image behind %s", path,
                    front);
    }
    if (errno == ENOENT) {
        return fail(err, ERR_IO, 0, "%s does not exist; check its name%s", path,
                    write ? ", or have it made with --create" : "");
    }
    return fail(err, ERR_IO, errno, "cannot open %s for %s", path, write ? "writing" : "reading");
}

static int layer_inspect(struct image_layer *layer, int fd, struct error *err)
{
    struct stat status;

    if (fstat(fd, &status) != 0) {
        return fail(err, ERR_IO, errno, "cannot look at %s", layer->path);
    }
    if (S_ISDIR(status.st_mode)) {
        return fail(err, ERR_USAGE, 0, "%s is a directory; name the image in it", layer->path);
    }
    if (!S_ISREG(status.st_mode) && !S_ISBLK(status.st_mode)) {
        return fail(err, ERR_USAGE, 0, "%s is not an image: neither a file nor a block device",
                    layer->path);
    }
    layer->is_device = S_ISBLK(status.st_mode);
    return 0;
}

/*
 * Keep others away. The helper locks every layer that is not raw by itself, for as long as it has
 * it open; a raw one it would share with a writer. Ours cover all layers behind the image, so that
 * what is in use is said in one way. The image itself is left to the helper, which may write to it;
 * but QEMU does not claim a device for itself, so a mounted one is refused here.
 */
static int layer_protect(struct image_layer *layer, bool is_behind, bool write, struct error *err)
{
    if (!is_behind && !(write && layer->is_device)) {
        return 0;
    }
    int flags = is_behind ? O_RDONLY : O_RDWR | O_EXCL;
    layer->lock_fd = open(layer->path, flags | O_CLOEXEC);
    if (layer->lock_fd < 0 && errno == EBUSY) {
        return fail(err, ERR_WRONG_STATE, 0,
                    "%s is in use: it is mounted, part of a volume group, a RAID or swap, or "
                    "another program has it alone; take it out of use first",
                    layer->path);
    }
    if (layer->lock_fd < 0) {
        return fail(err, ERR_IO, errno, "cannot open %s", layer->path);
    }
    return is_behind ? lock_image(layer->lock_fd, layer->path, false, err) : 0;
}

/* @front  the image that this one is behind; NULL for the image itself */
static int layer_add(struct image_chain *chain, const char *path, const char *front,
                     enum disk_format format, bool write, struct error *err)
{
    assert(chain->count < IMAGE_CHAIN_MAX);
    struct image_layer *layer = &chain->layers[chain->count];

    *layer = (struct image_layer){.path = strdup(path), .format = format, .lock_fd = -1};
    if (layer->path == NULL) {
        return fail(err, ERR_LIMIT, ENOMEM, "cannot open %s", path);
    }
    chain->count++;
    /* A directory cannot be opened for writing, but must be called what it is. */
    int fd = open(path, (write ? O_RDWR : O_RDONLY) | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0 && errno == EISDIR) {
        fd = open(path, O_RDONLY | O_CLOEXEC | O_DIRECTORY);
    }
    if (fd < 0) {
        return fail_open(path, front, write, err);
    }
    int result = layer_inspect(layer, fd, err);
    (void)close(fd); /* nothing was written through it */
    return result == 0 ? layer_protect(layer, front != NULL, write, err) : -1;
}

/* The format that an image's header gives to the image behind it. */
static int backing_format(const char *path, const struct qemu_image *image,
                          enum disk_format *format, struct error *err)
{
    if (image->backing_format == NULL) {
        return fail(err, ERR_USAGE, 0,
                    "%s does not say of which format the image behind it (%s) is, and guessing is "
                    "not safe: qemu-img rebase -u -b FILE -F FORMAT says it",
                    path, image->backing_path);
    }
    *format = disk_format_parse(image->backing_format);
    if (*format == DISK_FORMAT_INVALID) {
        return fail(err, ERR_USAGE, 0,
                    "the image behind %s (%s) is of format %s, which is not read", path,
                    image->backing_path, image->backing_format);
    }
    return 0;
}

static int layer_next(struct image_chain *chain, const struct qemu_image *image, struct error *err)
{
    const char *path = chain->layers[chain->count - 1].path;
    enum disk_format format = DISK_FORMAT_INVALID;

    if (image->data_path != NULL) {
        return fail(err, ERR_USAGE, 0,
                    "%s keeps its data in another file (%s), which is not read: qemu-img convert "
                    "makes one file of both",
                    path, image->data_path);
    }
    if (image->backing_path == NULL) {
        return 0;
    }
    if (chain->count == IMAGE_CHAIN_MAX) {
        return fail(err, ERR_LIMIT, 0,
                    "there are more than %u images behind %s, or they form a ring: merge them "
                    "(qemu-img commit)",
                    IMAGE_CHAIN_MAX - 1, chain->layers[0].path);
    }
    if (image->backing_path[0] != '/') {
        return fail(err, ERR_USAGE, 0,
                    "the image behind %s (%s) is not a file of this host, which alone is read",
                    path, image->backing_path);
    }
    if (backing_format(path, image, &format, err) != 0) {
        return -1;
    }
    return layer_add(chain, image->backing_path, path, format, false, err);
}

int image_chain_open(const char *path, enum disk_format format, bool write, struct image_chain *out,
                     struct error *err)
{
    uint32_t looked_at = 0;

    out->count = 0;
    int result = layer_add(out, path, NULL, format, write, err);
    while (result == 0 && looked_at < out->count) {
        const struct image_layer *layer = &out->layers[looked_at++];
        if (layer->format == DISK_FORMAT_RAW) {
            break; /* has no header, and so nothing behind it */
        }
        struct qemu_image image;
        result = qemu_image_read(layer->path, layer->format, &image, err);
        if (result == 0) {
            result = layer_next(out, &image, err);
            qemu_image_done(&image);
        }
    }
    if (result != 0) {
        image_chain_close(out);
    }
    return result;
}

void image_chain_close(struct image_chain *chain)
{
    for (uint32_t i = 0; i < chain->count; i++) {
        if (chain->layers[i].lock_fd >= 0) {
            (void)close(chain->layers[i].lock_fd); /* nothing was written through it */
        }
        free(chain->layers[i].path);
    }
    chain->count = 0;
}

/* --- for QEMU -------------------------------------------------------------------------------- */

static bool can_have_backing(enum disk_format format)
{
    return format == DISK_FORMAT_QCOW2 || format == DISK_FORMAT_VMDK;
}

/* A name and its value belong on one line. */
/* clang-format off */
static json_t *describe_file(const struct image_layer *layer, const char *discard, bool direct)
{
    return json_pack("{s:s, s:s, s:s, s:s}",
                     "driver", layer->is_device ? "host_device" : "file",
                     "filename", layer->path,
                     "discard", discard,
                     /* a third less processor time than threads, but only past the page cache */
                     "aio", direct ? "native" : "threads");
}

static json_t *describe_node(const struct image_layer *layer, bool write, bool direct)
{
    const char *discard = write ? "unmap" : "ignore";

    return json_pack("{s:s, s:b, s:s, s:s, s:{s:b}, s:o}",
                     "driver", disk_format_name(layer->format),
                     "read-only", !write,
                     "discard", discard,
                     "detect-zeroes", "off",
                     "cache", "direct", direct,
                     "file", describe_file(layer, discard, direct));
}
/* clang-format on */

/* One layer over the one below it, whose reference is taken. NULL when memory is short. */
static json_t *layer_describe(const struct image_layer *layer, json_t *below, bool write,
                              bool direct)
{
    json_t *node = describe_node(layer, write, direct);

    if (node != NULL && can_have_backing(layer->format)) {
        json_t *backing = below != NULL ? below : json_null();
        if (json_object_set_new(node, "backing", backing) != 0) {
            json_decref(node);
            node = NULL;
        }
    } else {
        json_decref(below);
    }
    return node;
}

char *image_chain_describe(const struct image_chain *chain, bool write, bool direct)
{
    json_t *node = NULL;

    for (uint32_t i = chain->count; i > 0; i--) {
        bool is_top = i == 1;
        node = layer_describe(&chain->layers[i - 1], node, write && is_top, direct && is_top);
        if (node == NULL) {
            return NULL;
        }
    }
    char *text = NULL;
    if (json_object_set_new(node, "node-name", json_string(IMAGE_NODE)) == 0) {
        text = json_dumps(node, JSON_COMPACT);
    }
    json_decref(node);
    return text;
}
