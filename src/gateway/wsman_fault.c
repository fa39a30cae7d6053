/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gateway/wsman_fault.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "gateway/wsman_names.h"

#undef wsman_refuse /* wsman_fault.h: the analyzer's view of them */
#undef wsman_refuse_error

#define FAULT_WSMAN "http://schemas.dmtf.org/wbem/wsman/1/wsman/fault"
#define FAULT_ADDRESSING NS_ADDRESSING "/fault"
#define FAULT_ENUMERATION NS_ENUMERATION "/fault"
#define FAULT_TRANSFER NS_TRANSFER "/fault"
#define FAULT_EVENTING NS_EVENTING "/fault"
#define FAULT_BINDING "http://schemas.dmtf.org/wbem/wsman/1/cimbinding/fault"
#define DETAIL "http://schemas.dmtf.org/wbem/wsman/1/wsman/faultDetail/"

/* What clients of Windows look for in f:WSManFault: the error of an operation that took too long,
 * after which they ask again. Source: MS-WSMV 2.2.4.43. */
#define WINDOWS_TIMED_OUT 2150858793U

struct fault_row {
    const char *code;    /* "Sender", "Receiver", or what SOAP itself defines */
    const char *subcode; /* with the envelope's prefix; NULL: none */
    const char *detail;  /* NULL: none */
    const char *action;
    uint32_t windows_code; /* 0: none */
};

static const struct fault_row rows[] = {
    [WSMAN_MUST_UNDERSTAND] = {"MustUnderstand", NULL, NULL, FAULT_ADDRESSING, 0},
    [WSMAN_VERSION_MISMATCH] = {"VersionMismatch", NULL, NULL, FAULT_ADDRESSING, 0},
    [WSMAN_ACTION_NOT_SUPPORTED] = {"Sender", "a:ActionNotSupported", NULL, FAULT_ADDRESSING, 0},
    [WSMAN_ACTION_MISMATCH] = {"Sender", "a:ActionNotSupported", "ActionMismatch", FAULT_ADDRESSING,
                               0},
    [WSMAN_DESTINATION_UNREACHABLE] = {"Sender", "a:DestinationUnreachable", NULL, FAULT_ADDRESSING,
                                       0},
    [WSMAN_INVALID_RESOURCE_URI] = {"Sender", "a:DestinationUnreachable", "InvalidResourceURI",
                                    FAULT_ADDRESSING, 0},
    [WSMAN_ENDPOINT_UNAVAILABLE] = {"Receiver", "a:EndpointUnavailable", NULL, FAULT_ADDRESSING, 0},
    [WSMAN_HEADER_INVALID] = {"Sender", "a:InvalidMessageInformationHeader", NULL, FAULT_ADDRESSING,
                              0},
    [WSMAN_HEADER_REQUIRED] = {"Sender", "a:MessageInformationHeaderRequired", NULL,
                               FAULT_ADDRESSING, 0},
    [WSMAN_ACCESS_DENIED] = {"Sender", "w:AccessDenied", NULL, FAULT_WSMAN, 0},
    [WSMAN_ALREADY_EXISTS] = {"Sender", "w:AlreadyExists", NULL, FAULT_WSMAN, 0},
    [WSMAN_CONCURRENCY] = {"Sender", "w:Concurrency", NULL, FAULT_WSMAN, 0},
    [WSMAN_CHARACTER_SET] = {"Sender", "w:EncodingLimit", "CharacterSet", FAULT_WSMAN, 0},
    [WSMAN_MAX_ENVELOPE_SIZE] = {"Sender", "w:EncodingLimit", "MaxEnvelopeSize", FAULT_WSMAN, 0},
    [WSMAN_MINIMUM_ENVELOPE_LIMIT] = {"Sender", "w:EncodingLimit", "MinimumEnvelopeLimit",
                                      FAULT_WSMAN, 0},
    [WSMAN_SERVICE_ENVELOPE_LIMIT] = {"Sender", "w:EncodingLimit", "ServiceEnvelopeLimit",
                                      FAULT_WSMAN, 0},
    [WSMAN_INTERNAL_ERROR] = {"Receiver", "w:InternalError", NULL, FAULT_WSMAN, 0},
    [WSMAN_INVALID_OPTIONS] = {"Sender", "w:InvalidOptions", "NotSupported", FAULT_WSMAN, 0},
    [WSMAN_INVALID_PARAMETER] = {"Sender", "w:InvalidParameter", NULL, FAULT_WSMAN, 0},
    [WSMAN_PARAMETER_NAME] = {"Sender", "w:InvalidParameter", "InvalidName", FAULT_WSMAN, 0},
    [WSMAN_PARAMETER_TYPE] = {"Sender", "w:InvalidParameter", "TypeMismatch", FAULT_WSMAN, 0},
    [WSMAN_INVALID_SELECTORS] = {"Sender", "w:InvalidSelectors", NULL, FAULT_WSMAN, 0},
    [WSMAN_DUPLICATE_SELECTORS] = {"Sender", "w:InvalidSelectors", "DuplicateSelectors",
                                   FAULT_WSMAN, 0},
    [WSMAN_UNEXPECTED_SELECTORS] = {"Sender", "w:InvalidSelectors", "UnexpectedSelectors",
                                    FAULT_WSMAN, 0},
    [WSMAN_INSUFFICIENT_SELECTORS] = {"Sender", "w:InvalidSelectors", "InsufficientSelectors",
                                      FAULT_WSMAN, 0},
    [WSMAN_SELECTOR_TYPE] = {"Sender", "w:InvalidSelectors", "TypeMismatch", FAULT_WSMAN, 0},
    [WSMAN_QUOTA_LIMIT] = {"Receiver", "w:QuotaLimit", NULL, FAULT_WSMAN, 0},
    [WSMAN_SCHEMA_VALIDATION] = {"Sender", "w:SchemaValidationError", NULL, FAULT_WSMAN, 0},
    [WSMAN_TIMED_OUT] = {"Receiver", "w:TimedOut", NULL, FAULT_WSMAN, WINDOWS_TIMED_OUT},
    [WSMAN_UNSUPPORTED_FEATURE] = {"Sender", "w:UnsupportedFeature", NULL, FAULT_WSMAN, 0},
    [WSMAN_ADDRESSING_MODE] = {"Sender", "w:UnsupportedFeature", "AddressingMode", FAULT_WSMAN, 0},
    [WSMAN_FRAGMENT_ACCESS] = {"Sender", "w:UnsupportedFeature", "FragmentLevelAccess", FAULT_WSMAN,
                               0},
    [WSMAN_CANNOT_PROCESS_FILTER] = {"Sender", "n:CannotProcessFilter", NULL, FAULT_ENUMERATION, 0},
    [WSMAN_FILTER_DIALECT] = {"Sender", "n:FilterDialectRequestedUnavailable", NULL,
                              FAULT_ENUMERATION, 0},
    [WSMAN_INVALID_CONTEXT] = {"Receiver", "n:InvalidEnumerationContext", NULL, FAULT_ENUMERATION,
                               0},
    [WSMAN_INVALID_EXPIRATION] = {"Sender", "n:InvalidExpirationTime", NULL, FAULT_ENUMERATION, 0},
    [WSMAN_INVALID_REPRESENTATION] = {"Sender", "x:InvalidRepresentation", "InvalidValues",
                                      FAULT_TRANSFER, 0},
    [WSMAN_DELIVERY_MODE] = {"Sender", "e:DeliveryModeRequestedUnavailable", NULL, FAULT_EVENTING,
                             0},
    [WSMAN_EVENT_FILTER] = {"Sender", "e:FilteringRequestedUnavailable", NULL, FAULT_EVENTING, 0},
    [WSMAN_EVENT_EXPIRATION] = {"Sender", "e:InvalidExpirationTime", NULL, FAULT_EVENTING, 0},
    [WSMAN_EVENT_MESSAGE] = {"Sender", "e:InvalidMessage", NULL, FAULT_EVENTING, 0},
    [WSMAN_UNABLE_TO_RENEW] = {"Receiver", "e:UnableToRenew", NULL, FAULT_EVENTING, 0},
    [WSMAN_POLYMORPHISM_MODE] = {"Sender", "b:PolymorphismModeNotSupported", NULL, FAULT_BINDING,
                                 0},
};

static const struct fault_row *row_of(enum wsman_fault_kind kind)
{
    assert(kind > WSMAN_FAULT_NONE && kind <= WSMAN_FAULT_LAST);
    assert(rows[kind].code);
    return &rows[kind];
}

int wsman_refuse(struct wsman_fault *fault, enum wsman_fault_kind kind, const char *format, ...)
{
    va_list values;

    assert(kind != WSMAN_FAULT_NONE);
    fault->kind = kind;
    fault->status = CIM_OK;
    va_start(values, format);
    (void)vsnprintf(fault->reason, sizeof fault->reason, format, values); /* cut if longer */
    va_end(values);
    return -1;
}

int wsman_refuse_error(struct wsman_fault *fault, enum wsman_fault_kind kind,
                       const struct error *err)
{
    return wsman_refuse(fault, kind, "%s", err->message);
}

static enum wsman_fault_kind kind_of_status(enum cim_status status)
{
    switch (status) {
    case CIM_ACCESS_DENIED:
        return WSMAN_ACCESS_DENIED;
    case CIM_INVALID_NAMESPACE:
    case CIM_NOT_FOUND:
        return WSMAN_DESTINATION_UNREACHABLE;
    case CIM_INVALID_CLASS:
        return WSMAN_INVALID_RESOURCE_URI;
    case CIM_INVALID_PARAMETER:
        return WSMAN_INVALID_PARAMETER;
    case CIM_NO_SUCH_PROPERTY:
        return WSMAN_PARAMETER_NAME;
    case CIM_TYPE_MISMATCH:
        return WSMAN_PARAMETER_TYPE;
    case CIM_NOT_SUPPORTED:
        return WSMAN_ACTION_MISMATCH;
    case CIM_METHOD_NOT_FOUND:
    case CIM_METHOD_NOT_AVAILABLE:
        return WSMAN_ACTION_NOT_SUPPORTED;
    case CIM_ALREADY_EXISTS:
        return WSMAN_ALREADY_EXISTS;
    case CIM_QUERY_LANGUAGE_NOT_SUPPORTED:
    case CIM_FILTERED_ENUMERATION_NOT_SUPPORTED:
        return WSMAN_FILTER_DIALECT;
    case CIM_INVALID_QUERY:
        return WSMAN_CANNOT_PROCESS_FILTER;
    case CIM_INVALID_ENUMERATION_CONTEXT:
        return WSMAN_INVALID_CONTEXT;
    case CIM_INVALID_OPERATION_TIMEOUT:
        return WSMAN_HEADER_INVALID;
    case CIM_CONTINUATION_ON_ERROR_NOT_SUPPORTED:
        return WSMAN_UNSUPPORTED_FEATURE;
    case CIM_SERVER_LIMITS_EXCEEDED:
        return WSMAN_QUOTA_LIMIT;
    case CIM_SERVER_IS_SHUTTING_DOWN:
        return WSMAN_ENDPOINT_UNAVAILABLE;
    case CIM_OK:
    case CIM_FAILED:
        break;
    }
    return WSMAN_INTERNAL_ERROR;
}

int wsman_refuse_status(struct wsman_fault *fault, enum cim_status status, const struct error *err)
{
    (void)wsman_refuse(fault, kind_of_status(status), "%s", err->message);
    fault->status = status == CIM_OK ? CIM_FAILED : status;
    return -1;
}

const char *wsman_fault_action(enum wsman_fault_kind kind)
{
    return row_of(kind)->action;
}

const char *wsman_fault_subcode(enum wsman_fault_kind kind)
{
    const struct fault_row *row = row_of(kind);

    return row->subcode ? row->subcode : row->code;
}

/* The standard class of an error of the model. Source: DSP0227 1.2.0 section 12. */
static void write_cim_error(struct xml_text *text, const struct wsman_fault *fault)
{
    xml_raw(text, "<e1:CIM_Error xmlns:e1=\"" RESOURCE_DMTF "CIM_Error\" b:IsCIM_Error=\"true\">");
    xml_print(text,
              "<e1:CIMStatusCode xsi:type=\"cim:cimUnsignedInt\">%u</e1:CIMStatusCode>"
              "<e1:CIMStatusCodeDescription xsi:type=\"cim:cimString\">%s"
              "</e1:CIMStatusCodeDescription>"
              "<e1:Message xsi:type=\"cim:cimString\">%s</e1:Message>",
              (unsigned)fault->status, cim_status_name(fault->status), fault->reason);
    xml_raw(text, "</e1:CIM_Error>");
}

static void write_detail(struct xml_text *text, const struct wsman_fault *fault,
                         const struct fault_row *row)
{
    xml_raw(text, "<s:Detail>");
    if (row->detail) {
        xml_print(text, "<w:FaultDetail>" DETAIL "%s</w:FaultDetail>", row->detail);
    }
    if (fault->status != CIM_OK) {
        write_cim_error(text, fault);
    }
    if (row->windows_code) {
        xml_print(text,
                  "<f:WSManFault xmlns:f=\"" NS_MICROSOFT_FAULT "\" Code=\"%u\" Machine=\"\">"
                  "<f:Message>%s</f:Message></f:WSManFault>",
                  row->windows_code, fault->reason);
    }
    xml_raw(text, "</s:Detail>");
}

void wsman_fault_write(struct xml_text *text, const struct wsman_fault *fault)
{
    const struct fault_row *row = row_of(fault->kind);

    xml_print(text, "<s:Fault><s:Code><s:Value>s:%s</s:Value>", row->code);
    if (row->subcode) {
        xml_print(text, "<s:Subcode><s:Value>%s</s:Value></s:Subcode>", row->subcode);
    }
    xml_print(text, "</s:Code><s:Reason><s:Text xml:lang=\"en-US\">%s</s:Text></s:Reason>",
              fault->reason);
    if (row->detail || row->windows_code || fault->status != CIM_OK) {
        write_detail(text, fault, row);
    }
    xml_raw(text, "</s:Fault>");
}
