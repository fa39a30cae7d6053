/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/fields.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/limits.h"
#include "cli/answer.h"
#include "cli/human.h"

#define LABEL_COLUMNS 20

void field_text(const char *label, const char *text)
{
    char shown[PATH_TEXT_MAX];

    if (text[0] != '\0') {
        (void)human_name(text, 0, shown, sizeof shown);
        (void)printf("%-*s%s\n", LABEL_COLUMNS, label, shown);
    }
}

void field_number(const char *label, int64_t number)
{
    (void)printf("%-*s%" PRId64 "\n", LABEL_COLUMNS, label, number);
}

void field_format(const char *label, const char *format, ...)
{
    char text[PATH_TEXT_MAX];
    va_list values;

    va_start(values, format);
    (void)vsnprintf(text, sizeof text, format, values);
    va_end(values);
    field_text(label, text);
}

void field_of(const char *label, const json_t *object, const char *key)
{
    field_text(label, answer_text(object, key));
}

void field_time_of(const char *label, const json_t *object, const char *key)
{
    char text[INSTANT_TEXT_MAX];

    if (answer_us(object, key) != 0) {
        field_text(label, answer_time(object, key, text));
    }
}

void field_size_of(const char *label, const json_t *object, const char *key)
{
    char text[HUMAN_MAX];

    field_text(label, human_size(answer_amount(object, key), text));
}
