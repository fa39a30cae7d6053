/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * map_error.c - Msvm_Error, which is only ever embedded. Source: DMTF CIM_Error; Microsoft, Hyper-V
 * WMI provider (V2), Msvm_Error.
 */
#include "cim/map_error.h"

#include <stdio.h>
#include <string.h>

#include "base/attributes.h"
#include "cim/map.h"

enum error_type {
    TYPE_OTHER = 1,
    TYPE_COMMUNICATIONS = 2,
    TYPE_SOFTWARE = 4,
    TYPE_HARDWARE = 5,
    TYPE_OVERSUBSCRIPTION = 8,
    TYPE_UNSUPPORTED = 10
};

enum severity { SEVERITY_LOW = 2, SEVERITY_MEDIUM = 3, SEVERITY_HIGH = 4, SEVERITY_FATAL = 5 };
enum health { HEALTH_WARNING = 2, HEALTH_CRITICAL = 3 };

/* The kinds of the control API's errors (base/error.h). What is not in the list is "other". */
static const struct {
    const char *kind;
    enum error_type type;
} types[] = {
    {"io", TYPE_HARDWARE},
    {"peer", TYPE_COMMUNICATIONS},
    {"limit", TYPE_OVERSUBSCRIPTION},
    {"internal", TYPE_SOFTWARE},
};

/* Return values of the methods that have a status of operations of their own. */
static const struct {
    uint64_t code;
    enum cim_status status;
} statuses[] = {
    {32769, CIM_ACCESS_DENIED},
    {32770, CIM_NOT_SUPPORTED},
    {32773, CIM_INVALID_PARAMETER},
    {32776, CIM_TYPE_MISMATCH},
};

static void set_type(struct cim_instance *error, const char *kind)
{
    enum error_type type = TYPE_OTHER;

    for (uint32_t i = 0; kind != NULL && i < ARRAY_COUNT(types); i++) {
        type = strcmp(types[i].kind, kind) == 0 ? types[i].type : type;
    }
    cim_set_number(error, "ErrorType", type);
    if (type == TYPE_OTHER) {
        cim_set_text(error, "OtherErrorType", kind != NULL ? kind : "unknown");
    }
}

static void set_status(struct cim_instance *error, uint64_t code)
{
    enum cim_status status = CIM_FAILED;

    for (uint32_t i = 0; i < ARRAY_COUNT(statuses); i++) {
        status = statuses[i].code == code ? statuses[i].status : status;
    }
    cim_set_number(error, "CIMStatusCode", status);
    cim_set_text(error, "CIMStatusCodeDescription", cim_status_name(status));
}

static void set_source(struct arena *arena, struct cim_instance *error, const struct cim_path *path)
{
    cim_set_text(error, "ErrorSource", path != NULL ? cim_path_text(arena, path) : "");
    cim_set_number(error, "ErrorSourceFormat", 0);
}

static struct cim_instance *error_new(struct arena *arena, const char *id, const char *message,
                                      const struct cim_path *source)
{
    struct cim_instance *error = map_new(arena, "Msvm_Error");

    cim_set_text(error, "OwningEntity", "Resilver");
    cim_set_text(error, "MessageID", id);
    cim_set_text(error, "Message", message);
    cim_set_text(error, "ProbableCauseDescription", message);
    set_source(arena, error, source);
    return error;
}

const struct cim_instance *map_error_of_job(struct arena *arena, const json_t *job)
{
    const json_t *why = json_object_get(job, "error");
    uint64_t code = map_number(why, "code");
    char id[32];

    if (code == 0) { /* none, or it tries again */
        return NULL;
    }
    (void)snprintf(id, sizeof id, "%llu", (unsigned long long)code);
    struct cim_instance *error =
        error_new(arena, id, map_text(why, "message"), cim_path_of_job(arena, map_text(job, "id")));
    set_type(error, map_text(why, "kind"));
    set_status(error, code);
    cim_set_number(error, "PerceivedSeverity", SEVERITY_HIGH);
    return error;
}

const struct cim_instance *map_error_of_relationship(struct arena *arena,
                                                     const json_t *relationship)
{
    uint64_t health = map_number(relationship, "health");
    int hop = (int)json_integer_value(json_object_get(relationship, "hop"));
    const char *vm_id = map_text(json_object_get(relationship, "vm"), "id");
    const char *reason = map_text(relationship, "health_reason");
    bool is_critical = health == HEALTH_CRITICAL;

    if (health != HEALTH_WARNING && !is_critical) {
        return NULL;
    }
    struct cim_instance *error =
        error_new(arena, is_critical ? "health-critical" : "health-warning", reason,
                  cim_path_of_relationship(arena, vm_id, hop));
    cim_set_number(error, "ErrorType", TYPE_OTHER);
    cim_set_text(error, "OtherErrorType", "replication health");
    set_status(error, 0);
    cim_set_number(error, "PerceivedSeverity", is_critical ? SEVERITY_HIGH : SEVERITY_MEDIUM);
    return error;
}
