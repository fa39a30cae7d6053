/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * wsman_enumeration.h - what a context of WS-Management keeps between one pull and the next, and
 * the words of Enumerate and Pull that both kinds of context, lists and subscriptions, share.
 */
#ifndef RESILVER_GATEWAY_WSMAN_ENUMERATION_H
#define RESILVER_GATEWAY_WSMAN_ENUMERATION_H

#include "cim/wql.h"
#include "gateway/wsman_exchange.h"

#define WSMAN_PROTOCOL "wsman"

enum wsman_mode { WSMAN_MODE_OBJECT = 0, WSMAN_MODE_EPR, WSMAN_MODE_BOTH };

/* The details of a context; of its arena, as the texts here are. */
struct wsman_enumeration {
    struct wsman_style style;
    enum cim_space space;
    enum wsman_mode mode;
    struct wsman_shape shape;
    /* of a subscription */
    const struct cim_class *source; /* only changes of its objects; NULL: of all */
    const struct wql *query;        /* only those that match; NULL: all */
    bool is_query_of_source;        /* the query is about the changed object, not the indication */
};

/* wsman_enumeration_new - in the context's arena, and its details. NULL: no memory. */
struct wsman_enumeration *wsman_enumeration_new(struct wsman_exchange *exchange,
                                                const struct wsman_target *target,
                                                struct context *context);

/* How much one answer may have. */
struct wsman_portion {
    uint32_t max_elements;
    uint64_t max_characters; /* 0: no limit */
};

/* wsman_write_item - one item; false: it does not fit, and nothing was written. */
bool wsman_write_item(struct wsman_exchange *exchange, const struct wsman_enumeration *enumeration,
                      const struct cim_instance *instance, uint64_t *characters);

/* wsman_number - a positive number of an element; `otherwise` where there is no such element. */
MUST_CHECK int wsman_number(struct wsman_exchange *exchange, const struct xml_element *element,
                            uint64_t otherwise, uint64_t *out);

/* wsman_pull_events - the answer to a Pull of a subscription; the context stays taken. */
MUST_CHECK int wsman_pull_events(struct wsman_exchange *exchange, struct context *context,
                                 const struct wsman_portion *portion);

/* wsman_take - the context that n:EnumerationContext in `in` names. */
MUST_CHECK int wsman_take(struct wsman_exchange *exchange, const struct xml_element *in,
                          struct context **out);

#endif
