/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * wsman_enumerate.c - Enumerate, Pull and Release. All is found at once, into the arena of a
 * context; what does not fit into an answer waits there. Source: DSP0226 1.2.0 section 8; DSP0227
 * 1.2.0 section 8.
 */
#include <assert.h>
#include <inttypes.h>
#include <string.h>

#include "base/number.h"
#include "gateway/wsman_enumeration.h"
#include "gateway/wsman_filter.h"
#include "gateway/wsman_names.h"

#define SCRATCH_BYTES (4 * MIB) /* what the writing of one item may build meanwhile */
#define PAGE_END_BYTES 256U     /* the end of Items, and EndOfSequence */

#define CONTEXT_BEGIN "<n:EnumerationContext>"
#define CONTEXT_END "</n:EnumerationContext>"

/* --- contexts ----------------------------------------------------------------------------------
 */

struct wsman_enumeration *wsman_enumeration_new(struct wsman_exchange *exchange,
                                                const struct wsman_target *target,
                                                struct context *context)
{
    struct wsman_enumeration *enumeration = arena_take(&context->arena, sizeof *enumeration);

    if (!enumeration) {
        return NULL;
    }
    enumeration->style = wsman_style_of(exchange, target);
    enumeration->style.prefix = arena_text(&context->arena, target->resource.prefix);
    enumeration->space = target->space;
    context->details = enumeration;
    return enumeration->style.prefix ? enumeration : NULL;
}

int wsman_number(struct wsman_exchange *exchange, const struct xml_element *element,
                 uint64_t otherwise, uint64_t *out)
{
    struct error err = {0};
    const char *text = element ? xml_text(exchange->arena, element) : NULL;

    *out = otherwise;
    if (element &&
        number_parse_range(text ? text : "", element->name, 1, UINT64_MAX, out, &err) < 0) {
        return wsman_refuse_error(&exchange->fault, WSMAN_SCHEMA_VALIDATION, &err);
    }
    return 0;
}

static int refuse_context(struct wsman_exchange *exchange, const struct error *err)
{
    return wsman_refuse_error(
        &exchange->fault, err->kind == ERR_WRONG_STATE ? WSMAN_CONCURRENCY : WSMAN_INVALID_CONTEXT,
        err);
}

/* Bound to the user, not to the headers: wsl's pulls have no selectors. */
int wsman_take(struct wsman_exchange *exchange, const struct xml_element *in, struct context **out)
{
    const struct xml_element *element = xml_child(in, NS_ENUMERATION, "EnumerationContext");
    const char *text = element ? xml_text(exchange->arena, element) : NULL;
    struct error err = {0};

    if (!text) {
        return wsman_refuse(&exchange->fault, WSMAN_SCHEMA_VALIDATION,
                            "the EnumerationContext is missing");
    }
    if (contexts_take(exchange->wsman->contexts, WSMAN_PROTOCOL, exchange->http->caller->name, text,
                      out, &err) < 0) {
        return refuse_context(exchange, &err);
    }
    return 0;
}

/* --- items -------------------------------------------------------------------------------------
 */

static uint64_t characters_of(const char *text)
{
    uint64_t count = 0;

    for (; *text; text++) {
        count += ((unsigned char)*text & 0xC0U) != 0x80U;
    }
    return count;
}

static void write_item(struct wsman_exchange *exchange, const struct wsman_enumeration *enumeration,
                       const struct cim_instance *instance, struct arena *scratch)
{
    struct xml_text *text = &exchange->answer->body;
    const struct cim_path *path =
        enumeration->mode == WSMAN_MODE_OBJECT
            ? NULL
            : cim_instance_path(scratch, instance, enumeration->style.namespace_name);

    if (enumeration->mode == WSMAN_MODE_BOTH) {
        xml_raw(text, "<w:Item>");
    }
    if (enumeration->mode != WSMAN_MODE_EPR) {
        wsman_write_instance(text, &enumeration->style, scratch, instance, &enumeration->shape);
    }
    if (path) {
        wsman_write_epr(text, &enumeration->style, path, true);
    }
    if (enumeration->mode == WSMAN_MODE_BOTH) {
        xml_raw(text, "</w:Item>");
    }
}

bool wsman_write_item(struct wsman_exchange *exchange, const struct wsman_enumeration *enumeration,
                      const struct cim_instance *instance, uint64_t *characters)
{
    const size_t room = wsman_room(exchange);
    const size_t before = exchange->answer->body.used_bytes;
    struct arena scratch;
    bool is_whole;

    arena_init(&scratch, SCRATCH_BYTES);
    write_item(exchange, enumeration, instance, &scratch);
    is_whole = arena_done(&scratch, NULL) == 0 && !exchange->answer->body.bad;
    arena_free(&scratch);
    if (!is_whole || exchange->answer->body.used_bytes - before + PAGE_END_BYTES > room) {
        wsman_cut(exchange, before);
        return false;
    }
    *characters = characters_of(exchange->answer->body.at + before);
    return true;
}

/* As many as fit. -1: not even one does, and there is one. */
static int write_items(struct wsman_exchange *exchange, struct context *context,
                       const struct wsman_portion *portion)
{
    const struct wsman_enumeration *enumeration = context->details;
    uint64_t characters = 0;
    uint32_t written = 0;

    while (written < portion->max_elements && context->next < context->list.count) {
        const size_t before = exchange->answer->body.used_bytes;
        uint64_t more = 0;
        bool is_in =
            wsman_write_item(exchange, enumeration, context->list.all[context->next], &more);

        characters += more;
        if (is_in && portion->max_characters > 0 && characters > portion->max_characters) {
            wsman_cut(exchange, before);
            is_in = false;
        }
        if (!is_in) {
            return written > 0 ? 0
                               : wsman_refuse(&exchange->fault, WSMAN_MAX_ENVELOPE_SIZE,
                                              "not one object fits into what the client takes");
        }
        context->next++;
        written++;
    }
    return 0;
}

static bool is_at_end(const struct context *context)
{
    return context->next == context->list.count;
}

static const char *count_header(struct wsman_exchange *exchange, const struct context *context)
{
    const char *header =
        exchange->request.wants_count
            ? arena_print(exchange->arena,
                          "<w:TotalItemsCountEstimate>%u</w:TotalItemsCountEstimate>",
                          context->list.count)
            : NULL;

    return header ? header : "";
}

/* --- Enumerate ---------------------------------------------------------------------------------
 */

/* What the body of Enumerate asks for. */
struct asked {
    const struct xml_element *filter;
    bool is_optimized;
    struct wsman_portion portion;
    enum wsman_mode mode;
    bool is_of_base;  /* ExcludeSubClassProperties */
    bool is_just_one; /* None: no subclasses */
    uint64_t expires_ns;
    const char *expires; /* as it was asked; "" */
};

static int read_mode(struct wsman_exchange *exchange, const struct xml_element *body,
                     struct asked *asked)
{
    const struct xml_element *element = xml_child(body, NS_WSMAN, "EnumerationMode");
    const char *mode = element ? xml_text(exchange->arena, element) : "";

    if (!mode || !*mode) {
        asked->mode = WSMAN_MODE_OBJECT;
    } else if (strcmp(mode, "EnumerateEPR") == 0) {
        asked->mode = WSMAN_MODE_EPR;
    } else if (strcmp(mode, "EnumerateObjectAndEPR") == 0) {
        asked->mode = WSMAN_MODE_BOTH;
    } else {
        return wsman_refuse(&exchange->fault, WSMAN_UNSUPPORTED_FEATURE,
                            "the EnumerationMode \"%s\" is not served", mode);
    }
    return 0;
}

static int read_polymorphism(struct wsman_exchange *exchange, const struct wsman_target *target,
                             const struct xml_element *body, struct asked *asked)
{
    const struct xml_element *element = xml_child(body, NS_BINDING, "PolymorphismMode");
    const char *mode = element ? xml_text(exchange->arena, element) : "";
    bool is_known = true;

    if (!mode || !*mode || strcmp(mode, "IncludeSubClassProperties") == 0) {
        return 0;
    }
    if (strcmp(mode, "ExcludeSubClassProperties") == 0) {
        asked->is_of_base = true;
    } else if (strcmp(mode, "None") == 0) {
        asked->is_just_one = true;
    } else {
        is_known = false;
    }
    /* DSP0227 R8.1-6: of all classes there is no base whose properties could be shown */
    if (!is_known || !target->class) {
        return wsman_refuse(&exchange->fault, WSMAN_POLYMORPHISM_MODE,
                            "the PolymorphismMode \"%s\" is not served here", mode);
    }
    return 0;
}

static int read_expires(struct wsman_exchange *exchange, const struct xml_element *body,
                        struct asked *asked)
{
    const struct xml_element *element = xml_child(body, NS_ENUMERATION, "Expires");
    const char *text = element ? xml_text(exchange->arena, element) : "";

    asked->expires = text ? text : "";
    if (element &&
        (!*asked->expires || !wsman_expires(exchange, asked->expires, &asked->expires_ns))) {
        return wsman_refuse(&exchange->fault, WSMAN_INVALID_EXPIRATION,
                            "Expires \"%s\" is no duration like PT10M, nor a time to come",
                            asked->expires);
    }
    return 0;
}

static int read_filter(struct wsman_exchange *exchange, const struct xml_element *body,
                       struct asked *asked)
{
    const struct xml_element *wsman = xml_child(body, NS_WSMAN, "Filter");
    const struct xml_element *enumeration = xml_child(body, NS_ENUMERATION, "Filter");

    if (wsman && enumeration) {
        return wsman_refuse(&exchange->fault, WSMAN_CANNOT_PROCESS_FILTER, "there are two filters");
    }
    asked->filter = wsman ? wsman : enumeration;
    return 0;
}

static int read_asked(struct wsman_exchange *exchange, const struct wsman_target *target,
                      struct asked *asked)
{
    const struct xml_element *body = exchange->request.content;
    uint64_t elements;

    if (!body || !xml_is(body, NS_ENUMERATION, "Enumerate")) {
        return wsman_refuse(&exchange->fault, WSMAN_SCHEMA_VALIDATION,
                            "the Body is to hold Enumerate");
    }
    if (xml_child(body, NS_ENUMERATION, "EndTo")) {
        return wsman_refuse(&exchange->fault, WSMAN_ADDRESSING_MODE,
                            "EndTo is not served: nothing is sent but answers");
    }
    asked->is_optimized = xml_child(body, NS_WSMAN, "OptimizeEnumeration") != NULL;
    if (wsman_number(exchange, xml_child(body, NS_WSMAN, "MaxElements"), 1, &elements) < 0 ||
        read_mode(exchange, body, asked) < 0 ||
        read_polymorphism(exchange, target, body, asked) < 0 ||
        read_expires(exchange, body, asked) < 0 || read_filter(exchange, body, asked) < 0) {
        return -1;
    }
    asked->portion.max_elements =
        elements < CIM_INSTANCES_MAX ? (uint32_t)elements : CIM_INSTANCES_MAX;
    return 0;
}

/* PolymorphismMode None: what is of the very class. */
static void keep_just_class(struct cim_list *list, const struct cim_class *class)
{
    uint32_t kept = 0;

    for (uint32_t i = 0; i < list->count; i++) {
        if (list->all[i]->class == class) {
            list->all[kept++] = list->all[i];
        }
    }
    list->count = kept;
}

static int fill(struct wsman_exchange *exchange, const struct wsman_target *target,
                const struct asked *asked, struct context *context)
{
    struct wsman_enumeration *enumeration = wsman_enumeration_new(exchange, target, context);
    int result;

    if (!enumeration || !contexts_bind(context, exchange->http->caller)) {
        return wsman_refuse(&exchange->fault, WSMAN_QUOTA_LIMIT, "out of memory for the list");
    }
    enumeration->mode = asked->mode;
    exchange->cim.arena = &context->arena;
    result = wsman_find(exchange, target, asked->filter, &context->list, &enumeration->shape);
    exchange->cim.arena = exchange->arena;
    if (result < 0) {
        return -1;
    }
    if (asked->is_just_one) {
        keep_just_class(&context->list, target->class);
    }
    enumeration->shape.as = asked->is_of_base ? target->class : NULL;
    if (wsman_is_late(exchange)) {
        return wsman_refuse(&exchange->fault, WSMAN_TIMED_OUT,
                            "finding the objects took longer than OperationTimeout");
    }
    return 0;
}

/* Where its text begins goes to *at: it stands before the items, and whether it is needed is known
 * after them. */
static void write_context(struct xml_text *text, const struct context *context, size_t *at)
{
    xml_raw(text, CONTEXT_BEGIN);
    *at = text->used_bytes;
    xml_raw(text, context->text);
    xml_raw(text, CONTEXT_END);
}

static int write_enumerated(struct wsman_exchange *exchange, const struct asked *asked,
                            struct context *context)
{
    struct xml_text *text = &exchange->answer->body;
    size_t context_at;

    wsman_begin(exchange, NS_ENUMERATION "/EnumerateResponse", count_header(exchange, context));
    xml_raw(text, "<n:EnumerateResponse>");
    if (*asked->expires) {
        xml_print(text, "<n:Expires>%s</n:Expires>", asked->expires);
    }
    write_context(text, context, &context_at);
    if (asked->is_optimized) {
        xml_raw(text, "<w:Items>");
        if (write_items(exchange, context, &asked->portion) < 0) {
            return -1;
        }
        xml_raw(text, "</w:Items>");
    }
    if (asked->is_optimized && is_at_end(context)) {
        /* the element is the schema's; whoever finds it empty does not pull */
        wsman_remove(exchange, context_at, strlen(context->text));
    }
    if (asked->is_optimized && is_at_end(context)) {
        xml_raw(text, "<w:EndOfSequence/>");
    }
    xml_raw(text, "</n:EnumerateResponse>");
    return wsman_finish(exchange);
}

static int enumerate_into(struct wsman_exchange *exchange, const struct wsman_target *target,
                          const struct asked *asked, struct context *context)
{
    contexts_expire(exchange->wsman->contexts, context, asked->expires_ns);
    return fill(exchange, target, asked, context) < 0 ? -1
                                                      : write_enumerated(exchange, asked, context);
}

static int check_selectors(struct wsman_exchange *exchange, const struct wsman_target *target)
{
    if (target->resource.is_class) {
        return wsman_refuse(&exchange->fault, WSMAN_ACTION_MISMATCH,
                            "classes are not enumerated: Get one by its ClassName");
    }
    if (target->resource.selector_count > 0) {
        return wsman_refuse(&exchange->fault, WSMAN_UNEXPECTED_SELECTORS,
                            "an enumeration takes no selector \"%s\": use a filter",
                            target->resource.selectors[0].name);
    }
    return 0;
}

int wsman_enumerate(struct wsman_exchange *exchange)
{
    struct contexts *contexts = exchange->wsman->contexts;
    struct asked asked = {.expires = ""};
    struct wsman_target target;
    struct context *context = NULL;
    struct error err = {0};
    int result;

    if (wsman_target_read(exchange, &target) < 0 || check_selectors(exchange, &target) < 0 ||
        read_asked(exchange, &target, &asked) < 0) {
        return -1;
    }
    if (contexts_add(contexts, WSMAN_PROTOCOL, exchange->http->caller->name, &context, &err) < 0) {
        return wsman_refuse_error(&exchange->fault, WSMAN_QUOTA_LIMIT, &err);
    }
    result = enumerate_into(exchange, &target, &asked, context);
    if (result < 0 || (asked.is_optimized && is_at_end(context))) {
        contexts_drop(contexts, context);
    } else {
        contexts_give(contexts, context);
    }
    return result;
}

/* --- Pull --------------------------------------------------------------------------------------
 */

static int read_portion(struct wsman_exchange *exchange, const struct xml_element *body,
                        struct wsman_portion *out)
{
    uint64_t elements;

    if (wsman_number(exchange, xml_child(body, NS_ENUMERATION, "MaxElements"), 1, &elements) < 0 ||
        wsman_number(exchange, xml_child(body, NS_ENUMERATION, "MaxCharacters"), 0,
                     &out->max_characters) < 0) {
        return -1;
    }
    out->max_elements = elements < CIM_INSTANCES_MAX ? (uint32_t)elements : CIM_INSTANCES_MAX;
    return 0;
}

static int write_pulled(struct wsman_exchange *exchange, struct context *context,
                        const struct wsman_portion *portion)
{
    struct xml_text *text = &exchange->answer->body;
    size_t context_at;

    wsman_begin(exchange, NS_ENUMERATION "/PullResponse", count_header(exchange, context));
    xml_raw(text, "<n:PullResponse>");
    write_context(text, context, &context_at);
    xml_raw(text, "<n:Items>");
    if (write_items(exchange, context, portion) < 0) {
        return -1;
    }
    xml_raw(text, "</n:Items>");
    if (is_at_end(context)) {
        wsman_remove(exchange, context_at - strlen(CONTEXT_BEGIN),
                     strlen(CONTEXT_BEGIN) + strlen(context->text) + strlen(CONTEXT_END));
        xml_raw(text, "<n:EndOfSequence/>");
    }
    xml_raw(text, "</n:PullResponse>");
    return wsman_finish(exchange);
}

/* The list has what somebody with other roles was allowed to see. */
static int refuse_other_roles(struct wsman_exchange *exchange, struct context *context)
{
    contexts_drop(exchange->wsman->contexts, context);
    return wsman_refuse(&exchange->fault, WSMAN_INVALID_CONTEXT,
                        "the user's roles were changed since the enumeration began; begin anew");
}

/* What was written and does not reach the client is pulled again. */
static int pull_list(struct wsman_exchange *exchange, struct context *context,
                     const struct wsman_portion *portion)
{
    const uint32_t first = context->next;
    int result = write_pulled(exchange, context, portion);

    if (result < 0) {
        context->next = first;
        contexts_give(exchange->wsman->contexts, context);
    } else if (is_at_end(context)) {
        contexts_drop(exchange->wsman->contexts, context);
    } else {
        contexts_give(exchange->wsman->contexts, context);
    }
    return result;
}

int wsman_pull(struct wsman_exchange *exchange)
{
    const struct xml_element *body = exchange->request.content;
    struct wsman_portion portion = {0};
    struct context *context = NULL;
    int result;

    if (!body || !xml_is(body, NS_ENUMERATION, "Pull")) {
        return wsman_refuse(&exchange->fault, WSMAN_SCHEMA_VALIDATION, "the Body is to hold Pull");
    }
    if (read_portion(exchange, body, &portion) < 0 || wsman_take(exchange, body, &context) < 0) {
        return -1;
    }
    if (!contexts_fits(context, exchange->http->caller)) {
        return refuse_other_roles(exchange, context);
    }
    if (!context->subscription) {
        return pull_list(exchange, context, &portion);
    }
    result = wsman_pull_events(exchange, context, &portion);
    contexts_give(exchange->wsman->contexts, context);
    return result;
}

/* --- Release -----------------------------------------------------------------------------------
 */

int wsman_release(struct wsman_exchange *exchange)
{
    const struct xml_element *body = exchange->request.content;
    struct context *context = NULL;

    if (!body || !xml_is(body, NS_ENUMERATION, "Release")) {
        return wsman_refuse(&exchange->fault, WSMAN_SCHEMA_VALIDATION,
                            "the Body is to hold Release");
    }
    if (wsman_take(exchange, body, &context) < 0) {
        return -1;
    }
    contexts_drop(exchange->wsman->contexts, context);
    wsman_begin(exchange, NS_ENUMERATION "/ReleaseResponse", "");
    return wsman_finish(exchange);
}
