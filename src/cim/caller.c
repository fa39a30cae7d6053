/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cim/caller.h"

#include <stddef.h>
#include <string.h>
#include <strings.h>

#include "base/attributes.h"
#include "base/uuid.h"

static const char *const role_names[] = {
    [CIM_ROLE_NOBODY] = "none",
    [CIM_ROLE_VIEWER] = "viewer",
    [CIM_ROLE_OPERATOR] = "operator",
    [CIM_ROLE_ADMINISTRATOR] = "administrator",
};

static bool is_uuid(const char *text)
{
    struct uuid uuid;

    return uuid_parse(text, &uuid, NULL) == 0;
}

static const struct cim_vm_role *find_by_id(const struct cim_caller *caller, const char *vm_id)
{
    for (uint32_t i = 0; vm_id[0] != '\0' && i < caller->vm_count; i++) {
        if (strcasecmp(caller->vms[i].vm, vm_id) == 0) {
            return &caller->vms[i];
        }
    }
    return NULL;
}

/* An entry that is an id is no name: else whoever may name a VM could give it the id of another,
 * and with it the role that somebody has for that one. */
static const struct cim_vm_role *find_by_name(const struct cim_caller *caller, const char *vm_name)
{
    for (uint32_t i = 0; vm_name[0] != '\0' && i < caller->vm_count; i++) {
        if (strcmp(caller->vms[i].vm, vm_name) == 0 && !is_uuid(caller->vms[i].vm)) {
            return &caller->vms[i];
        }
    }
    return NULL;
}

enum cim_role cim_caller_role(const struct cim_caller *caller, const char *vm_id,
                              const char *vm_name)
{
    if (caller == NULL) {
        return CIM_ROLE_NOBODY;
    }
    const struct cim_vm_role *own = find_by_id(caller, vm_id);
    if (own == NULL) {
        own = find_by_name(caller, vm_name);
    }
    return own != NULL ? own->role : caller->role;
}

bool cim_caller_has_any(const struct cim_caller *caller)
{
    if (caller == NULL) {
        return false;
    }
    bool has = caller->role != CIM_ROLE_NOBODY;
    for (uint32_t i = 0; !has && i < caller->vm_count; i++) {
        has = caller->vms[i].role != CIM_ROLE_NOBODY;
    }
    return has;
}

/* In the order of the users' file: who changes that changed somebody's line. */
bool cim_caller_is_alike(const struct cim_caller *a, const struct cim_caller *b)
{
    bool is_alike = a->role == b->role && a->vm_count == b->vm_count;

    for (uint32_t i = 0; is_alike && i < a->vm_count; i++) {
        is_alike = a->vms[i].role == b->vms[i].role && strcmp(a->vms[i].vm, b->vms[i].vm) == 0;
    }
    return is_alike;
}

const char *cim_role_name(enum cim_role role)
{
    return (unsigned int)role < ARRAY_COUNT(role_names) ? role_names[role]
                                                        : role_names[CIM_ROLE_NOBODY];
}

enum cim_role cim_role_find(const char *name)
{
    for (size_t i = 0; i < ARRAY_COUNT(role_names); i++) {
        if (strcasecmp(role_names[i], name) == 0) {
            return (enum cim_role)i;
        }
    }
    return CIM_ROLE_NOBODY;
}
