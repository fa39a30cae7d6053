/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gateway/wsman_request.h"

#include <assert.h>
#include <string.h>
#include <strings.h>

#include "base/instant.h"
#include "base/number.h"
#include "gateway/wsman_names.h"

struct reading {
    const struct http_request *http;
    struct wsman_request *out;
    struct wsman_fault *fault;
};

bool wsman_is_true(const char *text)
{
    return strcasecmp(text, "true") == 0 || strcmp(text, "1") == 0;
}

bool wsman_is_nil(const struct xml_element *element)
{
    const char *nil = xml_attribute(element, NULL, "nil");

    return nil && wsman_is_true(nil);
}

bool wsman_duration(const char *text, uint64_t *out_ns)
{
    char datetime[CIM_DATETIME_TEXT_MAX];
    int64_t length_us;
    uint64_t ns;

    if (text[0] != 'P' || !cim_datetime_from(text, datetime) ||
        instant_read(datetime, &length_us) != INSTANT_INTERVAL || length_us < 0 ||
        __builtin_mul_overflow((uint64_t)length_us, (uint64_t)1000, &ns)) {
        return false;
    }
    *out_ns = ns;
    return true;
}

/* --- the body's type ---------------------------------------------------------------------------
 */

/* dracclient sends no type at all: its body is then what the document says. */
bool wsman_media_is_fine(const struct http_request *http)
{
    static const char *const types[] = {"application/soap+xml", "text/xml", "application/xml"};
    const char *type = http_header(http, "Content-Type");

    if (!type) {
        return true;
    }
    for (size_t i = 0; i < ARRAY_COUNT(types); i++) {
        size_t length = strlen(types[i]);

        if (strncasecmp(type, types[i], length) == 0 && strchr("; \t", type[length])) {
            return true;
        }
    }
    return false;
}

/* The encoding that the header names: NULL none, "" one that is not known. */
static const char *charset_of(const struct http_request *http)
{
    static const char *const known[] = {"utf-8", "utf-16"};
    const char *type = http_header(http, "Content-Type");
    const char *charset = type ? strcasestr(type, "charset=") : NULL;

    if (!charset) {
        return NULL;
    }
    charset += strlen("charset=");
    charset += *charset == '"';
    for (size_t i = 0; i < ARRAY_COUNT(known); i++) {
        size_t length = strlen(known[i]);

        if (strncasecmp(charset, known[i], length) == 0 && strchr("\"; \t", charset[length])) {
            return known[i];
        }
    }
    return "";
}

/* --- headers -----------------------------------------------------------------------------------
 */

#define MESSAGE_ID_MAX 1024U /* it goes into the answer, whose size is limited */

static const char *trimmed(const struct reading *reading, const struct xml_element *element)
{
    const char *text = xml_text(reading->http->arena, element);

    return text ? text : "";
}

static int read_action(struct reading *reading, const struct xml_element *element)
{
    reading->out->action = trimmed(reading, element);
    return 0;
}

static int read_message_id(struct reading *reading, const struct xml_element *element)
{
    if (strlen(element->text) > MESSAGE_ID_MAX) {
        return wsman_refuse(reading->fault, WSMAN_HEADER_INVALID,
                            "the MessageID has more than %u bytes", MESSAGE_ID_MAX);
    }
    reading->out->message_id = trimmed(reading, element);
    reading->out->has_message_id = true;
    return 0;
}

static int read_resource_uri(struct reading *reading, const struct xml_element *element)
{
    reading->out->resource_uri = trimmed(reading, element);
    return 0;
}

static int read_selectors(struct reading *reading, const struct xml_element *element)
{
    reading->out->selectors = element;
    return 0;
}

static int read_identifier(struct reading *reading, const struct xml_element *element)
{
    reading->out->identifier = trimmed(reading, element);
    return 0;
}

/* ReplyTo and FaultTo: answers go back on the connection that the request came on, nowhere else. */
static int read_reply_to(struct reading *reading, const struct xml_element *element)
{
    const char *address = trimmed(reading, xml_child(element, NS_ADDRESSING, "Address"));

    if (strcmp(address, ADDRESS_ANONYMOUS) != 0) {
        return wsman_refuse(reading->fault, WSMAN_ADDRESSING_MODE,
                            "%s is \"%s\": only " ADDRESS_ANONYMOUS " is served", element->name,
                            address);
    }
    return 0;
}

static int read_timeout(struct reading *reading, const struct xml_element *element)
{
    const char *text = trimmed(reading, element);
    uint64_t timeout_ns;
    uint64_t deadline_ns;

    if (!wsman_duration(text, &timeout_ns)) {
        return wsman_refuse(reading->fault, WSMAN_HEADER_INVALID,
                            "OperationTimeout \"%s\" is no duration like PT60S", text);
    }
    if (timeout_ns > 0 &&
        !__builtin_add_overflow(reading->http->received_ns, timeout_ns, &deadline_ns)) {
        reading->out->deadline_ns = deadline_ns;
    }
    return 0;
}

static int read_max_envelope(struct reading *reading, const struct xml_element *element)
{
    const char *text = trimmed(reading, element);
    struct error err = {0};
    uint64_t bytes;

    if (number_parse_range(text, "MaxEnvelopeSize", 0, UINT64_MAX, &bytes, &err) < 0) {
        return wsman_refuse_error(reading->fault, WSMAN_HEADER_INVALID, &err);
    }
    if (bytes < ENVELOPE_MIN) {
        return wsman_refuse(reading->fault, WSMAN_MINIMUM_ENVELOPE_LIMIT,
                            "MaxEnvelopeSize %s is below %u, the least that is served", text,
                            ENVELOPE_MIN);
    }
    reading->out->max_envelope_bytes = bytes < HTTP_ANSWER_MAX ? (size_t)bytes : HTTP_ANSWER_MAX;
    return 0;
}

/* Options that are known may say MustComply; any other is refused with it (DSP0226 6.4). */
static const char *option_name(const char *name)
{
    return strncasecmp(name, "wmi:", 4) == 0 ? name + 4 : name;
}

static bool is_known_option(const char *name)
{
    static const char *const known[] = {"IncludeInheritedElements", "IncludeQualifiers",
                                        "IncludeClassOrigin", "IncludeInheritanceHierarchy"};

    for (size_t i = 0; i < ARRAY_COUNT(known); i++) {
        if (strcasecmp(option_name(name), known[i]) == 0) {
            return true;
        }
    }
    return false;
}

static int read_options(struct reading *reading, const struct xml_element *element)
{
    for (const struct xml_element *option = xml_child(element, NS_WSMAN, "Option"); option;
         option = xml_sibling(option, NS_WSMAN, "Option")) {
        const char *name = xml_attribute(option, "", "Name");
        const char *must = xml_attribute(option, "", "MustComply");

        if (!name) {
            return wsman_refuse(reading->fault, WSMAN_INVALID_OPTIONS, "an Option has no Name");
        }
        if (must && wsman_is_true(must) && !is_known_option(name)) {
            return wsman_refuse(reading->fault, WSMAN_INVALID_OPTIONS,
                                "the option \"%s\" must be complied with, and is not known", name);
        }
    }
    reading->out->options = element;
    return 0;
}

static int read_fragment(struct reading *reading, const struct xml_element *element)
{
    (void)element;
    return wsman_refuse(reading->fault, WSMAN_FRAGMENT_ACCESS,
                        "fragments are not served: ask for the whole object");
}

static int read_count(struct reading *reading, const struct xml_element *element)
{
    (void)element;
    reading->out->wants_count = true;
    return 0;
}

/* The value of To is never looked at: real clients name other hosts, or only a path. */
static int read_nothing(struct reading *reading, const struct xml_element *element)
{
    (void)reading;
    (void)element;
    return 0;
}

struct header_row {
    const char *space;
    const char *name;
    int (*read)(struct reading *reading, const struct xml_element *element);
};

static const struct header_row header_rows[] = {
    {NS_ADDRESSING, "MessageID", read_message_id}, /* first: faults relate to it */
    {NS_ADDRESSING, "Action", read_action},
    {NS_ADDRESSING, "To", read_nothing},
    {NS_ADDRESSING, "From", read_nothing},
    {NS_ADDRESSING, "ReplyTo", read_reply_to},
    {NS_ADDRESSING, "FaultTo", read_reply_to},
    {NS_ADDRESSING, "RelatesTo", read_nothing},
    {NS_WSMAN, "ResourceURI", read_resource_uri},
    {NS_WSMAN, "SelectorSet", read_selectors},
    {NS_WSMAN, "OptionSet", read_options},
    {NS_WSMAN, "OperationTimeout", read_timeout},
    {NS_WSMAN, "MaxEnvelopeSize", read_max_envelope},
    {NS_WSMAN, "Locale", read_nothing},
    {NS_WSMAN, "FragmentTransfer", read_fragment},
    {NS_WSMAN, "RequestTotalItemsCountEstimate", read_count},
    {NS_EVENTING, "Identifier", read_identifier},
    {NS_MICROSOFT, "DataLocale", read_nothing},
    {NS_MICROSOFT, "SessionId", read_nothing},
    {NS_MICROSOFT, "OperationID", read_nothing},
    {NS_MICROSOFT, "SequenceId", read_nothing},
};
#define HEADER_ROWS ARRAY_COUNT(header_rows)

static size_t row_of_header(const struct xml_element *element)
{
    size_t row = 0;

    while (row < HEADER_ROWS && !xml_is(element, header_rows[row].space, header_rows[row].name)) {
        row++;
    }
    return row;
}

/* In SOAP's namespace, or, as pywinrm writes it, in none. */
static bool must_understand(const struct xml_element *element)
{
    const char *must = xml_attribute(element, NULL, "mustUnderstand");

    return must && wsman_is_true(must);
}

static int read_header(struct reading *reading, const struct xml_element *element, uint32_t *seen)
{
    size_t row = row_of_header(element);

    if (row == HEADER_ROWS) {
        return !must_understand(element)
                   ? 0
                   : wsman_refuse(reading->fault, WSMAN_MUST_UNDERSTAND,
                                  "the header \"%s\" must be understood, and is not known",
                                  element->name);
    }
    if (*seen & (1U << row)) {
        return wsman_refuse(reading->fault, WSMAN_HEADER_INVALID, "the header %s is there twice",
                            element->name);
    }
    *seen |= 1U << row;
    return row == 0 ? 0 : header_rows[row].read(reading, element);
}

static int read_headers(struct reading *reading, const struct xml_element *header)
{
    const struct xml_element *message_id = xml_child(header, NS_ADDRESSING, "MessageID");
    uint32_t seen = 0;

    _Static_assert(HEADER_ROWS <= 32, "one bit of `seen` each");
    if (message_id && read_message_id(reading, message_id) < 0) {
        return -1;
    }
    for (const struct xml_element *at = header ? header->first : NULL; at; at = at->next) {
        if (read_header(reading, at, &seen) < 0) {
            return -1;
        }
    }
    return 0;
}

/* --- the envelope ------------------------------------------------------------------------------
 */

static int refuse_document(struct wsman_fault *fault, enum xml_fault why, const struct error *err)
{
    switch (why) {
    case XML_ENCODING:
        return wsman_refuse_error(fault, WSMAN_CHARACTER_SET, err);
    case XML_TOO_MUCH:
        return wsman_refuse_error(fault, WSMAN_SERVICE_ENVELOPE_LIMIT, err);
    case XML_FINE:
    case XML_NOT_WELL_FORMED:
    case XML_FORBIDDEN:
        break;
    }
    return wsman_refuse_error(fault, WSMAN_SCHEMA_VALIDATION, err);
}

/* Of an envelope of another SOAP: it is told which of its messages was wrong. */
static void keep_message_id(struct reading *reading, const struct xml_element *envelope)
{
    const struct xml_element *message_id =
        xml_child(xml_child(envelope, NULL, "Header"), NS_ADDRESSING, "MessageID");

    if (message_id && read_message_id(reading, message_id) < 0) {
        return; /* the version's fault comes first */
    }
}

static int read_document(struct reading *reading, struct xml_element **out)
{
    const char *charset = charset_of(reading->http);
    enum xml_fault why = XML_FINE;
    struct error err = {0};

    if (charset && !*charset) {
        return wsman_refuse(reading->fault, WSMAN_CHARACTER_SET,
                            "the charset of Content-Type is neither utf-8 nor utf-16");
    }
    if (xml_parse(reading->http->arena, reading->http->body, charset, out, &why, &err) < 0) {
        return refuse_document(reading->fault, why, &err);
    }
    if (strcmp((*out)->name, "Envelope") != 0) {
        return wsman_refuse(reading->fault, WSMAN_SCHEMA_VALIDATION,
                            "the document is no SOAP envelope but <%.64s>", (*out)->name);
    }
    if (strcmp((*out)->space, NS_SOAP) != 0) {
        keep_message_id(reading, *out);
        return wsman_refuse(reading->fault, WSMAN_VERSION_MISMATCH,
                            "the envelope is not of SOAP 1.2 (" NS_SOAP ")");
    }
    return 0;
}

static int read_body(struct reading *reading, const struct xml_element *envelope)
{
    const struct xml_element *body = xml_child(envelope, NS_SOAP, "Body");

    if (!body) {
        return wsman_refuse(reading->fault, WSMAN_SCHEMA_VALIDATION, "the envelope has no Body");
    }
    if (body->child_count > 1) {
        return wsman_refuse(reading->fault, WSMAN_SCHEMA_VALIDATION,
                            "the Body has more than one element");
    }
    reading->out->content = body->first;
    reading->out->is_identify = body->first && xml_is(body->first, NS_IDENTITY, "Identify");
    return 0;
}

/* SOAPAction is not needed; where there is one it must be the action. */
static int check_soap_action(struct reading *reading)
{
    const char *given = http_header(reading->http, "SOAPAction");
    const char *action = reading->out->action;
    size_t length = given ? strlen(given) : 0;

    if (length >= 2 && given[0] == '"' && given[length - 1] == '"') {
        given++;
        length -= 2;
    }
    if (length > 0 && (strlen(action) != length || strncmp(given, action, length) != 0)) {
        return wsman_refuse(reading->fault, WSMAN_HEADER_REQUIRED,
                            "SOAPAction of HTTP differs from the envelope's Action");
    }
    return 0;
}

static int check_addressing(struct reading *reading)
{
    if (!*reading->out->action) {
        return wsman_refuse(reading->fault, WSMAN_HEADER_REQUIRED, "the header Action is missing");
    }
    if (!reading->out->has_message_id) {
        return wsman_refuse(reading->fault, WSMAN_HEADER_REQUIRED,
                            "the header MessageID is missing");
    }
    return check_soap_action(reading);
}

/* OMI's own client reads no datetime but plain text; wsmancli and wsl show a document as it is, to
 * people. Windows' "Microsoft WinRM Client" wants the elements of DSP0230, as does whoever is not
 * known. */
static bool wants_plain_datetime(const struct http_request *http)
{
    static const char *const known[] = {"openwsman", "omi", "Microsoft-OMI"};
    const char *agent = http_header(http, "User-Agent");

    for (size_t i = 0; agent && i < ARRAY_COUNT(known); i++) {
        size_t length = strlen(known[i]);

        if (strncasecmp(agent, known[i], length) == 0 && strchr(" /-", agent[length])) {
            return true;
        }
    }
    return false;
}

int wsman_request_read(const struct http_request *http, struct wsman_request *out,
                       struct wsman_fault *fault)
{
    struct reading reading = {http, out, fault};
    struct xml_element *envelope = NULL;

    *out = (struct wsman_request){
        .action = "", .message_id = "", .resource_uri = "", .identifier = ""};
    out->is_plain_datetime = wants_plain_datetime(http);
    if (read_document(&reading, &envelope) < 0 ||
        read_headers(&reading, xml_child(envelope, NS_SOAP, "Header")) < 0 ||
        read_body(&reading, envelope) < 0) {
        return -1;
    }
    return out->is_identify ? 0 : check_addressing(&reading);
}

bool wsman_request_option(const struct wsman_request *request, const char *name, bool otherwise)
{
    for (const struct xml_element *option = xml_child(request->options, NS_WSMAN, "Option"); option;
         option = xml_sibling(option, NS_WSMAN, "Option")) {
        const char *given = xml_attribute(option, "", "Name");

        if (given && strcasecmp(option_name(given), name) == 0) {
            return wsman_is_true(option->text);
        }
    }
    return otherwise;
}
