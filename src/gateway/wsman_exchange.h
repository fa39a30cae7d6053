/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * wsman_exchange.h - one request of WS-Management on its way to its answer, and the operations that
 * make the one from the other.
 */
#ifndef RESILVER_GATEWAY_WSMAN_EXCHANGE_H
#define RESILVER_GATEWAY_WSMAN_EXCHANGE_H

#include "gateway/wsman.h"
#include "gateway/wsman_fault.h"
#include "gateway/wsman_request.h"
#include "gateway/wsman_resource.h"
#include "gateway/wsman_value.h"

struct wsman_exchange {
    const struct wsman *wsman; /* borrowed, as all here */
    const struct http_request *http;
    struct http_answer *answer;
    struct arena *arena; /* of the request */
    struct wsman_request request;
    struct cim_request cim;
    struct wsman_fault fault; /* why an operation gave -1 */
};

/*
 * An operation: 0 the answer is written, -1 the fault is set (whatever is in the answer goes), or
 * WSMAN_PARKED: nothing to say yet.
 */
typedef int wsman_operation(struct wsman_exchange *exchange);
#define WSMAN_PARKED 1

wsman_operation wsman_identify;
wsman_operation wsman_get;
wsman_operation wsman_put;
wsman_operation wsman_enumerate;
wsman_operation wsman_pull;
wsman_operation wsman_release;
wsman_operation wsman_invoke;
wsman_operation wsman_subscribe;
wsman_operation wsman_unsubscribe;
wsman_operation wsman_renew;
wsman_operation wsman_event_status;

/* --- what operations share (wsman_exchange.c) --------------------------------------------------
 */

/* wsman_begin - the answer's envelope up to its body. headers: elements of more headers, or "". */
void wsman_begin(struct wsman_exchange *exchange, const char *action, const char *headers);

/* wsman_finish - the envelope's end. -1: it is larger than the client takes. */
MUST_CHECK int wsman_finish(struct wsman_exchange *exchange);

/* wsman_room - how many bytes may still be written before wsman_finish() would refuse. */
size_t wsman_room(const struct wsman_exchange *exchange);

/* wsman_cut - take back what was written since the body had that many bytes; it fits again then.
 * wsman_remove - take out what stands in its middle. */
void wsman_cut(struct wsman_exchange *exchange, size_t used_bytes);
void wsman_remove(struct wsman_exchange *exchange, size_t at, size_t bytes);

/* wsman_answer_fault - the whole answer is the fault, whatever was written before. */
void wsman_answer_fault(struct wsman_exchange *exchange, const struct wsman_fault *fault);

/* wsman_target - the resource of the headers, and its namespace and class. */
struct wsman_target {
    struct wsman_resource resource;
    enum cim_space space;
    const struct cim_class *class; /* NULL: all */
};
MUST_CHECK int wsman_target_read(struct wsman_exchange *exchange, struct wsman_target *out);

/*
 * wsman_object - the object that the target names. Without any selector: the one of a class that
 * has just one by its nature (DSP0226 5.1.2.2: it needs none; winrm and others then send none).
 */
MUST_CHECK int wsman_object(struct wsman_exchange *exchange, const struct wsman_target *target,
                            const struct cim_path **out);

/* wsman_style_of - how this client is answered about the target. */
struct wsman_style wsman_style_of(const struct wsman_exchange *exchange,
                                  const struct wsman_target *target);

/* wsman_refused - the fault of an operation of the model that failed. */
int wsman_refused(struct wsman_exchange *exchange, const struct error *err);

/* wsman_is_late - whether OperationTimeout is over. */
bool wsman_is_late(const struct wsman_exchange *exchange);

/* wsman_expires - from n:Expires or e:Expires, as text, to a time of env's clock; "" is 0: when
 * idle only. False: it is no time, or over already. */
MUST_CHECK bool wsman_expires(const struct wsman_exchange *exchange, const char *text,
                              uint64_t *out_ns);

/* wsman_audit - one line about what was asked of the model, before its answer goes out. entry's
 * protocol, remote and user are filled in here. */
void wsman_audit(const struct wsman_exchange *exchange, struct audit_entry entry);

/* wsman_refusal_text - for the audit log: "refused: w:AccessDenied". */
const char *wsman_refusal_text(const struct wsman_exchange *exchange);

#endif
