/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* wsman_events.c - Pull of a subscription: what has changed, as indications; or to wait for it. */
#include <jansson.h>
#include <string.h>

#include "cim/provider.h"
#include "gateway/wsman_enumeration.h"
#include "gateway/wsman_names.h"

/* One answer being filled with events. */
struct pulling {
    struct wsman_exchange *exchange;
    struct context *context;
    const struct wsman_enumeration *enumeration;
    const struct wsman_portion *portion;
    uint32_t written;
    uint64_t characters;
};

/* --- from a change to an indication ------------------------------------------------------------
 */

/* The object as it was when it changed. NULL: of a kind that is not told, or of a VM that the
 * caller may not see any more. */
static const struct cim_instance *source_of(struct pulling *pulling, const char *kind,
                                            const json_t *object)
{
    struct cim_request *cim = &pulling->exchange->cim;

    if (!cim_may_see(cim, json_object_get(object, "vm"))) {
        return NULL;
    }
    if (strcmp(kind, "job") == 0) {
        return cim_job_instance(cim->arena, object);
    }
    return strcmp(kind, "relationship") == 0 ? cim_relationship_instance(cim, object) : NULL;
}

static struct cim_instance *indication_of(struct pulling *pulling,
                                          const struct cim_instance *source)
{
    struct arena *arena = pulling->exchange->arena;
    struct cim_instance *indication =
        cim_instance_new(arena, cim_class_find(CIM_SPACE_VIRTUALIZATION, "CIM_InstModification"));
    const struct cim_path *path =
        cim_instance_path(arena, source, pulling->enumeration->style.namespace_name);

    cim_set_instances(indication, "SourceInstance", &source, 1);
    cim_set_text(indication, "SourceInstanceModelPath", path ? cim_path_text(arena, path) : NULL);
    cim_set_moment(indication, "IndicationTime", env_wall_us(pulling->exchange->http->env));
    return indication;
}

static bool is_wanted(const struct wsman_enumeration *enumeration,
                      const struct cim_instance *source, const struct cim_instance *indication)
{
    if (enumeration->source && !cim_class_is(source->class, enumeration->source)) {
        return false;
    }
    return !enumeration->query ||
           wql_matches(enumeration->query, enumeration->is_query_of_source ? source : indication);
}

/* --- one answer --------------------------------------------------------------------------------
 */

/* Events that nobody took were dropped: the client is to look at everything again. */
static void write_lost(struct pulling *pulling, uint32_t lost)
{
    if (lost > 0) {
        xml_print(&pulling->exchange->answer->body,
                  "<w:DroppedEvents Action=\"" ACTION_DROPPED_EVENTS "\">%u</w:DroppedEvents>",
                  lost);
        pulling->written++;
    }
}

static void write_change(struct pulling *pulling, const char *kind, const json_t *object,
                         uint32_t lost)
{
    const struct cim_instance *source = source_of(pulling, kind, object);
    const struct cim_instance *indication = source ? indication_of(pulling, source) : NULL;
    uint64_t characters = 0;

    write_lost(pulling, lost);
    if (!indication || !is_wanted(pulling->enumeration, source, indication)) {
        return;
    }
    if (wsman_write_item(pulling->exchange, pulling->enumeration, indication, &characters)) {
        pulling->written++;
        pulling->characters += characters;
    } else {
        /* it was taken and cannot be put back: say that it is lost */
        write_lost(pulling, 1);
    }
}

/* An event of the largest object takes some KiB; without so much room no more is taken. */
#define EVENT_ROOM_BYTES (4 * KIB)

static bool is_full(const struct pulling *pulling)
{
    const struct wsman_portion *portion = pulling->portion;

    return pulling->written >= portion->max_elements ||
           (portion->max_characters > 0 && pulling->characters >= portion->max_characters) ||
           (pulling->written > 0 && wsman_room(pulling->exchange) < EVENT_ROOM_BYTES);
}

static void write_changes(struct pulling *pulling)
{
    char kind[16];
    json_t *object = NULL;
    uint32_t lost = 0;

    while (!is_full(pulling) &&
           subscription_take(pulling->context->subscription, kind, &object, &lost)) {
        write_change(pulling, kind, object, lost);
        json_decref(object);
        object = NULL;
    }
}

/* How long the client lets us wait: of OperationTimeout and MaxTime the shorter. It is given a
 * bound, for its context must not seem to be forgotten meanwhile. */
static int read_deadline(struct wsman_exchange *exchange, uint64_t *out_ns)
{
    const struct xml_element *element =
        xml_child(exchange->request.content, NS_ENUMERATION, "MaxTime");
    const char *text = element ? xml_text(exchange->arena, element) : NULL;
    const uint64_t received_ns = exchange->http->received_ns;
    uint64_t wait_ns = WSMAN_WAIT_S * NS_PER_S;
    uint64_t max_ns = UINT64_MAX;

    if (element && (!text || !wsman_duration(text, &max_ns))) {
        return wsman_refuse(&exchange->fault, WSMAN_SCHEMA_VALIDATION,
                            "MaxTime is no duration like PT60S");
    }
    if (exchange->request.deadline_ns > 0) {
        wait_ns = exchange->request.deadline_ns - received_ns;
    }
    wait_ns = wait_ns < max_ns ? wait_ns : max_ns;
    *out_ns = received_ns +
              (wait_ns < WSMAN_WAIT_MAX_S * NS_PER_S ? wait_ns : WSMAN_WAIT_MAX_S * NS_PER_S);
    return 0;
}

static int wait_for_more(struct wsman_exchange *exchange, uint64_t deadline_ns)
{
    if (env_now_ns(exchange->http->env) >= deadline_ns) {
        return wsman_refuse(&exchange->fault, WSMAN_TIMED_OUT,
                            "nothing happened meanwhile; pull again");
    }
    wsman_cut(exchange, 0);
    exchange->answer->park_until_ns = deadline_ns;
    return WSMAN_PARKED;
}

int wsman_pull_events(struct wsman_exchange *exchange, struct context *context,
                      const struct wsman_portion *portion)
{
    struct pulling pulling = {exchange, context, context->details, portion, 0, 0};
    struct xml_text *text = &exchange->answer->body;
    uint64_t deadline_ns = 0;

    if (read_deadline(exchange, &deadline_ns) < 0) {
        return -1;
    }
    wsman_begin(exchange, NS_ENUMERATION "/PullResponse", "");
    xml_print(text,
              "<n:PullResponse><n:EnumerationContext>%s</n:EnumerationContext>"
              "<n:Items>",
              context->text);
    write_changes(&pulling);
    if (pulling.written == 0) {
        return wait_for_more(exchange, deadline_ns);
    }
    xml_raw(text, "</n:Items></n:PullResponse>");
    return wsman_finish(exchange);
}
