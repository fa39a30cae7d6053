/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * cim_datetime_fuzz.c - any text as a datetime: what is taken has CIM's form, is the same when read
 * again, and the same moment or interval after a way through XML Schema.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/instant.h"
#include "cim/value.h"

static void check_taken(const char *cim)
{
    char again[CIM_DATETIME_TEXT_MAX];
    char xsd[CIM_XSD_TEXT_MAX];
    int order = 1;

    assert(strlen(cim) == CIM_DATETIME_TEXT_MAX - 1 && cim_datetime_is(cim));
    bool is_same = cim_datetime_from(cim, again) && strcmp(cim, again) == 0;
    assert(is_same);
    bool is_written = cim_datetime_to_xsd(cim, xsd);
    if (!is_written) { /* XML Schema has no year 0 */
        assert(cim_datetime_has_wildcards(cim) || strncmp(cim, "0000", 4) == 0);
        return;
    }
    bool is_read = cim_datetime_from(xsd, again);
    assert(is_read && cim_datetime_is_interval(again) == cim_datetime_is_interval(cim));
    bool is_compared = cim_datetime_compare(cim, again, &order);
    assert(is_compared && order == 0);
}

/* base/instant.h knows fewer years: what it makes of the text must be the same where it takes it.
 */
static void check_with_instant(const char *cim)
{
    char expected[CIM_DATETIME_TEXT_MAX];
    int64_t us = 0;
    int order = 1;

    enum instant_form form =
        cim_datetime_has_wildcards(cim) ? INSTANT_NONE : instant_read(cim, &us);
    if (form == INSTANT_MOMENT) {
        cim_datetime_moment(us, expected);
    } else if (form == INSTANT_INTERVAL) {
        cim_datetime_interval((uint64_t)us, expected);
    } else {
        return;
    }
    bool is_compared = cim_datetime_compare(cim, expected, &order);
    assert(is_compared && order == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);
    char cim[CIM_DATETIME_TEXT_MAX];

    if (text == NULL) {
        return 0;
    }
    if (size > 0) {
        memcpy(text, data, size);
    }
    text[size] = '\0';
    if (cim_datetime_from(text, cim)) {
        check_taken(cim);
        check_with_instant(cim);
    } else {
        assert(!cim_datetime_is(text));
    }
    free(text);
    return 0;
}
