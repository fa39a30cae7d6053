/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * wql_match.c - whether an instance fits a query. Truth has three values: a comparison with null is
 * unknown, and only what is true matches.
 */
#include <assert.h>
#include <math.h>
#include <string.h>
#include <strings.h>

#include "cim/wql_internal.h"

static enum wql_truth truth_of(bool is_true)
{
    return is_true ? WQL_TRUE : WQL_FALSE;
}

/* What an order (below, at or above 0) means for a comparison. */
static enum wql_truth compare_order(enum wql_compare compare, int order)
{
    switch (compare) {
    case WQL_EQUAL:
        return truth_of(order == 0);
    case WQL_NOT_EQUAL:
        return truth_of(order != 0);
    case WQL_LESS:
        return truth_of(order < 0);
    case WQL_LESS_EQUAL:
        return truth_of(order <= 0);
    case WQL_GREATER:
        return truth_of(order > 0);
    case WQL_GREATER_EQUAL:
        return truth_of(order >= 0);
    case WQL_NONE:
    case WQL_LIKE:
    case WQL_ISA:
    case WQL_IS_NULL:
    case WQL_IS_NOT_NULL:
        break;
    }
    return WQL_UNKNOWN;
}

static enum wql_truth compare_number(const struct wql_step *step, const struct wql_number *number)
{
    if (!step->literal.has_number || isnan(number->real)) {
        return WQL_UNKNOWN;
    }
    return compare_order(step->compare, wql_number_compare(number, &step->literal.number));
}

static enum wql_truth compare_integer(const struct wql_step *step, int64_t value)
{
    struct wql_number number = {.is_negative = value < 0,
                                .magnitude = value < 0 ? 0 - (uint64_t)value : (uint64_t)value,
                                .real = (double)value};

    return compare_number(step, &number);
}

/* With a number it is compared as one if it is one. */
static enum wql_truth compare_text(const struct wql_step *step, const char *text,
                                   struct arena *arena)
{
    struct wql_number number;

    if (step->compare == WQL_LIKE) {
        return truth_of(wql_like(step->literal.text, text));
    }
    if (step->literal.kind == WQL_LITERAL_NUMBER && wql_number_read(arena, text, &number)) {
        return compare_number(step, &number);
    }
    return compare_order(step->compare, strcasecmp(text, step->literal.text));
}

static enum wql_truth compare_moment(const struct wql_step *step, const char *text)
{
    bool is_interval = false;
    int64_t at_us = 0;

    if (step->compare == WQL_LIKE) {
        return truth_of(wql_like(step->literal.text, text));
    }
    if (!step->literal.has_moment || !wql_moment_read(text, &is_interval, &at_us) ||
        is_interval != step->literal.is_interval) {
        return WQL_UNKNOWN; /* a moment is not before or after a length of time */
    }
    return compare_order(step->compare,
                         (at_us > step->literal.moment_us) - (at_us < step->literal.moment_us));
}

/* Wherever the two objects are said to be: a client may or may not name host and namespace. */
static enum wql_truth compare_path(const struct wql_step *step, const struct cim_path *path)
{
    if (step->literal.path == NULL) {
        return WQL_UNKNOWN;
    }
    struct cim_path a = *path;
    struct cim_path b = *step->literal.path;
    a.host = b.host = "";
    a.namespace_name = b.namespace_name = "";
    return compare_order(step->compare, cim_path_equal(&a, &b) ? 0 : 1);
}

static enum wql_truth compare_instance(const struct wql_step *step,
                                       const struct cim_instance *instance)
{
    return step->compare == WQL_ISA
               ? truth_of(cim_class_is_named(instance->class, step->literal.text))
               : WQL_UNKNOWN;
}

static enum wql_truth compare_item(const struct wql_step *step, enum cim_type type,
                                   const union cim_item *item, struct arena *arena)
{
    switch (type) {
    case CIM_BOOLEAN:
        return step->literal.has_boolean
                   ? compare_order(step->compare, item->boolean != step->literal.boolean)
                   : WQL_UNKNOWN;
    case CIM_UINT8:
    case CIM_UINT16:
    case CIM_UINT32:
    case CIM_UINT64:
        return compare_number(
            step, &(struct wql_number){.magnitude = item->number, .real = (double)item->number});
    case CIM_SINT8:
    case CIM_SINT16:
    case CIM_SINT32:
    case CIM_SINT64:
        return compare_integer(step, item->integer);
    case CIM_REAL32:
    case CIM_REAL64:
        return compare_number(step, &(struct wql_number){.is_real = true, .real = item->real});
    case CIM_CHAR16:
    case CIM_STRING:
        return compare_text(step, item->text, arena);
    case CIM_DATETIME:
        return compare_moment(step, item->text);
    case CIM_REFERENCE:
        return compare_path(step, item->path);
    case CIM_INSTANCE:
        return compare_instance(step, item->instance);
    case CIM_INVALID:
        break;
    }
    return WQL_UNKNOWN;
}

/* Of the class itself: __CLASS. */
static enum wql_truth compare_class(const struct wql_step *step,
                                    const struct cim_instance *instance)
{
    if (step->compare == WQL_IS_NULL || step->compare == WQL_IS_NOT_NULL) {
        return truth_of(step->compare == WQL_IS_NOT_NULL);
    }
    return step->compare == WQL_ISA ? compare_instance(step, instance)
                                    : compare_text(step, instance->class->name, instance->arena);
}

static enum wql_truth compare_value(const struct wql_step *step,
                                    const struct cim_instance *instance)
{
    if (strcasecmp(step->property, WQL_CLASS) == 0) {
        return compare_class(step, instance);
    }
    const struct cim_value *value = cim_get(instance, step->property);
    bool is_null = value == NULL || value->is_null;
    if (step->compare == WQL_IS_NULL || step->compare == WQL_IS_NOT_NULL) {
        return truth_of(is_null == (step->compare == WQL_IS_NULL));
    }
    if (is_null) {
        return WQL_UNKNOWN;
    }
    enum wql_truth truth = value->is_array ? WQL_FALSE : WQL_UNKNOWN;
    for (uint32_t i = 0; i < value->count && truth != WQL_TRUE; i++) {
        truth = compare_item(step, value->type, &value->items[i], instance->arena);
    }
    return truth;
}

static enum wql_truth lesser(enum wql_truth a, enum wql_truth b)
{
    return a < b ? a : b;
}

static enum wql_truth greater(enum wql_truth a, enum wql_truth b)
{
    return a > b ? a : b;
}

bool wql_matches(const struct wql *query, const struct cim_instance *instance)
{
    enum wql_truth stack[WQL_STEPS_MAX];
    uint32_t depth = 0;

    assert(query->kind == WQL_SELECT && query->step_count <= WQL_STEPS_MAX);
    for (uint32_t i = 0; i < query->step_count; i++) {
        const struct wql_step *step = &query->steps[i];

        switch (step->kind) {
        case WQL_STEP_COMPARE:
            stack[depth++] = compare_value(step, instance);
            break;
        case WQL_STEP_NOT:
            assert(depth >= 1);
            stack[depth - 1] = (enum wql_truth)(WQL_TRUE - stack[depth - 1]);
            break;
        case WQL_STEP_AND:
            assert(depth >= 2);
            depth--;
            stack[depth - 1] = lesser(stack[depth - 1], stack[depth]);
            break;
        case WQL_STEP_OR:
            assert(depth >= 2);
            depth--;
            stack[depth - 1] = greater(stack[depth - 1], stack[depth]);
            break;
        case WQL_STEP_INVALID:
            assert(false);
        }
    }
    assert(depth == (query->step_count > 0)); /* invariant 2 of wql_parse.c */
    return depth == 0 || stack[0] == WQL_TRUE;
}
