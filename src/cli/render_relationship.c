/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/render_relationship.h"

#include <inttypes.h>

#include "cli/answer.h"
#include "cli/fields.h"
#include "cli/human.h"

static const struct table_column columns[] = {{"VM", false},
                                              {"HOP", true},
                                              {"ROLE", false},
                                              {"STATE", false},
                                              {"HEALTH", false},
                                              {"HOST", false},
                                              {"LAST REPLICATION", false}};

void render_relationship_begin(struct table *table)
{
    table_init(table, columns, ARRAY_COUNT(columns));
}

int render_relationship_row(struct table *table, const json_t *relationship, struct error *err)
{
    char hop[24];
    char last[INSTANT_TEXT_MAX];
    const char *cells[] = {
        answer_text_of(relationship, "vm", "name"),
        hop,
        answer_text(relationship, "role_name"),
        answer_text(relationship, "state_name"),
        answer_text(relationship, "health_name"),
        answer_text(relationship, "peer"),
        answer_time(relationship, "last_replication", last),
    };

    (void)snprintf(hop, sizeof hop, "%" PRId64, answer_number(relationship, "hop"));
    return table_add_row(table, cells, err);
}

static void show_settings(const json_t *settings)
{
    char rate[HUMAN_MAX];
    const json_t *window = json_object_get(settings, "auto_resync");
    uint64_t rate_bytes = answer_amount(settings, "rate_bytes_per_s");
    int64_t interval_s = answer_number(settings, "interval_s");

    field_number("recovery history", answer_number(settings, "recovery_history"));
    if (interval_s > 0) {
        field_format("interval", "%" PRId64 " s", interval_s);
    }
    field_format("rate", "%.40s%s", rate_bytes == 0 ? "no limit" : human_size(rate_bytes, rate),
                 rate_bytes == 0 ? "" : "/s");
    field_text("compression", answer_flag(settings, "compression") ? "on" : "off");
    if (answer_flag(window, "enabled")) {
        field_format("automatic resync", "%s to %s", answer_text(window, "start"),
                     answer_text(window, "end"));
    } else {
        field_text("automatic resync", "off");
    }
}

static void show_disks(const json_t *disks)
{
    const json_t *disk = NULL;
    size_t index = 0;

    json_array_foreach(disks, index, disk)
    {
        char size[HUMAN_MAX];
        field_format(index == 0 ? "disks" : "", "%s, %s%s", answer_text(disk, "name"),
                     human_size(answer_amount(disk, "size_bytes"), size),
                     answer_flag(disk, "included") ? "" : ", left out");
    }
}

void render_relationship(const json_t *relationship)
{
    field_text("vm", answer_text_of(relationship, "vm", "name"));
    field_number("hop", answer_number(relationship, "hop"));
    field_of("role of this host", relationship, "role_name");
    field_of("other host", relationship, "peer");
    field_of("state", relationship, "state_name");
    field_of("health", relationship, "health_name");
    field_of("reason", relationship, "reason");
    field_of("open job", relationship, "job");
    field_time_of("created", relationship, "created");
    field_time_of("last replication", relationship, "last_replication");
    field_time_of("last apply", relationship, "last_apply");
    field_time_of("last try", relationship, "last_try");
    field_of("folder", relationship, "folder");
    show_disks(json_object_get(relationship, "disks"));
    show_settings(json_object_get(relationship, "settings"));
}
