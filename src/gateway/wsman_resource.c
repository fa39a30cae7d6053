/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gateway/wsman_resource.h"

#include <assert.h>
#include <string.h>
#include <strings.h>

#include "gateway/wsman_names.h"

/* What is collected while a resource is read. */
struct collecting {
    struct arena *arena;
    struct wsman_resource *resource;
    struct wsman_fault *fault;
    struct cim_key *keys; /* CIM_KEYS_MAX */
    uint32_t count;
    bool has_namespace;
};

/* How a selector that holds an endpoint reference is read; NULL: it is not. References to objects
 * whose keys are references are two levels deep, never more. */
typedef int read_reference(struct collecting *collecting, const struct xml_element *selector,
                           const struct cim_path **out);

/* --- the URI -----------------------------------------------------------------------------------
 */

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    if (c >= 'a' && c <= 'f') {
        return c - 'a' + 10;
    }
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* Percent-encoded text; what is no encoding stays as it is. %00 does, too: it would end the text.
 */
static char *decoded(struct arena *arena, const char *text, size_t length)
{
    char *out = arena_text_of(arena, text, length);
    char *to = out;

    for (size_t i = 0; out && i < length; i++) {
        int high = text[i] == '%' && length - i > 2 ? hex_digit(text[i + 1]) : -1;
        int low = high >= 0 ? hex_digit(text[i + 2]) : -1;

        if (low >= 0 && high * 16 + low > 0) {
            *to++ = (char)(high * 16 + low);
            i += 2;
        } else {
            *to++ = text[i];
        }
    }
    if (out) {
        *to = '\0';
    }
    return out;
}

static bool starts_with(const char *text, const char *prefix)
{
    return strncasecmp(text, prefix, strlen(prefix)) == 0;
}

static int refuse_uri(struct wsman_fault *fault, const char *uri)
{
    return wsman_refuse(fault, WSMAN_INVALID_RESOURCE_URI,
                        "the resource URI \"%s\" is of no form that is served: use " RESOURCE_DMTF
                        "CLASS or " RESOURCE_WMI "NAMESPACE/CLASS",
                        uri);
}

/* http://.../wmi/root/virtualization/v2/CLASS: the last slash parts class and namespace. */
static void take_wmi(struct arena *arena, const char *uri, struct wsman_resource *out)
{
    const char *namespace_name = uri + strlen(RESOURCE_WMI);
    const char *slash = strrchr(namespace_name, '/');

    out->is_wmi = true;
    if (slash) {
        out->namespace_name =
            arena_text_of(arena, namespace_name, (size_t)(slash - namespace_name));
        out->prefix = arena_text_of(arena, uri, (size_t)(slash + 1 - uri));
        out->class_name = slash + 1;
    }
}

static void take_plain(struct arena *arena, const char *uri, const char *prefix,
                       struct wsman_resource *out)
{
    size_t length = strlen(prefix);

    out->prefix = arena_text_of(arena, uri, length);
    out->class_name = uri + length;
}

static int read_uri(struct arena *arena, const char *uri, struct wsman_resource *out,
                    struct wsman_fault *fault)
{
    out->class_name = "";
    if (strcasecmp(uri, RESOURCE_ALL) == 0) {
        out->prefix = RESOURCE_DMTF;
        out->class_name = "*";
    } else if (starts_with(uri, RESOURCE_WMI)) {
        take_wmi(arena, uri, out);
    } else if (starts_with(uri, RESOURCE_DMTF)) {
        take_plain(arena, uri, RESOURCE_DMTF, out);
    } else if (starts_with(uri, RESOURCE_VENDOR)) {
        take_plain(arena, uri, RESOURCE_VENDOR, out);
    } else if (starts_with(uri, RESOURCE_CLASS)) {
        take_plain(arena, uri, RESOURCE_CLASS, out);
        out->is_class = true;
    }
    if (!*out->class_name || strchr(out->class_name, '/')) {
        return refuse_uri(fault, uri);
    }
    out->is_all = strcmp(out->class_name, "*") == 0;
    return 0;
}

/* --- selectors ---------------------------------------------------------------------------------
 */

static bool is_there_already(const struct collecting *collecting, const char *name)
{
    for (uint32_t i = 0; i < collecting->count; i++) {
        if (strcasecmp(collecting->keys[i].name, name) == 0) {
            return true;
        }
    }
    return false;
}

static int refuse_twice(struct collecting *collecting, const char *name)
{
    return wsman_refuse(collecting->fault, WSMAN_DUPLICATE_SELECTORS,
                        "the selector \"%s\" is there twice", name);
}

static int add_selector(struct collecting *collecting, const struct cim_key *key)
{
    if (strcasecmp(key->name, SELECTOR_NAMESPACE) == 0) {
        if (collecting->has_namespace) {
            return refuse_twice(collecting, key->name);
        }
        collecting->has_namespace = true;
        if (*key->text && !*collecting->resource->namespace_name) {
            collecting->resource->namespace_name = key->text; /* an URI's own stays */
        }
        return 0;
    }
    if (is_there_already(collecting, key->name)) {
        return refuse_twice(collecting, key->name);
    }
    if (collecting->count == CIM_KEYS_MAX) {
        return wsman_refuse(collecting->fault, WSMAN_UNEXPECTED_SELECTORS,
                            "there are more than %u selectors", CIM_KEYS_MAX);
    }
    collecting->keys[collecting->count++] = *key;
    return 0;
}

/* ?Name=Value&Name=Value, also with + between them as winrm.cmd writes it. A + within a value can
 * not be told apart there, so it only parts when a name and = follow. */
static const char *end_of_pair(const char *pair)
{
    const char *at = pair + strcspn(pair, "&+");

    while (*at == '+') {
        const char *next = at + 1;

        if (next[strcspn(next, "=&+")] == '=') {
            return at;
        }
        at = next + strcspn(next, "&+");
    }
    return at;
}

/* A value may stand in quotes. */
static const char *without_quotes(char *value)
{
    size_t length = value ? strlen(value) : 0;

    if (length >= 2 && value[0] == '"' && value[length - 1] == '"') {
        value[length - 1] = '\0';
        return value + 1;
    }
    return value;
}

static int read_query(struct collecting *collecting, const char *query)
{
    while (*query) {
        const char *end = end_of_pair(query);
        const char *equals = memchr(query, '=', (size_t)(end - query));
        struct cim_key key = {.type = CIM_STRING};

        if (!equals || equals == query) {
            return wsman_refuse(collecting->fault, WSMAN_INVALID_SELECTORS,
                                "the query of the resource URI is no list of NAME=VALUE");
        }
        key.name = decoded(collecting->arena, query, (size_t)(equals - query));
        key.text =
            without_quotes(decoded(collecting->arena, equals + 1, (size_t)(end - equals) - 1));
        if (!key.name || !key.text) {
            return wsman_refuse(collecting->fault, WSMAN_QUOTA_LIMIT, "the request is too large");
        }
        if (add_selector(collecting, &key) < 0) {
            return -1;
        }
        query = *end ? end + 1 : end;
    }
    return 0;
}

static int read_selector(struct collecting *collecting, const struct xml_element *selector,
                         read_reference *reference)
{
    struct cim_key key = {.name = xml_attribute(selector, "", "Name"), .type = CIM_STRING};

    if (!key.name || !*key.name) {
        return wsman_refuse(collecting->fault, WSMAN_INVALID_SELECTORS, "a Selector has no Name");
    }
    key.text = selector->text;
    if (selector->first) {
        if (!reference) {
            return wsman_refuse(collecting->fault, WSMAN_SELECTOR_TYPE,
                                "the selector \"%s\" holds an element, not a text", key.name);
        }
        key.type = CIM_REFERENCE;
        key.text = "";
        if (reference(collecting, selector, &key.path) < 0) {
            return -1;
        }
    }
    return add_selector(collecting, &key);
}

static int read_selectors(struct collecting *collecting, const struct xml_element *set,
                          read_reference *reference)
{
    for (const struct xml_element *at = xml_child(set, NS_WSMAN, "Selector"); at;
         at = xml_sibling(at, NS_WSMAN, "Selector")) {
        if (read_selector(collecting, at, reference) < 0) {
            return -1;
        }
    }
    return 0;
}

static int read_resource(struct arena *arena, const char *uri, const struct xml_element *set,
                         read_reference *reference, struct wsman_resource *out,
                         struct wsman_fault *fault)
{
    const char *query = strchr(uri, '?');
    struct collecting collecting = {arena, out, fault, NULL, 0, false};

    *out = (struct wsman_resource){.namespace_name = "", .prefix = "", .class_name = ""};
    collecting.keys = arena_take_many(arena, CIM_KEYS_MAX, sizeof *collecting.keys);
    if (query) {
        uri = arena_text_of(arena, uri, (size_t)(query - uri));
    }
    if (!collecting.keys || !uri) {
        return wsman_refuse(fault, WSMAN_QUOTA_LIMIT, "the request is too large");
    }
    if (read_uri(arena, uri, out, fault) < 0 || (query && read_query(&collecting, query + 1) < 0) ||
        read_selectors(&collecting, set, reference) < 0) {
        return -1;
    }
    out->selectors = collecting.keys;
    out->selector_count = collecting.count;
    return 0;
}

/* --- endpoint references -----------------------------------------------------------------------
 */

static const struct xml_element *unwrapped(const struct xml_element *element)
{
    const struct xml_element *inner = xml_child(element, NULL, "EndpointReference");

    return inner ? inner : element;
}

bool wsman_is_epr(const struct xml_element *element)
{
    return xml_child(unwrapped(element), NULL, "ReferenceParameters") != NULL;
}

/* A key's type as the class has it: clients' selectors have none. */
static enum cim_type type_of_key(const struct cim_class *class, const struct cim_key *key)
{
    const struct cim_property *property = class ? cim_property_find(class, key->name) : NULL;

    if (key->type == CIM_REFERENCE || !property || property->type == CIM_DATETIME ||
        property->type == CIM_REFERENCE) {
        return key->type;
    }
    return property->type;
}

static const struct cim_path *path_of(struct arena *arena, const struct wsman_resource *resource)
{
    struct cim_path *path = arena_take(arena, sizeof *path);
    struct cim_key *keys = arena_take_many(arena, CIM_KEYS_MAX, sizeof *keys);
    const struct cim_class *class =
        cim_class_find(cim_space_find(resource->namespace_name), resource->class_name);

    if (!path || !keys) {
        return NULL;
    }
    for (uint32_t i = 0; i < resource->selector_count; i++) {
        keys[i] = resource->selectors[i];
        keys[i].type = type_of_key(class, &keys[i]);
    }
    *path = (struct cim_path){.host = "",
                              .namespace_name = resource->namespace_name,
                              .class_name = resource->class_name,
                              .keys = keys,
                              .key_count = resource->selector_count};
    return path;
}

static int read_epr(struct arena *arena, const struct xml_element *element,
                    read_reference *reference, const struct cim_path **out,
                    struct wsman_fault *fault)
{
    const struct xml_element *parameters =
        xml_child(unwrapped(element), NULL, "ReferenceParameters");
    const struct xml_element *uri = xml_child(parameters, NS_WSMAN, "ResourceURI");
    struct wsman_resource resource;
    const char *text = xml_text(arena, uri);

    if (!uri || !text) {
        return wsman_refuse(fault, WSMAN_INVALID_PARAMETER,
                            "the reference has no ResourceURI in its ReferenceParameters");
    }
    if (read_resource(arena, text, xml_child(parameters, NS_WSMAN, "SelectorSet"), reference,
                      &resource, fault) < 0) {
        return -1;
    }
    *out = path_of(arena, &resource);
    return *out ? 0 : wsman_refuse(fault, WSMAN_QUOTA_LIMIT, "the request is too large");
}

/* The inner level: its selectors are texts. */
static int read_inner(struct collecting *collecting, const struct xml_element *selector,
                      const struct cim_path **out)
{
    return read_epr(collecting->arena, selector, NULL, out, collecting->fault);
}

static int read_outer(struct collecting *collecting, const struct xml_element *selector,
                      const struct cim_path **out)
{
    return read_epr(collecting->arena, selector, read_inner, out, collecting->fault);
}

int wsman_epr_read(struct arena *arena, const struct xml_element *element,
                   const struct cim_path **out, struct wsman_fault *fault)
{
    return read_epr(arena, element, read_outer, out, fault);
}

int wsman_resource_read(struct arena *arena, const char *uri, const struct xml_element *selectors,
                        struct wsman_resource *out, struct wsman_fault *fault)
{
    return read_resource(arena, uri, selectors, read_outer, out, fault);
}

/* --- the object --------------------------------------------------------------------------------
 */

static int check_selector(struct arena *arena, const struct cim_class *class,
                          const struct cim_key *key, struct wsman_fault *fault)
{
    int index = cim_property_index(class, key->name);
    struct error err = {0};
    union cim_item item;

    if (index < 0 || (uint32_t)index >= class->key_count) {
        return wsman_refuse(fault, WSMAN_UNEXPECTED_SELECTORS, "%s has no key \"%s\"", class->name,
                            key->name);
    }
    if ((class->properties[index].type == CIM_REFERENCE) != (key->type == CIM_REFERENCE)) {
        return wsman_refuse(fault, WSMAN_SELECTOR_TYPE,
                            "the key %s of %s is %s reference: give it as one", key->name,
                            class->name, key->type == CIM_REFERENCE ? "no" : "a");
    }
    if (key->type != CIM_REFERENCE &&
        cim_item_read(arena, class->properties[index].type, key->text, &item, &err) < 0) {
        return wsman_refuse_error(fault, WSMAN_SELECTOR_TYPE, &err);
    }
    return 0;
}

/* The text forms of a reference are read here, too: winrm.cmd has no other way to write one. */
static void read_text_references(struct arena *arena, const struct cim_class *class,
                                 struct cim_key *keys, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        const struct cim_property *property = cim_property_find(class, keys[i].name);

        if (property && property->type == CIM_REFERENCE && keys[i].type == CIM_STRING &&
            cim_path_read(arena, keys[i].text, &keys[i].path, NULL) == 0) {
            keys[i].type = CIM_REFERENCE;
            keys[i].text = "";
        }
    }
}

int wsman_resource_path(struct arena *arena, const struct wsman_resource *resource,
                        const struct cim_class *class, const struct cim_path **out,
                        struct wsman_fault *fault)
{
    struct cim_key *keys = arena_take_many(arena, CIM_KEYS_MAX, sizeof *keys);
    struct wsman_resource typed = *resource;

    if (!keys) {
        return wsman_refuse(fault, WSMAN_QUOTA_LIMIT, "the request is too large");
    }
    if (resource->selector_count > 0) {
        memcpy(keys, resource->selectors, resource->selector_count * sizeof *keys);
    }
    read_text_references(arena, class, keys, resource->selector_count);
    for (uint32_t i = 0; i < resource->selector_count; i++) {
        if (check_selector(arena, class, &keys[i], fault) < 0) {
            return -1;
        }
    }
    if (resource->selector_count < class->key_count) {
        return wsman_refuse(fault, WSMAN_INSUFFICIENT_SELECTORS,
                            "%s has %u keys, and %u selectors were given", class->name,
                            class->key_count, resource->selector_count);
    }
    typed.selectors = keys;
    *out = path_of(arena, &typed);
    return *out ? 0 : wsman_refuse(fault, WSMAN_QUOTA_LIMIT, "the request is too large");
}
