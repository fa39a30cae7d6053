/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * vm.h - where VMs and their disks come from, as an operations table: disk sets of the
 * configuration (plain.c); libvirt and QEMU behind the same table.
 *
 * Everything here may be called from any thread; an inventory does not change once it is made (a
 * new configuration makes a new one).
 */
#ifndef RESILVER_VM_VM_H
#define RESILVER_VM_VM_H

#include "base/uuid.h"
#include "disk/disk.h"

struct vm_disk {
    char name[DISK_NAME_MAX]; /* "vda" */
    char path[PATH_TEXT_MAX]; /* as disk_open() takes it */
    enum disk_format format;  /* INVALID: by the file */
};

struct vm {
    struct uuid id;
    char name[VM_NAME_MAX];
    uint32_t disk_count;
    struct vm_disk *disks; /* owned by the inventory */
};

struct inventory;

struct inventory_ops {
    const char *name; /* "plain" */
    uint32_t (*count)(const struct inventory *inventory);
    /* index 0 .. count - 1; borrowed until the inventory is freed */
    const struct vm *(*at)(const struct inventory *inventory, uint32_t index);
    /*
     * Take the point in time of these disks of a VM (bits of `wanted` by index), all at one moment,
     * opened for reading into disks[0 ..] in the order of their index. The disks are the caller's.
     * Errors: err->disk names the disk. ERR_IO with errnum ENOENT: a file or device is not there;
     * ERR_USAGE: of a kind that cannot be compared; ERR_WRONG_STATE: in use.
     */
    int (*open_point)(const struct inventory *inventory, const struct vm *vm, uint64_t wanted,
                      struct disk **disks, struct error *err);
    void (*free)(struct inventory *inventory);
};

/* What every kind of inventory begins with, as its first member. */
struct inventory {
    const struct inventory_ops *ops;
};

/* inventory_find - by id or, where `text` is no UUID, by name; NULL: none, or the name is borne by
 * two. */
const struct vm *inventory_find(const struct inventory *inventory, const char *text);

/* vm_find_disk - the index of a disk, or -1. */
int vm_find_disk(const struct vm *vm, const char *name);

void inventory_free(struct inventory *inventory);

/* inventory_new_plain - VMs that are lists of disks; copies what it is given. Errors: ERR_LIMIT. */
MUST_CHECK int inventory_new_plain(const struct vm *vms, uint32_t count, struct inventory **out,
                                   struct error *err);

#endif
