/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * associate.c - what is linked with an object, and by what. Whatever the association, it links the
 * object when one of its reference properties has the object's path. Source: DSP0200 1.4, 5.4.2.13
 * to 5.4.2.16 (Associators, References); Microsoft, "ASSOCIATORS OF Statement".
 */
#include <strings.h>

#include "cim/operations_internal.h"

/* One question while it is answered. */
struct search {
    struct cim_request *request;
    enum cim_space space;
    const struct cim_path *of;                   /* as the instance itself says it */
    const struct cim_class *association;         /* NULL: any */
    const char *association_qualifier;           /* that it must have; NULL: none */
    const struct cim_class *result;              /* NULL: any */
    const struct cim_association_filter *filter; /* never NULL */
};

/* What to do with one association that links the object by the reference at `index`. */
typedef int search_take(const struct search *search, const struct cim_instance *link,
                        uint32_t index, struct cim_list *out, struct error *err);

/* --- what narrows it ---------------------------------------------------------------------------
 */

static const char *given(const char *text)
{
    return text != NULL && text[0] != '\0' ? text : NULL;
}

/* A class of a filter that is not there is the client's mistake and no empty answer. */
static int filter_class(struct cim_request *request, enum cim_space space, const char *name,
                        const struct cim_class **out, struct error *err)
{
    if (given(name) == NULL) {
        return 0;
    }
    *out = cim_class_find(space, name);
    if (*out == NULL) {
        return cim_refuse(request, CIM_INVALID_PARAMETER, err,
                          "there is no class '%.128s' to narrow the associations by, in %s", name,
                          cim_space_name(space));
    }
    return 0;
}

static bool is_role(const char *role, const struct cim_property *property)
{
    return given(role) == NULL || strcasecmp(role, property->name) == 0;
}

static bool has_qualifier(const struct cim_class *class, const char *name)
{
    return given(name) == NULL || cim_qualifier_find(&class->qualifiers, name) != NULL;
}

/* --- the associations themselves ---------------------------------------------------------------
 */

static int take_links(const struct search *search, const struct cim_instance *link,
                      search_take *take, struct cim_list *out, struct error *err)
{
    for (uint32_t i = 0; i < link->class->property_count; i++) {
        const struct cim_property *property = &link->class->properties[i];
        const struct cim_value *value = &link->values[i];
        if (property->type == CIM_REFERENCE && !value->is_null && !value->is_array &&
            is_role(search->filter->role, property) &&
            cim_path_equal(value->items[0].path, search->of) &&
            take(search, link, i, out, err) < 0) {
            return -1;
        }
    }
    return 0;
}

static int search_provider(const struct search *search, const struct cim_provider *provider,
                           search_take *take, struct cim_list *out, struct error *err)
{
    struct cim_list links = {0};

    if (provider->enumerate(search->request, search->of, &links, err) < 0) {
        return -1;
    }
    for (uint32_t i = 0; i < links.count; i++) {
        if (take_links(search, links.all[i], take, out, err) < 0) {
            return -1;
        }
    }
    return 0;
}

static bool is_wanted(const struct search *search, const struct cim_provider *provider)
{
    const struct cim_class *class = cim_class_find(search->space, provider->class_name);

    return class != NULL && class->is_association &&
           has_qualifier(class, search->association_qualifier) &&
           (search->association == NULL || cim_class_is(class, search->association));
}

static int search_all(const struct search *search, search_take *take, struct cim_list *out,
                      struct error *err)
{
    struct cim_list list = {0};

    for (uint32_t i = 0; i < cim_provider_count; i++) {
        if (is_wanted(search, cim_providers[i]) &&
            search_provider(search, cim_providers[i], take, &list, err) < 0) {
            return -1;
        }
    }
    if (operation_done(search->request, err) < 0) {
        return -1;
    }
    *out = list;
    return 0;
}

/* The object has to be there; its path is then as all associations say it. */
static int search_start(struct search *search, const struct cim_path *of, struct error *err)
{
    const struct cim_instance *object = NULL;

    if (cim_get_instance(search->request, search->space, of, &object, err) < 0) {
        return -1;
    }
    search->of = cim_instance_path(search->request->arena, object, "");
    return operation_done(search->request, err);
}

/* --- references --------------------------------------------------------------------------------
 */

static int refuse_too_many(struct cim_request *request, struct error *err)
{
    return cim_refuse(request, CIM_SERVER_LIMITS_EXCEEDED, err,
                      "more than %u instances are linked with the object, or they take more memory "
                      "than an answer may; narrow the question by a class or a role",
                      CIM_INSTANCES_MAX);
}

/* An association that links an object with itself is one all the same. */
static int take_reference(const struct search *search, const struct cim_instance *link,
                          uint32_t index, struct cim_list *out, struct error *err)
{
    (void)index;
    if (out->count > 0 && out->all[out->count - 1] == link) {
        return 0;
    }
    if (!cim_list_add(search->request->arena, out, link)) {
        return refuse_too_many(search->request, err);
    }
    return 0;
}

int cim_references(struct cim_request *request, enum cim_space space, const struct cim_path *of,
                   const struct cim_association_filter *filter, struct cim_list *out,
                   struct error *err)
{
    static const struct cim_association_filter none = {0};
    struct search search = {
        .request = request, .space = space, .filter = filter != NULL ? filter : &none};

    /* Of references, the result is the association. */
    search.association_qualifier = search.filter->required_qualifier;
    if (search_start(&search, of, err) < 0 ||
        filter_class(request, space, search.filter->result_class, &search.association, err) < 0) {
        return -1;
    }
    return search_all(&search, take_reference, out, err);
}

/* --- associators -------------------------------------------------------------------------------
 */

/* Two associations may lead to the same object, which is told once (DSP0200 5.4.2.13). */
static bool is_taken(const struct cim_list *list, const struct cim_path *path)
{
    for (uint32_t i = 0; i < list->count; i++) {
        if (cim_path_matches(path, list->all[i])) {
            return true;
        }
    }
    return false;
}

static int take_object(const struct search *search, const struct cim_path *path,
                       struct cim_list *out, struct error *err)
{
    const struct cim_class *class = cim_class_find(search->space, path->class_name);
    const struct cim_instance *object = NULL;

    if (class == NULL || (search->result != NULL && !cim_class_is(class, search->result)) ||
        !has_qualifier(class, search->filter->required_qualifier) || is_taken(out, path)) {
        return 0;
    }
    if (operation_find(search->request, search->space, path, &object, err) < 0) {
        return -1;
    }
    if (object != NULL && !cim_list_add(search->request->arena, out, object)) {
        return refuse_too_many(search->request, err);
    }
    return 0;
}

static int take_associators(const struct search *search, const struct cim_instance *link,
                            uint32_t index, struct cim_list *out, struct error *err)
{
    for (uint32_t i = 0; i < link->class->property_count; i++) {
        const struct cim_property *property = &link->class->properties[i];
        if (i != index && property->type == CIM_REFERENCE && !link->values[i].is_null &&
            is_role(search->filter->result_role, property) &&
            take_object(search, link->values[i].items[0].path, out, err) < 0) {
            return -1;
        }
    }
    return 0;
}

int cim_associators(struct cim_request *request, enum cim_space space, const struct cim_path *of,
                    const struct cim_association_filter *filter, struct cim_list *out,
                    struct error *err)
{
    static const struct cim_association_filter none = {0};
    struct search search = {
        .request = request, .space = space, .filter = filter != NULL ? filter : &none};

    search.association_qualifier = search.filter->required_association_qualifier;
    if (search_start(&search, of, err) < 0 ||
        filter_class(request, space, search.filter->association_class, &search.association, err) <
            0 ||
        filter_class(request, space, search.filter->result_class, &search.result, err) < 0) {
        return -1;
    }
    return search_all(&search, take_associators, out, err);
}
