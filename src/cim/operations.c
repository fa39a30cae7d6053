/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * operations.c - reading and changing single instances, and all of a class. Source: DSP0200 1.4,
 * 5.4.2 (GetInstance, EnumerateInstances, ModifyInstance).
 */
#include "cim/operations.h"

#include <assert.h>
#include <string.h>
#include <strings.h>

#include "cim/operations_internal.h"

#define LIST_FIRST_ROOM 16U

bool cim_list_add(struct arena *arena, struct cim_list *list, const struct cim_instance *instance)
{
    if (list->count >= CIM_INSTANCES_MAX) {
        return false;
    }
    if (list->count == list->room) {
        uint32_t room = list->room == 0 ? LIST_FIRST_ROOM : list->room * 2;
        const struct cim_instance **all = arena_take_many(arena, room, sizeof(void *));
        if (all == NULL) {
            return false;
        }
        if (list->count > 0) {
            memcpy(all, list->all, list->count * sizeof(void *));
        }
        list->all = all;
        list->room = room;
    }
    list->all[list->count++] = instance;
    return true;
}

/* --- what is asked for, and who asks -----------------------------------------------------------
 */

int operation_may(struct cim_request *request, struct error *err)
{
    if (!cim_caller_has_any(request->caller)) {
        return cim_refuse(request, CIM_ACCESS_DENIED, err,
                          "nobody may read here without a role; an administrator gives one with "
                          "'resilver gateway user'");
    }
    return 0;
}

int operation_done(struct cim_request *request, struct error *err)
{
    if (arena_done(request->arena, err) < 0) {
        request->status = CIM_SERVER_LIMITS_EXCEEDED;
        return -1;
    }
    return 0;
}

int cim_resolve(struct cim_request *request, const char *namespace_name, const char *class_name,
                enum cim_space *space, const struct cim_class **class, struct error *err)
{
    enum cim_space found = cim_space_find(namespace_name);

    if (found == CIM_SPACE_NONE) {
        return cim_refuse(request, CIM_INVALID_NAMESPACE, err,
                          "there is no namespace '%.128s'; there are " CIM_NAMESPACE_DEFAULT
                          " and " CIM_NAMESPACE_INTEROP,
                          namespace_name);
    }
    return operation_class(request, found, class_name, class, err) < 0 ? -1 : (*space = found, 0);
}

int operation_class(struct cim_request *request, enum cim_space space, const char *class_name,
                    const struct cim_class **out, struct error *err)
{
    const struct cim_class *class = cim_class_find(space, class_name);

    if (class == NULL) {
        return cim_refuse(request, CIM_INVALID_CLASS, err,
                          "there is no class '%.128s' in namespace %s", class_name,
                          cim_space_name(space));
    }
    *out = class;
    return 0;
}

/* --- the keys of a path ------------------------------------------------------------------------
 */

static int refuse_keys(struct cim_request *request, const struct cim_class *class, const char *what,
                       const char *key, struct error *err)
{
    return cim_refuse(request, CIM_INVALID_PARAMETER, err, "the path of a %s %s '%.128s'",
                      class->name, what, key);
}

static int check_keys(struct cim_request *request, const struct cim_class *class,
                      const struct cim_path *path, struct error *err)
{
    for (uint32_t i = 0; i < path->key_count; i++) {
        const struct cim_property *property = cim_property_find(class, path->keys[i].name);
        if (property == NULL || !property->is_key) {
            return refuse_keys(request, class, "has no key", path->keys[i].name, err);
        }
        for (uint32_t j = 0; j < i; j++) {
            if (strcasecmp(path->keys[i].name, path->keys[j].name) == 0) {
                return refuse_keys(request, class, "has twice the key", path->keys[i].name, err);
            }
        }
    }
    for (uint32_t i = 0; i < class->key_count; i++) {
        bool is_there = false;
        for (uint32_t j = 0; j < path->key_count; j++) {
            is_there = is_there || strcasecmp(class->properties[i].name, path->keys[j].name) == 0;
        }
        if (!is_there) {
            return refuse_keys(request, class, "lacks the key", class->properties[i].name, err);
        }
    }
    return 0;
}

/* A single key need not be named (DSP0201 5.2.4.5: KEYVALUE alone; WMI: Class="value"). */
static const struct cim_path *with_named_key(struct cim_request *request,
                                             const struct cim_class *class,
                                             const struct cim_path *path)
{
    if (class->key_count != 1 || path->key_count != 1 || path->keys[0].name[0] != '\0') {
        return path;
    }
    struct cim_path *named = arena_take(request->arena, sizeof *named);
    struct cim_key *key = arena_take(request->arena, sizeof *key);
    if (named == NULL || key == NULL) {
        return path;
    }
    *key = path->keys[0];
    key->name = class->properties[0].name;
    *named = *path;
    named->keys = key;
    return named;
}

/* --- one instance ------------------------------------------------------------------------------
 */

/* What an association's path says of its first end, so that only those that link it are made. */
static const struct cim_path *near_of(const struct cim_path *path)
{
    for (uint32_t i = 0; i < path->key_count; i++) {
        if (path->keys[i].type == CIM_REFERENCE) {
            return path->keys[i].path;
        }
    }
    return NULL;
}

static int find_among_all(struct cim_request *request, const struct cim_provider *provider,
                          const struct cim_path *path, const struct cim_instance **out,
                          struct error *err)
{
    struct cim_list list = {0};

    if (provider->enumerate(request, near_of(path), &list, err) < 0) {
        return -1;
    }
    for (uint32_t i = 0; i < list.count && *out == NULL; i++) {
        *out = cim_path_matches(path, list.all[i]) ? list.all[i] : NULL;
    }
    return 0;
}

/* Of the providers of the class and of those that descend from it. */
static int find_instance(struct cim_request *request, enum cim_space space,
                         const struct cim_class *class, const struct cim_path *path,
                         const struct cim_instance **out, struct error *err)
{
    for (uint32_t i = 0; i < cim_provider_count && *out == NULL; i++) {
        const struct cim_provider *provider = cim_providers[i];
        if (!operation_provides(provider, space, class)) {
            continue;
        }
        int result = provider->get != NULL ? provider->get(request, path, out, err)
                                           : find_among_all(request, provider, path, out, err);
        if (result < 0) {
            return -1;
        }
    }
    return 0;
}

bool operation_provides(const struct cim_provider *provider, enum cim_space space,
                        const struct cim_class *class)
{
    const struct cim_class *own = cim_class_find(space, provider->class_name);

    return own != NULL && cim_class_is(own, class);
}

/* The path's own namespace, if it has one, in place of the request's. */
static int choose_space(struct cim_request *request, const struct cim_path *path,
                        enum cim_space *space, struct error *err)
{
    const char *name = path->namespace_name;

    if (name == NULL || name[0] == '\0') {
        return 0;
    }
    enum cim_space own = cim_space_find(name);
    if (own == CIM_SPACE_NONE) {
        return cim_refuse(request, CIM_INVALID_NAMESPACE, err,
                          "there is no namespace '%.128s' here", name);
    }
    *space = own;
    return 0;
}

int operation_find(struct cim_request *request, enum cim_space space, const struct cim_path *path,
                   const struct cim_instance **out, struct error *err)
{
    const struct cim_class *class = NULL;
    const struct cim_instance *found = NULL;

    if (choose_space(request, path, &space, err) < 0 ||
        operation_class(request, space, path->class_name, &class, err) < 0) {
        return -1;
    }
    path = with_named_key(request, class, path);
    if (check_keys(request, class, path, err) < 0 ||
        find_instance(request, space, class, path, &found, err) < 0 ||
        operation_done(request, err) < 0) {
        return -1;
    }
    *out = found;
    return 0;
}

int cim_get_instance(struct cim_request *request, enum cim_space space, const struct cim_path *path,
                     const struct cim_instance **out, struct error *err)
{
    const struct cim_instance *found = NULL;

    if (operation_may(request, err) < 0 || operation_find(request, space, path, &found, err) < 0) {
        return -1;
    }
    if (found == NULL) {
        const char *text = cim_path_text(request->arena, path);
        return cim_refuse(request, CIM_NOT_FOUND, err, "there is no %.256s",
                          text != NULL ? text : path->class_name);
    }
    *out = found;
    return 0;
}

/* --- all of a class ----------------------------------------------------------------------------
 */

int cim_enumerate(struct cim_request *request, enum cim_space space, const struct cim_class *class,
                  struct cim_list *out, struct error *err)
{
    struct cim_list list = {0};

    if (operation_may(request, err) < 0) {
        return -1;
    }
    for (uint32_t i = 0; i < cim_provider_count; i++) {
        if (operation_provides(cim_providers[i], space, class) &&
            cim_providers[i]->enumerate(request, NULL, &list, err) < 0) {
            return -1;
        }
    }
    if (operation_done(request, err) < 0) {
        return -1;
    }
    *out = list;
    return 0;
}

/* --- changing ----------------------------------------------------------------------------------
 */

bool operation_is_given(const uint64_t given[2], uint32_t index)
{
    return index < 128 && (given[index / 64] >> (index % 64) & 1) != 0;
}

/* A client sends the whole instance back with one property changed: what it did not change is no
 * refusal, what cannot be changed and differs is. */
static int check_changes(struct cim_request *request, const struct cim_instance *is,
                         const struct cim_instance *with, const uint64_t given[2],
                         struct error *err)
{
    for (uint32_t i = 0; i < is->class->property_count; i++) {
        const struct cim_property *property = &is->class->properties[i];
        bool is_free = property->is_writable && !property->is_key;
        if (operation_is_given(given, i) && !is_free &&
            !cim_value_equal(&is->values[i], &with->values[i])) {
            return cim_refuse(request, CIM_INVALID_PARAMETER, err,
                              "property %s of %s cannot be changed; leave it out, or send it as it "
                              "was read",
                              property->name, is->class->name);
        }
    }
    return 0;
}

int cim_modify(struct cim_request *request, enum cim_space space, const struct cim_path *path,
               const struct cim_instance *with, const uint64_t given[2], struct error *err)
{
    const struct cim_instance *is = NULL;

    if (cim_get_instance(request, space, path, &is, err) < 0) {
        return -1;
    }
    const struct cim_provider *provider = cim_provider_find(is->class);
    if (provider == NULL || provider->modify == NULL) {
        return cim_refuse(request, CIM_NOT_SUPPORTED, err,
                          "instances of %s are not changed like this; use the methods of "
                          "Msvm_ReplicationService",
                          is->class->name);
    }
    if (with->class != is->class) {
        return cim_refuse(request, CIM_INVALID_PARAMETER, err,
                          "an instance of %s was given to change one of %s", with->class->name,
                          is->class->name);
    }
    if (check_changes(request, is, with, given, err) < 0 ||
        provider->modify(request, is, with, given, err) < 0) {
        return -1;
    }
    return 0;
}
