/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* wsman_transfer.c - Get of an object or a class, and Put. Source: DSP0226 1.2.0 section 7;
 * DSP0227 1.2.0 section 9. */
#include <string.h>
#include <strings.h>

#include "cim/xml.h"
#include "gateway/wsman_exchange.h"
#include "gateway/wsman_names.h"

/* --- classes -----------------------------------------------------------------------------------
 */

static const char *class_selector(const struct wsman_resource *resource)
{
    for (uint32_t i = 0; i < resource->selector_count; i++) {
        if (strcasecmp(resource->selectors[i].name, "ClassName") == 0) {
            return resource->selectors[i].text;
        }
    }
    return resource->is_all ? "" : resource->class_name;
}

/* The whole class where the client does not say how much of it he wants. */
static int get_class(struct wsman_exchange *exchange, const struct wsman_target *target)
{
    const struct wsman_request *request = &exchange->request;
    struct cim_view view = {
        .is_local_only = !wsman_request_option(request, "IncludeInheritedElements", true),
        .has_qualifiers = wsman_request_option(request, "IncludeQualifiers", true),
        .has_class_origin = wsman_request_option(request, "IncludeClassOrigin", false)};
    const char *name = class_selector(&target->resource);
    const struct cim_class *class = NULL;
    enum cim_space space = target->space;
    struct error err = {0};

    if (!*name) {
        return wsman_refuse(&exchange->fault, WSMAN_INSUFFICIENT_SELECTORS,
                            "the selector ClassName is missing");
    }
    if (cim_resolve(&exchange->cim, target->resource.namespace_name, name, &space, &class, &err) <
        0) {
        return wsman_refused(exchange, &err);
    }
    wsman_begin(exchange, NS_TRANSFER "/GetResponse", "");
    cim_xml_class(&exchange->answer->body, class, &view);
    return wsman_finish(exchange);
}

/* --- objects -----------------------------------------------------------------------------------
 */

static int refuse_all(struct wsman_exchange *exchange)
{
    return wsman_refuse(&exchange->fault, WSMAN_INVALID_RESOURCE_URI,
                        "one object is asked for: name its class in the resource URI");
}

static int read_object(struct wsman_exchange *exchange, const struct wsman_target *target,
                       const struct cim_path *path, const struct cim_instance **out)
{
    struct error err = {0};

    if (cim_get_instance(&exchange->cim, target->space, path, out, &err) < 0) {
        return wsman_refused(exchange, &err);
    }
    return 0;
}

static void write_object(struct wsman_exchange *exchange, const struct wsman_target *target,
                         const struct cim_instance *instance)
{
    struct wsman_style style = wsman_style_of(exchange, target);

    wsman_write_instance(&exchange->answer->body, &style, exchange->arena, instance, NULL);
}

int wsman_get(struct wsman_exchange *exchange)
{
    struct wsman_target target;
    const struct cim_path *path = NULL;
    const struct cim_instance *instance = NULL;

    if (wsman_target_read(exchange, &target) < 0) {
        return -1;
    }
    if (target.resource.is_class) {
        return get_class(exchange, &target);
    }
    if (!target.class) {
        return refuse_all(exchange);
    }
    if (wsman_object(exchange, &target, &path) < 0 ||
        read_object(exchange, &target, path, &instance) < 0) {
        return -1;
    }
    if (wsman_is_late(exchange)) {
        return wsman_refuse(&exchange->fault, WSMAN_TIMED_OUT,
                            "reading the object took longer than OperationTimeout");
    }
    wsman_begin(exchange, NS_TRANSFER "/GetResponse", "");
    write_object(exchange, &target, instance);
    return wsman_finish(exchange);
}

/* --- Put ---------------------------------------------------------------------------------------
 */

static const struct xml_element *representation(struct wsman_exchange *exchange,
                                                const struct cim_class *class)
{
    const struct xml_element *content = exchange->request.content;

    if (!content || strcasecmp(content->name, class->name) != 0) {
        (void)wsman_refuse(&exchange->fault, WSMAN_SCHEMA_VALIDATION,
                           "the Body is to hold the new %s", class->name);
        return NULL;
    }
    return content;
}

/* What Put is about to change: the object as it is, by its own class, with what was sent. */
struct change {
    struct wsman_target target;
    const struct cim_path *path;
    struct cim_instance *with;
    uint64_t given[2];
};

static int read_change(struct wsman_exchange *exchange, struct change *change)
{
    const struct xml_element *content = representation(exchange, change->target.class);

    if (!content) {
        return -1;
    }
    change->with = cim_instance_new(exchange->arena, change->target.class);
    if (!change->with) {
        return wsman_refuse(&exchange->fault, WSMAN_QUOTA_LIMIT, "the request is too large");
    }
    return wsman_read_properties(exchange->arena, content, change->target.space, change->with,
                                 change->given, &exchange->fault);
}

static int modify(struct wsman_exchange *exchange, const struct change *change)
{
    struct error err = {0};

    if (cim_modify(&exchange->cim, change->target.space, change->path, change->with, change->given,
                   &err) == 0) {
        return 0;
    }
    if (exchange->cim.status != CIM_INVALID_PARAMETER) {
        return wsman_refused(exchange, &err);
    }
    (void)wsman_refuse_error(&exchange->fault, WSMAN_INVALID_REPRESENTATION, &err);
    exchange->fault.status = CIM_INVALID_PARAMETER;
    return -1;
}

static int change_object(struct wsman_exchange *exchange, struct change *change)
{
    if (wsman_object(exchange, &change->target, &change->path) < 0 ||
        read_change(exchange, change) < 0) {
        return -1;
    }
    return modify(exchange, change);
}

static void audit_put(struct wsman_exchange *exchange, const struct change *change, int result)
{
    const char *object =
        change->path ? cim_path_text(exchange->arena, change->path) : change->target.class->name;

    wsman_audit(exchange, (struct audit_entry){
                              .operation = "Put",
                              .object = object ? object : "",
                              .arguments = "",
                              .result = result == 0 ? "changed" : wsman_refusal_text(exchange),
                              .message = result == 0 ? "" : exchange->fault.reason});
}

/* The answer has the object as it is now; where that cannot be had any more it is empty, for the
 * change has been made (DSP0226 7.3). */
int wsman_put(struct wsman_exchange *exchange)
{
    struct change change = {.path = NULL};
    const struct cim_instance *instance = NULL;
    int result;

    if (wsman_target_read(exchange, &change.target) < 0) {
        return -1;
    }
    if (!change.target.class) {
        return refuse_all(exchange);
    }
    result = change_object(exchange, &change);
    audit_put(exchange, &change, result);
    if (result < 0) {
        return -1;
    }
    wsman_begin(exchange, NS_TRANSFER "/PutResponse", "");
    if (cim_get_instance(&exchange->cim, change.target.space, change.path, &instance, NULL) == 0) {
        write_object(exchange, &change.target, instance);
    }
    return wsman_finish(exchange);
}
