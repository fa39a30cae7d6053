/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "disk/qemu.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "disk/format.h"
#include "disk/helper.h"

#define SIZE_TEXT_MAX 24

/* --- its errors in our words ----------------------------------------------------------------- */

/* What follows the last `mark` in text, or text. */
static const char *after_last(const char *text, const char *mark)
{
    for (const char *found; (found = strstr(text, mark)) != NULL;) {
        text = found + strlen(mark);
    }
    return text;
}

/* text without `opening` and what follows that up to the next `end`; text if it begins otherwise.
 */
static const char *without(const char *text, const char *opening, const char *end)
{
    const char *found = strstr(text, end);

    if (strncmp(text, opening, strlen(opening)) != 0 || found == NULL) {
        return text;
    }
    return found + strlen(end);
}

/*
 * "qemu-img: Could not open 'PATH': Could not open 'PATH': Invalid argument" says "Invalid
 * argument"; a helper repeats its whole option before that, which ends with "}: ".
 */
static const char *plain_words(const char *reason, const char *path)
{
    const char *text = after_last(reason, "}: ");
    const char *before;

    do {
        before = text;
        text = without(text, "qemu-", ": ");
        text = without(text, "Could not open '", "': ");
        text = without(text, "Failed to blk_new_open '", "': ");
        text = without(text, path, ": ");
    } while (text != before);
    return text[0] == '\0' ? "it gave no reason" : text;
}

/* What the file begins like, if that is an image at all: only for the message. */
static enum disk_format look_at(const char *path)
{
    uint8_t head[FORMAT_HEAD_BYTES];
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

    if (fd < 0) {
        return DISK_FORMAT_RAW;
    }
    ssize_t got = pread(fd, head, sizeof head, 0);
    (void)close(fd); /* nothing was written through it */
    return got <= 0 ? DISK_FORMAT_RAW : format_by_magic((struct const_span){head, (size_t)got});
}

int qemu_fail(const char *path, enum disk_format format, const char *doing, const char *reason,
              struct error *err)
{
    const char *name = disk_format_name(format);
    enum disk_format found = look_at(path);

    if (strstr(reason, "Failed to get ") != NULL && strstr(reason, " lock") != NULL) {
        return fail(err, ERR_WRONG_STATE, 0,
                    "%s is in use by a VM: stop it, or take a snapshot of it and use that (QEMU "
                    "says that another program has the image locked)",
                    path);
    }
    if (strstr(reason, strerror(ENOSPC)) != NULL) {
        return fail(err, ERR_LIMIT, ENOSPC, "cannot %s %s as a %s image", doing, path, name);
    }
    if (found != DISK_FORMAT_RAW && found != format) {
        return fail(err, ERR_USAGE, 0,
                    "%s is not a %s image but begins like a %s one: say so with --format=%s", path,
                    name, disk_format_name(found), disk_format_name(found));
    }
    return fail(err, ERR_USAGE, 0, "cannot %s %s as a %s image: %s", doing, path, name,
                plain_words(reason, path));
}

/* --- qemu-img -------------------------------------------------------------------------------- */

static int image_command(char *const argv[], const char *path, enum disk_format format,
                         const char *doing, struct helper_result *out, struct error *err)
{
    struct error cause = {.kind = ERR_NONE};

    if (helper_run(argv, HELPER_RUN_S, out, &cause) != 0) {
        if (cause.errnum == ENOENT) {
            return fail(err, ERR_IO, 0,
                        "%s is a %s image, for which qemu-img is needed: install qemu-utils", path,
                        disk_format_name(format));
        }
        return fail(err, cause.kind, 0, "cannot %s %s: %s", doing, path, cause.message);
    }
    if (out->exit_status != 0) {
        int result = qemu_fail(path, format, doing, out->reason, err);
        helper_result_done(out);
        return result;
    }
    return 0;
}

/* A copy of a string member, NULL if there is none; *ok becomes false when memory is short. */
static char *member_text(const json_t *object, const char *key, bool *ok)
{
    const char *text = json_string_value(json_object_get(object, key));
    char *copy = text == NULL ? NULL : strdup(text);

    *ok = *ok && (text == NULL || copy != NULL);
    return copy;
}

static int parse_image(const char *path, const json_t *root, struct qemu_image *out,
                       struct error *err)
{
    json_int_t size_bytes = json_integer_value(json_object_get(root, "virtual-size"));
    const json_t *specific = json_object_get(root, "format-specific");
    bool ok = true;

    if (!json_is_integer(json_object_get(root, "virtual-size")) || size_bytes < 0) {
        return fail(err, ERR_IO, 0, "qemu-img gives no size for %s", path);
    }
    struct qemu_image image = {.size_bytes = (uint64_t)size_bytes};
    image.backing_path = member_text(root, "full-backing-filename", &ok);
    if (image.backing_path == NULL) {
        image.backing_path = member_text(root, "backing-filename", &ok);
    }
    image.backing_format = member_text(root, "backing-filename-format", &ok);
    image.data_path = member_text(json_object_get(specific, "data"), "data-file", &ok);
    if (!ok) {
        qemu_image_done(&image);
        return fail(err, ERR_LIMIT, ENOMEM, "cannot look at %s", path);
    }
    *out = image;
    return 0;
}

int qemu_image_read(const char *path, enum disk_format format, struct qemu_image *out,
                    struct error *err)
{
    char *const argv[] = {
        "qemu-img",   "info", "--output=json", "-f", (char *)disk_format_name(format),
        (char *)path, NULL};
    struct helper_result result = {.output = NULL};

    if (image_command(argv, path, format, "use", &result, err) != 0) {
        return -1;
    }
    json_t *root = json_loadb(result.output, result.output_bytes, 0, NULL);
    int status = root == NULL ? fail(err, ERR_IO, 0, "qemu-img says of %s what is no JSON", path)
                              : parse_image(path, root, out, err);
    json_decref(root);
    helper_result_done(&result);
    return status;
}

void qemu_image_done(struct qemu_image *image)
{
    free(image->backing_path);
    free(image->backing_format);
    free(image->data_path);
    *image = (struct qemu_image){.size_bytes = 0};
}

static int image_command_quiet(char *const argv[], const char *path, enum disk_format format,
                               const char *doing, struct error *err)
{
    struct helper_result result = {.output = NULL};

    if (image_command(argv, path, format, doing, &result, err) != 0) {
        return -1;
    }
    helper_result_done(&result);
    return 0;
}

int qemu_image_create(const char *path, enum disk_format format, uint64_t size_bytes,
                      struct error *err)
{
    char size_text[SIZE_TEXT_MAX];
    char *const argv[] = {"qemu-img",   "create",  "-q", "-f", (char *)disk_format_name(format),
                          (char *)path, size_text, NULL};

    (void)snprintf(size_text, sizeof size_text, "%llu", (unsigned long long)size_bytes);
    return image_command_quiet(argv, path, format, "make", err);
}

int qemu_image_resize(const char *path, enum disk_format format, uint64_t size_bytes, bool shrink,
                      struct error *err)
{
    char size_text[SIZE_TEXT_MAX];
    char *const grow_argv[] = {
        "qemu-img",   "resize",  "-q", "-f", (char *)disk_format_name(format),
        (char *)path, size_text, NULL};
    char *const shrink_argv[] = {"qemu-img",   "resize",  "-q",
                                 "--shrink",   "-f",      (char *)disk_format_name(format),
                                 (char *)path, size_text, NULL};

    (void)snprintf(size_text, sizeof size_text, "%llu", (unsigned long long)size_bytes);
    return image_command_quiet(shrink ? shrink_argv : grow_argv, path, format, "resize", err);
}
