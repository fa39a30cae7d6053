/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 *            log_create
 *                |
 *   (medium) --log_open--> [ groups | open group ] --log_append--> ... --log_end_group--> ...
 *
 * Invariants:
 * 1. Groups lie one behind the other from LOG_HEAD_BYTES on, and the check of each index is in the
 * next one: what lies behind the open group, from before a cut, is never taken for a part of it.
 * The `opening` in an index is drawn anew by each opening, so that even the same leaves with the
 * same bytes make another index; and an index that was cut is erased before anything is appended.
 * 2. synced <= groups, and the first `synced` groups are durable.
 * 3. The map has the last entry of each leaf, of the open group too.
 * 4. A group in the medium may be cut only if nothing says that it was durable: no later index, no
 * min_groups.
 */
#include "points/log.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "disk/blocking.h"
#include "points/leaf_map.h"
#include "points/log_pages.h"

#define POSITION_ZEROS 1U /* no place of data: those are multiples of PAGE_BYTES */
#define PIECE_BYTES (1 * MIB)
#define PIECE_LEAVES (PIECE_BYTES / LEAF_BYTES)

struct log {
    struct disk *medium; /* owned */
    struct log_head head;
    uint64_t leaf_count;
    uint64_t medium_bytes;     /* whole pages */
    struct digester *digester; /* owned */
    struct leaf_map *map;      /* owned */
    uint64_t groups;
    uint64_t synced;
    uint64_t cut_bytes;
    struct log_group open; /* its len_bytes: up to where something was appended */
};

/* --- what it is ------------------------------------------------------------------------------ */

uint64_t log_medium_bytes(uint64_t disk_bytes)
{
    uint64_t disk_pages = disk_bytes / PAGE_BYTES + 1;

    if (disk_bytes >= LOG_MEDIUM_MAX) {
        return LOG_MEDIUM_MAX;
    }
    /* Twice each leaf, and an index for each eighth of that: 9/4. */
    uint64_t bytes = (2 * disk_pages + disk_pages / 4) * PAGE_BYTES + 64 * MIB;
    return bytes < LOG_MEDIUM_MAX ? bytes : LOG_MEDIUM_MAX;
}

const uint8_t *log_id(const struct log *log)
{
    return log->head.id;
}

uint64_t log_disk_bytes(const struct log *log)
{
    return log->head.disk_bytes;
}

uint64_t log_used_bytes(const struct log *log)
{
    return log->open.offset_bytes + (log_group_is_empty(log) ? 0 : log->open.len_bytes);
}

uint64_t log_cut_bytes(const struct log *log)
{
    return log->cut_bytes;
}

struct disk *log_medium(const struct log *log)
{
    return log->medium;
}

uint64_t log_groups(const struct log *log)
{
    return log->groups;
}

uint64_t log_groups_synced(const struct log *log)
{
    return log->synced;
}

/* --- its life -------------------------------------------------------------------------------- */

/* Everything but the medium. */
static void drop(struct log *log)
{
    leaf_map_free(log->map);
    digester_free(log->digester);
    free(log);
}

static void dropp(struct log **log)
{
    if (*log != NULL) {
        drop(*log);
    }
}

void log_free(struct log *log)
{
    if (log != NULL) {
        disk_close(log->medium);
        drop(log);
    }
}

static void freep(uint8_t **bytes)
{
    free(*bytes);
}

/* Aligned for a disk. */
static int buffer_new(size_t len_bytes, uint8_t **out, struct error *err)
{
    uint8_t *buffer = aligned_alloc(DISK_BUFFER_ALIGN, len_bytes);

    if (buffer == NULL) {
        return fail(err, ERR_LIMIT, ENOMEM, "cannot read or write a log");
    }
    *out = buffer;
    return 0;
}

static int read_medium(struct log *log, uint64_t offset_bytes, struct span data, struct error *err)
{
    struct disk_request request = {
        .op = DISK_READ_MEDIUM, .offset_bytes = offset_bytes, .data = data};

    return disk_do(log->medium, &request, err);
}

/* A log whose head is known, with an empty map. */
static int log_new(struct disk *medium, const struct log_head *head, const char *map_dir,
                   struct log **out, struct error *err)
{
    CLEANUP(dropp) struct log *log = calloc(1, sizeof *log);

    if (log == NULL) {
        return fail(err, ERR_LIMIT, ENOMEM, "cannot open the log %s", medium->name);
    }
    log->medium = medium;
    log->medium_bytes = medium->size_bytes - medium->size_bytes % PAGE_BYTES;
    log->head = *head;
    log->leaf_count = log_leaf_count(head->disk_bytes);
    if (digester_new(head->key, &log->digester, err) != 0 ||
        leaf_map_new(map_dir, log->leaf_count, &log->map, err) != 0) {
        return -1;
    }
    *out = TAKE(log);
    return 0;
}

/* The group behind those there are (invariant 1). */
static void open_group(struct log *log, uint64_t offset_bytes, const struct digest *previous)
{
    assert(offset_bytes % PAGE_BYTES == 0 && log->synced <= log->groups);
    log->open.sequence = log->groups + 1;
    log->open.offset_bytes = offset_bytes;
    log->open.len_bytes = LOG_INDEX_BYTES;
    log->open.previous = *previous;
    log->open.entry_count = 0;
}

static int draw_opening(struct log *log, const struct env *env, struct error *err)
{
    return env_random(env, (struct span){(uint8_t *)&log->open.opening, sizeof(uint64_t)}, err);
}

static int draw_head(enum log_kind kind, uint64_t size_bytes, const struct env *env,
                     struct log_head *out, struct error *err)
{
    *out = (struct log_head){.kind = kind, .disk_bytes = size_bytes};
    return env_random(env, (struct span){out->id, sizeof out->id}, err) < 0
               ? -1
               : env_random(env, (struct span){out->key, sizeof out->key}, err);
}

static int write_head(struct disk *medium, struct log_head *head, struct error *err)
{
    CLEANUP(freep) uint8_t *page = NULL;

    if (buffer_new(LOG_HEAD_BYTES, &page, err) != 0 || log_head_encode(head, page, err) != 0) {
        return -1;
    }
    struct disk_request write = {.op = DISK_WRITE, .data = {page, LOG_HEAD_BYTES}};
    struct disk_request flush_it = {.op = DISK_FLUSH};
    return disk_do(medium, &write, err) != 0 ? -1 : disk_do(medium, &flush_it, err);
}

int log_create(struct disk *medium, enum log_kind kind, uint64_t size_bytes, const char *map_dir,
               const struct env *env, struct log **out, struct error *err)
{
    CLEANUP(dropp) struct log *log = NULL;
    struct log_head head;

    assert(medium->is_writable && size_bytes <= DISK_SIZE_MAX && kind != LOG_INVALID);
    if (medium->size_bytes < LOG_HEAD_BYTES + LOG_INDEX_BYTES) {
        return fail(err, ERR_LIMIT, ENOSPC, "%s is too small for a log", medium->name);
    }
    if (draw_head(kind, size_bytes, env, &head, err) < 0 || write_head(medium, &head, err) != 0 ||
        log_new(medium, &head, map_dir, &log, err) != 0 || draw_opening(log, env, err) < 0) {
        return -1;
    }
    open_group(log, LOG_HEAD_BYTES, &head.check);
    *out = TAKE(log);
    return 0;
}

/* --- finding --------------------------------------------------------------------------------- */

int log_find(struct log *log, uint64_t leaf, struct log_place *out, struct error *err)
{
    struct leaf_value value;

    if (leaf_map_get(log->map, leaf, &value, err) != 0) {
        return -1;
    }
    *out = (struct log_place){.where = LOG_NOWHERE};
    if (value.position == POSITION_ZEROS) {
        out->where = LOG_ZEROS;
    } else if (value.position != 0) {
        out->where = LOG_DATA;
        out->offset_bytes = value.position;
        out->len_bytes = log_leaf_bytes(log->head.disk_bytes, leaf);
    }
    return 0;
}

int log_next(struct log *log, uint64_t from, uint64_t *out, struct error *err)
{
    return leaf_map_next(log->map, from, out, err);
}

bool log_check(struct log *log, uint64_t leaf, struct const_span bytes)
{
    struct leaf_value value;

    if (bytes.len_bytes != log_leaf_bytes(log->head.disk_bytes, leaf) ||
        leaf_map_get(log->map, leaf, &value, NULL) != 0 || value.position <= POSITION_ZEROS) {
        return false;
    }
    struct digest digest = digester_leaf(log->digester, leaf, bytes);
    return digest_equal(&digest, &value.check);
}

/* --- appending ------------------------------------------------------------------------------- */

static int check_room(const struct log *log, uint64_t data_bytes, struct error *err)
{
    uint64_t end_bytes = log->open.offset_bytes + log->open.len_bytes + data_bytes;

    if (log_group_is_full(log)) {
        return fail(err, ERR_LIMIT, 0, "the open group of the log %s is full", log->medium->name);
    }
    if (end_bytes > log->medium_bytes) {
        return fail(err, ERR_LIMIT, ENOSPC, "the log %s is full", log->medium->name);
    }
    return 0;
}

static void add_entry(struct log *log, struct log_entry entry)
{
    log->open.entries[log->open.entry_count++] = entry;
    log->open.len_bytes += log_stored_bytes(entry.len_bytes);
    assert(log->open.len_bytes <= LOG_GROUP_BYTES_MAX);
}

int log_append(struct log *log, uint64_t leaf, struct const_span bytes, uint64_t *out_offset_bytes,
               struct error *err)
{
    assert(log->medium->is_writable && leaf < log->leaf_count);
    assert(bytes.len_bytes == log_leaf_bytes(log->head.disk_bytes, leaf));
    if (check_room(log, log_stored_bytes(bytes.len_bytes), err) != 0) {
        return -1;
    }
    uint64_t offset_bytes = log->open.offset_bytes + log->open.len_bytes;
    struct leaf_value value = {offset_bytes, digester_leaf(log->digester, leaf, bytes)};
    if (leaf_map_set(log->map, leaf, &value, err) != 0) {
        return -1;
    }
    add_entry(log, (struct log_entry){.where = LOG_DATA,
                                      .count = 1,
                                      .first_leaf = leaf,
                                      .len_bytes = (uint32_t)bytes.len_bytes,
                                      .check = value.check});
    *out_offset_bytes = offset_bytes;
    return 0;
}

static int map_zeros(struct log *log, uint64_t first_leaf, uint32_t count, struct error *err)
{
    static const struct leaf_value zeros = {.position = POSITION_ZEROS};

    for (uint32_t i = 0; i < count; i++) {
        if (leaf_map_set(log->map, first_leaf + i, &zeros, err) != 0) {
            return -1;
        }
    }
    return 0;
}

int log_append_zeros(struct log *log, uint64_t first_leaf, uint32_t count, struct error *err)
{
    assert(log->medium->is_writable && count > 0);
    assert(first_leaf < log->leaf_count && count <= log->leaf_count - first_leaf);
    if (check_room(log, 0, err) != 0 || map_zeros(log, first_leaf, count, err) != 0) {
        return -1;
    }
    add_entry(log,
              (struct log_entry){.where = LOG_ZEROS, .count = count, .first_leaf = first_leaf});
    return 0;
}

bool log_group_is_full(const struct log *log)
{
    return log->open.entry_count == LOG_GROUP_ENTRIES_MAX;
}

bool log_group_is_empty(const struct log *log)
{
    return log->open.entry_count == 0;
}

void log_end_group(struct log *log, uint8_t *index, uint64_t *out_offset_bytes)
{
    assert(!log_group_is_empty(log) && log->open.sequence == log->groups + 1);
    log->open.synced = log->synced;
    struct digest check = log_index_encode(&log->open, log->digester, index);
    *out_offset_bytes = log->open.offset_bytes;
    log->groups++;
    open_group(log, log->open.offset_bytes + log->open.len_bytes, &check);
}

void log_synced(struct log *log, uint64_t groups)
{
    assert(groups <= log->groups);
    if (groups > log->synced) {
        log->synced = groups;
    }
}

/* --- opening: the groups --------------------------------------------------------------------- */

/* A walk from group to group. */
struct walk {
    uint64_t offset_bytes;  /* where the next group is to be, */
    uint64_t sequence;      /* which it is, */
    struct digest previous; /* and what it is chained to */
    uint64_t synced;        /* that the last one told */
};

/* What opening needs besides the log; too large for the stack. */
struct scan {
    _Alignas(DISK_BUFFER_ALIGN) uint8_t index[LOG_INDEX_BYTES];
    uint8_t data[PIECE_BYTES];
    struct log_group group;
    struct disk_request reads[PIECE_LEAVES];
    struct extent extents[EXTENTS_MAX];
};

static struct walk walk_init(const struct log *log)
{
    return (struct walk){
        .offset_bytes = LOG_HEAD_BYTES, .sequence = 1, .previous = log->head.check};
}

static int fail_damaged(const struct log *log, uint64_t offset_bytes, struct error *err)
{
    (void)fail(err, ERR_WRONG_STATE, 0,
               "the log %s is damaged at 0x%" PRIx64
               ": what was durable there is gone or changed; the cure is a new resynchronization",
               log->medium->name, offset_bytes);
    error_set_disk(err, log->medium->name);
    error_set_offset(err, offset_bytes);
    return -1;
}

static bool belongs(const struct log *log, const struct walk *walk, const struct log_group *group)
{
    return group->sequence == walk->sequence && group->synced >= walk->synced &&
           digest_equal(&group->previous, &walk->previous) &&
           group->len_bytes <= log->medium_bytes - walk->offset_bytes;
}

/* The next group into scan->group. 1: there it is; 0: there is none; -1: the medium failed. */
static int walk_next(struct log *log, struct scan *scan, struct walk *walk, struct error *err)
{
    struct digest check;

    memset(scan->index, 0, LOG_INDEX_BYTES);
    if (walk->offset_bytes + LOG_INDEX_BYTES > log->medium_bytes) {
        return 0;
    }
    if (read_medium(log, walk->offset_bytes, (struct span){scan->index, LOG_INDEX_BYTES}, err) !=
        0) {
        return -1;
    }
    if (!log_index_decode(scan->index, walk->offset_bytes, log->digester, log->head.disk_bytes,
                          &scan->group, &check) ||
        !belongs(log, walk, &scan->group)) {
        return 0;
    }
    walk->offset_bytes += scan->group.len_bytes;
    walk->sequence++;
    walk->previous = check;
    walk->synced = scan->group.synced;
    return 1;
}

/* --- opening: is the end torn, or damaged? --------------------------------------------------- */

/*
 * Whether an index at this place tells that the group at the walk's end was durable. One that was
 * cut off long ago, and was not overwritten since, never tells that: what is cut was not durable.
 */
static int is_witness(struct log *log, struct scan *scan, const struct walk *end,
                      uint64_t offset_bytes, struct error *err)
{
    struct digest check;

    if (offset_bytes + LOG_INDEX_BYTES > log->medium_bytes) {
        return 0;
    }
    if (read_medium(log, offset_bytes, (struct span){scan->index, LOG_INDEX_BYTES}, err) != 0) {
        return -1;
    }
    return log_index_decode(scan->index, offset_bytes, log->digester, log->head.disk_bytes,
                            &scan->group, &check) &&
                   scan->group.synced >= end->sequence
               ? 1
               : 0;
}

/* Looks for witnesses in a piece of the medium that is in scan->data. */
static int find_witness(struct log *log, struct scan *scan, const struct walk *end,
                        uint64_t offset_bytes, uint64_t len_bytes, struct error *err)
{
    int found = 0;

    for (uint64_t at = 0; at + PAGE_BYTES <= len_bytes && found == 0; at += PAGE_BYTES) {
        if (log_index_is_near(scan->data + at)) {
            found = is_witness(log, scan, end, offset_bytes + at, err);
        }
    }
    return found;
}

/* The first page >= at that may be something else than zeros: a log's file is sparse, and there is
 * nothing behind the end of most. */
static int skip_zeros(struct log *log, struct scan *scan, uint64_t *at, uint64_t stop,
                      struct error *err)
{
    struct disk_request request = {
        .op = DISK_EXTENTS, .offset_bytes = *at, .len_bytes = stop - *at, .extents = scan->extents};

    if (disk_do(log->medium, &request, err) != 0) {
        return -1;
    }
    for (uint32_t i = 0; i < request.extent_count && scan->extents[i].zero; i++) {
        *at = scan->extents[i].offset_bytes + scan->extents[i].len_bytes;
    }
    *at -= *at % PAGE_BYTES;
    return 0;
}

/*
 * The walk found no group at its end. If there was one, and it was durable, then the index behind
 * it, which can lie no further than the largest group is long, or one behind that tells so.
 */
static int look_behind(struct log *log, struct scan *scan, const struct walk *end,
                       struct error *err)
{
    uint64_t stop = end->offset_bytes + 2 * LOG_GROUP_BYTES_MAX;
    uint64_t at = end->offset_bytes + PAGE_BYTES;
    int found = 0;

    stop = stop < log->medium_bytes ? stop : log->medium_bytes;
    while (at < stop && found == 0) {
        uint64_t from = at;
        if (skip_zeros(log, scan, &at, stop, err) != 0) {
            return -1;
        }
        if (at > from) {
            continue;
        }
        uint64_t len_bytes = stop - at < PIECE_BYTES ? stop - at : PIECE_BYTES;
        if (read_medium(log, at, (struct span){scan->data, len_bytes}, err) != 0) {
            return -1;
        }
        found = find_witness(log, scan, end, at, len_bytes, err);
        at += len_bytes;
    }
    return found > 0 ? fail_damaged(log, end->offset_bytes, err) : found;
}

/* How many groups there are by their indexes, and how many of them are known to have been durable.
 */
static int count_groups(struct log *log, struct scan *scan, uint64_t min_groups, struct walk *out,
                        struct error *err)
{
    struct walk walk = walk_init(log);
    int more = 1;

    while (more == 1) {
        more = walk_next(log, scan, &walk, err);
    }
    if (more < 0) {
        return -1;
    }
    if (walk.sequence <= min_groups) {
        return fail_damaged(log, walk.offset_bytes, err);
    }
    bool is_blank = span_is_zero((struct const_span){scan->index, LOG_INDEX_BYTES});
    log->cut_bytes = is_blank ? 0 : LOG_INDEX_BYTES;
    if (look_behind(log, scan, &walk, err) != 0) {
        return -1;
    }
    walk.synced = walk.synced > min_groups ? walk.synced : min_groups;
    *out = walk;
    return 0;
}

/* --- opening: taking what is there ----------------------------------------------------------- */

/* Read up to PIECE_LEAVES data entries from *next on; gives how many, and moves *next and *at. */
static int read_piece(struct log *log, struct scan *scan, uint32_t *next, uint64_t *at,
                      struct log_entry *entries, struct error *err)
{
    uint32_t count = 0;

    for (; *next < scan->group.entry_count && count < PIECE_LEAVES; (*next)++) {
        const struct log_entry *entry = &scan->group.entries[*next];
        if (entry->where != LOG_DATA) {
            continue;
        }
        scan->reads[count] = (struct disk_request){
            .op = DISK_READ_MEDIUM,
            .offset_bytes = *at,
            .data = {scan->data + count * LEAF_BYTES, log_stored_bytes(entry->len_bytes)}};
        *at += log_stored_bytes(entry->len_bytes);
        entries[count++] = *entry;
    }
    return disk_do_all(log->medium, scan->reads, count, err) != 0 ? -1 : (int)count;
}

/* Whether the bytes of the group in scan->group are what its index says. -1: the medium failed. */
static int is_group_whole(struct log *log, struct scan *scan, struct error *err)
{
    struct log_entry entries[PIECE_LEAVES];
    uint64_t at = scan->group.offset_bytes + LOG_INDEX_BYTES;
    uint32_t next = 0;

    while (next < scan->group.entry_count) {
        int count = read_piece(log, scan, &next, &at, entries, err);
        for (int i = 0; i < count; i++) {
            struct const_span bytes = {scan->reads[i].data.at, entries[i].len_bytes};
            struct digest digest = digester_leaf(log->digester, entries[i].first_leaf, bytes);
            if (!digest_equal(&digest, &entries[i].check)) {
                return 0;
            }
        }
        if (count < 0) {
            return -1;
        }
    }
    return 1;
}

static int map_group(struct log *log, const struct log_group *group, struct error *err)
{
    uint64_t at = group->offset_bytes + LOG_INDEX_BYTES;

    for (uint32_t i = 0; i < group->entry_count; i++) {
        const struct log_entry *entry = &group->entries[i];
        struct leaf_value value = {at, entry->check};
        int result = entry->where == LOG_ZEROS
                         ? map_zeros(log, entry->first_leaf, entry->count, err)
                         : leaf_map_set(log->map, entry->first_leaf, &value, err);
        if (result != 0) {
            return -1;
        }
        at += log_stored_bytes(entry->len_bytes);
    }
    assert(at == group->offset_bytes + group->len_bytes);
    return 0;
}

/* Take the groups that the walk to `end` found, as far as they are whole. */
static int take_groups(struct log *log, struct scan *scan, const struct walk *end,
                       struct error *err)
{
    struct walk walk = walk_init(log);
    struct walk taken = walk;

    while (walk.sequence < end->sequence) {
        int more = walk_next(log, scan, &walk, err);
        if (more <= 0) {
            return more < 0 ? -1 : fail_damaged(log, walk.offset_bytes, err);
        }
        int is_whole = taken.sequence <= end->synced ? 1 : is_group_whole(log, scan, err);
        if (is_whole < 0) {
            return -1;
        }
        if (is_whole == 0) {
            log->cut_bytes += end->offset_bytes - taken.offset_bytes;
            break;
        }
        if (map_group(log, &scan->group, err) != 0) {
            return -1;
        }
        taken = walk;
    }
    log->groups = taken.sequence - 1;
    log->synced = log->groups; /* all of it was read from the medium, behind a flush */
    open_group(log, taken.offset_bytes, &taken.previous);
    return 0;
}

/* --- opening: the head ----------------------------------------------------------------------- */

static const char *kind_name(enum log_kind kind)
{
    return kind == LOG_UNDO ? "an undo log" : "a journal";
}

static int check_head(const struct log_head *head, const char *name, enum log_kind kind,
                      uint64_t size_bytes, struct error *err)
{
    if (head->kind != kind) {
        return fail(err, ERR_WRONG_STATE, 0,
                    "%s is %s where %s is to be; the cure is a new resynchronization", name,
                    kind_name(head->kind), kind_name(kind));
    }
    if (head->disk_bytes != size_bytes) {
        return fail(err, ERR_WRONG_STATE, 0,
                    "the log %s is of a disk of %" PRIu64 " bytes, and this one has %" PRIu64
                    "; the cure is a new resynchronization",
                    name, head->disk_bytes, size_bytes);
    }
    return 0;
}

static int read_head(struct disk *medium, struct log_head *out, struct error *err)
{
    CLEANUP(freep) uint8_t *page = NULL;
    struct error cause = {.kind = ERR_NONE};

    if (medium->size_bytes < LOG_HEAD_BYTES) {
        return fail(err, ERR_WRONG_STATE, 0,
                    "%s is too short for a log; the cure is a new resynchronization", medium->name);
    }
    if (buffer_new(LOG_HEAD_BYTES, &page, err) != 0) {
        return -1;
    }
    struct disk_request flush_it = {.op = DISK_FLUSH};
    struct disk_request read = {.op = DISK_READ_MEDIUM, .data = {page, LOG_HEAD_BYTES}};
    if (disk_do(medium, &flush_it, err) != 0 || disk_do(medium, &read, err) != 0) {
        return -1;
    }
    if (log_head_decode(page, out, &cause) != 0) {
        return fail(err, cause.kind, 0,
                    "%s cannot be used as a log: %.200s; the cure is a new resynchronization",
                    medium->name, cause.message);
    }
    return 0;
}

/*
 * What was cut must not come back. Its index is still there, and would count again if what is
 * written next happened to put its torn bytes right: the same leaf, the same bytes, the same place,
 * and then no new index. So it goes before anything is appended.
 */
static int erase_cut(struct log *log, struct scan *scan, struct error *err)
{
    struct disk_request write = {.op = DISK_WRITE,
                                 .offset_bytes = log->open.offset_bytes,
                                 .data = {scan->index, LOG_INDEX_BYTES}};
    struct disk_request flush = {.op = DISK_FLUSH};

    if (log->cut_bytes == 0 || !log->medium->is_writable) {
        return 0;
    }
    memset(scan->index, 0, LOG_INDEX_BYTES);
    return disk_do(log->medium, &write, err) != 0 ? -1 : disk_do(log->medium, &flush, err);
}

static int find_groups(struct log *log, uint64_t min_groups, struct error *err)
{
    struct scan *scan = aligned_alloc(DISK_BUFFER_ALIGN, sizeof *scan);
    struct walk end;

    if (scan == NULL) {
        return fail(err, ERR_LIMIT, ENOMEM, "cannot open the log %s", log->medium->name);
    }
    int result = count_groups(log, scan, min_groups, &end, err);
    if (result == 0) {
        result = take_groups(log, scan, &end, err);
    }
    if (result == 0) {
        result = erase_cut(log, scan, err);
    }
    free(scan);
    return result;
}

int log_open(struct disk *medium, enum log_kind kind, uint64_t size_bytes, uint64_t min_groups,
             const char *map_dir, const struct env *env, struct log **out, struct error *err)
{
    CLEANUP(dropp) struct log *log = NULL;
    struct log_head head;

    assert(size_bytes <= DISK_SIZE_MAX && kind != LOG_INVALID);
    if (read_head(medium, &head, err) != 0 ||
        check_head(&head, medium->name, kind, size_bytes, err) != 0 ||
        log_new(medium, &head, map_dir, &log, err) != 0 || draw_opening(log, env, err) < 0 ||
        find_groups(log, min_groups, err) != 0) {
        return -1;
    }
    *out = TAKE(log);
    return 0;
}
