/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * cimxml_associations.c - what is linked with an instance: DSP0200 1.4, 5.4.2.14 to 5.4.2.17.
 */
#include "gateway/cimxml_call.h"

int cimxml_find_linked(struct cimxml_call *call, bool is_references, struct cim_list *out,
                       struct error *err)
{
    const char *object =
        cimxml_parameter(call, "ObjectName") != NULL ? "ObjectName" : "InstanceName";
    struct cim_association_filter filter = {0};
    const struct cim_path *of = NULL;

    if (cimxml_instance_name(call, object, &of, err) < 0 ||
        cimxml_class_name(call, "AssocClass", &filter.association_class, err) < 0 ||
        cimxml_class_name(call, "ResultClass", &filter.result_class, err) < 0 ||
        cimxml_text(call, "Role", &filter.role, err) < 0 ||
        cimxml_text(call, "ResultRole", &filter.result_role, err) < 0) {
        return -1;
    }
    if (is_references) {
        return cim_references(&call->cim, call->space, of, &filter, out, err);
    }
    return cim_associators(&call->cim, call->space, of, &filter, out, err);
}

static int write_objects(struct cimxml_call *call, bool is_references, const char *parameters,
                         struct error *err)
{
    struct cim_list list = {0};
    struct cim_view view;

    if (cimxml_check_parameters(call, parameters, err) < 0 ||
        cimxml_view(call, NULL, &view, err) < 0 ||
        cimxml_find_linked(call, is_references, &list, err) < 0) {
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

static int write_names(struct cimxml_call *call, bool is_references, const char *parameters,
                       struct error *err)
{
    struct cim_list list = {0};

    if (cimxml_check_parameters(call, parameters, err) < 0 ||
        cimxml_find_linked(call, is_references, &list, err) < 0) {
        return -1;
    }
    xml_raw(call->out, "<IRETURNVALUE>\n");
    for (uint32_t i = 0; i < list.count; i++) {
        xml_raw(call->out, "<OBJECTPATH>\n");
        cim_xml_path(call->out, cimxml_path_of(call, list.all[i]));
        xml_raw(call->out, "</OBJECTPATH>\n");
    }
    xml_raw(call->out, "</IRETURNVALUE>\n");
    return 0;
}

int cimxml_associators(struct cimxml_call *call, struct error *err)
{
    return write_objects(call, false,
                         "ObjectName! AssocClass ResultClass Role ResultRole IncludeQualifiers "
                         "IncludeClassOrigin PropertyList",
                         err);
}

int cimxml_associator_names(struct cimxml_call *call, struct error *err)
{
    return write_names(call, false, "ObjectName! AssocClass ResultClass Role ResultRole", err);
}

int cimxml_references(struct cimxml_call *call, struct error *err)
{
    return write_objects(
        call, true,
        "ObjectName! ResultClass Role IncludeQualifiers IncludeClassOrigin PropertyList", err);
}

int cimxml_reference_names(struct cimxml_call *call, struct error *err)
{
    return write_names(call, true, "ObjectName! ResultClass Role", err);
}
