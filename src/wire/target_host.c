/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "wire/target_host.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "points/checkpoint_file.h"

void target_host_done(struct target_host *host)
{
    staging_free(host->staging);
    replica_close(host->replica);
    host->staging = NULL;
    host->replica = NULL;
}

/* --- in place -------------------------------------------------------------------------------- */

static int open_in_place(const struct session_open *open, const struct disk_open_options *wanted,
                         struct loop_disks *out, uint32_t *out_failed, struct error *err)
{
    for (uint32_t i = 0; i < open->disk_count; i++) {
        if (disk_open(&wanted[i], &out->disks[i], err) < 0) {
            error_set_disk(err, open->disks[i].name);
            for (uint32_t j = 0; j < i; j++) {
                disk_close(out->disks[j]);
            }
            *out_failed = i;
            return -1;
        }
        /* One record for all of the session's disks: beside the first that has a place for it. */
        if (wanted[i].write && out->checkpoint_dir[0] == '\0') {
            checkpoint_dir_for(wanted[i].path, out->checkpoint_dir);
        }
    }
    return 0;
}

/* Absolute, and without symbolic links: the names that are recorded must mean the same tomorrow. */
static int resolve(const char *path, char out[PATH_TEXT_MAX], struct error *err)
{
    char folder[PATH_TEXT_MAX];
    const char *slash = strrchr(path, '/');
    const char *name = slash == NULL ? path : slash + 1;

    char *whole = realpath(path, NULL);
    if (whole != NULL) {
        int used = snprintf(out, PATH_TEXT_MAX, "%s", whole);
        free(whole);
        return used < (int)PATH_TEXT_MAX ? 0 : fail(err, ERR_USAGE, 0, "%s is too long", path);
    }
    (void)snprintf(folder, sizeof folder, "%.*s",
                   slash == NULL ? 1 : (int)(slash - path) + (slash == path),
                   slash == NULL ? "." : path);
    char *parent = realpath(folder, NULL);
    if (parent == NULL) {
        return fail(err, ERR_IO, errno, "cannot reach the folder of %s", path);
    }
    int used = snprintf(out, PATH_TEXT_MAX, "%s/%s", strcmp(parent, "/") == 0 ? "" : parent, name);
    free(parent);
    return used < (int)PATH_TEXT_MAX ? 0 : fail(err, ERR_USAGE, 0, "%s is too long", path);
}

/* What a killed run left of these disks comes first, whatever is to be done with them. */
static int recover(const struct target_host *host, const struct session_open *open,
                   const struct disk_open_options *wanted, uint32_t *out_failed, struct error *err)
{
    struct replica_recovery recovery;
    char path[PATH_TEXT_MAX];

    for (uint32_t i = 0; i < open->disk_count; i++) {
        /* The state folder is beside the file itself, not beside a link to it. What cannot be
         * resolved has none, and is refused when it is opened. */
        if (strncmp(wanted[i].path, "nbd+unix:", 9) == 0 ||
            resolve(wanted[i].path, path, NULL) < 0) {
            continue;
        }
        if (replica_recover_beside(path, wanted[i].write, host->env, &recovery, err) < 0) {
            error_set_disk(err, open->disks[i].name);
            *out_failed = i;
            return -1;
        }
    }
    return 0;
}

/* --- staged ---------------------------------------------------------------------------------- */

/* FOLDER/DISK: all of one folder. Returns where the disk's name begins. */
static int split(const struct disk_open_options *wanted, uint32_t count, char folder[PATH_TEXT_MAX],
                 const char **names, struct error *err)
{
    for (uint32_t i = 0; i < count; i++) {
        const char *slash = strrchr(wanted[i].path, '/');
        if (slash == NULL || slash[1] == '\0') {
            return fail(err, ERR_USAGE, 0, "%s names no disk of a replica", wanted[i].path);
        }
        size_t len_bytes = (size_t)(slash - wanted[i].path);
        if (i == 0) {
            (void)snprintf(folder, PATH_TEXT_MAX, "%.*s", (int)len_bytes, wanted[i].path);
        } else if (strlen(folder) != len_bytes || strncmp(folder, wanted[i].path, len_bytes) != 0) {
            return fail(err, ERR_USAGE, 0, "the disks of one session go to one replica, not to %s",
                        wanted[i].path);
        }
        names[i] = slash + 1;
    }
    return 0;
}

static int open_folder(struct target_host *host, const char *folder, bool create, struct error *err)
{
    if (create && !replica_is_folder(folder) && replica_make(folder, 0, err) < 0) {
        return -1;
    }
    return replica_open(folder, host->env, &host->replica, err);
}

/* A compare with a replica looks at its disks at their present point, which stays that while it is
 * locked. */
static int find_in_folder(struct target_host *host, const struct session_open *open,
                          struct disk_open_options *wanted, char (*paths)[PATH_TEXT_MAX],
                          struct error *err)
{
    const char *names[DISKS_MAX] = {NULL};
    char folder[PATH_TEXT_MAX];

    if (split(wanted, open->disk_count, folder, names, err) < 0 ||
        open_folder(host, folder, false, err) < 0) {
        return -1;
    }
    for (uint32_t i = 0; i < open->disk_count; i++) {
        int used = snprintf(paths[i], PATH_TEXT_MAX, "%s/disks/%s", folder, names[i]);
        if (used >= (int)PATH_TEXT_MAX) {
            return fail(err, ERR_USAGE, 0, "the path %s is too long", wanted[i].path);
        }
        wanted[i].path = paths[i];
    }
    return 0;
}

static int open_plain(struct target_host *host, const struct session_open *open,
                      const struct disk_open_options *wanted, struct loop_disks *out,
                      uint32_t *out_failed, struct error *err)
{
    struct disk_open_options options[DISKS_MAX];
    bool is_folder = (open->flags & SESSION_REPLICA) != 0 && open->role == ROLE_TARGET;
    char(*paths)[PATH_TEXT_MAX] = is_folder ? calloc(open->disk_count, sizeof *paths) : NULL;

    memcpy(options, wanted, open->disk_count * sizeof *options);
    if (is_folder && paths == NULL) {
        return fail(err, ERR_LIMIT, 0, "out of memory for the targets");
    }
    int result = is_folder ? find_in_folder(host, open, options, paths, err)
                           : recover(host, open, options, out_failed, err);
    if (result == 0) {
        result = open_in_place(open, options, out, out_failed, err);
    }
    free(paths);
    return result;
}

static int open_beside(struct target_host *host, const struct disk_open_options *wanted,
                       uint32_t count, struct error *err)
{
    char(*paths)[PATH_TEXT_MAX] = calloc(count, sizeof *paths);
    const char *list[DISKS_MAX];
    enum disk_format formats[DISKS_MAX];
    int result = 0;

    if (paths == NULL) {
        return fail(err, ERR_LIMIT, 0, "out of memory for the targets");
    }
    for (uint32_t i = 0; i < count && result == 0; i++) {
        result = strncmp(wanted[i].path, "nbd+unix:", 9) == 0
                     ? fail(err, ERR_USAGE, 0,
                            "%s is an NBD export, which cannot be staged: leave out --atomic",
                            wanted[i].path)
                     : resolve(wanted[i].path, paths[i], err);
        list[i] = paths[i];
        formats[i] = wanted[i].format;
    }
    if (result == 0) {
        result = replica_open_beside(list, formats, count, host->env, &host->replica, err);
    }
    free(paths);
    return result;
}

static int open_staged(struct target_host *host, const struct session_open *open,
                       const struct disk_open_options *wanted, struct loop_disks *out,
                       struct error *err)
{
    struct staging_wants wants = {.disk_count = open->disk_count};
    const char *names[DISKS_MAX] = {NULL};
    char folder[PATH_TEXT_MAX] = "";
    bool is_folder = (open->flags & SESSION_REPLICA) != 0;

    if (is_folder ? split(wanted, open->disk_count, folder, names, err) < 0 ||
                        open_folder(host, folder, wanted[0].create, err) < 0
                  : open_beside(host, wanted, open->disk_count, err) < 0) {
        return -1;
    }
    for (uint32_t i = 0; i < open->disk_count; i++) {
        wants.create = wants.create || wanted[i].create;
        wants.shrink = wants.shrink || wanted[i].shrink;
        wants.disks[i] = (struct staging_want){names[i], wanted[i].format, wanted[i].size_bytes};
    }
    if (staging_open(host->replica, &wants, &host->staging, err) < 0) {
        return -1;
    }
    out->staging = host->staging;
    for (uint32_t i = 0; i < open->disk_count; i++) {
        out->disks[i] = staging_take_disk(host->staging, i);
    }
    (void)snprintf(out->checkpoint_dir, sizeof out->checkpoint_dir, "%s",
                   staging_dir(host->staging));
    return 0;
}

int target_host_open(struct target_host *host, const struct session_open *open,
                     const struct disk_open_options *wanted, struct loop_disks *out,
                     uint32_t *out_failed, struct error *err)
{
    struct loop_disks opened = {.checkpoint_dir = ""};
    uint32_t failed = 0;
    bool is_staged = wanted[0].write && (open->flags & (SESSION_ATOMIC | SESSION_REPLICA)) != 0;
    int result = 0;

    assert(open->disk_count >= 1);
    if (is_staged) {
        result = open_staged(host, open, wanted, &opened, err);
    } else {
        result = open_plain(host, open, wanted, &opened, &failed, err);
    }
    if (result < 0) {
        target_host_done(host);
        if (out_failed != NULL) {
            *out_failed = failed;
        }
        return -1;
    }
    *out = opened;
    return 0;
}

int target_host_commit(void *context, const struct session_seal *seal, struct error *err)
{
    struct target_host *host = context;
    uint8_t proofs[DISKS_MAX][PROOF_BYTES] = {{0}};

    assert(host->staging != NULL);
    for (uint32_t i = 0; i < seal->progress->disk_count; i++) {
        assert(seal->progress->disks[i].has_proof);
        memcpy(proofs[i], seal->progress->disks[i].proof, PROOF_BYTES);
    }
    return staging_commit(host->staging, (const uint8_t(*)[PROOF_BYTES])proofs, seal->segments,
                          err);
}
