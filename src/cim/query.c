/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * query.c - instances that a query asks for. A query that can only be of one instance gets that one
 * instead of all: clients poll a job by it.
 */
#include <string.h>

#include "cim/operations_internal.h"

static int check(struct cim_request *request, const struct wql *query,
                 const struct cim_class *class, struct error *err)
{
    if (wql_check(query, class, err) < 0) {
        request->status = CIM_INVALID_QUERY;
        return -1;
    }
    return 0;
}

/* The path that all instances in question must have; NULL: the query does not say all keys. */
static const struct cim_path *wanted_path(struct cim_request *request, const struct wql *query,
                                          const struct cim_class *class)
{
    struct cim_path *path = arena_take(request->arena, sizeof *path);
    struct cim_key *keys = arena_take_many(request->arena, class->key_count + 1, sizeof *keys);

    if (path == NULL || keys == NULL || class->key_count == 0) {
        return NULL;
    }
    for (uint32_t i = 0; i < class->key_count; i++) {
        const struct cim_property *key = &class->properties[i];
        const char *text = key->type == CIM_STRING ? wql_wanted_text(query, key->name) : NULL;
        if (text == NULL) {
            return NULL;
        }
        keys[i] = (struct cim_key){.name = key->name, .type = CIM_STRING, .text = text};
    }
    *path = (struct cim_path){.host = "",
                              .namespace_name = "",
                              .class_name = class->name,
                              .keys = keys,
                              .key_count = class->key_count};
    return path;
}

/* One by its path; what is found that way still has to match the query. Queries compare texts
 * without case and paths with it: what is not found so is looked for among all. */
static int candidates(struct cim_request *request, enum cim_space space, const struct wql *query,
                      const struct cim_class *class, struct cim_list *out, struct error *err)
{
    const struct cim_path *path = wanted_path(request, query, class);
    const struct cim_instance *found = NULL;

    if (path != NULL && operation_find(request, space, path, &found, err) < 0) {
        return -1;
    }
    if (found == NULL) {
        return cim_enumerate(request, space, class, out, err);
    }
    return cim_list_add(request->arena, out, found) ? 0 : operation_done(request, err);
}

static int select_from(struct cim_request *request, enum cim_space space, const struct wql *query,
                       struct cim_list *out, struct error *err)
{
    const struct cim_class *class = NULL;
    struct cim_list list = {0};
    uint32_t kept = 0;

    if (operation_class(request, space, query->class_name, &class, err) < 0 ||
        check(request, query, class, err) < 0 ||
        candidates(request, space, query, class, &list, err) < 0) {
        return -1;
    }
    for (uint32_t i = 0; i < list.count; i++) {
        if (wql_matches(query, list.all[i])) {
            list.all[kept++] = list.all[i];
        }
    }
    list.count = kept;
    *out = list;
    return 0;
}

int cim_query(struct cim_request *request, enum cim_space space, const struct wql *query,
              struct cim_list *out, struct error *err)
{
    if (operation_may(request, err) < 0) {
        return -1;
    }
    switch (query->kind) {
    case WQL_SELECT:
        return select_from(request, space, query, out, err);
    case WQL_ASSOCIATORS:
        return cim_associators(request, space, query->of, &query->filter, out, err);
    case WQL_REFERENCES:
        return cim_references(request, space, query->of, &query->filter, out, err);
    case WQL_INVALID:
        break;
    }
    return cim_refuse(request, CIM_INVALID_QUERY, err,
                      "the query is none of SELECT, ASSOCIATORS OF and REFERENCES OF");
}
