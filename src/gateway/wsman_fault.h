/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * wsman_fault.h - why a request of WS-Management was refused: one table of SOAP faults. Source:
 * DSP0226 1.2.0 section 14; DSP0227 1.2.0 section 12.
 */
#ifndef RESILVER_GATEWAY_WSMAN_FAULT_H
#define RESILVER_GATEWAY_WSMAN_FAULT_H

#include "base/error.h"
#include "cim/operations.h"
#include "xml/text.h"

/* One row of the table each: a subcode, and a detail where it has one. */
enum wsman_fault_kind {
    WSMAN_FAULT_NONE = 0,
    WSMAN_MUST_UNDERSTAND,
    WSMAN_VERSION_MISMATCH,
    WSMAN_ACTION_NOT_SUPPORTED,
    WSMAN_ACTION_MISMATCH,
    WSMAN_DESTINATION_UNREACHABLE,
    WSMAN_INVALID_RESOURCE_URI,
    WSMAN_ENDPOINT_UNAVAILABLE,
    WSMAN_HEADER_INVALID,
    WSMAN_HEADER_REQUIRED,
    WSMAN_ACCESS_DENIED,
    WSMAN_ALREADY_EXISTS,
    WSMAN_CONCURRENCY,
    WSMAN_CHARACTER_SET,
    WSMAN_MAX_ENVELOPE_SIZE,
    WSMAN_MINIMUM_ENVELOPE_LIMIT,
    WSMAN_SERVICE_ENVELOPE_LIMIT,
    WSMAN_INTERNAL_ERROR,
    WSMAN_INVALID_OPTIONS,
    WSMAN_INVALID_PARAMETER,
    WSMAN_PARAMETER_NAME,
    WSMAN_PARAMETER_TYPE,
    WSMAN_INVALID_SELECTORS,
    WSMAN_DUPLICATE_SELECTORS,
    WSMAN_UNEXPECTED_SELECTORS,
    WSMAN_INSUFFICIENT_SELECTORS,
    WSMAN_SELECTOR_TYPE,
    WSMAN_QUOTA_LIMIT,
    WSMAN_SCHEMA_VALIDATION,
    WSMAN_TIMED_OUT,
    WSMAN_UNSUPPORTED_FEATURE,
    WSMAN_ADDRESSING_MODE,
    WSMAN_FRAGMENT_ACCESS,
    WSMAN_CANNOT_PROCESS_FILTER,
    WSMAN_FILTER_DIALECT,
    WSMAN_INVALID_CONTEXT,
    WSMAN_INVALID_EXPIRATION,
    WSMAN_INVALID_REPRESENTATION,
    WSMAN_DELIVERY_MODE,
    WSMAN_EVENT_FILTER,
    WSMAN_EVENT_EXPIRATION,
    WSMAN_EVENT_MESSAGE,
    WSMAN_UNABLE_TO_RENEW,
    WSMAN_POLYMORPHISM_MODE
};
#define WSMAN_FAULT_LAST WSMAN_POLYMORPHISM_MODE

struct wsman_fault {
    enum wsman_fault_kind kind;
    enum cim_status status; /* CIM_OK: it came from no operation of the model */
    char reason[ERROR_MESSAGE_MAX];
};

/* wsman_refuse - set the fault and return -1, as fail() does for errors. */
int wsman_refuse(struct wsman_fault *fault, enum wsman_fault_kind kind, const char *format, ...)
    FORMAT_AT(3, 4);

/* wsman_refuse_error - the same with an error's words. */
int wsman_refuse_error(struct wsman_fault *fault, enum wsman_fault_kind kind,
                       const struct error *err);

/* wsman_refuse_status - for an operation of the model that failed. */
int wsman_refuse_status(struct wsman_fault *fault, enum cim_status status, const struct error *err);

#ifdef __clang_analyzer__
/* The static analyzer sees one file at a time; this tells it what these return. */
#define wsman_refuse(...)                                                                          \
    ({                                                                                             \
        (void)wsman_refuse(__VA_ARGS__);                                                           \
        -1;                                                                                        \
    })
#define wsman_refuse_error(...)                                                                    \
    ({                                                                                             \
        (void)wsman_refuse_error(__VA_ARGS__);                                                     \
        -1;                                                                                        \
    })
#endif

/* wsman_fault_action - the a:Action of its answer. wsman_fault_subcode - "w:AccessDenied". */
const char *wsman_fault_action(enum wsman_fault_kind kind);
const char *wsman_fault_subcode(enum wsman_fault_kind kind);

/* wsman_fault_write - the element s:Fault. */
void wsman_fault_write(struct xml_text *text, const struct wsman_fault *fault);

#endif
