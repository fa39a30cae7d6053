/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * invoke.c - a method on an instance: what has to be there before the method itself is asked.
 * Source: DSP0200 1.4, 5.4.1 (extrinsic methods).
 */
#include <assert.h>
#include <string.h>
#include <strings.h>

#include "cim/operations_internal.h"

struct cim_arguments *cim_arguments_new(struct arena *arena, const struct cim_method *method)
{
    struct cim_arguments *arguments = arena_take(arena, sizeof *arguments);
    uint32_t count = method->parameter_count;
    /* One more than there are: none is still something that may be pointed to. */
    struct cim_value *values = arena_take_many(arena, count + 1, sizeof *values);
    bool *is_wrong_type = arena_take_many(arena, count + 1, sizeof *is_wrong_type);
    bool *is_given = arena_take_many(arena, count + 1, sizeof *is_given);

    if (arguments == NULL || values == NULL || is_wrong_type == NULL || is_given == NULL) {
        return NULL;
    }
    for (uint32_t i = 0; i < count; i++) {
        values[i] = cim_null(method->parameters[i].type, method->parameters[i].is_array);
    }
    *arguments = (struct cim_arguments){
        .method = method, .values = values, .is_wrong_type = is_wrong_type, .is_given = is_given};
    return arguments;
}

/* The row of the class itself, or else of the nearest ancestor that has one. */
static const struct cim_method_row *row_of(const struct cim_class *class, const char *method)
{
    for (; class != NULL; class = class->parent) {
        for (uint32_t i = 0; i < cim_method_row_count; i++) {
            const struct cim_method_row *row = &cim_method_rows[i];
            if (strcasecmp(row->class_name, class->name) == 0 &&
                strcasecmp(row->method, method) == 0) {
                return row;
            }
        }
    }
    return NULL;
}

static int find_row(struct cim_request *request, const struct cim_class *class,
                    const struct cim_method *method, const struct cim_method_row **out,
                    struct error *err)
{
    if (cim_method_find(class, method->name) == NULL) {
        return cim_refuse(request, CIM_METHOD_NOT_FOUND, err, "%s has no method '%.128s'",
                          class->name, method->name);
    }
    *out = row_of(class, method->name);
    if (*out == NULL) {
        return cim_refuse(request, CIM_METHOD_NOT_AVAILABLE, err,
                          "method %s of %s is not available on this host", method->name,
                          class->name);
    }
    return 0;
}

/* A method changes what was asked for before; whatever is read after it is read anew. */
static int invoke_row(struct cim_request *request, const struct cim_method_row *row,
                      const struct cim_instance *on, const struct cim_arguments *in,
                      struct cim_outcome *out, struct error *err)
{
    struct cim_outcome outcome = {.out = cim_arguments_new(request->arena, in->method),
                                  .message = ""};

    if (outcome.out == NULL) {
        return operation_done(request, err);
    }
    int result = row->invoke(request, on, in, &outcome, err);
    cim_request_done(request);
    if (result < 0) {
        return -1;
    }
    *out = outcome;
    return 0;
}

int cim_invoke(struct cim_request *request, enum cim_space space, const struct cim_path *path,
               const struct cim_method *method, const struct cim_arguments *in,
               struct cim_outcome *out, struct error *err)
{
    const struct cim_instance *on = NULL;
    const struct cim_method_row *row = NULL;

    assert(in->method == method);
    if (cim_get_instance(request, space, path, &on, err) < 0 ||
        find_row(request, on->class, method, &row, err) < 0) {
        return -1;
    }
    return invoke_row(request, row, on, in, out, err);
}
