/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * config_fuzz.c - any bytes as a configuration, and as two files of one: those before and after the
 * first form feed. What is taken holds what config.h promises to those who use it.
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/draft.h"

#define FILE_SEPARATOR '\f'

static int read_part(struct draft *draft, const uint8_t *data, size_t len_bytes, const char *name,
                     struct error *err)
{
    /* fmemopen(3) only reads from it; and it takes no empty buffer. */
    FILE *file = len_bytes == 0 ? fopen("/dev/null", "r")
                                : fmemopen((void *)(uintptr_t)data, len_bytes, "r");

    if (file == NULL) {
        abort();
    }
    int result = draft_read(draft, file, name, err);
    (void)fclose(file); /* only read from */
    return result;
}

static void check_vm(const struct config *config, uint32_t index)
{
    const struct config_vm *vm = &config->vms[index];

    assert(vm->name[0] != '\0' && memchr(vm->name, '\0', sizeof vm->name) != NULL);
    assert(strchr(vm->name, '/') == NULL && !uuid_is_nil(&vm->id));
    assert(vm->disk_count >= 1 && vm->disk_count <= DISKS_MAX);
    for (uint32_t i = 0; i < index; i++) {
        assert(strcmp(config->vms[i].name, vm->name) != 0);
        assert(!uuid_equal(&config->vms[i].id, &vm->id));
    }
    for (uint32_t i = 0; i < vm->disk_count; i++) {
        const struct config_disk *disk = &vm->disks[i];
        assert(disk->name[0] != '\0' && strchr(disk->name, '/') == NULL);
        assert(strcmp(disk->name, ".") != 0 && strcmp(disk->name, "..") != 0);
        assert(disk->path[0] == '/' || strncmp(disk->path, "nbd+unix:///", 12) == 0);
        for (uint32_t j = 0; j < i; j++) {
            assert(strcmp(vm->disks[j].name, disk->name) != 0);
        }
    }
}

static void check_config(const struct config *config)
{
    assert(config->host_name[0] != '\0' && config->state_directory[0] == '/');
    assert(config->socket_path[0] == '/' && strlen(config->socket_path) < 108);
    assert((config->listen_address[0] == '\0') || config->advertise_address[0] != '\0');
    assert(config->max_jobs >= 1 && config->max_jobs <= JOBS_RUNNING_MAX);
    assert(config->retry_first_s >= 1 && config->retry_first_s <= 3600);
    assert(config->monitoring_interval_s >= MONITORING_INTERVAL_MIN_S &&
           config->monitoring_interval_s <= MONITORING_INTERVAL_MAX_S);
    assert(config->monitoring_start_minute < 24U * 60U);
    assert(config->vm_count <= VMS_MAX);
    for (uint32_t i = 0; i < config->vm_count; i++) {
        check_vm(config, i);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *separator = size == 0 ? NULL : memchr(data, FILE_SEPARATOR, size);
    size_t first_bytes = separator == NULL ? size : (size_t)(separator - data);
    struct draft *draft = NULL;
    struct config *config = NULL;
    struct error err = {0};

    if (draft_new(&draft, &err) != 0) {
        abort();
    }
    if (read_part(draft, data, first_bytes, "first", &err) == 0 &&
        (separator == NULL ||
         read_part(draft, separator + 1, size - first_bytes - 1, "second", &err) == 0) &&
        draft_finish(draft, &config, &err) == 0) {
        check_config(config);
    } else {
        assert(err.kind == ERR_USAGE || err.kind == ERR_LIMIT);
        assert(err.message[0] != '\0' && config == NULL);
    }
    config_free(config);
    draft_free(draft);
    return 0;
}
