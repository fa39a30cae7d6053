/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * instant_fuzz.c - any text as a moment or an interval: what is taken lies in the years that text
 * can name, and is the same moment when it is written and read again.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/env.h"
#include "base/instant.h"

#define UNTOUCHED (-77)
#define US_PER_MS 1000

/* To the millisecond: that is what instant_format writes. */
static void check_moment(int64_t us)
{
    char text[INSTANT_TEXT_MAX];
    int64_t again_us = 0;

    assert(us > 0);
    instant_format(us, text);
    assert(text[0] != '\0');
    if (us >= US_PER_MS) {
        enum instant_form form = instant_read(text, &again_us);
        assert(form == INSTANT_MOMENT && again_us == us - us % US_PER_MS);
    }
    instant_format_local(us, text);
    assert(text[0] != '\0');
}

static void try_text(const char *text)
{
    int64_t us = UNTOUCHED;

    switch (instant_read(text, &us)) {
    case INSTANT_NONE:
        assert(us == UNTOUCHED);
        break;
    case INSTANT_MOMENT:
        check_moment(us);
        break;
    case INSTANT_INTERVAL:
        assert(us >= 0);
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const zones[] = {"UTC0", "CET-1CEST,M3.5.0,M10.5.0/3", "XXX12", "YYY-14"};
    char *text = malloc(size + 1);

    if (text == NULL) {
        return 0;
    }
    if (size > 0) {
        memcpy(text, data, size);
    }
    text[size] = '\0';
    for (size_t i = 0; i < ARRAY_COUNT(zones); i++) {
        int result = setenv("TZ", zones[i], 1);
        assert(result == 0);
        tzset();
        try_text(text);
    }
    free(text);
    return 0;
}
