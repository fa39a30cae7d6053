/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * wql.h - queries: WMI's query language, and what of DMTF's CQL is the same.
 *
 *   SELECT * | property [, property] FROM class [WHERE expression]
 *   ASSOCIATORS OF {path} [WHERE clause ...]     AssocClass=, ResultClass=, Role=, ResultRole=,
 *                                                RequiredQualifier=, RequiredAssocQualifier=,
 *                                                ClassDefsOnly, KeysOnly, SchemaOnly
 *   REFERENCES OF {path} [WHERE clause ...]      ResultClass=, Role=, RequiredQualifier=, ...
 *
 * Expressions: AND, OR, NOT, parentheses; = <> != < <= > >= (either side may be the property), IS
 * NULL, IS NOT NULL, = NULL, LIKE with % _ [a-z] [^a-z], ISA on __CLASS ("__CLASS = '...'",
 * "__CLASS ISA '...'", and "property ISA 'class'" for embedded instances). Values: 'text' or "text"
 * with backslash escapes, decimal and 0x numbers, reals, TRUE, FALSE, NULL. Numbers compare as
 * numbers with numbers and with texts that are numbers, texts without case (as WMI does), datetimes
 * as moments. A comparison with null is false, and so is NOT of it. An array: any of its items,
 * with "=" only. Names may be "class.property" (CQL). WMI's system properties (__PATH, __CLASS,
 * ...) may be in the list after SELECT, and are left out of `properties`: every object has class
 * and path anyway.
 *
 * Source: Microsoft, "WQL (SQL for WMI)", "ASSOCIATORS OF Statement"; DMTF DSP0202 1.0.0.
 */
#ifndef RESILVER_CIM_WQL_H
#define RESILVER_CIM_WQL_H

#include "cim/value.h"

enum wql_kind { WQL_INVALID = 0, WQL_SELECT, WQL_ASSOCIATORS, WQL_REFERENCES };

struct wql_step; /* of an expression, in postfix order: no recursion */

/* What narrows an association's search; also of DSP0200's Associators and WS-Management's filters.
 * NULL: not asked for. */
struct cim_association_filter {
    const char *association_class;
    const char *result_class;
    const char *role;        /* the property of the association that is the object asked about */
    const char *result_role; /* the property that is the result */
    /* qualifiers that the result's class, and the association's, must have */
    const char *required_qualifier;
    const char *required_association_qualifier;
};

struct wql {
    enum wql_kind kind;
    const char *class_name;        /* of SELECT */
    const char *const *properties; /* of SELECT; NULL: * */
    uint32_t property_count;
    const struct wql_step *steps; /* of WHERE; step_count 0: all */
    uint32_t step_count;
    const struct cim_path *of; /* of ASSOCIATORS, REFERENCES */
    struct cim_association_filter filter;
    bool is_classes_only; /* SchemaOnly or ClassDefsOnly */
    bool is_keys_only;
};

/* wql_parse - into the arena. Errors: ERR_USAGE with the place ("at column 31: ..."), ERR_LIMIT
 * over WQL_TEXT_MAX, WQL_STEPS_MAX. */
MUST_CHECK int wql_parse(struct arena *arena, const char *text, struct wql *out, struct error *err);

/* wql_check - whether the class has what the query names, and each comparison can be. Errors:
 * ERR_USAGE "Msvm_ConcreteJob has no property 'Foo'". */
MUST_CHECK int wql_check(const struct wql *query, const struct cim_class *class, struct error *err);

/* wql_matches - of a SELECT that was checked against the class of this instance or an ancestor. */
bool wql_matches(const struct wql *query, const struct cim_instance *instance);

/* wql_wanted_text - the text that the property must equal for the query to match (WHERE
 * InstanceID='...' [AND ...]): a shortcut past enumerating all; NULL: none can be told. */
const char *wql_wanted_text(const struct wql *query, const char *property);

#endif
