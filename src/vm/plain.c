/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * plain.c - VMs that are lists of disks in the configuration. Who runs them is not known, so there
 * is nobody to ask for a snapshot: the point in time is that at which all disks are open under
 * QEMU's locks, which keep every QEMU from writing until they are closed. A disk that a running VM
 * writes to is refused.
 */
#include "vm/vm.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

struct plain {
    struct inventory inventory; /* first: a struct inventory * is one to this */
    uint32_t count;
    struct vm *vms; /* owned, their disks too */
};

static const struct plain *plain_of(const struct inventory *inventory)
{
    return (const struct plain *)inventory;
}

static uint32_t plain_count(const struct inventory *inventory)
{
    return plain_of(inventory)->count;
}

static const struct vm *plain_at(const struct inventory *inventory, uint32_t index)
{
    const struct plain *plain = plain_of(inventory);

    assert(index < plain->count);
    return &plain->vms[index];
}

/* --- opening --------------------------------------------------------------------------------- */

/* Whether the reason for which a disk did not open was that there is none. The sentence says so
 * already; callers tell it from other errors by the number. */
static bool is_missing(const char *path)
{
    struct stat status;

    return stat(path, &status) < 0 && errno == ENOENT;
}

static int open_disk(const struct vm_disk *disk, struct disk **out, struct error *err)
{
    const struct disk_open_options options = {.path = disk->path, .format = disk->format};
    struct error why = {0};

    if (disk_open(&options, out, &why) == 0) {
        return 0;
    }
    if (err != NULL) {
        *err = why;
        if (why.kind == ERR_IO && strncmp(disk->path, "nbd+unix:", strlen("nbd+unix:")) != 0 &&
            is_missing(disk->path)) {
            err->errnum = ENOENT;
        }
        err->disk[0] = '\0'; /* was the path; the VM's user knows the disk by its name */
        error_set_disk(err, disk->name);
    }
    return -1;
}

static void close_disks(struct disk **disks, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        disk_closep(&disks[i]);
    }
}

static uint64_t all_disks(const struct vm *vm)
{
    assert(vm->disk_count > 0 && vm->disk_count <= DISKS_MAX);
    return vm->disk_count == 64 ? UINT64_MAX : (1ULL << vm->disk_count) - 1;
}

static int plain_open_point(const struct inventory *inventory, const struct vm *vm, uint64_t wanted,
                            struct disk **disks, struct error *err)
{
    struct disk *opened[DISKS_MAX] = {0};
    uint32_t count = 0;

    (void)inventory;
    if (wanted == 0 || (wanted & ~all_disks(vm)) != 0) {
        return fail(err, ERR_USAGE, 0, "%s of the disks of %s %s wanted",
                    wanted == 0 ? "none" : "more than all", vm->name, wanted == 0 ? "is" : "are");
    }
    for (uint32_t i = 0; i < vm->disk_count; i++) {
        if ((wanted >> i & 1) == 0) {
            continue;
        }
        if (open_disk(&vm->disks[i], &opened[count], err) < 0) {
            close_disks(opened, count);
            return -1;
        }
        count++;
    }
    memcpy(disks, opened, count * sizeof(struct disk *));
    return 0;
}

/* --- making ---------------------------------------------------------------------------------- */

static void plain_free(struct inventory *inventory)
{
    struct plain *plain = (struct plain *)inventory;

    for (uint32_t i = 0; plain->vms != NULL && i < plain->count; i++) {
        free(plain->vms[i].disks);
    }
    free(plain->vms);
    free(plain);
}

static const struct inventory_ops plain_ops = {
    .name = "plain",
    .count = plain_count,
    .at = plain_at,
    .open_point = plain_open_point,
    .free = plain_free,
};

static void free_plainp(struct plain **plain)
{
    if (*plain != NULL) {
        plain_free(&(*plain)->inventory);
        *plain = NULL;
    }
}

static int copy_vm(struct vm *to, const struct vm *from, struct error *err)
{
    assert(from->disk_count > 0 && from->disk_count <= DISKS_MAX);
    *to = *from;
    to->disks = calloc(from->disk_count, sizeof *to->disks);
    if (to->disks == NULL) {
        return fail(err, ERR_LIMIT, ENOMEM, "out of memory for the disks of %s", from->name);
    }
    memcpy(to->disks, from->disks, from->disk_count * sizeof *to->disks);
    return 0;
}

int inventory_new_plain(const struct vm *vms, uint32_t count, struct inventory **out,
                        struct error *err)
{
    if (count > VMS_MAX) {
        return fail(err, ERR_LIMIT, 0, "%u VMs are too many; %u are known at most", count, VMS_MAX);
    }
    CLEANUP(free_plainp) struct plain *plain = calloc(1, sizeof *plain);
    if (plain == NULL) {
        return fail(err, ERR_LIMIT, ENOMEM, "out of memory for %u VMs", count);
    }
    plain->inventory.ops = &plain_ops;
    /* One more: calloc(0) may return NULL. */
    plain->vms = calloc((size_t)count + 1, sizeof *plain->vms);
    if (plain->vms == NULL) {
        return fail(err, ERR_LIMIT, ENOMEM, "out of memory for %u VMs", count);
    }
    for (uint32_t i = 0; i < count; i++) {
        if (copy_vm(&plain->vms[i], &vms[i], err) < 0) {
            return -1;
        }
        plain->count++;
    }
    *out = &TAKE(plain)->inventory;
    return 0;
}
