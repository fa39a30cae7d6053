/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * inventory.c - what is the same for all kinds of inventories.
 */
#include "vm/vm.h"

#include <assert.h>

static const struct vm *find_by_id(const struct inventory *inventory, const struct uuid *id)
{
    uint32_t count = inventory->ops->count(inventory);

    for (uint32_t i = 0; i < count; i++) {
        const struct vm *vm = inventory->ops->at(inventory, i);
        if (uuid_equal(&vm->id, id)) {
            return vm;
        }
    }
    return NULL;
}

const struct vm *inventory_find(const struct inventory *inventory, const char *text)
{
    const struct vm *found = NULL;
    struct uuid id;

    if (uuid_parse(text, &id, NULL) == 0) {
        return uuid_is_nil(&id) ? NULL : find_by_id(inventory, &id);
    }
    uint32_t count = inventory->ops->count(inventory);
    for (uint32_t i = 0; i < count; i++) {
        const struct vm *vm = inventory->ops->at(inventory, i);
        if (strcmp(vm->name, text) == 0) {
            if (found != NULL) {
                return NULL; /* which of the two is meant is not ours to guess */
            }
            found = vm;
        }
    }
    return found;
}

int vm_find_disk(const struct vm *vm, const char *name)
{
    for (uint32_t i = 0; i < vm->disk_count; i++) {
        if (strcmp(vm->disks[i].name, name) == 0) {
            return (int)i;
        }
    }
    return -1;
}

void inventory_free(struct inventory *inventory)
{
    if (inventory != NULL) {
        assert(inventory->ops != NULL);
        inventory->ops->free(inventory);
    }
}
