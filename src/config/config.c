/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * config.c - which files are read, and whether they may be believed: whoever can write to one of
 * them decides which disks the daemon opens and who gives it orders.
 */
#include "config/config.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/open.h"
#include "config/draft.h"

#define DROP_IN_SUFFIX ".conf"

struct name_list {
    char **names; /* owned, each too */
    size_t count;
};

static void free_names(struct name_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        free(list->names[i]);
    }
    free(list->names);
    *list = (struct name_list){0};
}

static void close_file(FILE **file)
{
    if (*file != NULL) {
        (void)fclose(*file); /* only read from */
        *file = NULL;
    }
}

static void close_folder(DIR **folder)
{
    if (*folder != NULL) {
        (void)closedir(*folder); /* only read from */
        *folder = NULL;
    }
}

/* What a link leads to is looked at, not the link. */
static int check_permissions(int fd, const char *path, bool is_folder, struct error *err)
{
    struct stat status;

    if (fstat(fd, &status) < 0) {
        return fail(err, ERR_IO, errno, "cannot look at %s", path);
    }
    if (!is_folder && !S_ISREG(status.st_mode)) {
        return fail(err, ERR_USAGE, 0, "%s is not a plain file; a configuration is one", path);
    }
    if ((status.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
        return fail(
            err, ERR_WRONG_STATE, 0,
            "%s may be written to by %s, who could so give orders to the daemon; run: chmod "
            "go-w %s",
            path, (status.st_mode & S_IWOTH) != 0 ? "everybody" : "its group", path);
    }
    return 0;
}

/* Not even a link that leads to nothing. */
static bool is_missing(const char *path)
{
    struct stat status;

    return lstat(path, &status) < 0 && errno == ENOENT;
}

static int read_file(struct draft *draft, const char *path, bool is_optional, struct error *err)
{
    if (is_optional && is_missing(path)) {
        return 0;
    }
    /* Not to wait for the writer of a named pipe. */
    int fd = open_path(path, O_RDONLY | O_NONBLOCK);

    if (fd < 0) {
        return fail(err, ERR_IO, errno, "the configuration %s cannot be read", path);
    }
    if (check_permissions(fd, path, false, err) < 0) {
        (void)close(fd); /* only looked at */
        return -1;
    }
    CLEANUP(close_file) FILE *file = fdopen(fd, "r");
    if (file == NULL) {
        (void)close(fd); /* only looked at */
        return fail(err, ERR_LIMIT, ENOMEM, "out of memory reading %s", path);
    }
    return draft_read(draft, file, path, err);
}

/* --- drop-ins -------------------------------------------------------------------------------- */

/* Not what an editor or a package manager has put aside: .50-vms.conf.swp, 50-vms.conf.dpkg-old. */
static bool is_drop_in(const char *name)
{
    size_t len_bytes = strlen(name);
    size_t suffix_bytes = strlen(DROP_IN_SUFFIX);

    return name[0] != '.' && len_bytes > suffix_bytes &&
           strcmp(name + len_bytes - suffix_bytes, DROP_IN_SUFFIX) == 0;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int list_drop_ins(DIR *folder, const char *path, struct name_list *out, struct error *err)
{
    for (;;) {
        errno = 0;
        const struct dirent *entry = readdir(folder);
        if (entry == NULL) {
            break;
        }
        if (!is_drop_in(entry->d_name)) {
            continue;
        }
        if (out->count == CONFIG_FILES_MAX - 1) {
            return fail(err, ERR_LIMIT, 0, "there are more than %u files in %s",
                        CONFIG_FILES_MAX - 1, path);
        }
        out->names[out->count] = strdup(entry->d_name);
        if (out->names[out->count] == NULL) {
            return fail(err, ERR_LIMIT, ENOMEM, "out of memory reading %s", path);
        }
        out->count++;
    }
    if (errno != 0) {
        return fail(err, ERR_IO, errno, "the folder %s cannot be read", path);
    }
    if (out->count > 0) {
        qsort(out->names, out->count, sizeof *out->names, compare_names);
    }
    return 0;
}

static int read_named(struct draft *draft, const struct name_list *list, const char *path,
                      struct error *err)
{
    char file[PATH_TEXT_MAX + NAME_MAX + 2];

    for (size_t i = 0; i < list->count; i++) {
        (void)snprintf(file, sizeof file, "%s/%s", path, list->names[i]);
        if (read_file(draft, file, false, err) < 0) {
            return -1;
        }
    }
    return 0;
}

static int read_folder(struct draft *draft, DIR *folder, const char *path, struct error *err)
{
    struct name_list list = {.names = calloc(CONFIG_FILES_MAX, sizeof *list.names)};

    if (list.names == NULL) {
        return fail(err, ERR_LIMIT, ENOMEM, "out of memory reading %s", path);
    }
    int result = list_drop_ins(folder, path, &list, err);
    if (result == 0) {
        result = read_named(draft, &list, path, err);
    }
    free_names(&list);
    return result;
}

static int read_drop_ins(struct draft *draft, const char *config_path, struct error *err)
{
    char path[PATH_TEXT_MAX + 2];

    (void)snprintf(path, sizeof path, "%s.d", config_path);
    int fd = open_path(path, O_RDONLY | O_DIRECTORY);
    if (fd < 0) {
        return errno == ENOENT ? 0 : fail(err, ERR_IO, errno, "the folder %s cannot be read", path);
    }
    CLEANUP(close_folder) DIR *folder = fdopendir(fd);
    if (folder == NULL) {
        (void)close(fd); /* only looked at */
        return fail(err, ERR_LIMIT, ENOMEM, "out of memory reading %s", path);
    }
    if (check_permissions(fd, path, true, err) < 0) {
        return -1;
    }
    return read_folder(draft, folder, path, err);
}

/* --- all of it ------------------------------------------------------------------------------- */

int config_load(const char *path, bool is_optional, struct config **out, struct error *err)
{
    CLEANUP(draft_freep) struct draft *draft = NULL;

    if (path[0] == '\0' || strlen(path) >= PATH_TEXT_MAX) {
        return fail(err, ERR_USAGE, 0, "the configuration's path is %s",
                    path[0] == '\0' ? "empty" : "too long");
    }
    if (draft_new(&draft, err) < 0 || read_file(draft, path, is_optional, err) < 0 ||
        read_drop_ins(draft, path, err) < 0) {
        return -1;
    }
    return draft_finish(draft, out, err);
}

void config_free(struct config *config)
{
    if (config == NULL) {
        return;
    }
    for (uint32_t i = 0; i < config->vm_count; i++) {
        free(config->vms[i].disks);
    }
    free(config->vms);
    free(config);
}
