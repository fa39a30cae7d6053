/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * value.h - values, object paths and instances of the model, in the arena of their request. No
 * encoding's words are here: those are read and written by cim/xml.h and the gateway.
 */
#ifndef RESILVER_CIM_VALUE_H
#define RESILVER_CIM_VALUE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/error.h"
#include "cim/model.h"

struct cim_instance;
struct cim_path;

/* One value; which member holds it follows from the type. */
union cim_item {
    bool boolean;                        /* CIM_BOOLEAN */
    uint64_t number;                     /* CIM_UINT8 .. CIM_UINT64 */
    int64_t integer;                     /* CIM_SINT8 .. CIM_SINT64 */
    double real;                         /* CIM_REAL32, CIM_REAL64 */
    const char *text;                    /* CIM_STRING; CIM_CHAR16: one character in UTF-8;
                                            CIM_DATETIME: 25 characters (DSP0004 5.2.4) */
    const struct cim_path *path;         /* CIM_REFERENCE */
    const struct cim_instance *instance; /* CIM_INSTANCE: an embedded one */
};

struct cim_value {
    enum cim_type type;
    bool is_array;
    bool is_null;          /* as a whole; an array of none is not null. Items are never null */
    uint32_t count;        /* of items: 1, or an array's length; 0 when null */
    union cim_item *items; /* of the arena */
};

struct cim_key {
    const char *name;            /* "": CLASS=VALUE, the only key of its class */
    enum cim_type type;          /* CIM_STRING, CIM_BOOLEAN, CIM_REFERENCE, or a number's type;
                                    a client's number is CIM_UINT64 or CIM_SINT64 */
    const char *text;            /* the value as text; of a reference: "" */
    const struct cim_path *path; /* of a reference */
};

/* The name of an instance, or of a class when it has no keys. */
struct cim_path {
    const char *host;           /* "": none given */
    const char *namespace_name; /* as given; "": none given */
    const char *class_name;
    const struct cim_key *keys;
    uint32_t key_count;
};

struct cim_instance {
    const struct cim_class *class;
    struct cim_value *values; /* one for each of class->properties, in their order */
    struct arena *arena;      /* borrowed: where its values are made */
};

/* --- values ----------------------------------------------------------------------------------- */

struct cim_value cim_null(enum cim_type type, bool is_array);

/*
 * cim_item_read - one item from its text: decimal or 0x numbers within the type's range, white
 * space around numbers allowed; true, false, 1, 0 in any case; reals with INF, -INF, NaN; datetimes
 * in CIM form, RFC 3339 or xs:dateTime, and xs:duration (P1DT2H3M4.5S), always kept in CIM form. A
 * string as it is; not for references and instances. Errors: ERR_USAGE "'abc' is no uint16".
 */
MUST_CHECK int cim_item_read(struct arena *arena, enum cim_type type, const char *text,
                             union cim_item *out, struct error *err);

/* cim_item_text - the reverse: decimal, TRUE or FALSE, CIM datetimes. "" for references and
 * instances. */
const char *cim_item_text(struct arena *arena, enum cim_type type, const union cim_item *item);

/* cim_value_equal - the same type family (numbers compare as numbers), count and items; strings
 * with case; null equals null. */
bool cim_value_equal(const struct cim_value *a, const struct cim_value *b);

/* --- datetimes (DSP0004 5.2.4) -----------------------------------------------------------------
 */

#define CIM_DATETIME_TEXT_MAX 26

/* A moment in UTC ("20260301210000.000000+000"), an interval ("00000000000500.000000:000"). */
void cim_datetime_moment(int64_t at_us, char out[CIM_DATETIME_TEXT_MAX]);
void cim_datetime_interval(uint64_t length_us, char out[CIM_DATETIME_TEXT_MAX]);
bool cim_datetime_is(const char *text);          /* whether it has the form of either */
bool cim_datetime_is_interval(const char *text); /* of one that cim_datetime_is() */
bool cim_datetime_has_wildcards(const char *text);

/* cim_datetime_compare - moments with moments, intervals with intervals: *order is below, at or
 * above 0. False: they cannot be compared (one of each, wildcards, none at all). */
bool cim_datetime_compare(const char *a, const char *b, int *order);

/* cim_datetime_from - CIM form, xs:dateTime (with or without zone: then UTC), xs:duration into CIM
 * form. False: it is none of these. cim_datetime_to_xsd - the reverse, for WS-Management:
 * "2026-03-01T21:00:00Z", with microseconds if there are any and the zone kept, or "PT5M". False:
 * wildcards have no such form. */
bool cim_datetime_from(const char *text, char out[CIM_DATETIME_TEXT_MAX]);
#define CIM_XSD_TEXT_MAX 48
bool cim_datetime_to_xsd(const char *datetime, char out[CIM_XSD_TEXT_MAX]);

/* --- instances -------------------------------------------------------------------------------- */

/* cim_instance_new - every property null, or the MOF's default. NULL: no memory (arena->bad). */
struct cim_instance *cim_instance_new(struct arena *arena, const struct cim_class *class);

/*
 * cim_set_... - a property by its name, which must exist and have that type (asserted: names come
 * from our code). NULL instances are left alone. cim_set_text(.., NULL) leaves null. A number is
 * checked against the type's range by assert.
 */
void cim_set_null(struct cim_instance *instance, const char *name);
void cim_set_boolean(struct cim_instance *instance, const char *name, bool value);
void cim_set_number(struct cim_instance *instance, const char *name, uint64_t value);
void cim_set_integer(struct cim_instance *instance, const char *name, int64_t value);
void cim_set_text(struct cim_instance *instance, const char *name, const char *value);
void cim_set_moment(struct cim_instance *instance, const char *name, int64_t at_us); /* 0: null */
void cim_set_interval(struct cim_instance *instance, const char *name, uint64_t length_us);
void cim_set_path(struct cim_instance *instance, const char *name, const struct cim_path *path);
void cim_set_numbers(struct cim_instance *instance, const char *name, const uint64_t *values,
                     uint32_t count);
void cim_set_texts(struct cim_instance *instance, const char *name, const char *const *values,
                   uint32_t count);
/* One embedded instance, or an array of them (the property says which). */
void cim_set_instances(struct cim_instance *instance, const char *name,
                       const struct cim_instance *const *values, uint32_t count);

/* cim_get - NULL: the class has no such property. */
const struct cim_value *cim_get(const struct cim_instance *instance, const char *name);

/* cim_get_text - a string or datetime that is not null; else NULL. cim_get_number - whether it is
 * an unsigned number that is not null. */
const char *cim_get_text(const struct cim_instance *instance, const char *name);
bool cim_get_number(const struct cim_instance *instance, const char *name, uint64_t *out);
bool cim_get_boolean(const struct cim_instance *instance, const char *name, bool *out);

/* --- paths ------------------------------------------------------------------------------------ */

/* cim_instance_path - from its keys, in a namespace; keys that are null are left out. NULL: no
 * memory, or instance is NULL. */
const struct cim_path *cim_instance_path(struct arena *arena, const struct cim_instance *instance,
                                         const char *namespace_name);

/* cim_path_new - from name, value, name, value ..., NULL: keys that are strings. NULL: no memory,
 * or a value is NULL as there was none for it. */
const struct cim_path *cim_path_new(struct arena *arena, const char *class_name, ...)
    __attribute__((sentinel));

/* cim_path_key - a key's text; NULL: it has none so named. The one key of CLASS=VALUE has any name.
 */
const char *cim_path_key(const struct cim_path *path, const char *name);

/*
 * cim_path_matches - whether the path names the instance: every key of the class is there, none
 * else, with equal values (strings with case, CreationClassName and SystemCreationClassName
 * without; numbers as numbers; UUIDs, also within a text, without case; a reference may be given as
 * a text). The path's class may be an ancestor. Host and namespace are not looked at.
 */
bool cim_path_matches(const struct cim_path *path, const struct cim_instance *instance);

/* cim_path_equal - the same class, keys with equal values in any order, and the same namespace
 * where both have one. Hosts are not looked at: there is only this one. */
bool cim_path_equal(const struct cim_path *a, const struct cim_path *b);

/*
 * cim_path_read - a WMI or WBEM object path: [\\HOST\NAMESPACE:|//HOST/NAMESPACE:|NAMESPACE:]
 * CLASS[.KEY=VALUE[,KEY=VALUE]|=VALUE|=@], values quoted (" or ') with escapes \" \' and \\, or
 * bare whole numbers and booleans; blanks around names, signs and values. CLASS=@, the one instance
 * of a class without keys, has none. Errors: ERR_USAGE. Source: DSP0004 8.2.5; WMI "Describing the
 * Location of a WMI Object".
 */
MUST_CHECK int cim_path_read(struct arena *arena, const char *text, const struct cim_path **out,
                             struct error *err);

/* cim_path_text - "root/virtualization/v2:Msvm_ConcreteJob.InstanceID=\"...\"", without what is not
 * given. */
const char *cim_path_text(struct arena *arena, const struct cim_path *path);

#endif
