/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gateway/wsman_exchange.h"

#include <assert.h>
#include <string.h>

#include "base/instant.h"
#include "base/uuid.h"
#include "gateway/wsman_names.h"

#define ENVELOPE_END "</s:Body></s:Envelope>"

/* --- the envelope ------------------------------------------------------------------------------
 */

/* A message without an id of its own is still one: chance that is not to be had takes no answer. */
static void write_message_id(struct wsman_exchange *exchange)
{
    char text[UUID_TEXT_MAX];
    struct uuid uuid;

    if (uuid_new(exchange->http->env, &uuid, NULL) == 0) {
        uuid_format(&uuid, text);
        xml_print(&exchange->answer->body, "<a:MessageID>uuid:%s</a:MessageID>", text);
    }
}

void wsman_begin(struct wsman_exchange *exchange, const char *action, const char *headers)
{
    struct xml_text *text = &exchange->answer->body;

    xml_raw(text, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>"
                  "<s:Envelope xmlns:s=\"" NS_SOAP "\" xmlns:a=\"" NS_ADDRESSING
                  "\" xmlns:w=\"" NS_WSMAN "\" xmlns:n=\"" NS_ENUMERATION
                  "\" xmlns:x=\"" NS_TRANSFER "\" xmlns:e=\"" NS_EVENTING "\" xmlns:b=\"" NS_BINDING
                  "\" xmlns:cim=\"" NS_CIM "\" xmlns:xsi=\"" NS_XSI "\"><s:Header>");
    if (*action) {
        xml_print(text, "<a:To>" ADDRESS_ANONYMOUS "</a:To><a:Action>%s</a:Action>", action);
        write_message_id(exchange);
    }
    if (*exchange->request.message_id) {
        xml_print(text, "<a:RelatesTo>%s</a:RelatesTo>", exchange->request.message_id);
    }
    xml_raw(text, headers);
    xml_raw(text, "</s:Header><s:Body>");
}

size_t wsman_room(const struct wsman_exchange *exchange)
{
    size_t limit = exchange->request.max_envelope_bytes;
    size_t used = exchange->answer->body.used_bytes + strlen(ENVELOPE_END);

    if (limit == 0) {
        limit = exchange->answer->body.max_bytes;
    }
    return used < limit ? limit - used : 0;
}

int wsman_finish(struct wsman_exchange *exchange)
{
    struct http_answer *answer = exchange->answer;
    size_t limit = exchange->request.max_envelope_bytes;
    struct error err = {0};

    xml_raw(&answer->body, ENVELOPE_END);
    if (xml_text_done(&answer->body, &err) < 0) {
        return wsman_refuse_error(&exchange->fault, WSMAN_QUOTA_LIMIT, &err);
    }
    if (limit > 0 && answer->body.used_bytes > limit) {
        return wsman_refuse(&exchange->fault, WSMAN_MAX_ENVELOPE_SIZE,
                            "the answer has %zu bytes, and MaxEnvelopeSize is %zu",
                            answer->body.used_bytes, limit);
    }
    answer->status = 200;
    answer->content_type = "application/soap+xml;charset=UTF-8";
    return 0;
}

void wsman_cut(struct wsman_exchange *exchange, size_t used_bytes)
{
    struct xml_text *text = &exchange->answer->body;

    assert(used_bytes <= text->used_bytes);
    text->used_bytes = used_bytes;
    text->bad = false;
    if (text->at) {
        text->at[used_bytes] = '\0';
    }
}

void wsman_remove(struct wsman_exchange *exchange, size_t at, size_t bytes)
{
    struct xml_text *text = &exchange->answer->body;

    if (text->bad) {
        return;
    }
    assert(at <= text->used_bytes && bytes <= text->used_bytes - at);
    memmove(text->at + at, text->at + at + bytes, text->used_bytes - at - bytes + 1);
    text->used_bytes -= bytes;
}

static void empty_answer(struct http_answer *answer)
{
    size_t max_bytes = answer->body.max_bytes;

    xml_text_free(&answer->body);
    xml_text_init(&answer->body, max_bytes);
    answer->header_count = 0;
}

void wsman_answer_fault(struct wsman_exchange *exchange, const struct wsman_fault *fault)
{
    empty_answer(exchange->answer);
    exchange->request.max_envelope_bytes = 0; /* a fault is always said */
    wsman_begin(exchange, wsman_fault_action(fault->kind), "");
    wsman_fault_write(&exchange->answer->body, fault);
    if (wsman_finish(exchange) < 0) {
        /* not even that fits into memory: the status alone says it */
        empty_answer(exchange->answer);
        exchange->answer->content_type = NULL;
    }
    /* With any other status Windows' client does not look at the fault. */
    exchange->answer->status = 500;
}

/* --- the target --------------------------------------------------------------------------------
 */

int wsman_target_read(struct wsman_exchange *exchange, struct wsman_target *out)
{
    const struct wsman_request *request = &exchange->request;
    struct error err = {0};

    if (!*request->resource_uri) {
        return wsman_refuse(&exchange->fault, WSMAN_INVALID_RESOURCE_URI,
                            "the header ResourceURI is missing");
    }
    *out = (struct wsman_target){.class = NULL};
    if (wsman_resource_read(exchange->arena, request->resource_uri, request->selectors,
                            &out->resource, &exchange->fault) < 0) {
        return -1;
    }
    out->space = cim_space_find(out->resource.namespace_name);
    if (out->space == CIM_SPACE_NONE) {
        return wsman_refuse(&exchange->fault, WSMAN_DESTINATION_UNREACHABLE,
                            "there is no namespace \"%s\"", out->resource.namespace_name);
    }
    if (!out->resource.is_all &&
        cim_resolve(&exchange->cim, out->resource.namespace_name, out->resource.class_name,
                    &out->space, &out->class, &err) < 0) {
        return wsman_refused(exchange, &err);
    }
    return 0;
}

struct wsman_style wsman_style_of(const struct wsman_exchange *exchange,
                                  const struct wsman_target *target)
{
    return (struct wsman_style){.prefix = target->resource.prefix,
                                .is_wmi = target->resource.is_wmi,
                                .namespace_name = cim_space_name(target->space),
                                .is_plain_datetime = exchange->request.is_plain_datetime};
}

int wsman_refused(struct wsman_exchange *exchange, const struct error *err)
{
    return wsman_refuse_status(&exchange->fault, exchange->cim.status, err);
}

/* --- time --------------------------------------------------------------------------------------
 */

bool wsman_is_late(const struct wsman_exchange *exchange)
{
    uint64_t deadline_ns = exchange->request.deadline_ns;

    return deadline_ns > 0 && env_now_ns(exchange->http->env) >= deadline_ns;
}

bool wsman_expires(const struct wsman_exchange *exchange, const char *text, uint64_t *out_ns)
{
    const struct env *env = exchange->http->env;
    int64_t at_us;
    uint64_t length_ns;

    if (!*text) {
        *out_ns = 0;
        return true;
    }
    if (!wsman_duration(text, &length_ns)) {
        if (instant_read(text, &at_us) != INSTANT_MOMENT || at_us <= env_wall_us(env)) {
            return false;
        }
        if (__builtin_mul_overflow((uint64_t)(at_us - env_wall_us(env)), (uint64_t)1000,
                                   &length_ns)) {
            return false;
        }
    }
    return length_ns > 0 && !__builtin_add_overflow(env_now_ns(env), length_ns, out_ns);
}

/* --- audit -------------------------------------------------------------------------------------
 */

/* By now it has happened, or was refused: that cannot be undone because it could not be written
 * down, and not to answer would make the client ask again. */
void wsman_audit(const struct wsman_exchange *exchange, struct audit_entry entry)
{
    entry.protocol = "wsman";
    entry.remote = exchange->http->remote ? exchange->http->remote : "";
    entry.user = exchange->http->caller ? exchange->http->caller->name : "";
    audit_note(exchange->wsman->audit, &entry);
}

const char *wsman_refusal_text(const struct wsman_exchange *exchange)
{
    const char *text =
        arena_print(exchange->arena, "refused: %s", wsman_fault_subcode(exchange->fault.kind));

    return text ? text : "refused";
}
