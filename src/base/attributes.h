/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * attributes.h - the closed list of compiler attributes that this code uses (STYLE: language).
 */
#ifndef RESILVER_BASE_ATTRIBUTES_H
#define RESILVER_BASE_ATTRIBUTES_H

#include <stddef.h>

/* A result that must be looked at; every function that can fail carries it. */
#define MUST_CHECK __attribute__((warn_unused_result))

/* printf-like: FORMAT_AT(which argument is the format, which is the first value). */
#define FORMAT_AT(format_index, first_index)                                                       \
    __attribute__((format(printf, format_index, first_index)))

/* Runs `function(&variable)` when the variable leaves its scope. */
#define CLEANUP(function) __attribute__((cleanup(function)))

/* Takes the value out of an owning variable: the variable is NULL afterwards, so its cleanup does
 * nothing. */
#define TAKE(pointer)                                                                              \
    ({                                                                                             \
        __typeof__(pointer) take_value_ = (pointer);                                               \
        (pointer) = NULL;                                                                          \
        take_value_;                                                                               \
    })

#define ARRAY_COUNT(array) (sizeof(array) / sizeof((array)[0]))

#endif
