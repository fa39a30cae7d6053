/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gateway/method_audit.h"

static const char *item_text(struct arena *arena, const struct cim_value *value)
{
    if (value->is_array) {
        return arena_print(arena, "%u items", value->count);
    }
    switch (value->type) {
    case CIM_REFERENCE:
        return cim_path_text(arena, value->items[0].path);
    case CIM_INSTANCE:
        return arena_print(arena, "an %s", value->items[0].instance->class->name);
    case CIM_INVALID:
    case CIM_BOOLEAN:
    case CIM_UINT8:
    case CIM_UINT16:
    case CIM_UINT32:
    case CIM_UINT64:
    case CIM_SINT8:
    case CIM_SINT16:
    case CIM_SINT32:
    case CIM_SINT64:
    case CIM_REAL32:
    case CIM_REAL64:
    case CIM_CHAR16:
    case CIM_STRING:
    case CIM_DATETIME:
        break;
    }
    return cim_item_text(arena, value->type, &value->items[0]);
}

static const char *argument_text(struct arena *arena, const struct cim_arguments *in,
                                 uint32_t index)
{
    const char *name = in->method->parameters[index].name;

    if (in->is_wrong_type[index]) {
        return arena_print(arena, "%s of a wrong type", name);
    }
    if (in->values[index].is_null) {
        return arena_print(arena, "%s=NULL", name);
    }
    const char *text = item_text(arena, &in->values[index]);

    return arena_print(arena, "%s=%s", name, text == NULL ? "" : text);
}

static const char *arguments_text(struct arena *arena, const struct cim_arguments *in)
{
    const char *all = "";

    for (uint32_t i = 0; i < in->method->parameter_count && all != NULL; i++) {
        if (in->is_given[i]) {
            const char *one = argument_text(arena, in, i);

            all = arena_print(arena, "%s%s%s", all, all[0] == '\0' ? "" : ", ",
                              one == NULL ? "" : one);
        }
    }
    return all;
}

static const char *result_text(struct arena *arena, const struct cim_method *method,
                               const struct cim_outcome *outcome)
{
    const char *name = cim_value_name(&method->qualifiers, outcome->return_value);

    return arena_print(arena, "%u %s", outcome->return_value, name == NULL ? "" : name);
}

void method_audit(struct audit *audit, const struct http_request *request, const char *protocol,
                  const struct cim_path *path, const struct cim_arguments *in,
                  const struct cim_outcome *outcome, enum cim_status status,
                  const struct error *err)
{
    struct arena *arena = request->arena;
    const char *operation = arena_print(arena, "%s.%s", path->class_name, in->method->name);
    const char *object = cim_path_text(arena, path);
    const char *arguments = arguments_text(arena, in);
    const char *result =
        outcome == NULL ? cim_status_name(status) : result_text(arena, in->method, outcome);
    const struct audit_entry entry = {
        .protocol = protocol,
        .remote = request->remote,
        .user = request->caller == NULL ? "" : request->caller->name,
        .operation = operation == NULL ? in->method->name : operation,
        .object = object == NULL ? "" : object,
        .arguments = arguments == NULL ? "" : arguments,
        .result = result == NULL ? "" : result,
        .message = outcome == NULL            ? err->message
                   : outcome->message == NULL ? ""
                                              : outcome->message,
    };

    /* What was done cannot be undone because it could not be written down. */
    audit_note(audit, &entry);
}
