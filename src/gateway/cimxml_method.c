/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * cimxml_method.c - extrinsic methods: DSP0200 1.4, 5.3. Clients send parameters with or without
 * their type, references in any of the three forms of a path, or as text.
 */
#include <strings.h>

#include "gateway/cimxml_call.h"
#include "gateway/method_audit.h"

static int parameter_index(const struct cim_method *method, const char *name)
{
    for (uint32_t i = 0; i < method->parameter_count; i++) {
        if (strcasecmp(method->parameters[i].name, name) == 0) {
            return (int)i;
        }
    }
    return -1;
}

/* A reference as people type it: the text of a path. */
static bool read_path_text(struct arena *arena, const char *text, struct cim_value *out)
{
    const struct cim_path *path = NULL;
    struct error ignored;
    union cim_item *item = arena_take(arena, sizeof *item);

    if (item == NULL || cim_path_read(arena, text, &path, &ignored) < 0) {
        return false;
    }
    item->path = path;
    *out = (struct cim_value){.type = CIM_REFERENCE, .count = 1, .items = item};
    return true;
}

static void read_argument(struct cimxml_call *call, const struct xml_element *element,
                          struct cim_arguments *in, uint32_t index)
{
    const struct cim_parameter *parameter = &in->method->parameters[index];
    const struct xml_element *value = element->first;
    struct error ignored;

    in->is_given[index] = true;
    if (value == NULL) {
        return; /* null */
    }
    if (parameter->type == CIM_REFERENCE && !parameter->is_array && xml_is(value, "", "VALUE")) {
        in->is_wrong_type[index] =
            !read_path_text(call->http->arena, value->text, &in->values[index]);
        return;
    }
    in->is_wrong_type[index] =
        cim_xml_read_value(call->http->arena, value, parameter->type, parameter->is_array,
                           parameter->embedded_class, &in->values[index], &ignored) < 0;
}

static int read_arguments(struct cimxml_call *call, struct cim_arguments *in, struct error *err)
{
    const struct xml_element *each = call->element->first->next;

    for (; each != NULL; each = each->next) {
        const char *name = xml_attribute(each, "", "NAME");

        if (!xml_is(each, "", "PARAMVALUE") || name == NULL || each->child_count > 1) {
            return cimxml_refuse(call, CIM_INVALID_PARAMETER, err,
                                 "%s: '%s' is no PARAMVALUE with a NAME and one value", call->name,
                                 each->name);
        }
        int index = parameter_index(in->method, name);

        if (index < 0 || !in->method->parameters[index].is_in) {
            return cimxml_refuse(call, CIM_INVALID_PARAMETER, err, "%s takes no parameter '%s'",
                                 call->name, name);
        }
        if (in->is_given[index]) {
            return cimxml_refuse(call, CIM_INVALID_PARAMETER, err,
                                 "%s: parameter '%s' is there twice", call->name, name);
        }
        read_argument(call, each, in, (uint32_t)index);
    }
    return arena_done(call->http->arena, err);
}

static void write_result(struct cimxml_call *call, const struct cim_method *method,
                         const struct cim_outcome *outcome)
{
    xml_print(call->out, "<RETURNVALUE PARAMTYPE=\"%s\">\n<VALUE>%u</VALUE>\n</RETURNVALUE>\n",
              cim_type_name(method->type), outcome->return_value);
    for (uint32_t i = 0; i < method->parameter_count && outcome->out != NULL; i++) {
        const struct cim_parameter *parameter = &method->parameters[i];
        const struct cim_value *value = &outcome->out->values[i];

        if (!parameter->is_out || value->is_null) {
            continue;
        }
        xml_print(call->out, "<PARAMVALUE NAME=\"%s\" PARAMTYPE=\"%s\"", parameter->name,
                  cim_type_name(parameter->type));
        xml_raw(call->out, value->type == CIM_INSTANCE ? " EmbeddedObject=\"instance\">\n" : ">\n");
        cim_xml_value(call->out, value);
        xml_raw(call->out, "</PARAMVALUE>\n");
    }
}

int cimxml_call_method(struct cimxml_call *call, struct error *err)
{
    const struct cim_class *class = NULL;
    const struct cim_method *method;
    struct cim_arguments *in;
    struct cim_outcome outcome = {0};
    struct error why = {0};

    if (cim_resolve(&call->cim, call->namespace_name, call->path->class_name, &call->space, &class,
                    err) < 0) {
        return -1;
    }
    method = cim_method_find(class, call->name);
    if (method == NULL) {
        return cimxml_refuse(call, CIM_METHOD_NOT_FOUND, err, "%s has no method '%s'", class->name,
                             call->name);
    }
    in = cim_arguments_new(call->http->arena, method);
    if (in == NULL) {
        return arena_done(call->http->arena, err);
    }
    if (read_arguments(call, in, err) < 0) {
        return -1;
    }
    int result = cim_invoke(&call->cim, call->space, call->path, method, in, &outcome, &why);

    method_audit(call->gateway->audit, call->http, "cimxml", call->path, in,
                 result < 0 ? NULL : &outcome, call->cim.status, &why);
    if (result < 0) {
        *err = why;
        return -1;
    }
    write_result(call, method, &outcome);
    return 0;
}
