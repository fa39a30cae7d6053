/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * draft.c - sections and keys as they come, and what can be judged only when all are there.
 *
 * Invariants:
 * 1. config->vms[i] and notes[i] are about the same VM; so are their disks and disk notes.
 * 2. A disk that has only a format so far has an empty path, and a place of that format.
 */
#include "config/draft.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/nearest.h"
#include "config/keys.h"
#include "config/lines.h"
#include "config/value.h"

#define DISK_PREFIX "disk."
#define FORMAT_PREFIX "format."

/* Where something is said; line 0: nowhere yet. */
struct place {
    uint32_t file; /* index of its name */
    uint32_t line;
};

struct disk_note {
    struct place at;
    struct place format_at;
};

struct vm_note {
    struct place at;
    struct place id_at;
    struct disk_note disks[DISKS_MAX];
};

struct draft {
    struct config *config;  /* owned */
    struct vm_note **notes; /* owned, each too */
    size_t vm_capacity;
    char **files; /* owned, each too: the names of what was read */
    uint32_t file_count;
    /* what the line at hand is in */
    uint32_t line;
    const char *section; /* NULL: a VM's */
    uint32_t vm;         /* its index */
};

static const char *file_of(const struct draft *draft, const struct place *place)
{
    assert(place->file < draft->file_count);
    return draft->files[place->file];
}

static struct place here(const struct draft *draft)
{
    assert(draft->file_count > 0);
    return (struct place){draft->file_count - 1, draft->line};
}

/* Names are cut, so that the sentence behind them has room. */
static int fail_place(const struct draft *draft, const struct place *place, const char *what,
                      struct error *err, const char *format, ...) FORMAT_AT(5, 6);

static int fail_place(const struct draft *draft, const struct place *place, const char *what,
                      struct error *err, const char *format, ...)
{
    char sentence[ERROR_MESSAGE_MAX];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(sentence, sizeof sentence, format, args);
    va_end(args);
    return fail(err, ERR_USAGE, 0, "%.255s:%u: %.64s: %s", file_of(draft, place), place->line, what,
                sentence);
}

/* --- sections -------------------------------------------------------------------------------- */

static int find_vm(const struct draft *draft, const char *name)
{
    for (uint32_t i = 0; i < draft->config->vm_count; i++) {
        if (strcmp(draft->config->vms[i].name, name) == 0) {
            return (int)i;
        }
    }
    return -1;
}

/* Makes room for one more VM. */
static int grow_vms(struct draft *draft, struct error *err)
{
    size_t capacity = draft->vm_capacity == 0 ? 16 : 2 * draft->vm_capacity;

    if (draft->config->vm_count < draft->vm_capacity) {
        return 0;
    }
    struct config_vm *vms = reallocarray(draft->config->vms, capacity, sizeof *vms);
    if (vms == NULL) {
        return fail(err, ERR_LIMIT, ENOMEM, "out of memory for %zu VMs", capacity);
    }
    draft->config->vms = vms;
    struct vm_note **notes = reallocarray(draft->notes, capacity, sizeof(struct vm_note *));
    if (notes == NULL) {
        return fail(err, ERR_LIMIT, ENOMEM, "out of memory for %zu VMs", capacity);
    }
    draft->notes = notes;
    draft->vm_capacity = capacity;
    return 0;
}

static int add_vm(struct draft *draft, const char *name, struct error *err)
{
    struct config_vm vm = {0};
    struct place at = here(draft);
    struct error why = {0};

    if (draft->config->vm_count == VMS_MAX) {
        return fail(err, ERR_LIMIT, 0, "%.255s:%u: there are more than %u VMs", file_of(draft, &at),
                    at.line, VMS_MAX);
    }
    if (value_vm_name(name, vm.name, &why) < 0) {
        return fail_place(draft, &at, "[vm]", err, "%s", why.message);
    }
    if (grow_vms(draft, err) < 0) {
        return -1;
    }
    struct vm_note *note = calloc(1, sizeof *note);
    if (note == NULL) {
        return fail(err, ERR_LIMIT, ENOMEM, "out of memory for the VM %s", name);
    }
    note->at = at;
    draft->vm = draft->config->vm_count++;
    draft->config->vms[draft->vm] = vm;
    draft->notes[draft->vm] = note;
    return 0;
}

/* "vm NAME": the name; NULL: it is another section. */
static const char *vm_of(const char *section)
{
    if (strncmp(section, "vm", 2) != 0 || strchr(" \t", section[2]) == NULL) {
        return NULL;
    }
    return section + 2 + strspn(section + 2, " \t");
}

static int fail_section(const struct draft *draft, const char *name, struct error *err)
{
    struct place at = here(draft);
    char first[33] = ""; /* a word that is longer has no neighbour */
    const char *nearest = NULL;

    (void)snprintf(first, sizeof first, "%.*s", (int)strcspn(name, " \t"), name);
    if (keys_section(first, &nearest) != NULL) {
        return fail(err, ERR_USAGE, 0, "%.255s:%u: [%.64s]: did you mean [%s]?",
                    file_of(draft, &at), at.line, name, first);
    }
    if (nearest != NULL) {
        return fail(
            err, ERR_USAGE, 0, "%.255s:%u: [%.64s] is no known section; did you mean [%s%s]?",
            file_of(draft, &at), at.line, name, nearest, strcmp(nearest, "vm") == 0 ? " NAME" : "");
    }
    return fail(err, ERR_USAGE, 0,
                "%.255s:%u: [%.64s] is no known section; there are [host], [control], "
                "[replication], [gateway] and [vm NAME]",
                file_of(draft, &at), at.line, name);
}

static int take_section(void *context, uint32_t line, const char *name, struct error *err)
{
    struct draft *draft = context;
    const char *nearest = NULL;
    const char *vm_name = vm_of(name);

    draft->line = line;
    draft->section = NULL;
    if (vm_name != NULL) {
        int index = find_vm(draft, vm_name);
        draft->vm = index < 0 ? 0 : (uint32_t)index;
        return index < 0 ? add_vm(draft, vm_name, err) : 0;
    }
    draft->section = keys_section(name, &nearest);
    return draft->section == NULL ? fail_section(draft, name, err) : 0;
}

/* --- a VM's keys ----------------------------------------------------------------------------- */

static struct config_vm *vm_at_hand(struct draft *draft)
{
    assert(draft->section == NULL && draft->vm < draft->config->vm_count);
    return &draft->config->vms[draft->vm];
}

static int take_id(struct draft *draft, const char *value, struct error *err)
{
    struct config_vm *vm = vm_at_hand(draft);
    struct vm_note *note = draft->notes[draft->vm];
    struct place at = here(draft);
    struct error why = {0};
    struct uuid id;

    if (value_vm_id(value, &id, &why) < 0) {
        return fail_place(draft, &at, "uuid", err, "%s", why.message);
    }
    /* Not as with other keys, where the last wins: most likely a section was copied, and its name
     * left as it was. */
    if (note->id_at.line != 0 && !uuid_equal(&vm->id, &id)) {
        return fail_place(draft, &at, "uuid", err, "%s has another UUID already, from %.200s:%u",
                          vm->name, file_of(draft, &note->id_at), note->id_at.line);
    }
    vm->id = id;
    note->id_at = at;
    return 0;
}

/* The disk of the name, made if there is none; NULL with err set. */
static struct config_disk *get_disk(struct draft *draft, const char *key, const char *name,
                                    uint32_t *out_index, struct error *err)
{
    struct config_vm *vm = vm_at_hand(draft);
    struct config_disk disk = {0};
    struct place at = here(draft);
    struct error why = {0};

    if (value_disk_name(name, disk.name, &why) < 0) {
        (void)fail_place(draft, &at, key, err, "%s", why.message);
        return NULL;
    }
    for (uint32_t i = 0; i < vm->disk_count; i++) {
        if (strcmp(vm->disks[i].name, name) == 0) {
            *out_index = i;
            return &vm->disks[i];
        }
    }
    if (vm->disk_count == DISKS_MAX) {
        (void)fail_place(draft, &at, key, err, "%s would have more than %u disks", vm->name,
                         DISKS_MAX);
        return NULL;
    }
    /* One at a time: few VMs have more than four. */
    struct config_disk *disks = reallocarray(vm->disks, vm->disk_count + 1, sizeof *disks);
    if (disks == NULL) {
        (void)fail(err, ERR_LIMIT, ENOMEM, "out of memory for the disks of %s", vm->name);
        return NULL;
    }
    vm->disks = disks;
    *out_index = vm->disk_count++;
    disks[*out_index] = disk;
    return &disks[*out_index];
}

static int take_disk(struct draft *draft, const char *key, const char *value, struct error *err)
{
    uint32_t index = 0;
    struct place at = here(draft);
    struct error why = {0};
    struct config_disk *disk = get_disk(draft, key, key + strlen(DISK_PREFIX), &index, err);

    if (disk == NULL) {
        return -1;
    }
    struct disk_note *note = &draft->notes[draft->vm]->disks[index];
    if (note->at.line != 0) {
        return fail_place(draft, &at, key, err, "%.64s has this disk already, from %.200s:%u",
                          vm_at_hand(draft)->name, file_of(draft, &note->at), note->at.line);
    }
    if (value_disk_path(value, disk->path, &why) < 0) {
        return fail_place(draft, &at, key, err, "%s", why.message);
    }
    note->at = at;
    return 0;
}

static int take_format(struct draft *draft, const char *key, const char *value, struct error *err)
{
    uint32_t index = 0;
    struct place at = here(draft);
    struct error why = {0};
    struct config_disk *disk = get_disk(draft, key, key + strlen(FORMAT_PREFIX), &index, err);

    if (disk == NULL) {
        return -1;
    }
    if (value_format(value, disk->format, &why) < 0) {
        return fail_place(draft, &at, key, err, "%s", why.message);
    }
    draft->notes[draft->vm]->disks[index].format_at = at;
    return 0;
}

static bool begins_with(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

/* --- keys ------------------------------------------------------------------------------------ */

static int fail_vm_key(const struct draft *draft, const char *key, struct error *err)
{
    struct place at = here(draft);
    char first[33] = "";
    size_t len_bytes = strcspn(key, ".");
    const char *nearest = NULL;

    (void)snprintf(first, sizeof first, "%.*s", (int)(len_bytes < 33 ? len_bytes : 33), key);
    nearest = nearest_pick(first, nearest, "uuid");
    nearest = nearest_pick(first, nearest, "disk");
    nearest = nearest_pick(first, nearest, "format");
    if (nearest == NULL) {
        return fail_place(draft, &at, key, err,
                          "this is no key of [vm NAME], which has uuid, disk.NAME and format.NAME");
    }
    bool has_name = strcmp(nearest, "uuid") != 0;
    return fail_place(draft, &at, key, err, "this is no key of [vm NAME]; did you mean %s%s?",
                      nearest,
                      !has_name               ? ""
                      : key[len_bytes] == '.' ? key + len_bytes
                                              : ".NAME");
}

static int take_vm_key(struct draft *draft, const char *key, const char *value, struct error *err)
{
    if (strcmp(key, "uuid") == 0) {
        return take_id(draft, value, err);
    }
    if (begins_with(key, DISK_PREFIX)) {
        return take_disk(draft, key, value, err);
    }
    if (begins_with(key, FORMAT_PREFIX)) {
        return take_format(draft, key, value, err);
    }
    return fail_vm_key(draft, key, err);
}

static int fail_key(const struct draft *draft, const char *key, const char *nearest,
                    struct error *err)
{
    struct place at = here(draft);
    const char *elsewhere = keys_elsewhere(key);

    if (elsewhere != NULL) {
        return fail_place(draft, &at, key, err, "this is a key of [%s] and not of [%s]", elsewhere,
                          draft->section);
    }
    if (nearest != NULL) {
        return fail_place(draft, &at, key, err, "this is no key of [%s]; did you mean %s?",
                          draft->section, nearest);
    }
    return fail_place(draft, &at, key, err, "this is no key of [%s]; resilver.conf(5) has them all",
                      draft->section);
}

static int take_key(void *context, uint32_t line, const char *key, const char *value,
                    struct error *err)
{
    struct draft *draft = context;
    struct error why = {0};
    const char *nearest = NULL;

    draft->line = line;
    if (draft->section == NULL) {
        return take_vm_key(draft, key, value, err);
    }
    const struct config_key *known = keys_find(draft->section, key, &nearest);
    if (known == NULL) {
        return fail_key(draft, key, nearest, err);
    }
    if (known->take(draft->config, value, &why) < 0) {
        struct place at = here(draft);
        return fail_place(draft, &at, key, err, "%s", why.message);
    }
    return 0;
}

/* --- the whole ------------------------------------------------------------------------------- */

static int check_disk(const struct draft *draft, uint32_t vm_index, uint32_t index,
                      struct error *err)
{
    const struct config_vm *vm = &draft->config->vms[vm_index];
    const struct config_disk *disk = &vm->disks[index];
    const struct disk_note *note = &draft->notes[vm_index]->disks[index];
    char key[DISK_NAME_MAX + sizeof FORMAT_PREFIX];

    (void)snprintf(key, sizeof key, FORMAT_PREFIX "%s", disk->name);
    if (note->at.line == 0) {
        return fail_place(draft, &note->format_at, key, err,
                          "%.64s has no disk of this name; "
                          "disk.%.64s = PATH is missing",
                          vm->name, disk->name);
    }
    if (value_is_nbd(disk->path) && disk->format[0] != '\0' && strcmp(disk->format, "raw") != 0) {
        return fail_place(draft, &note->format_at, key, err,
                          "the disk is an NBD export, which is always raw");
    }
    for (uint32_t i = 0; i < index; i++) {
        if (strcmp(vm->disks[i].path, disk->path) == 0) {
            (void)snprintf(key, sizeof key, DISK_PREFIX "%s", disk->name);
            return fail_place(draft, &note->at, key, err,
                              "%.64s has this path for its disk %.64s "
                              "already",
                              vm->name, vm->disks[i].name);
        }
    }
    return 0;
}

static int check_vm(const struct draft *draft, uint32_t index, struct error *err)
{
    const struct config_vm *vm = &draft->config->vms[index];
    const struct vm_note *note = draft->notes[index];

    if (note->id_at.line == 0) {
        return fail_place(draft, &note->at, "[vm]", err,
                          "%.64s has no uuid; add its own, or one that uuidgen makes", vm->name);
    }
    if (vm->disk_count == 0) {
        return fail_place(draft, &note->at, "[vm]", err,
                          "%.64s has no disk; add disk.NAME = PATH for each", vm->name);
    }
    for (uint32_t i = 0; i < index; i++) {
        if (uuid_equal(&draft->config->vms[i].id, &vm->id)) {
            return fail_place(draft, &note->id_at, "uuid", err,
                              "%.64s has this UUID already, from %.200s:%u; each VM has its own",
                              draft->config->vms[i].name, file_of(draft, &draft->notes[i]->id_at),
                              draft->notes[i]->id_at.line);
        }
    }
    for (uint32_t i = 0; i < vm->disk_count; i++) {
        if (check_disk(draft, index, i, err) < 0) {
            return -1;
        }
    }
    return 0;
}

/* How other hosts reach the replication port, if no file says it. */
static void fill_advertise(struct config *config)
{
    const char *port = strrchr(config->listen_address, ':');

    if (config->advertise_address[0] == '\0' && port != NULL) {
        (void)snprintf(config->advertise_address, sizeof config->advertise_address, "%s%s",
                       config->host_name, port);
    }
}

int draft_finish(struct draft *draft, struct config **out, struct error *err)
{
    for (uint32_t i = 0; i < draft->config->vm_count; i++) {
        if (check_vm(draft, i, err) < 0) {
            return -1;
        }
    }
    if (draft->config->host_name[0] == '\0') {
        return fail(err, ERR_USAGE, 0,
                    "this machine's name cannot be used; give it one with name = in [host]");
    }
    if (keys_check_gateway(&draft->config->gateway, err) < 0) {
        return -1;
    }
    fill_advertise(draft->config);
    /* The notes go with the draft; the count says how many there are. */
    for (uint32_t i = 0; i < draft->config->vm_count; i++) {
        free(draft->notes[i]);
    }
    free(TAKE(draft->notes));
    draft->vm_capacity = 0;
    *out = TAKE(draft->config);
    return 0;
}

int draft_read(struct draft *draft, FILE *file, const char *name, struct error *err)
{
    const struct lines_sink sink = {.section = take_section, .key = take_key, .context = draft};

    if (draft->file_count == CONFIG_FILES_MAX) {
        return fail(err, ERR_LIMIT, 0, "%s is one file too many; %u are read at most", name,
                    CONFIG_FILES_MAX);
    }
    char *copy = strdup(name);
    if (copy == NULL) {
        return fail(err, ERR_LIMIT, ENOMEM, "out of memory reading %s", name);
    }
    draft->files[draft->file_count++] = copy;
    return lines_read(file, copy, &sink, err);
}

/* What a draft owns from the first; draft_free() lets go of a part of it as well. */
static int fill_new(struct draft *draft, struct error *err)
{
    draft->config = calloc(1, sizeof *draft->config);
    draft->files = calloc(CONFIG_FILES_MAX, sizeof(char *));
    if (draft->config == NULL || draft->files == NULL) {
        return fail(err, ERR_LIMIT, ENOMEM, "out of memory for the configuration");
    }
    return keys_defaults(draft->config, err);
}

int draft_new(struct draft **out, struct error *err)
{
    struct draft *draft = calloc(1, sizeof *draft);

    if (draft == NULL) {
        return fail(err, ERR_LIMIT, ENOMEM, "out of memory for the configuration");
    }
    if (fill_new(draft, err) < 0) {
        draft_free(draft);
        return -1;
    }
    *out = draft;
    return 0;
}

void draft_free(struct draft *draft)
{
    if (draft == NULL) {
        return;
    }
    for (uint32_t i = 0; draft->config != NULL && i < draft->config->vm_count; i++) {
        free(draft->notes[i]);
    }
    free(draft->notes);
    config_free(draft->config);
    for (uint32_t i = 0; i < draft->file_count; i++) {
        free(draft->files[i]);
    }
    free(draft->files);
    free(draft);
}

void draft_freep(struct draft **draft)
{
    draft_free(*draft);
    *draft = NULL;
}
