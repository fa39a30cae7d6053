/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * cimxml_classes.c - classes of the model: DSP0200 1.4, 5.4.2.1 (GetClass), 5.4.2.9, 5.4.2.10
 * (EnumerateClasses, EnumerateClassNames).
 */
#include "gateway/cimxml_call.h"

int cimxml_get_class(struct cimxml_call *call, struct error *err)
{
    const struct cim_class *class = NULL;
    struct cim_view view = {0};

    if (cimxml_check_parameters(
            call, "ClassName! LocalOnly IncludeQualifiers IncludeClassOrigin PropertyList", err) <
            0 ||
        cimxml_class(call, "ClassName", &class, err) < 0 ||
        cimxml_view(call, NULL, &view, err) < 0 ||
        cimxml_boolean(call, "LocalOnly", true, &view.is_local_only, err) < 0 ||
        cimxml_boolean(call, "IncludeQualifiers", true, &view.has_qualifiers, err) < 0) {
        return -1;
    }
    xml_raw(call->out, "<IRETURNVALUE>\n");
    cim_xml_class(call->out, class, &view);
    xml_raw(call->out, "</IRETURNVALUE>\n");
    return 0;
}

/* Whether an enumeration below `of` (NULL: of all roots) has the class. */
static bool is_below(const struct cimxml_call *call, const struct cim_class *class,
                     const struct cim_class *of, bool is_deep)
{
    if ((class->spaces & (uint32_t)call->space) == 0) {
        return false;
    }
    if (!is_deep) {
        return class->parent == of;
    }
    return of == NULL || (class != of && cim_class_is(class, of));
}

int cimxml_enumerate_classes(struct cimxml_call *call, struct error *err)
{
    const struct cim_class *of = NULL;
    struct cim_view view = {0};
    bool is_deep;

    if (cimxml_check_parameters(
            call, "ClassName DeepInheritance LocalOnly IncludeQualifiers IncludeClassOrigin", err) <
            0 ||
        cimxml_class(call, "ClassName", &of, err) < 0 || cimxml_view(call, NULL, &view, err) < 0 ||
        cimxml_boolean(call, "DeepInheritance", false, &is_deep, err) < 0 ||
        cimxml_boolean(call, "LocalOnly", true, &view.is_local_only, err) < 0 ||
        cimxml_boolean(call, "IncludeQualifiers", true, &view.has_qualifiers, err) < 0) {
        return -1;
    }
    xml_raw(call->out, "<IRETURNVALUE>\n");
    for (uint32_t i = 0; i < cim_class_count; i++) {
        if (is_below(call, cim_classes[i], of, is_deep)) {
            cim_xml_class(call->out, cim_classes[i], &view);
        }
    }
    xml_raw(call->out, "</IRETURNVALUE>\n");
    return 0;
}

int cimxml_enumerate_class_names(struct cimxml_call *call, struct error *err)
{
    const struct cim_class *of = NULL;
    bool is_deep;

    if (cimxml_check_parameters(call, "ClassName DeepInheritance", err) < 0 ||
        cimxml_class(call, "ClassName", &of, err) < 0 ||
        cimxml_boolean(call, "DeepInheritance", false, &is_deep, err) < 0) {
        return -1;
    }
    xml_raw(call->out, "<IRETURNVALUE>\n");
    for (uint32_t i = 0; i < cim_class_count; i++) {
        if (is_below(call, cim_classes[i], of, is_deep)) {
            xml_print(call->out, "<CLASSNAME NAME=\"%s\"/>\n", cim_classes[i]->name);
        }
    }
    xml_raw(call->out, "</IRETURNVALUE>\n");
    return 0;
}
