/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/plan.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int plan_init(struct plan *plan, struct error *err)
{
    struct plan_pair *pairs = calloc(DISKS_MAX, sizeof *pairs);

    if (pairs == NULL) {
        return fail(err, ERR_LIMIT, ENOMEM, "cannot read the names of the disks");
    }
    *plan = (struct plan){.pairs = pairs};
    return 0;
}

void plan_done(struct plan *plan)
{
    free(plan->pairs);
    *plan = (struct plan){0};
}

/* "FOLDER/" is the replica there; its disk has the name of the source's file. */
static int complete_target(struct plan_pair *pair, struct error *err)
{
    struct endpoint *target = &pair->target;
    const struct endpoint *source = &pair->source;
    size_t used = strlen(target->text);
    const char *slash = strrchr(source->path, '/');
    const char *name = slash == NULL ? source->path : slash + 1;

    if ((target->kind != ENDPOINT_PATH && target->kind != ENDPOINT_SSH) ||
        target->text[used - 1] != '/') {
        return 0;
    }
    if (source->kind == ENDPOINT_NBD || name[0] == '\0') {
        return fail(err, ERR_USAGE, 0,
                    "'%s' gives no name to its disk in the replica '%s'; name a file as the source",
                    source->text, target->text);
    }
    if (used + strlen(name) >= sizeof target->text) {
        return fail(err, ERR_USAGE, 0, "'%s%s' is too long", target->text, name);
    }
    memcpy(target->text + used, name, strlen(name) + 1);
    pair->is_replica = true;
    return 0;
}

static int add(struct plan *plan, const char *source, size_t source_len, const char *target,
               struct error *err)
{
    if (plan->disk_count == DISKS_MAX) {
        return fail(err, ERR_USAGE, 0, "more than %u disks in one run; make two runs of it",
                    DISKS_MAX);
    }
    struct plan_pair *pair = &plan->pairs[plan->disk_count];
    if (endpoint_parse(source, source_len, &pair->source, err) < 0 ||
        endpoint_parse(target, strlen(target), &pair->target, err) < 0) {
        return -1;
    }
    plan->disk_count++;
    return complete_target(pair, err);
}

int plan_add(struct plan *plan, const char *source, const char *target, struct error *err)
{
    return add(plan, source, strlen(source), target, err);
}

int plan_add_pair(struct plan *plan, const char *pair, struct error *err)
{
    size_t source_len = 0;

    if (endpoint_split_pair(pair, &source_len, err) < 0) {
        return -1;
    }
    return add(plan, pair, source_len, pair + source_len + 1, err);
}

static int check_hosts(const struct plan *plan, struct error *err)
{
    const struct plan_pair *first = &plan->pairs[0];

    for (uint32_t i = 1; i < plan->disk_count; i++) {
        const struct plan_pair *pair = &plan->pairs[i];
        if (!endpoint_same_host(&first->source, &pair->source)) {
            return fail(err, ERR_USAGE, 0,
                        "the sources '%s' and '%s' are not on one host; make a run for each host",
                        first->source.text, pair->source.text);
        }
        if (!endpoint_same_host(&first->target, &pair->target)) {
            return fail(err, ERR_USAGE, 0,
                        "the targets '%s' and '%s' are not on one host; make a run for each host",
                        first->target.text, pair->target.text);
        }
    }
    for (uint32_t i = 1; i < plan->disk_count; i++) {
        if (first->is_replica != plan->pairs[i].is_replica) {
            return fail(err, ERR_USAGE, 0,
                        "'%s' is in a replica and '%s' is not; make two runs of it",
                        plan->pairs[first->is_replica ? 0 : i].target.text,
                        plan->pairs[first->is_replica ? i : 0].target.text);
        }
    }
    if (endpoint_is_remote(&first->source) && endpoint_is_remote(&first->target)) {
        return fail(err, ERR_USAGE, 0,
                    "'%s' and '%s' are both on other hosts; run resilver on one of the two",
                    first->source.text, first->target.text);
    }
    return 0;
}

/* Whether both are the same file or device, as far as stat(2) tells; what cannot be asked is not
 * the same. */
static bool is_same_disk(const struct endpoint *a, const struct endpoint *b)
{
    struct stat stat_a = {0};
    struct stat stat_b = {0};

    if (a->kind != b->kind || !endpoint_same_host(a, b)) {
        return false;
    }
    if (strcmp(a->path, b->path) == 0) {
        return true;
    }
    if (a->kind != ENDPOINT_PATH || stat(a->path, &stat_a) < 0 || stat(b->path, &stat_b) < 0) {
        return false;
    }
    if (S_ISBLK(stat_a.st_mode) && S_ISBLK(stat_b.st_mode)) {
        return stat_a.st_rdev == stat_b.st_rdev; /* two nodes may lead to one device */
    }
    return stat_a.st_dev == stat_b.st_dev && stat_a.st_ino == stat_b.st_ino;
}

static int check_target(const struct plan *plan, uint32_t index, struct error *err)
{
    const struct endpoint *target = &plan->pairs[index].target;

    for (uint32_t i = 0; i < plan->disk_count; i++) {
        const struct endpoint *source = &plan->pairs[i].source;
        if (is_same_disk(source, target)) {
            return fail(err, ERR_USAGE, 0,
                        "'%s' and '%s' are the same disk; name two different ones", source->text,
                        target->text);
        }
        if (i < index && is_same_disk(&plan->pairs[i].target, target)) {
            return fail(err, ERR_USAGE, 0,
                        "'%s' and '%s' are the same disk and cannot both be targets",
                        plan->pairs[i].target.text, target->text);
        }
    }
    return 0;
}

int plan_check(const struct plan *plan, struct error *err)
{
    if (plan->disk_count == 0) {
        return fail(err, ERR_USAGE, 0, "no disks are named; give SOURCE and TARGET");
    }
    if (check_hosts(plan, err) < 0) {
        return -1;
    }
    for (uint32_t i = 0; i < plan->disk_count; i++) {
        if (check_target(plan, i, err) < 0) {
            error_set_disk(err, plan->pairs[i].target.text);
            return -1;
        }
    }
    return 0;
}
