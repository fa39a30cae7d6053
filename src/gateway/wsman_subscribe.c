/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * wsman_subscribe.c - changes of jobs and relationships, pulled as they happen. An event is an
 * instance of CIM_InstModification with the object as it was when it changed. Source: DSP0226 1.2.0
 * section 10 (pull mode, 10.2.9.4); DSP0227 1.2.0 section 15.
 */
#include <inttypes.h>
#include <string.h>

#include "cim/provider.h"
#include "gateway/wsman_enumeration.h"
#include "gateway/wsman_names.h"

#define INDICATION "CIM_InstModification"

/* --- Subscribe ---------------------------------------------------------------------------------
 */

static int read_delivery(struct wsman_exchange *exchange, const struct xml_element *body)
{
    const struct xml_element *delivery = xml_child(body, NS_EVENTING, "Delivery");
    const char *mode = delivery ? xml_attribute(delivery, "", "Mode") : NULL;

    if (!mode || strcmp(mode, DELIVERY_PULL) != 0) {
        return wsman_refuse(&exchange->fault, WSMAN_DELIVERY_MODE,
                            "the delivery mode \"%s\" is not served: use " DELIVERY_PULL,
                            mode ? mode : NS_EVENTING "/DeliveryModes/Push");
    }
    return 0;
}

static int read_expires(struct wsman_exchange *exchange, const struct xml_element *body,
                        const char **out, uint64_t *out_ns)
{
    const struct xml_element *element = xml_child(body, NS_EVENTING, "Expires");
    const char *text = element ? xml_text(exchange->arena, element) : "";

    *out = text ? text : "";
    if (element && (!**out || !wsman_expires(exchange, *out, out_ns))) {
        return wsman_refuse(&exchange->fault, WSMAN_EVENT_EXPIRATION,
                            "Expires \"%s\" is no duration like PT10M, nor a time to come", *out);
    }
    return 0;
}

static const struct cim_class *indication_class(void)
{
    return cim_class_find(CIM_SPACE_VIRTUALIZATION, INDICATION);
}

/* The resource: all classes, those of indications, or the class of the objects that change. */
static int take_source(struct wsman_exchange *exchange, const struct wsman_target *target,
                       struct wsman_enumeration *enumeration)
{
    const struct cim_class *indication = indication_class();

    if (!indication) {
        return wsman_refuse(&exchange->fault, WSMAN_ACTION_NOT_SUPPORTED,
                            "the model has no " INDICATION);
    }
    if (target->class && !cim_class_is(indication, target->class)) {
        enumeration->source = target->class;
    }
    return 0;
}

static int refuse_filter(struct wsman_exchange *exchange, const struct error *err)
{
    return wsman_refuse_error(&exchange->fault, WSMAN_EVENT_FILTER, err);
}

/* "SELECT * FROM CIM_InstModification WHERE SourceInstance ISA 'Msvm_ConcreteJob'", or, shorter,
 * "SELECT * FROM Msvm_ConcreteJob WHERE ...". */
static int check_query(struct wsman_exchange *exchange, const struct wql *query,
                       struct wsman_enumeration *enumeration)
{
    const struct cim_class *indication = indication_class();
    const struct cim_class *class =
        query->kind == WQL_SELECT ? cim_class_find(enumeration->space, query->class_name) : NULL;
    struct error err = {0};

    if (!class) {
        (void)fail(&err, ERR_USAGE, 0,
                   "the filter is to be SELECT * FROM " INDICATION
                   " WHERE ..., or of the class of what changes");
        return refuse_filter(exchange, &err);
    }
    enumeration->is_query_of_source = !cim_class_is(indication, class);
    if (enumeration->is_query_of_source) {
        enumeration->source = class;
    }
    if (wql_check(query, enumeration->is_query_of_source ? class : indication, &err) < 0) {
        return refuse_filter(exchange, &err);
    }
    enumeration->query = query;
    return 0;
}

static int read_filter(struct wsman_exchange *exchange, const struct xml_element *body,
                       struct arena *arena, struct wsman_enumeration *enumeration)
{
    const struct xml_element *wsman = xml_child(body, NS_WSMAN, "Filter");
    const struct xml_element *filter = wsman ? wsman : xml_child(body, NS_EVENTING, "Filter");
    const char *dialect = filter ? xml_attribute(filter, "", "Dialect") : NULL;
    struct wql *query = arena_take(arena, sizeof *query);
    struct error err = {0};

    if (!filter) {
        return 0;
    }
    if (!dialect || (strcmp(dialect, DIALECT_WQL) != 0 && strcmp(dialect, DIALECT_CQL) != 0)) {
        return wsman_refuse(&exchange->fault, WSMAN_EVENT_FILTER,
                            "the filter's dialect is not served: use " DIALECT_WQL);
    }
    const char *text = arena_text(arena, filter->text);

    if (!query || !text) {
        return wsman_refuse(&exchange->fault, WSMAN_QUOTA_LIMIT, "the request is too large");
    }
    if (wql_parse(arena, text, query, &err) < 0) {
        return refuse_filter(exchange, &err);
    }
    return check_query(exchange, query, enumeration);
}

static int fill(struct wsman_exchange *exchange, const struct wsman_target *target,
                const struct xml_element *body, struct context *context)
{
    struct wsman_enumeration *enumeration = wsman_enumeration_new(exchange, target, context);
    struct error err = {0};

    if (!enumeration) {
        return wsman_refuse(&exchange->fault, WSMAN_QUOTA_LIMIT,
                            "out of memory for the subscription");
    }
    enumeration->style.has_instances_as_elements = true; /* DSP0227 15: SourceInstance */
    if (take_source(exchange, target, enumeration) < 0 ||
        read_filter(exchange, body, &context->arena, enumeration) < 0) {
        return -1;
    }
    if (subscriptions_add(exchange->wsman->subscriptions, exchange->http->caller,
                          &context->subscription, &err) < 0) {
        return wsman_refuse_error(&exchange->fault, WSMAN_QUOTA_LIMIT, &err);
    }
    return 0;
}

/* Where no time was asked for, it ends when nobody pulls for so long. */
static void write_expires(struct xml_text *text, const char *expires)
{
    if (*expires) {
        xml_print(text, "<e:Expires>%s</e:Expires>", expires);
    } else {
        xml_print(text, "<e:Expires>PT%uS</e:Expires>", CONTEXT_IDLE_S);
    }
}

static int write_subscribed(struct wsman_exchange *exchange, const struct context *context,
                            const char *expires)
{
    struct xml_text *text = &exchange->answer->body;

    wsman_begin(exchange, NS_EVENTING "/SubscribeResponse", "");
    xml_raw(text, "<e:SubscribeResponse><e:SubscriptionManager><a:Address>" ADDRESS_ANONYMOUS
                  "</a:Address><a:ReferenceParameters>");
    xml_print(text,
              "<w:ResourceURI>%s</w:ResourceURI><e:Identifier>uuid:%s</e:Identifier>"
              "</a:ReferenceParameters></e:SubscriptionManager>",
              exchange->request.resource_uri, context->text);
    write_expires(text, expires);
    xml_print(text,
              "<n:EnumerationContext>%s</n:EnumerationContext>"
              "</e:SubscribeResponse>",
              context->text);
    return wsman_finish(exchange);
}

static int subscribe_into(struct wsman_exchange *exchange, const struct wsman_target *target,
                          const struct xml_element *body, struct context *context)
{
    const char *expires = "";
    uint64_t expires_ns = 0;

    if (read_expires(exchange, body, &expires, &expires_ns) < 0 ||
        fill(exchange, target, body, context) < 0) {
        return -1;
    }
    contexts_expire(exchange->wsman->contexts, context, expires_ns);
    return write_subscribed(exchange, context, expires);
}

int wsman_subscribe(struct wsman_exchange *exchange)
{
    const struct xml_element *body = exchange->request.content;
    struct wsman_target target;
    struct context *context = NULL;
    struct error err = {0};

    if (!body || !xml_is(body, NS_EVENTING, "Subscribe")) {
        return wsman_refuse(&exchange->fault, WSMAN_SCHEMA_VALIDATION,
                            "the Body is to hold Subscribe");
    }
    if (wsman_target_read(exchange, &target) < 0 || read_delivery(exchange, body) < 0) {
        return -1;
    }
    if (contexts_add(exchange->wsman->contexts, WSMAN_PROTOCOL, exchange->http->caller->name,
                     &context, &err) < 0) {
        return wsman_refuse_error(&exchange->fault, WSMAN_QUOTA_LIMIT, &err);
    }
    if (subscribe_into(exchange, &target, body, context) < 0) {
        contexts_drop(exchange->wsman->contexts, context);
        return -1;
    }
    contexts_give(exchange->wsman->contexts, context);
    return 0;
}

/* --- Unsubscribe, Renew, GetStatus -------------------------------------------------------------
 */

/* The subscription of the header e:Identifier. */
static int take_subscription(struct wsman_exchange *exchange, enum wsman_fault_kind otherwise,
                             struct context **out)
{
    const char *identifier = exchange->request.identifier;
    struct context *context = NULL;
    struct error err = {0};

    if (strncmp(identifier, "uuid:", strlen("uuid:")) == 0) {
        identifier += strlen("uuid:");
    }
    if (!*identifier) {
        return wsman_refuse(&exchange->fault, WSMAN_EVENT_MESSAGE,
                            "the header Identifier of the subscription is missing");
    }
    if (contexts_take(exchange->wsman->contexts, WSMAN_PROTOCOL, exchange->http->caller->name,
                      identifier, &context, &err) < 0) {
        return wsman_refuse_error(
            &exchange->fault, err.kind == ERR_WRONG_STATE ? WSMAN_CONCURRENCY : otherwise, &err);
    }
    if (!context->subscription) {
        contexts_give(exchange->wsman->contexts, context);
        return wsman_refuse(&exchange->fault, otherwise, "the Identifier is no subscription's");
    }
    *out = context;
    return 0;
}

static int check_body(struct wsman_exchange *exchange, const char *name)
{
    const struct xml_element *body = exchange->request.content;

    if (!body || !xml_is(body, NS_EVENTING, name)) {
        return wsman_refuse(&exchange->fault, WSMAN_SCHEMA_VALIDATION, "the Body is to hold %s",
                            name);
    }
    return 0;
}

int wsman_unsubscribe(struct wsman_exchange *exchange)
{
    struct context *context = NULL;

    if (check_body(exchange, "Unsubscribe") < 0 ||
        take_subscription(exchange, WSMAN_EVENT_MESSAGE, &context) < 0) {
        return -1;
    }
    contexts_drop(exchange->wsman->contexts, context);
    wsman_begin(exchange, NS_EVENTING "/UnsubscribeResponse", "");
    return wsman_finish(exchange);
}

int wsman_renew(struct wsman_exchange *exchange)
{
    struct context *context = NULL;
    const char *expires = "";
    uint64_t expires_ns = 0;

    if (check_body(exchange, "Renew") < 0 ||
        read_expires(exchange, exchange->request.content, &expires, &expires_ns) < 0 ||
        take_subscription(exchange, WSMAN_UNABLE_TO_RENEW, &context) < 0) {
        return -1;
    }
    contexts_expire(exchange->wsman->contexts, context, expires_ns);
    contexts_give(exchange->wsman->contexts, context);
    wsman_begin(exchange, NS_EVENTING "/RenewResponse", "");
    xml_raw(&exchange->answer->body, "<e:RenewResponse>");
    write_expires(&exchange->answer->body, expires);
    xml_raw(&exchange->answer->body, "</e:RenewResponse>");
    return wsman_finish(exchange);
}

int wsman_event_status(struct wsman_exchange *exchange)
{
    const uint64_t now_ns = env_now_ns(exchange->http->env);
    struct context *context = NULL;
    uint64_t left_s = CONTEXT_IDLE_S;

    if (check_body(exchange, "GetStatus") < 0 ||
        take_subscription(exchange, WSMAN_EVENT_MESSAGE, &context) < 0) {
        return -1;
    }
    if (context->expires_ns > 0) {
        left_s = context->expires_ns > now_ns ? (context->expires_ns - now_ns) / NS_PER_S : 0;
    }
    contexts_give(exchange->wsman->contexts, context);
    wsman_begin(exchange, NS_EVENTING "/GetStatusResponse", "");
    xml_print(&exchange->answer->body,
              "<e:GetStatusResponse><e:Expires>PT%" PRIu64 "S</e:Expires></e:GetStatusResponse>",
              left_s);
    return wsman_finish(exchange);
}
