/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * cimxml_call.c - the message around an operation: HTTP's CIM headers and the elements from CIM
 * down to IMETHODCALL or METHODCALL. Source: DSP0200 1.4, 7.2 to 7.4; DSP0201 2.4, 5.2.
 */
#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "gateway/cimxml_call.h"

static int refuse_message(struct cimxml_refusal *refusal, unsigned status, const char *cim_error)
{
    *refusal = (struct cimxml_refusal){status, cim_error};
    return -1;
}

/* --- headers --------------------------------------------------------------------------------- */

/* "application/xml" or "text/xml", whatever comes behind a semicolon. */
static bool is_xml_type(const char *type)
{
    size_t len = strcspn(type, "; \t");

    return (len == strlen("application/xml") && strncasecmp(type, "application/xml", len) == 0) ||
           (len == strlen("text/xml") && strncasecmp(type, "text/xml", len) == 0);
}

static bool names_other_charset(const char *type)
{
    const char *charset = strcasestr(type, "charset=");

    if (charset == NULL) {
        return false;
    }
    charset += strlen("charset=");
    charset += *charset == '"';
    return strncasecmp(charset, "utf-8", strlen("utf-8")) != 0;
}

static int hex_value(char digit)
{
    if (digit >= '0' && digit <= '9') {
        return digit - '0';
    }
    if (digit >= 'a' && digit <= 'f') {
        return digit - 'a' + 10;
    }
    return digit >= 'A' && digit <= 'F' ? digit - 'A' + 10 : -1;
}

/* A header's text without its percent-encoding (DSP0200 7.2.4); NULL: it is broken. */
static const char *decode(struct arena *arena, const char *text)
{
    char *out = arena_take(arena, strlen(text) + 1);
    size_t used = 0;

    for (const char *c = text; out != NULL && *c != '\0'; c++) {
        if (*c != '%') {
            out[used++] = *c;
            continue;
        }
        int high = hex_value(c[1]);
        int low = high < 0 ? -1 : hex_value(c[2]);

        if (low < 0 || (high == 0 && low == 0)) {
            return NULL;
        }
        out[used++] = (char)(high * 16 + low);
        c += 2;
    }
    return out;
}

static int read_headers(const struct cimxml_call *call, struct cimxml_refusal *refusal)
{
    const char *type = http_header(call->http, "Content-Type");
    const char *operation = http_header(call->http, "CIMOperation");

    if (type == NULL) {
        return refuse_message(refusal, 400, NULL);
    }
    if (!is_xml_type(type) || names_other_charset(type)) {
        return refuse_message(refusal, 415, NULL);
    }
    if (operation == NULL) {
        return refuse_message(refusal, 400, NULL);
    }
    if (strcasecmp(operation, "MethodCall") != 0) {
        return refuse_message(refusal, 400, "unsupported-operation");
    }
    if (http_header(call->http, "CIMBatch") != NULL) {
        return refuse_message(refusal, 501, "multiple-requests-unsupported");
    }
    return 0;
}

/* A relative path in the header has the namespace of none; keys may be in any order. */
static bool object_fits(struct cimxml_call *call, const char *object)
{
    const struct cim_path *path;
    struct error ignored;

    if (!call->is_method) {
        return cim_space_find(object) != CIM_SPACE_NONE
                   ? cim_space_find(object) == cim_space_find(call->namespace_name)
                   : strcasecmp(object, call->namespace_name) == 0;
    }
    if (cim_path_read(call->http->arena, object, &path, &ignored) < 0) {
        return false;
    }
    struct cim_path same = *path;

    same.host = call->path->host;
    return cim_path_equal(&same, call->path);
}

/* CIMMethod and CIMObject say what the body says: a proxy decides by them (DSP0200 7.2). */
static int compare_headers(struct cimxml_call *call, struct cimxml_refusal *refusal)
{
    const char *method = http_header(call->http, "CIMMethod");
    const char *object = http_header(call->http, "CIMObject");
    const char *version = http_header(call->http, "CIMProtocolVersion");

    method = method == NULL ? NULL : decode(call->http->arena, method);
    object = object == NULL ? NULL : decode(call->http->arena, object);
    if (method == NULL || object == NULL || strcasecmp(method, call->name) != 0 ||
        !object_fits(call, object)) {
        return refuse_message(refusal, 400, "header-mismatch");
    }
    if (version != NULL && strcmp(version, call->protocol_version) != 0) {
        return refuse_message(refusal, 400, "header-mismatch");
    }
    return 0;
}

/* --- the body -------------------------------------------------------------------------------- */

/* The only child, which must have that name; NULL otherwise. */
static const struct xml_element *only_child(const struct xml_element *element, const char *name)
{
    return element != NULL && element->child_count == 1 && xml_is(element->first, "", name)
               ? element->first
               : NULL;
}

static bool is_version_2(const char *version)
{
    return version != NULL && strncmp(version, "2.", 2) == 0;
}

static int read_message(struct cimxml_call *call, const struct xml_element *root,
                        const struct xml_element **message, struct cimxml_refusal *refusal)
{
    if (!xml_is(root, "", "CIM") || xml_attribute(root, "", "CIMVERSION") == NULL ||
        xml_attribute(root, "", "DTDVERSION") == NULL) {
        return refuse_message(refusal, 400, "request-not-valid");
    }
    if (!is_version_2(xml_attribute(root, "", "CIMVERSION"))) {
        return refuse_message(refusal, 501, "unsupported-cim-version");
    }
    if (!is_version_2(xml_attribute(root, "", "DTDVERSION"))) {
        return refuse_message(refusal, 501, "unsupported-dtd-version");
    }
    *message = only_child(root, "MESSAGE");
    if (*message == NULL || xml_attribute(*message, "", "ID") == NULL ||
        xml_attribute(*message, "", "PROTOCOLVERSION") == NULL) {
        return refuse_message(refusal, 400, "request-not-valid");
    }
    call->message_id = xml_attribute(*message, "", "ID");
    call->protocol_version = xml_attribute(*message, "", "PROTOCOLVERSION");
    if (strncmp(call->protocol_version, "1.", 2) != 0) {
        return refuse_message(refusal, 501, "unsupported-protocol-version");
    }
    if (only_child(*message, "MULTIREQ") != NULL) {
        return refuse_message(refusal, 501, "multiple-requests-unsupported");
    }
    return 0;
}

static int read_target(struct cimxml_call *call, struct cimxml_refusal *refusal)
{
    struct arena *arena = call->http->arena;
    const struct xml_element *target = call->element->first;
    struct error ignored;

    if (!call->is_method) {
        return !xml_is(target, "", "LOCALNAMESPACEPATH") ||
                       cim_xml_read_namespace(arena, target, &call->namespace_name, &ignored) < 0
                   ? refuse_message(refusal, 400, "request-not-valid")
                   : 0;
    }
    if ((!xml_is(target, "", "LOCALINSTANCEPATH") && !xml_is(target, "", "LOCALCLASSPATH")) ||
        cim_xml_read_path(arena, target, &call->path, &ignored) < 0) {
        return refuse_message(refusal, 400, "request-not-valid");
    }
    call->namespace_name = call->path->namespace_name;
    return 0;
}

static int read_body(struct cimxml_call *call, const struct xml_element *root,
                     struct cimxml_refusal *refusal)
{
    const struct xml_element *message = NULL;

    if (read_message(call, root, &message, refusal) < 0) {
        return -1;
    }
    const struct xml_element *simple = only_child(message, "SIMPLEREQ");

    /* CORRELATOR may stand before it (DSP0201 5.2.3.11). */
    call->element = simple == NULL ? NULL : simple->first;
    while (call->element != NULL && xml_is(call->element, "", "CORRELATOR")) {
        call->element = call->element->next;
    }
    if (call->element == NULL || call->element->next != NULL) {
        return refuse_message(refusal, 400, "request-not-valid");
    }
    call->is_method = xml_is(call->element, "", "METHODCALL");
    call->name = xml_attribute(call->element, "", "NAME");
    if ((!call->is_method && !xml_is(call->element, "", "IMETHODCALL")) || call->name == NULL ||
        call->element->first == NULL) {
        return refuse_message(refusal, 400, "request-not-valid");
    }
    return read_target(call, refusal);
}

int cimxml_call_read(struct cimxml_call *call, struct cimxml_refusal *refusal)
{
    struct xml_element *root = NULL;
    enum xml_fault fault = XML_FINE;
    struct error ignored;

    if (read_headers(call, refusal) < 0) {
        return -1;
    }
    if (call->http->body.len_bytes == 0) {
        return refuse_message(refusal, 400, "request-not-valid");
    }
    if (xml_parse(call->http->arena, call->http->body, "utf-8", &root, &fault, &ignored) < 0) {
        return refuse_message(refusal, fault == XML_TOO_MUCH ? 413 : 400,
                              fault == XML_FORBIDDEN ? "request-not-valid"
                                                     : "request-not-well-formed");
    }
    if (read_body(call, root, refusal) < 0) {
        return -1;
    }
    return compare_headers(call, refusal);
}

/* --- parameters ------------------------------------------------------------------------------ */

int cimxml_refuse(struct cimxml_call *call, enum cim_status status, struct error *err,
                  const char *format, ...)
{
    char message[ERROR_MESSAGE_MAX];
    va_list values;

    assert(status != CIM_OK);
    va_start(values, format);
    (void)vsnprintf(message, sizeof message, format, values);
    va_end(values);
    call->cim.status = status;
    return fail(err, ERR_USAGE, 0, "%s", message);
}

/* Whether `name` is a word of the list; *is_required: it has an exclamation mark there. */
static bool is_listed(const char *names, const char *name, bool *is_required)
{
    size_t len = strlen(name);

    for (const char *word = names; *word != '\0';) {
        size_t word_len = strcspn(word, " !");

        *is_required = word[word_len] == '!';
        if (word_len == len && strncasecmp(word, name, len) == 0) {
            return true;
        }
        word += strcspn(word, " ");
        word += *word == ' ';
    }
    return false;
}

static const struct xml_element *find_parameter(const struct cimxml_call *call, const char *name,
                                                size_t name_len)
{
    const struct xml_element *each = xml_child(call->element, "", "IPARAMVALUE");

    for (; each != NULL; each = xml_sibling(each, "", "IPARAMVALUE")) {
        const char *its = xml_attribute(each, "", "NAME");

        if (its != NULL && strlen(its) == name_len && strncasecmp(its, name, name_len) == 0) {
            return each;
        }
    }
    return NULL;
}

static int check_given(struct cimxml_call *call, const char *names, struct error *err)
{
    const struct xml_element *each = call->element->first->next;

    for (; each != NULL; each = each->next) {
        const char *name = xml_attribute(each, "", "NAME");
        bool is_required;

        if (!xml_is(each, "", "IPARAMVALUE") || name == NULL || each->child_count > 1) {
            return cimxml_refuse(call, CIM_INVALID_PARAMETER, err,
                                 "%s: '%s' is no IPARAMVALUE with a NAME and one value", call->name,
                                 each->name);
        }
        if (!is_listed(names, name, &is_required)) {
            return cimxml_refuse(call, CIM_INVALID_PARAMETER, err, "%s has no parameter '%s'",
                                 call->name, name);
        }
        if (find_parameter(call, name, strlen(name)) != each) {
            return cimxml_refuse(call, CIM_INVALID_PARAMETER, err,
                                 "%s: parameter '%s' is there twice", call->name, name);
        }
    }
    return 0;
}

int cimxml_check_parameters(struct cimxml_call *call, const char *names, struct error *err)
{
    if (check_given(call, names, err) < 0) {
        return -1;
    }
    for (const char *word = names; *word != '\0';) {
        size_t len = strcspn(word, " !");
        const struct xml_element *found = find_parameter(call, word, len);

        if (word[len] == '!' && (found == NULL || found->first == NULL)) {
            return cimxml_refuse(call, CIM_INVALID_PARAMETER, err,
                                 "%s: parameter '%.*s' is missing", call->name, (int)len, word);
        }
        word += strcspn(word, " ");
        word += *word == ' ';
    }
    return 0;
}

const struct xml_element *cimxml_parameter(const struct cimxml_call *call, const char *name)
{
    const struct xml_element *found = find_parameter(call, name, strlen(name));

    return found == NULL ? NULL : found->first;
}

int cimxml_text(struct cimxml_call *call, const char *name, const char **out, struct error *err)
{
    const struct xml_element *found = cimxml_parameter(call, name);

    /* The context of an enumeration had an element of its own before DSP0200 1.3.1. */
    if (found != NULL && !xml_is(found, "", "VALUE") && !xml_is(found, "", "ENUMERATIONCONTEXT")) {
        return cimxml_refuse(call, CIM_INVALID_PARAMETER, err, "%s: '%s' must be a VALUE",
                             call->name, name);
    }
    *out = found == NULL ? NULL : found->text;
    return 0;
}

static int read_scalar(struct cimxml_call *call, const char *name, enum cim_type type,
                       union cim_item *out, bool *is_given, struct error *err)
{
    const char *text = NULL;
    struct error why;

    if (cimxml_text(call, name, &text, err) < 0) {
        return -1;
    }
    *is_given = text != NULL;
    if (text != NULL && cim_item_read(call->http->arena, type, text, out, &why) < 0) {
        return cimxml_refuse(call, CIM_INVALID_PARAMETER, err, "%s: '%s': %s", call->name, name,
                             why.message);
    }
    return 0;
}

int cimxml_boolean(struct cimxml_call *call, const char *name, bool if_none, bool *out,
                   struct error *err)
{
    union cim_item item;
    bool is_given = false;

    if (read_scalar(call, name, CIM_BOOLEAN, &item, &is_given, err) < 0) {
        return -1;
    }
    *out = is_given ? item.boolean : if_none;
    return 0;
}

int cimxml_number(struct cimxml_call *call, const char *name, uint32_t if_none, uint32_t *out,
                  struct error *err)
{
    union cim_item item;
    bool is_given = false;

    if (read_scalar(call, name, CIM_UINT32, &item, &is_given, err) < 0) {
        return -1;
    }
    *out = is_given ? (uint32_t)item.number : if_none;
    return 0;
}

int cimxml_class_name(struct cimxml_call *call, const char *name, const char **out,
                      struct error *err)
{
    const struct xml_element *found = cimxml_parameter(call, name);
    const char *class_name =
        xml_is(found, "", "CLASSNAME") ? xml_attribute(found, "", "NAME") : NULL;

    if (found != NULL && class_name == NULL) {
        return cimxml_refuse(call, CIM_INVALID_PARAMETER, err,
                             "%s: '%s' must be a CLASSNAME with a NAME", call->name, name);
    }
    *out = class_name;
    return 0;
}

int cimxml_class(struct cimxml_call *call, const char *name, const struct cim_class **out,
                 struct error *err)
{
    const char *class_name = NULL;

    if (cimxml_class_name(call, name, &class_name, err) < 0) {
        return -1;
    }
    *out = class_name == NULL ? NULL : cim_class_find(call->space, class_name);
    if (class_name != NULL && *out == NULL) {
        return cimxml_refuse(call, CIM_INVALID_CLASS, err, "there is no class '%s' in %s",
                             class_name, call->namespace_name);
    }
    return 0;
}

int cimxml_instance_name(struct cimxml_call *call, const char *name, const struct cim_path **out,
                         struct error *err)
{
    const struct xml_element *found = cimxml_parameter(call, name);
    struct error why;

    if (found == NULL || (!xml_is(found, "", "INSTANCENAME") && !xml_is(found, "", "CLASSNAME"))) {
        return cimxml_refuse(call, CIM_INVALID_PARAMETER, err, "%s: '%s' must be an INSTANCENAME",
                             call->name, name);
    }
    if (xml_is(found, "", "CLASSNAME")) {
        return cimxml_refuse(call, CIM_NOT_SUPPORTED, err,
                             "%s: of an instance only, not of the class '%s'", call->name,
                             xml_attribute(found, "", "NAME"));
    }
    if (cim_xml_read_path(call->http->arena, found, out, &why) < 0) {
        return cimxml_refuse(call, CIM_INVALID_PARAMETER, err, "%s: '%s': %s", call->name, name,
                             why.message);
    }
    return 0;
}

static int read_property_list(struct cimxml_call *call, const char *const **names, uint32_t *count,
                              struct error *err)
{
    const struct xml_element *list = cimxml_parameter(call, "PropertyList");
    const char **found;
    uint32_t used = 0;

    if (list == NULL) {
        return 0;
    }
    if (!xml_is(list, "", "VALUE.ARRAY")) {
        return cimxml_refuse(call, CIM_INVALID_PARAMETER, err,
                             "%s: 'PropertyList' must be a VALUE.ARRAY", call->name);
    }
    found = arena_take_many(call->http->arena, (size_t)list->child_count + 1, sizeof *found);
    for (const struct xml_element *each = list->first; each != NULL && found != NULL;
         each = each->next) {
        if (!xml_is(each, "", "VALUE")) {
            return cimxml_refuse(call, CIM_INVALID_PARAMETER, err,
                                 "%s: 'PropertyList' holds a '%s'", call->name, each->name);
        }
        found[used++] = each->text;
    }
    *names = found;
    *count = used;
    return arena_done(call->http->arena, err);
}

static bool is_named(const char *const *names, uint32_t count, const char *name)
{
    for (uint32_t i = 0; i < count; i++) {
        if (strcasecmp(names[i], name) == 0) {
            return true;
        }
    }
    return false;
}

/* The class's own properties, of those that are wanted. */
static void limit_view(struct arena *arena, const struct cim_class *class, struct cim_view *view)
{
    const char **kept = arena_take_many(arena, (size_t) class->property_count + 1, sizeof *kept);
    uint32_t used = 0;

    for (uint32_t i = 0; i < class->property_count && kept != NULL; i++) {
        const char *name = class->properties[i].name;

        if (view->properties == NULL || is_named(view->properties, view->property_count, name)) {
            kept[used++] = name;
        }
    }
    view->properties = kept;
    view->property_count = used;
}

int cimxml_view(struct cimxml_call *call, const struct cim_class *limit_to, struct cim_view *out,
                struct error *err)
{
    struct cim_view view = {0};

    if (cimxml_boolean(call, "IncludeClassOrigin", false, &view.has_class_origin, err) < 0 ||
        cimxml_boolean(call, "IncludeQualifiers", false, &view.has_qualifiers, err) < 0 ||
        read_property_list(call, &view.properties, &view.property_count, err) < 0) {
        return -1;
    }
    if (limit_to != NULL) {
        limit_view(call->http->arena, limit_to, &view);
    }
    *out = view;
    return arena_done(call->http->arena, err);
}

const struct cim_path *cimxml_path_of(struct cimxml_call *call, const struct cim_instance *instance)
{
    struct arena *arena = call->http->arena;
    const struct cim_path *path = cim_instance_path(arena, instance, cim_space_name(call->space));
    struct cim_path *full = arena_take(arena, sizeof *full);
    const char *host = http_header(call->http, "Host");

    if (path == NULL || full == NULL) {
        return path;
    }
    *full = *path;
    full->host = host == NULL ? "localhost" : host;
    return full;
}
