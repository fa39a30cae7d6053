/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * cimxml_instances.c - instances, one and many: DSP0200 1.4, 5.4.2.2 (GetInstance), 5.4.2.6
 * (ModifyInstance), 5.4.2.11, 5.4.2.12 (enumerations), 5.4.2.13 (ExecQuery), 5.4.2.18, 5.4.2.19
 * (GetProperty, SetProperty).
 */
#include <strings.h>

#include "gateway/cimxml_call.h"

int cimxml_get_instance(struct cimxml_call *call, struct error *err)
{
    const struct cim_path *path = NULL;
    const struct cim_instance *found = NULL;
    struct cim_view view;

    if (cimxml_check_parameters(
            call, "InstanceName! LocalOnly IncludeQualifiers IncludeClassOrigin PropertyList",
            err) < 0 ||
        cimxml_instance_name(call, "InstanceName", &path, err) < 0 ||
        cimxml_view(call, NULL, &view, err) < 0 ||
        cim_get_instance(&call->cim, call->space, path, &found, err) < 0) {
        return -1;
    }
    xml_raw(call->out, "<IRETURNVALUE>\n");
    cim_xml_instance(call->out, found, &view);
    xml_raw(call->out, "</IRETURNVALUE>\n");
    return 0;
}

int cimxml_enumerate_instances(struct cimxml_call *call, struct error *err)
{
    const struct cim_class *class = NULL;
    struct cim_list list = {0};
    struct cim_view view;
    bool is_deep;

    if (cimxml_check_parameters(call,
                                "ClassName! LocalOnly DeepInheritance IncludeQualifiers "
                                "IncludeClassOrigin PropertyList",
                                err) < 0 ||
        cimxml_class(call, "ClassName", &class, err) < 0 ||
        cimxml_boolean(call, "DeepInheritance", true, &is_deep, err) < 0 ||
        cimxml_view(call, is_deep ? NULL : class, &view, err) < 0 ||
        cim_enumerate(&call->cim, call->space, class, &list, err) < 0) {
        return -1;
    }
    xml_raw(call->out, "<IRETURNVALUE>\n");
    for (uint32_t i = 0; i < list.count; i++) {
        xml_raw(call->out, "<VALUE.NAMEDINSTANCE>\n");
        cim_xml_instance_name(call->out, cimxml_path_of(call, list.all[i]));
        cim_xml_instance(call->out, list.all[i], &view);
        xml_raw(call->out, "</VALUE.NAMEDINSTANCE>\n");
    }
    xml_raw(call->out, "</IRETURNVALUE>\n");
    return 0;
}

int cimxml_enumerate_instance_names(struct cimxml_call *call, struct error *err)
{
    const struct cim_class *class = NULL;
    struct cim_list list = {0};

    if (cimxml_check_parameters(call, "ClassName!", err) < 0 ||
        cimxml_class(call, "ClassName", &class, err) < 0 ||
        cim_enumerate(&call->cim, call->space, class, &list, err) < 0) {
        return -1;
    }
    xml_raw(call->out, "<IRETURNVALUE>\n");
    for (uint32_t i = 0; i < list.count; i++) {
        cim_xml_instance_name(call->out, cimxml_path_of(call, list.all[i]));
    }
    xml_raw(call->out, "</IRETURNVALUE>\n");
    return 0;
}

int cimxml_get_property(struct cimxml_call *call, struct error *err)
{
    const struct cim_path *path = NULL;
    const struct cim_instance *found = NULL;
    const char *name = NULL;

    if (cimxml_check_parameters(call, "InstanceName! PropertyName!", err) < 0 ||
        cimxml_instance_name(call, "InstanceName", &path, err) < 0 ||
        cimxml_text(call, "PropertyName", &name, err) < 0 ||
        cim_get_instance(&call->cim, call->space, path, &found, err) < 0) {
        return -1;
    }
    const struct cim_value *value = cim_get(found, name);

    if (value == NULL) {
        return cimxml_refuse(call, CIM_NO_SUCH_PROPERTY, err, "%s has no property '%s'",
                             found->class->name, name);
    }
    xml_raw(call->out, "<IRETURNVALUE>\n");
    cim_xml_value(call->out, value);
    xml_raw(call->out, "</IRETURNVALUE>\n");
    return 0;
}

/* --- changing -------------------------------------------------------------------------------- */

static void audit_change(struct cimxml_call *call, const struct cim_path *path, int result,
                         const struct error *err)
{
    struct arena *arena = call->http->arena;
    const struct audit_entry entry = {
        .protocol = "cimxml",
        .remote = call->http->remote,
        .user = call->http->caller == NULL ? "" : call->http->caller->name,
        .operation = call->name,
        .object = cim_path_text(arena, path),
        .arguments = "",
        .result = result == 0 ? "done" : cim_status_name(call->cim.status),
        .message = result == 0 ? "" : err->message,
    };

    /* What was done cannot be undone because it could not be written down. */
    audit_note(call->gateway->audit, &entry);
}

static int modify(struct cimxml_call *call, const struct cim_path *path,
                  const struct cim_instance *with, const uint64_t given[2], struct error *err)
{
    struct error why = {0};
    int result = cim_modify(&call->cim, call->space, path, with, given, &why);

    audit_change(call, path, result, &why);
    if (result < 0 && err != NULL) {
        *err = why;
    }
    return result;
}

int cimxml_set_property(struct cimxml_call *call, struct error *err)
{
    const struct cim_path *path = NULL;
    const struct cim_class *class = NULL;
    const char *name = NULL;
    enum cim_space space;
    struct error why;

    if (cimxml_check_parameters(call, "InstanceName! PropertyName! NewValue", err) < 0 ||
        cimxml_instance_name(call, "InstanceName", &path, err) < 0 ||
        cimxml_text(call, "PropertyName", &name, err) < 0 ||
        cim_resolve(&call->cim, call->namespace_name, path->class_name, &space, &class, err) < 0) {
        return -1;
    }
    int index = cim_property_index(class, name);
    struct cim_instance *with = cim_instance_new(call->http->arena, class);
    uint64_t given[2] = {0};

    if (index < 0) {
        return cimxml_refuse(call, CIM_NO_SUCH_PROPERTY, err, "%s has no property '%s'",
                             class->name, name);
    }
    const struct cim_property *property = &class->properties[index];

    if (with == NULL) {
        return arena_done(call->http->arena, err);
    }
    if (cim_xml_read_value(call->http->arena, cimxml_parameter(call, "NewValue"), property->type,
                           property->is_array, property->embedded_class, &with->values[index],
                           &why) < 0) {
        return cimxml_refuse(call, CIM_TYPE_MISMATCH, err, "%s: %s", name, why.message);
    }
    given[index / 64] |= (uint64_t)1 << (index % 64);
    return modify(call, path, with, given, err);
}

/* Leaves in `given` only what the PropertyList names. */
static void keep_listed(const struct cim_class *class, const struct cim_view *view,
                        uint64_t given[2])
{
    for (uint32_t i = 0; i < class->property_count; i++) {
        bool is_listed = false;

        for (uint32_t n = 0; n < view->property_count && !is_listed; n++) {
            is_listed = strcasecmp(view->properties[n], class->properties[i].name) == 0;
        }
        if (!is_listed) {
            given[i / 64] &= ~((uint64_t)1 << (i % 64));
        }
    }
}

int cimxml_modify_instance(struct cimxml_call *call, struct error *err)
{
    struct arena *arena = call->http->arena;
    const struct xml_element *named = NULL;
    const struct cim_path *path = NULL;
    struct cim_instance *with = NULL;
    uint64_t given[2] = {0};
    struct cim_view view;
    struct error why;

    if (cimxml_check_parameters(call, "ModifiedInstance! IncludeQualifiers PropertyList", err) <
            0 ||
        cimxml_view(call, NULL, &view, err) < 0) {
        return -1;
    }
    named = cimxml_parameter(call, "ModifiedInstance");
    if (!xml_is(named, "", "VALUE.NAMEDINSTANCE") || named->child_count != 2) {
        return cimxml_refuse(call, CIM_INVALID_PARAMETER, err,
                             "ModifyInstance: 'ModifiedInstance' must be a VALUE.NAMEDINSTANCE");
    }
    if (cim_xml_read_path(arena, named->first, &path, &why) < 0 ||
        cim_xml_read_instance(arena, named->first->next, &with, given, &why) < 0) {
        return cimxml_refuse(call, CIM_INVALID_PARAMETER, err, "ModifyInstance: %s", why.message);
    }
    if (view.properties != NULL) {
        keep_listed(with->class, &view, given);
    }
    return modify(call, path, with, given, err);
}

/* --- queries --------------------------------------------------------------------------------- */

static bool is_query_language(const char *language)
{
    return language != NULL &&
           (strcasecmp(language, "WQL") == 0 || strcasecmp(language, "DMTF:CQL") == 0 ||
            strcasecmp(language, "CQL") == 0);
}

int cimxml_find_by_query(struct cimxml_call *call, const char *language, const char *text,
                         struct cim_list *out, struct cim_view *view, struct error *err)
{
    struct wql query;
    struct error why;

    if (!is_query_language(language)) {
        return cimxml_refuse(call, CIM_QUERY_LANGUAGE_NOT_SUPPORTED, err,
                             "the query language '%s' is not known here; WQL and DMTF:CQL are",
                             language == NULL ? "" : language);
    }
    if (text == NULL || wql_parse(call->http->arena, text, &query, &why) < 0) {
        return cimxml_refuse(call, CIM_INVALID_QUERY, err, "%s",
                             text == NULL ? "there is no query" : why.message);
    }
    *view =
        (struct cim_view){.properties = query.properties, .property_count = query.property_count};
    return cim_query(&call->cim, call->space, &query, out, err);
}

int cimxml_exec_query(struct cimxml_call *call, struct error *err)
{
    const char *language = NULL;
    const char *text = NULL;
    struct cim_list list = {0};
    struct cim_view view;

    if (cimxml_check_parameters(call, "QueryLanguage! Query!", err) < 0 ||
        cimxml_text(call, "QueryLanguage", &language, err) < 0 ||
        cimxml_text(call, "Query", &text, err) < 0 ||
        cimxml_find_by_query(call, language, text, &list, &view, err) < 0) {
        return -1;
    }
    xml_raw(call->out, "<IRETURNVALUE>\n");
    for (uint32_t i = 0; i < list.count; i++) {
        xml_raw(call->out, "<VALUE.OBJECTWITHPATH>\n");
        cim_xml_path(call->out, cimxml_path_of(call, list.all[i]));
        cim_xml_instance(call->out, list.all[i], &view);
        xml_raw(call->out, "</VALUE.OBJECTWITHPATH>\n");
    }
    xml_raw(call->out, "</IRETURNVALUE>\n");
    return 0;
}
