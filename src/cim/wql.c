/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * wql.c - what a parsed query says of a class: whether it can be asked there, and which instance is
 * wanted.
 */
#include "cim/wql.h"

#include <assert.h>
#include <string.h>
#include <strings.h>

#include "cim/wql_internal.h"

static int no_property(const struct cim_class *class, const char *name, struct error *err)
{
    return fail(err, ERR_USAGE, 0, "%s has no property '%.128s'", class->name, name);
}

static const char *compare_name(enum wql_compare compare)
{
    switch (compare) {
    case WQL_EQUAL:
        return "=";
    case WQL_NOT_EQUAL:
        return "<>";
    case WQL_LESS:
        return "<";
    case WQL_LESS_EQUAL:
        return "<=";
    case WQL_GREATER:
        return ">";
    case WQL_GREATER_EQUAL:
        return ">=";
    case WQL_LIKE:
        return "LIKE";
    case WQL_ISA:
        return "ISA";
    case WQL_IS_NULL:
        return "IS NULL";
    case WQL_IS_NOT_NULL:
        return "IS NOT NULL";
    case WQL_NONE:
        break;
    }
    return "";
}

/* What may be done with properties of a kind, as bits by enum wql_compare. */
#define BIT(compare) (1U << (compare))
#define EQUALITY (BIT(WQL_EQUAL) | BIT(WQL_NOT_EQUAL))
#define ORDER                                                                                      \
    (EQUALITY | BIT(WQL_LESS) | BIT(WQL_LESS_EQUAL) | BIT(WQL_GREATER) | BIT(WQL_GREATER_EQUAL))

static uint32_t allowed_compares(const struct cim_property *property)
{
    if (property->embedded_class != NULL) {
        return BIT(WQL_ISA);
    }
    switch (property->type) {
    case CIM_BOOLEAN:
    case CIM_REFERENCE:
        return EQUALITY;
    case CIM_UINT8:
    case CIM_UINT16:
    case CIM_UINT32:
    case CIM_UINT64:
    case CIM_SINT8:
    case CIM_SINT16:
    case CIM_SINT32:
    case CIM_SINT64:
    case CIM_REAL32:
    case CIM_REAL64:
        return ORDER;
    case CIM_CHAR16:
    case CIM_STRING:
    case CIM_DATETIME:
        return ORDER | BIT(WQL_LIKE);
    case CIM_INSTANCE:
    case CIM_INVALID:
        break;
    }
    return 0;
}

/* What a value must be to be compared with the property; NULL: it is that. */
static const char *wanted_instead(const struct cim_property *property, const struct wql_step *step)
{
    const struct wql_literal *literal = &step->literal;

    if (step->compare == WQL_LIKE || step->compare == WQL_ISA) {
        return NULL; /* the parser saw to it that it is a text */
    }
    switch (property->type) {
    case CIM_BOOLEAN:
        return literal->has_boolean ? NULL : "TRUE or FALSE";
    case CIM_UINT8:
    case CIM_UINT16:
    case CIM_UINT32:
    case CIM_UINT64:
    case CIM_SINT8:
    case CIM_SINT16:
    case CIM_SINT32:
    case CIM_SINT64:
    case CIM_REAL32:
    case CIM_REAL64:
        return literal->has_number ? NULL : "a number";
    case CIM_DATETIME:
        return literal->has_moment ? NULL : "a datetime";
    case CIM_REFERENCE:
        return literal->path != NULL ? NULL : "the path of an object";
    case CIM_CHAR16:
    case CIM_STRING:
    case CIM_INSTANCE:
    case CIM_INVALID:
        break;
    }
    return NULL;
}

static int check_compare(const struct cim_class *class, const struct cim_property *property,
                         const struct wql_step *step, struct error *err)
{
    uint32_t allowed = allowed_compares(property);

    if (property->is_array) {
        allowed &= BIT(WQL_EQUAL) | BIT(WQL_ISA);
    }
    if ((allowed & BIT(step->compare)) == 0) {
        return fail(err, ERR_USAGE, 0, "%s.%s is %s%s, which cannot be compared with %s",
                    class->name, property->name,
                    property->is_array                 ? "an array of "
                    : property->embedded_class != NULL ? "an "
                                                       : "a ",
                    property->embedded_class != NULL ? "embedded instance"
                                                     : cim_type_name(property->type),
                    compare_name(step->compare));
    }
    const char *wanted = wanted_instead(property, step);
    if (wanted != NULL) {
        return fail(err, ERR_USAGE, 0, "%s.%s can be compared with %s only, not with '%.128s'",
                    class->name, property->name, wanted, step->literal.text);
    }
    return 0;
}

/* The class's name is a text that every instance has. */
static int check_class_name(const struct cim_class *class, const struct wql_step *step,
                            struct error *err)
{
    if (step->compare != WQL_ISA && step->literal.kind != WQL_LITERAL_TEXT &&
        step->compare != WQL_IS_NULL && step->compare != WQL_IS_NOT_NULL) {
        return fail(err, ERR_USAGE, 0,
                    WQL_CLASS " of %s can be compared with a class's name in quotes only, not "
                              "with '%.128s'",
                    class->name, step->literal.text);
    }
    return 0;
}

static int check_step(const struct cim_class *class, const struct wql_step *step, struct error *err)
{
    if (step->kind != WQL_STEP_COMPARE) {
        return 0;
    }
    if (strcasecmp(step->property, WQL_CLASS) == 0) {
        return check_class_name(class, step, err);
    }
    const struct cim_property *property = cim_property_find(class, step->property);
    if (property == NULL) {
        return no_property(class, step->property, err);
    }
    return step->compare == WQL_IS_NULL || step->compare == WQL_IS_NOT_NULL
               ? 0
               : check_compare(class, property, step, err);
}

int wql_check(const struct wql *query, const struct cim_class *class, struct error *err)
{
    assert(query->kind != WQL_INVALID);
    for (uint32_t i = 0; i < query->property_count; i++) {
        if (cim_property_find(class, query->properties[i]) == NULL) {
            return no_property(class, query->properties[i], err);
        }
    }
    for (uint32_t i = 0; i < query->step_count; i++) {
        if (check_step(class, &query->steps[i], err) < 0) {
            return -1;
        }
    }
    return 0;
}

/* The steps are looked at from the last to the first: that way an operator is seen before what it
 * joins. The stack says of each step to come whether all must be true for the query to match. */
const char *wql_wanted_text(const struct wql *query, const char *property)
{
    bool stack[WQL_STEPS_MAX + 1] = {true};
    uint32_t depth = query->step_count > 0;

    assert(query->step_count <= WQL_STEPS_MAX);
    for (uint32_t i = query->step_count; i > 0; i--) {
        const struct wql_step *step = &query->steps[i - 1];
        const bool is_needed = stack[--depth];

        if (step->kind == WQL_STEP_AND || step->kind == WQL_STEP_OR) {
            stack[depth++] = is_needed && step->kind == WQL_STEP_AND;
            stack[depth++] = is_needed && step->kind == WQL_STEP_AND;
        } else if (step->kind == WQL_STEP_NOT) {
            stack[depth++] = false;
        } else if (is_needed && step->compare == WQL_EQUAL &&
                   step->literal.kind == WQL_LITERAL_TEXT &&
                   strcasecmp(step->property, property) == 0) {
            return step->literal.text;
        }
    }
    return NULL;
}
