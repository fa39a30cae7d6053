/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * status.c - the status codes of operations: their names, and how they come from errors. Source:
 * DSP0200 1.4, table 2.
 */
#include <stdarg.h>
#include <stdio.h>

#include "cim/provider.h"

const char *cim_status_name(enum cim_status status)
{
    switch (status) {
    case CIM_OK:
        return "CIM_ERR_OK";
    case CIM_FAILED:
        return "CIM_ERR_FAILED";
    case CIM_ACCESS_DENIED:
        return "CIM_ERR_ACCESS_DENIED";
    case CIM_INVALID_NAMESPACE:
        return "CIM_ERR_INVALID_NAMESPACE";
    case CIM_INVALID_PARAMETER:
        return "CIM_ERR_INVALID_PARAMETER";
    case CIM_INVALID_CLASS:
        return "CIM_ERR_INVALID_CLASS";
    case CIM_NOT_FOUND:
        return "CIM_ERR_NOT_FOUND";
    case CIM_NOT_SUPPORTED:
        return "CIM_ERR_NOT_SUPPORTED";
    case CIM_ALREADY_EXISTS:
        return "CIM_ERR_ALREADY_EXISTS";
    case CIM_NO_SUCH_PROPERTY:
        return "CIM_ERR_NO_SUCH_PROPERTY";
    case CIM_TYPE_MISMATCH:
        return "CIM_ERR_TYPE_MISMATCH";
    case CIM_QUERY_LANGUAGE_NOT_SUPPORTED:
        return "CIM_ERR_QUERY_LANGUAGE_NOT_SUPPORTED";
    case CIM_INVALID_QUERY:
        return "CIM_ERR_INVALID_QUERY";
    case CIM_METHOD_NOT_AVAILABLE:
        return "CIM_ERR_METHOD_NOT_AVAILABLE";
    case CIM_METHOD_NOT_FOUND:
        return "CIM_ERR_METHOD_NOT_FOUND";
    case CIM_INVALID_ENUMERATION_CONTEXT:
        return "CIM_ERR_INVALID_ENUMERATION_CONTEXT";
    case CIM_INVALID_OPERATION_TIMEOUT:
        return "CIM_ERR_INVALID_OPERATION_TIMEOUT";
    case CIM_FILTERED_ENUMERATION_NOT_SUPPORTED:
        return "CIM_ERR_FILTERED_ENUMERATION_NOT_SUPPORTED";
    case CIM_CONTINUATION_ON_ERROR_NOT_SUPPORTED:
        return "CIM_ERR_CONTINUATION_ON_ERROR_NOT_SUPPORTED";
    case CIM_SERVER_LIMITS_EXCEEDED:
        return "CIM_ERR_SERVER_LIMITS_EXCEEDED";
    case CIM_SERVER_IS_SHUTTING_DOWN:
        return "CIM_ERR_SERVER_IS_SHUTTING_DOWN";
    }
    return "CIM_ERR_FAILED";
}

/* What the service said no to. Without an HTTP status there was no answer at all. */
enum cim_status cim_from_refusal(const struct client_refusal *refusal, const struct error *err)
{
    switch (refusal->http_status) {
    case 400:
        return CIM_INVALID_PARAMETER;
    case 401:
    case 403:
        return CIM_ACCESS_DENIED;
    case 404:
        return CIM_NOT_FOUND;
    case 413:
    case 414:
    case 429:
    case 431:
        return CIM_SERVER_LIMITS_EXCEEDED;
    case 422:
        /* 32770; the other one is a disk's file that is missing. */
        return refusal->return_value == 32770 ? CIM_NOT_SUPPORTED : CIM_FAILED;
    default:
        return err != NULL && err->kind == ERR_LIMIT ? CIM_SERVER_LIMITS_EXCEEDED : CIM_FAILED;
    }
}

static enum error_kind kind_of(enum cim_status status)
{
    if (status == CIM_SERVER_LIMITS_EXCEEDED) {
        return ERR_LIMIT;
    }
    return status == CIM_FAILED ? ERR_INTERNAL : ERR_USAGE;
}

int(cim_refuse)(struct cim_request *request, enum cim_status status, struct error *err,
                const char *format, ...)
{
    char message[ERROR_MESSAGE_MAX];
    va_list values;

    va_start(values, format);
    (void)vsnprintf(message, sizeof message, format, values);
    va_end(values);
    request->status = status;
    return fail(err, kind_of(status), 0, "%s", message);
}
