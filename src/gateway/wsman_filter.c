/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gateway/wsman_filter.h"

#include <assert.h>
#include <string.h>
#include <strings.h>

#include "gateway/wsman_names.h"

/* What is built goes into exchange->cim.arena: it lives as long as the list. */

struct finding {
    struct wsman_exchange *exchange;
    const struct wsman_target *target;
    const struct xml_element *filter;
    struct cim_list *out;
    struct wsman_shape *shape;
};

/* --- without a filter --------------------------------------------------------------------------
 */

static int add_class(struct finding *finding, const struct cim_class *class)
{
    struct error err = {0};

    if (cim_enumerate(&finding->exchange->cim, finding->target->space, class, finding->out, &err) <
        0) {
        return wsman_refused(finding->exchange, &err);
    }
    return 0;
}

/* The resource URI of all classes: every class without a parent, with what descends from it. */
static int find_all(struct finding *finding)
{
    if (finding->target->class) {
        return add_class(finding, finding->target->class);
    }
    for (uint32_t i = 0; i < cim_class_count; i++) {
        const struct cim_class *class = cim_classes[i];

        if (!class->parent && (class->spaces & (uint32_t)finding->target->space) &&
            add_class(finding, class) < 0) {
            return -1;
        }
    }
    return 0;
}

/* --- queries -----------------------------------------------------------------------------------
 */

static int bad_filter(struct finding *finding, const struct error *err)
{
    return wsman_refuse_error(&finding->exchange->fault, WSMAN_CANNOT_PROCESS_FILTER, err);
}

/* A class in the resource URI narrows nothing; it must not contradict the query's. */
static int check_query_class(struct finding *finding, const struct wql *query)
{
    const struct cim_class *named = finding->target->class;
    const struct cim_class *class;

    if (query->kind != WQL_SELECT || !named) {
        return 0;
    }
    class = cim_class_find(finding->target->space, query->class_name);
    if (class && !cim_class_is(class, named)) {
        return wsman_refuse(&finding->exchange->fault, WSMAN_CANNOT_PROCESS_FILTER,
                            "the query is about %s, and the resource URI names %s", class->name,
                            named->name);
    }
    return 0;
}

/* What a filter names and is not there makes it one that cannot be processed. */
static int refused_filter(struct finding *finding, const struct error *err)
{
    switch (finding->exchange->cim.status) {
    case CIM_INVALID_QUERY:
        return bad_filter(finding, err);
    case CIM_NOT_FOUND:
    case CIM_INVALID_CLASS:
    case CIM_INVALID_PARAMETER:
    case CIM_INVALID_NAMESPACE:
        (void)bad_filter(finding, err);
        finding->exchange->fault.status = finding->exchange->cim.status;
        return -1;
    default:
        return wsman_refused(finding->exchange, err);
    }
}

static int find_query(struct finding *finding)
{
    struct arena *arena = finding->exchange->cim.arena;
    const char *text = arena_text(arena, finding->filter->text);
    struct wql query = {.kind = WQL_INVALID};
    struct error err = {0};

    if (finding->filter->first || !text) {
        return wsman_refuse(&finding->exchange->fault, WSMAN_CANNOT_PROCESS_FILTER,
                            "the filter holds elements, and is to be the text of a query");
    }
    if (wql_parse(arena, text, &query, &err) < 0) {
        return bad_filter(finding, &err);
    }
    if (query.is_classes_only) {
        return wsman_refuse(&finding->exchange->fault, WSMAN_CANNOT_PROCESS_FILTER,
                            "classes are not enumerated: leave out SchemaOnly, ClassDefsOnly");
    }
    if (check_query_class(finding, &query) < 0) {
        return -1;
    }
    if (cim_query(&finding->exchange->cim, finding->target->space, &query, finding->out, &err) <
        0) {
        return refused_filter(finding, &err);
    }
    finding->shape->properties = query.properties;
    finding->shape->property_count = query.property_count;
    finding->shape->is_keys_only = query.is_keys_only;
    return 0;
}

/* --- selectors ---------------------------------------------------------------------------------
 */

static bool has_value(struct arena *arena, const struct cim_value *value, const char *wanted)
{
    union cim_item item;
    struct cim_value other = {value->type, false, false, 1, &item};

    if (value->is_null || value->is_array || value->type == CIM_REFERENCE ||
        value->type == CIM_INSTANCE) {
        return false;
    }
    if (value->type == CIM_STRING) {
        return strcasecmp(value->items[0].text, wanted) == 0; /* ids are of either case */
    }
    return cim_item_read(arena, value->type, wanted, &item, NULL) == 0 &&
           cim_value_equal(value, &other);
}

static bool has_values(struct finding *finding, const struct cim_instance *instance,
                       const struct wsman_resource *wanted)
{
    for (uint32_t i = 0; i < wanted->selector_count; i++) {
        const struct cim_key *key = &wanted->selectors[i];
        const struct cim_value *value = cim_get(instance, key->name);

        if (!value || key->type == CIM_REFERENCE ||
            !has_value(finding->exchange->arena, value, key->text)) {
            return false;
        }
    }
    return true;
}

static int check_wanted(struct finding *finding, const struct wsman_resource *wanted)
{
    for (uint32_t i = 0; finding->target->class && i < wanted->selector_count; i++) {
        if (!cim_property_find(finding->target->class, wanted->selectors[i].name)) {
            return wsman_refuse(&finding->exchange->fault, WSMAN_CANNOT_PROCESS_FILTER,
                                "%s has no property \"%s\"", finding->target->class->name,
                                wanted->selectors[i].name);
        }
    }
    return 0;
}

static int find_selectors(struct finding *finding)
{
    const struct xml_element *set = xml_child(finding->filter, NS_WSMAN, "SelectorSet");
    struct wsman_resource wanted;
    uint32_t kept = 0;

    if (!set) {
        return wsman_refuse(&finding->exchange->fault, WSMAN_CANNOT_PROCESS_FILTER,
                            "the filter holds no SelectorSet");
    }
    if (wsman_resource_read(finding->exchange->arena, RESOURCE_ALL, set, &wanted,
                            &finding->exchange->fault) < 0) {
        finding->exchange->fault.kind = WSMAN_CANNOT_PROCESS_FILTER;
        return -1;
    }
    if (check_wanted(finding, &wanted) < 0 || find_all(finding) < 0) {
        return -1;
    }
    for (uint32_t i = 0; i < finding->out->count; i++) {
        if (has_values(finding, finding->out->all[i], &wanted)) {
            finding->out->all[kept++] = finding->out->all[i];
        }
    }
    finding->out->count = kept;
    return 0;
}

/* --- associations ------------------------------------------------------------------------------
 */

/* A text of the filter; NULL: it is not there, or empty. */
static const char *part(struct finding *finding, const struct xml_element *in, const char *name)
{
    const struct xml_element *child = xml_child(in, NS_BINDING, name);
    const char *text = child ? xml_text(finding->exchange->cim.arena, child) : NULL;

    return text && *text ? text : NULL;
}

/* b:IncludeResultProperty, each with the name of a property. */
static int read_properties(struct finding *finding, const struct xml_element *in)
{
    struct arena *arena = finding->exchange->cim.arena;
    const char **names = arena_take_many(arena, XML_ATTRIBUTES_MAX, sizeof *names);
    uint32_t count = 0;

    for (const struct xml_element *at = xml_child(in, NS_BINDING, "IncludeResultProperty"); at;
         at = xml_sibling(at, NS_BINDING, "IncludeResultProperty")) {
        if (!names || count == XML_ATTRIBUTES_MAX) {
            return wsman_refuse(&finding->exchange->fault, WSMAN_CANNOT_PROCESS_FILTER,
                                "more than %u properties are asked for", XML_ATTRIBUTES_MAX);
        }
        /* A copy: what xml_text() gives may lie in the request, which ends before the list does. */
        const char *name = xml_text(arena, at);
        names[count] = name ? arena_text(arena, name) : NULL;
        if (!names[count++]) {
            return wsman_refuse(&finding->exchange->fault, WSMAN_QUOTA_LIMIT,
                                "the request is too large");
        }
    }
    if (count > 0) {
        finding->shape->properties = names;
        finding->shape->property_count = count;
    }
    return 0;
}

/* The path again, of the list's arena: associations that are found may hold it. */
static int keep_path(struct finding *finding, const struct cim_path **path)
{
    struct arena *arena = finding->exchange->cim.arena;
    const char *text = cim_path_text(arena, *path);
    struct error err = {0};

    if (!text) {
        return wsman_refuse(&finding->exchange->fault, WSMAN_QUOTA_LIMIT,
                            "the request is too large");
    }
    return cim_path_read(arena, text, path, &err) < 0 ? bad_filter(finding, &err) : 0;
}

static int read_object(struct finding *finding, const struct xml_element *in,
                       const struct cim_path **out)
{
    const struct xml_element *object = xml_child(in, NS_BINDING, "Object");

    if (!object) {
        return wsman_refuse(&finding->exchange->fault, WSMAN_CANNOT_PROCESS_FILTER,
                            "the association filter names no Object");
    }
    if (wsman_epr_read(finding->exchange->arena, object, out, &finding->exchange->fault) < 0) {
        finding->exchange->fault.kind = WSMAN_CANNOT_PROCESS_FILTER;
        return -1;
    }
    return keep_path(finding, out);
}

static int find_linked(struct finding *finding, const struct xml_element *in, bool is_reference)
{
    struct cim_request *cim = &finding->exchange->cim;
    struct cim_association_filter filter = {
        .association_class = is_reference ? NULL : part(finding, in, "AssociationClassName"),
        .result_class = part(finding, in, "ResultClassName"),
        .role = part(finding, in, "Role"),
        .result_role = is_reference ? NULL : part(finding, in, "ResultRole")};
    const struct cim_path *of = NULL;
    struct error err = {0};
    int result;

    if (read_object(finding, in, &of) < 0 || read_properties(finding, in) < 0) {
        return -1;
    }
    result = is_reference
                 ? cim_references(cim, finding->target->space, of, &filter, finding->out, &err)
                 : cim_associators(cim, finding->target->space, of, &filter, finding->out, &err);
    return result < 0 ? refused_filter(finding, &err) : 0;
}

static int find_associations(struct finding *finding)
{
    const struct xml_element *objects =
        xml_child(finding->filter, NS_BINDING, "AssociatedInstances");
    const struct xml_element *links =
        xml_child(finding->filter, NS_BINDING, "AssociationInstances");

    if (finding->filter->child_count != 1 || (!objects && !links)) {
        return wsman_refuse(&finding->exchange->fault, WSMAN_CANNOT_PROCESS_FILTER,
                            "the association filter holds neither AssociatedInstances nor "
                            "AssociationInstances");
    }
    return find_linked(finding, objects ? objects : links, links != NULL);
}

/* --- dialects ----------------------------------------------------------------------------------
 */

struct dialect {
    const char *uri;
    int (*find)(struct finding *finding);
};

static const struct dialect dialects[] = {
    {DIALECT_WQL, find_query},
    {DIALECT_CQL, find_query},
    {DIALECT_SELECTOR, find_selectors},
    {DIALECT_ASSOCIATION, find_associations},
};

int wsman_find(struct wsman_exchange *exchange, const struct wsman_target *target,
               const struct xml_element *filter, struct cim_list *out, struct wsman_shape *shape)
{
    struct finding finding = {exchange, target, filter, out, shape};
    const char *dialect = filter ? xml_attribute(filter, "", "Dialect") : NULL;

    if (!filter) {
        return find_all(&finding);
    }
    for (size_t i = 0; dialect && i < ARRAY_COUNT(dialects); i++) {
        if (strcasecmp(dialect, dialects[i].uri) == 0) {
            return dialects[i].find(&finding);
        }
    }
    return wsman_refuse(&exchange->fault, WSMAN_FILTER_DIALECT,
                        "the filter's dialect \"%s\" is not served: use " DIALECT_WQL,
                        dialect ? dialect : "http://www.w3.org/TR/1999/REC-xpath-19991116");
}
