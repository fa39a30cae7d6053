/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * wsman_filter.h - what an enumeration is to find: all objects of a class, those of a query, those
 * with certain values, or what is associated with an object. Source: DSP0226 1.2.0 section 8.2.5;
 * DSP0227 1.2.0 sections 7 and 13; Microsoft, "WQL Filter Dialect".
 */
#ifndef RESILVER_GATEWAY_WSMAN_FILTER_H
#define RESILVER_GATEWAY_WSMAN_FILTER_H

#include "gateway/wsman_exchange.h"

/*
 * wsman_find - run the filter (NULL: all of the target's class) with the request's arena being that
 * of the list. shape: what the filter wants shown.
 */
MUST_CHECK int wsman_find(struct wsman_exchange *exchange, const struct wsman_target *target,
                          const struct xml_element *filter, struct cim_list *out,
                          struct wsman_shape *shape);

#endif
