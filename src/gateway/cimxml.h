/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * cimxml.h - CIM operations over HTTP: DMTF DSP0200 1.4 (operations), DSP0201 2.4 (XML), DSP0203
 * (DTD). Intrinsic operations for reading, the pulled ones, classes, queries, ModifyInstance, and
 * extrinsic methods.
 */
#ifndef RESILVER_GATEWAY_CIMXML_H
#define RESILVER_GATEWAY_CIMXML_H

#include "gateway/audit.h"
#include "gateway/contexts.h"
#include "gateway/http.h"

struct cimxml {
    struct contexts *contexts; /* borrowed */
    struct audit *audit;       /* borrowed */
};

/* cimxml_handle - http_protocol.handle; context is a struct cimxml. */
enum http_result cimxml_handle(void *context, const struct http_request *request,
                               struct http_answer *answer);

#endif
