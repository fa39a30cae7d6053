/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * cimxml_pull.c - enumerations in pieces: DSP0200 1.4, 5.4.2.24 (Open..., Pull...,
 * CloseEnumeration, EnumerationCount). What an Open finds is kept until it is pulled; one that is
 * exhausted by its Open leaves no context.
 */
#include <assert.h>
#include <string.h>
#include <strings.h>

#include "gateway/cimxml_call.h"

enum cimxml_form { CIMXML_WITH_PATH, CIMXML_PATHS, CIMXML_BARE };

/* What a context keeps, in its arena. */
struct pulled {
    enum cimxml_form form;
    enum cim_space space;
    struct cim_view view;
};

struct opening {
    const char *operation;
    const char *parameters;
    enum cimxml_form form;
    int (*find)(struct cimxml_call *call, struct cim_list *out, struct cim_view *view,
                struct error *err);
};

/* --- what the Opens find --------------------------------------------------------------------- */

static int find_of_class(struct cimxml_call *call, struct cim_list *out, struct cim_view *view,
                         struct error *err)
{
    const struct cim_class *class = NULL;
    bool is_deep;

    if (cimxml_class(call, "ClassName", &class, err) < 0 ||
        cimxml_boolean(call, "DeepInheritance", true, &is_deep, err) < 0 ||
        cimxml_view(call, is_deep ? NULL : class, view, err) < 0) {
        return -1;
    }
    return cim_enumerate(&call->cim, call->space, class, out, err);
}

static int find_associators(struct cimxml_call *call, struct cim_list *out, struct cim_view *view,
                            struct error *err)
{
    if (cimxml_view(call, NULL, view, err) < 0) {
        return -1;
    }
    return cimxml_find_linked(call, false, out, err);
}

static int find_references(struct cimxml_call *call, struct cim_list *out, struct cim_view *view,
                           struct error *err)
{
    if (cimxml_view(call, NULL, view, err) < 0) {
        return -1;
    }
    return cimxml_find_linked(call, true, out, err);
}

static int find_query(struct cimxml_call *call, struct cim_list *out, struct cim_view *view,
                      struct error *err)
{
    const char *language = NULL;
    const char *text = NULL;
    bool wants_class;

    if (cimxml_text(call, "FilterQueryLanguage", &language, err) < 0 ||
        cimxml_text(call, "FilterQuery", &text, err) < 0 ||
        cimxml_boolean(call, "ReturnQueryResultClass", false, &wants_class, err) < 0) {
        return -1;
    }
    if (wants_class) {
        return cimxml_refuse(call, CIM_NOT_SUPPORTED, err,
                             "OpenQueryInstances: a class of the result is not made; leave "
                             "ReturnQueryResultClass FALSE");
    }
    return cimxml_find_by_query(call, language, text, out, view, err);
}

#define OPEN_COMMON                                                                                \
    "FilterQueryLanguage FilterQuery OperationTimeout ContinueOnError MaxObjectCount"

static const struct opening openings[] = {
    {"OpenEnumerateInstances",
     "ClassName! LocalOnly DeepInheritance IncludeQualifiers IncludeClassOrigin "
     "PropertyList " OPEN_COMMON,
     CIMXML_WITH_PATH, find_of_class},
    {"OpenEnumerateInstancePaths", "ClassName! " OPEN_COMMON, CIMXML_PATHS, find_of_class},
    {"OpenAssociatorInstances",
     "InstanceName! AssocClass ResultClass Role ResultRole IncludeClassOrigin "
     "PropertyList " OPEN_COMMON,
     CIMXML_WITH_PATH, find_associators},
    {"OpenAssociatorInstancePaths",
     "InstanceName! AssocClass ResultClass Role ResultRole " OPEN_COMMON, CIMXML_PATHS,
     find_associators},
    {"OpenReferenceInstances",
     "InstanceName! ResultClass Role IncludeClassOrigin PropertyList " OPEN_COMMON,
     CIMXML_WITH_PATH, find_references},
    {"OpenReferenceInstancePaths", "InstanceName! ResultClass Role " OPEN_COMMON, CIMXML_PATHS,
     find_references},
    {"OpenQueryInstances",
     "FilterQueryLanguage! FilterQuery! ReturnQueryResultClass OperationTimeout ContinueOnError "
     "MaxObjectCount",
     CIMXML_BARE, find_query},
};

static const struct opening *find_opening(const char *operation)
{
    for (size_t i = 0; i < ARRAY_COUNT(openings); i++) {
        if (strcasecmp(openings[i].operation, operation) == 0) {
            return &openings[i];
        }
    }
    assert(false); /* the table of operations sends nothing else here */
    return NULL;
}

/* --- writing --------------------------------------------------------------------------------- */

static void write_one(struct cimxml_call *call, const struct pulled *pulled,
                      const struct cim_instance *instance)
{
    switch (pulled->form) {
    case CIMXML_WITH_PATH:
        xml_raw(call->out, "<VALUE.INSTANCEWITHPATH>\n");
        cim_xml_path(call->out, cimxml_path_of(call, instance));
        cim_xml_instance(call->out, instance, &pulled->view);
        xml_raw(call->out, "</VALUE.INSTANCEWITHPATH>\n");
        break;
    case CIMXML_PATHS:
        cim_xml_path(call->out, cimxml_path_of(call, instance));
        break;
    case CIMXML_BARE:
        cim_xml_instance(call->out, instance, &pulled->view);
        break;
    }
}

/* The next `max` instances, then the two output parameters. Returns whether that was all. */
static bool write_piece(struct cimxml_call *call, struct context *context, uint32_t max)
{
    const struct pulled *pulled = context->details;

    call->space = pulled->space;
    xml_raw(call->out, "<IRETURNVALUE>\n");
    for (uint32_t i = 0; i < max && context->next < context->list.count; i++) {
        write_one(call, pulled, context->list.all[context->next++]);
    }
    xml_raw(call->out, "</IRETURNVALUE>\n");
    /* What does not fit is an error in the end, and that closes the enumeration (DSP0200 5.4.2.24):
     * going on behind what never arrived would pass for a whole list. */
    bool is_all = context->next == context->list.count || call->out->bad;

    xml_print(call->out,
              "<PARAMVALUE NAME=\"EnumerationContext\" PARAMTYPE=\"string\">\n"
              "<VALUE>%s</VALUE>\n</PARAMVALUE>\n",
              is_all ? "" : context->text);
    xml_print(call->out,
              "<PARAMVALUE NAME=\"EndOfSequence\" PARAMTYPE=\"boolean\">\n"
              "<VALUE>%s</VALUE>\n</PARAMVALUE>\n",
              is_all ? "TRUE" : "FALSE");
    return is_all;
}

/* --- open ------------------------------------------------------------------------------------ */

static int check_options(struct cimxml_call *call, const struct opening *opening, uint32_t *max,
                         struct error *err)
{
    const char *language = NULL;
    uint32_t timeout_s;
    bool goes_on;

    if (cimxml_check_parameters(call, opening->parameters, err) < 0 ||
        cimxml_text(call, "FilterQueryLanguage", &language, err) < 0 ||
        cimxml_number(call, "OperationTimeout", CONTEXT_IDLE_S, &timeout_s, err) < 0 ||
        cimxml_boolean(call, "ContinueOnError", false, &goes_on, err) < 0 ||
        cimxml_number(call, "MaxObjectCount", 0, max, err) < 0) {
        return -1;
    }
    if (opening->form != CIMXML_BARE && language != NULL && language[0] != '\0') {
        return cimxml_refuse(call, CIM_FILTERED_ENUMERATION_NOT_SUPPORTED, err,
                             "%s: filters are not known here; use OpenQueryInstances with WQL",
                             call->name);
    }
    if (timeout_s == 0 || timeout_s > CONTEXT_IDLE_S) {
        return cimxml_refuse(call, CIM_INVALID_OPERATION_TIMEOUT, err,
                             "%s: 'OperationTimeout' must be 1 to %u seconds", call->name,
                             CONTEXT_IDLE_S);
    }
    if (goes_on) {
        return cimxml_refuse(call, CIM_CONTINUATION_ON_ERROR_NOT_SUPPORTED, err,
                             "%s: an enumeration ends at its first error; leave 'ContinueOnError' "
                             "FALSE",
                             call->name);
    }
    return 0;
}

/* The view's names are of the request, which ends before the context does. */
static void keep_view(struct arena *arena, struct cim_view *view)
{
    const char **names = arena_take_many(arena, (size_t)view->property_count + 1, sizeof *names);

    for (uint32_t i = 0; i < view->property_count && names != NULL; i++) {
        names[i] = arena_text(arena, view->properties[i]);
    }
    view->properties = view->properties == NULL ? NULL : names;
}

static int fill_context(struct cimxml_call *call, const struct opening *opening,
                        struct context *context, struct error *err)
{
    struct pulled *pulled = arena_take(&context->arena, sizeof *pulled);
    struct arena *request_arena = call->cim.arena;

    if (pulled == NULL || !contexts_bind(context, call->http->caller)) {
        return arena_done(&context->arena, err);
    }
    call->cim.arena = &context->arena;
    int result = opening->find(call, &context->list, &pulled->view, err);

    call->cim.arena = request_arena;
    if (result < 0) {
        return -1;
    }
    pulled->form = opening->form;
    pulled->space = call->space;
    keep_view(&context->arena, &pulled->view);
    context->details = pulled;
    return arena_done(&context->arena, err);
}

static const char *user_of(const struct cimxml_call *call)
{
    return call->http->caller == NULL ? "" : call->http->caller->name;
}

int cimxml_open(struct cimxml_call *call, struct error *err)
{
    const struct opening *opening = find_opening(call->name);
    struct contexts *contexts = call->gateway->contexts;
    struct context *context = NULL;
    uint32_t max;

    if (check_options(call, opening, &max, err) < 0) {
        return -1;
    }
    if (contexts_add(contexts, "cimxml", user_of(call), &context, err) < 0) {
        call->cim.status = CIM_SERVER_LIMITS_EXCEEDED;
        return -1;
    }
    if (fill_context(call, opening, context, err) < 0) {
        contexts_drop(contexts, context);
        return -1;
    }
    if (write_piece(call, context, max)) {
        contexts_drop(contexts, context);
    } else {
        contexts_give(contexts, context);
    }
    return 0;
}

/* --- pull, close ----------------------------------------------------------------------------- */

static int take_context(struct cimxml_call *call, struct context **out, struct error *err)
{
    const char *text = NULL;
    struct error why;

    if (cimxml_text(call, "EnumerationContext", &text, err) < 0) {
        return -1;
    }
    if (contexts_take(call->gateway->contexts, "cimxml", user_of(call), text, out, &why) < 0) {
        return cimxml_refuse(call, CIM_INVALID_ENUMERATION_CONTEXT, err, "%s", why.message);
    }
    /* The list has what somebody with other roles was allowed to see. */
    if (!contexts_fits(*out, call->http->caller)) {
        contexts_drop(call->gateway->contexts, *out);
        return cimxml_refuse(
            call, CIM_INVALID_ENUMERATION_CONTEXT, err,
            "the user's roles were changed since the enumeration began; begin anew");
    }
    return 0;
}

static bool form_fits(const char *operation, enum cimxml_form form)
{
    switch (form) {
    case CIMXML_WITH_PATH:
        return strcasecmp(operation, "PullInstancesWithPath") == 0;
    case CIMXML_PATHS:
        return strcasecmp(operation, "PullInstancePaths") == 0;
    case CIMXML_BARE:
        return strcasecmp(operation, "PullInstances") == 0;
    }
    return false;
}

int cimxml_pull(struct cimxml_call *call, struct error *err)
{
    struct contexts *contexts = call->gateway->contexts;
    struct context *context = NULL;
    uint32_t max;

    if (cimxml_check_parameters(call, "EnumerationContext! MaxObjectCount!", err) < 0 ||
        cimxml_number(call, "MaxObjectCount", 0, &max, err) < 0 ||
        take_context(call, &context, err) < 0) {
        return -1;
    }
    const struct pulled *pulled = context->details;

    if (!form_fits(call->name, pulled->form)) {
        contexts_give(contexts, context);
        return cimxml_refuse(call, CIM_INVALID_ENUMERATION_CONTEXT, err,
                             "that enumeration was not opened for %s", call->name);
    }
    if (write_piece(call, context, max)) {
        contexts_drop(contexts, context);
    } else {
        contexts_give(contexts, context);
    }
    return 0;
}

int cimxml_close(struct cimxml_call *call, struct error *err)
{
    struct context *context = NULL;

    if (cimxml_check_parameters(call, "EnumerationContext!", err) < 0 ||
        take_context(call, &context, err) < 0) {
        return -1;
    }
    contexts_drop(call->gateway->contexts, context);
    return 0;
}

int cimxml_count(struct cimxml_call *call, struct error *err)
{
    struct context *context = NULL;

    if (cimxml_check_parameters(call, "EnumerationContext!", err) < 0 ||
        take_context(call, &context, err) < 0) {
        return -1;
    }
    xml_print(call->out, "<IRETURNVALUE>\n<VALUE>%u</VALUE>\n</IRETURNVALUE>\n",
              context->list.count - context->next);
    contexts_give(call->gateway->contexts, context);
    return 0;
}
