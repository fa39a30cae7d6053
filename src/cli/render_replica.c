/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/render_replica.h"

#include <inttypes.h>
#include <string.h>

#include "base/limits.h"
#include "cli/human.h"
#include "cli/json_out.h"

#define NUMBER_TEXT_MAX 24
#define SUM_TEXT_MAX (sizeof "sha256:" + 2 * (size_t)PROOF_BYTES)

_Static_assert(PROOF_BYTES == JSON_OUT_SHA256_BYTES, "a proof is a SHA-256");

/* --- words ----------------------------------------------------------------------------------- */

/* "./vm1" is how the current folder is looked through; nobody types that. */
static const char *shown_path(const char *path)
{
    return strncmp(path, "./", 2) == 0 && path[2] != '\0' ? path + 2 : path;
}

static const char *base_state(const struct replica_info *info)
{
    switch (info->state) {
    case REPLICA_STATE_INVALID:
        break;
    case REPLICA_EMPTY:
        return "empty";
    case REPLICA_WHOLE:
        return "whole";
    case REPLICA_UNFINISHED:
        return info->is_locked ? "being published" : "unfinished: run resilver recover";
    }
    return "unknown";
}

const char *render_replica_state(const struct replica_info *info, char out[RENDER_STATE_MAX])
{
    char size[HUMAN_MAX];
    char amount[HUMAN_MAX + 16] = "";
    const char *more = "";

    if (info->state == REPLICA_UNFINISHED) {
        more = ""; /* its stage is what is being published */
    } else if (info->has_stage) {
        more = info->is_locked ? ", being written" : ", half staged";
        if (info->staged_bytes > 0) {
            (void)snprintf(amount, sizeof amount, " (%s staged)",
                           human_size(info->staged_bytes, size));
        }
    } else if (info->is_locked) {
        more = ", in use";
    }
    (void)snprintf(out, RENDER_STATE_MAX, "%s%s%s", base_state(info), more, amount);
    return out;
}

static const char *sum_text(const uint8_t sum[PROOF_BYTES], char out[SUM_TEXT_MAX])
{
    char *at = out + snprintf(out, SUM_TEXT_MAX, "sha256:");

    for (size_t i = 0; i < PROOF_BYTES; i++) {
        at += snprintf(at, 3, "%02x", sum[i]);
    }
    return out;
}

static uint64_t size_of(const struct replica_info *info)
{
    uint64_t size_bytes = 0;

    for (uint32_t i = 0; i < info->disk_count; i++) {
        size_bytes += info->disks[i].size_bytes;
    }
    return size_bytes;
}

static uint64_t cost_of_points(const struct replica_info *info)
{
    uint64_t cost_bytes = 0;

    for (uint32_t i = 0; i < info->point_count; i++) {
        cost_bytes += info->points[i].own_bytes;
    }
    return cost_bytes;
}

/* --- tables ---------------------------------------------------------------------------------- */

static int add_number(struct table *table, uint64_t number, struct error *err)
{
    char text[NUMBER_TEXT_MAX];

    (void)snprintf(text, sizeof text, "%" PRIu64, number);
    return table_add(table, text, err);
}

static int add_size(struct table *table, uint64_t bytes, struct error *err)
{
    char text[HUMAN_MAX];

    return table_add(table, human_size(bytes, text), err);
}

/* Number and time of a point, or two empty cells. */
static int add_point(struct table *table, const struct replica_point *point, struct error *err)
{
    char text[HUMAN_MAX];

    if (point->number == 0) {
        return table_add(table, "", err) < 0 ? -1 : table_add(table, "", err);
    }
    return add_number(table, point->number, err) < 0
               ? -1
               : table_add(table, point->time_ns == 0 ? "" : human_time(point->time_ns, text), err);
}

void render_replica_list_begin(struct table *table)
{
    static const struct table_column columns[] = {
        {"REPLICA", false}, {"SIZE", true},      {"POINT", true},  {"SEALED", false},
        {"EARLIER", true},  {"THEY COST", true}, {"STATE", false},
    };

    table_init(table, columns, ARRAY_COUNT(columns));
}

int render_replica_list_row(struct table *table, const struct replica_info *info, struct error *err)
{
    char state[RENDER_STATE_MAX];

    if (table_add(table, shown_path(info->path), err) < 0 ||
        (info->present.number == 0 ? table_add(table, "", err)
                                   : add_size(table, size_of(info), err)) < 0 ||
        add_point(table, &info->present, err) < 0 ||
        add_number(table, info->point_count, err) < 0 ||
        (info->point_count == 0 ? table_add(table, "", err)
                                : add_size(table, cost_of_points(info), err)) < 0) {
        return -1;
    }
    return table_add(table, render_replica_state(info, state), err);
}

int render_replica_list_bad(struct table *table, const char *path, struct error *err)
{
    if (table_add(table, shown_path(path), err) < 0) {
        return -1;
    }
    for (size_t i = 2; i < table->column_count; i++) {
        if (table_add(table, "", err) < 0) {
            return -1;
        }
    }
    return table_add(table, "cannot be read", err);
}

/* What is wrong with an earlier point, and the cure. */
static int add_trouble(struct table *table, const struct replica_info *info,
                       const struct replica_point *point, struct error *err)
{
    char path[PATH_TEXT_MAX];
    char text[PATH_TEXT_MAX + 128] = "";

    if (point->needs == point->number) {
        (void)human_name(shown_path(info->path), 0, path, sizeof path);
        (void)snprintf(text, sizeof text, "damaged: resilver replica drop %s --point=%" PRIu64,
                       path, point->number);
    } else if (point->needs != 0) {
        (void)snprintf(text, sizeof text, "unusable without point %" PRIu64, point->needs);
    }
    return table_add(table, text, err);
}

static int fill_points(struct table *table, const struct replica_info *info, struct error *err)
{
    for (uint32_t i = 0; i < info->point_count; i++) {
        const struct replica_point *point = &info->points[i];
        if (add_point(table, point, err) < 0 || add_size(table, point->own_bytes, err) < 0 ||
            add_trouble(table, info, point, err) < 0) {
            return -1;
        }
    }
    if (info->present.number == 0) {
        return 0;
    }
    return add_point(table, &info->present, err) < 0 || table_add(table, "", err) < 0
               ? -1
               : table_add(table, "present", err);
}

static int print_points(FILE *out, const struct replica_info *info, size_t indent,
                        struct error *err)
{
    static const struct table_column columns[] = {
        {"POINT", true}, {"SEALED", false}, {"IT COSTS", true}, {"", false}};
    struct table table;

    table_init(&table, columns, ARRAY_COUNT(columns));
    int result = fill_points(&table, info, err);
    if (result == 0) {
        table_print(&table, indent, out);
    }
    table_done(&table);
    return result;
}

int render_replica_points(FILE *out, const struct replica_info *info, struct error *err)
{
    char path[PATH_TEXT_MAX];

    if (info->present.number == 0 && info->point_count == 0) {
        (void)human_name(info->path, 0, path, sizeof path);
        (void)fprintf(out, "%s has no point yet: no copy was ever completed\n", path);
        return 0;
    }
    return print_points(out, info, 0, err);
}

/* How the present point was received: what the file system under it can do. */
static const char *driver_name(enum point_driver driver)
{
    switch (driver) {
    case POINT_DRIVER_FILE:
        return "file";
    case POINT_DRIVER_LOG:
        return "journal";
    case POINT_DRIVER_INVALID:
        break;
    }
    return "";
}

static int fill_disks(struct table *table, const struct replica_info *info, struct error *err)
{
    char sum[SUM_TEXT_MAX];

    for (uint32_t i = 0; i < info->disk_count; i++) {
        const struct point_disk *disk = &info->disks[i];
        bool has_point = info->present.number != 0;
        if (table_add(table, disk->name, err) < 0 ||
            table_add(table, has_point ? disk_format_name(disk->format) : "", err) < 0 ||
            (has_point ? add_size(table, disk->size_bytes, err) : table_add(table, "", err)) < 0 ||
            table_add(table, has_point ? driver_name(disk->driver) : "", err) < 0 ||
            table_add(table, has_point ? sum_text(disk->proof, sum) : "", err) < 0) {
            return -1;
        }
    }
    return 0;
}

static int print_disks(FILE *out, const struct replica_info *info, struct error *err)
{
    static const struct table_column columns[] = {
        {"DISK", false}, {"FORMAT", false}, {"SIZE", true}, {"STAGED AS", false}, {"PROOF", false}};
    struct table table;

    table_init(&table, columns, ARRAY_COUNT(columns));
    int result = fill_disks(&table, info, err);
    if (result == 0) {
        table_print(&table, 2, out);
    }
    table_done(&table);
    return result;
}

static void print_facts(FILE *out, const struct replica_info *info)
{
    char path[PATH_TEXT_MAX];
    char state[RENDER_STATE_MAX];
    char text[HUMAN_MAX];

    (void)human_name(info->path, 0, path, sizeof path);
    (void)fprintf(out, "%s\n  state    %s\n", path, render_replica_state(info, state));
    if (info->present.number != 0) {
        (void)fprintf(out, "  present  point %" PRIu64 ", sealed %s\n", info->present.number,
                      human_time(info->present.time_ns, text));
    }
    (void)fprintf(out, "  history  %u of %u earlier points", info->point_count, info->history);
    if (info->point_count > 0) {
        (void)fprintf(out, ", which cost %s", human_size(cost_of_points(info), text));
    }
    (void)fputc('\n', out);
}

int render_replica_show(FILE *out, const struct replica_info *info, struct error *err)
{
    print_facts(out, info);
    if (info->disk_count > 0) {
        (void)fputc('\n', out);
        if (print_disks(out, info, err) < 0) {
            return -1;
        }
    }
    if (info->point_count == 0) {
        return 0;
    }
    (void)fputc('\n', out);
    return print_points(out, info, 2, err);
}

/* --- JSON ------------------------------------------------------------------------------------ */

static const char *json_state(enum replica_state state)
{
    switch (state) {
    case REPLICA_STATE_INVALID:
        break;
    case REPLICA_EMPTY:
        return "empty";
    case REPLICA_WHOLE:
        return "whole";
    case REPLICA_UNFINISHED:
        return "unfinished";
    }
    return "unknown";
}

/* The list and its next object, which belongs to it from the start. NULL: no memory. */
static json_t *append_object(json_t *list)
{
    json_t *object = json_object();

    return object != NULL && json_array_append_new(list, object) == 0 ? object : NULL;
}

static bool fill_json_disk(json_t *object, const struct replica_info *info,
                           const struct point_disk *disk)
{
    bool has_point = info->present.number != 0;

    return json_out_put(object, "name", json_out_text(disk->name)) &&
           json_out_put(object, "format",
                        has_point ? json_string(disk_format_name(disk->format)) : json_null()) &&
           json_out_put(object, "size_bytes",
                        has_point ? json_out_amount(disk->size_bytes) : json_null()) &&
           json_out_put(object, "staged_as",
                        has_point ? json_string(driver_name(disk->driver)) : json_null()) &&
           json_out_put(object, "proof", has_point ? json_out_sha256(disk->proof) : json_null());
}

static bool fill_json_disks(json_t *list, const struct replica_info *info)
{
    for (uint32_t i = 0; i < info->disk_count; i++) {
        json_t *object = append_object(list);
        if (object == NULL || !fill_json_disk(object, info, &info->disks[i])) {
            return false;
        }
    }
    return true;
}

static bool fill_json_point(json_t *object, const struct replica_point *point, bool is_present)
{
    return object != NULL && json_out_put(object, "number", json_out_amount(point->number)) &&
           json_out_put(object, "time",
                        point->time_ns == 0 ? json_null() : json_out_time(point->time_ns)) &&
           json_out_put(object, "is_present", json_boolean(is_present)) &&
           json_out_put(object, "own_bytes",
                        is_present ? json_null() : json_out_amount(point->own_bytes)) &&
           json_out_put(object, "is_damaged", json_boolean(point->needs == point->number)) &&
           json_out_put(object, "needs",
                        point->needs == 0 ? json_null() : json_out_amount(point->needs));
}

json_t *render_replica_json_points(const struct replica_info *info)
{
    json_t *list = json_array();
    bool is_complete = list != NULL;

    for (uint32_t i = 0; is_complete && i < info->point_count; i++) {
        is_complete = fill_json_point(append_object(list), &info->points[i], false);
    }
    if (is_complete && info->present.number != 0) {
        is_complete = fill_json_point(append_object(list), &info->present, true);
    }
    if (!is_complete) {
        json_decref(list);
        return NULL;
    }
    return list;
}

static bool fill_json(json_t *object, const struct replica_info *info)
{
    json_t *disks = json_array();

    return json_out_put(object, "path", json_out_text(shown_path(info->path))) &&
           json_out_put(object, "state", json_string(json_state(info->state))) &&
           json_out_put(object, "in_use", json_boolean(info->is_locked)) &&
           json_out_put(object, "half_staged", json_boolean(info->has_stage)) &&
           json_out_put(object, "staged_bytes", json_out_amount(info->staged_bytes)) &&
           json_out_put(object, "history", json_integer(info->history)) &&
           json_out_put(object, "point",
                        info->present.number == 0 ? json_null()
                                                  : json_out_amount(info->present.number)) &&
           json_out_put(object, "disks", disks) && fill_json_disks(disks, info) &&
           json_out_put(object, "points", render_replica_json_points(info));
}

json_t *render_replica_json(const struct replica_info *info)
{
    json_t *object = json_object();

    if (object != NULL && !fill_json(object, info)) {
        json_decref(object);
        return NULL;
    }
    return object;
}

void render_replica_json_print(FILE *out, const char *result, const char *key, json_t *value)
{
    json_t *root = json_object();
    bool is_complete = root != NULL;

    if (root == NULL) {
        json_decref(value);
    } else {
        is_complete = json_out_put(root, "schema", json_integer(JSON_OUT_SCHEMA)) &&
                      json_out_put(root, "result", json_string(result));
        is_complete = json_out_put(root, key, value) && is_complete;
    }
    json_out_print(out, root, is_complete);
}
