/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/answer.h"

#include <string.h>

const char *answer_text(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));

    return text == NULL ? "" : text;
}

int64_t answer_number(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    double real = json_real_value(value);

    if (json_is_integer(value)) {
        return json_integer_value(value);
    }
    return real > -9e15 && real < 9e15 ? (int64_t)real : 0;
}

bool answer_flag(const json_t *object, const char *key)
{
    return json_is_true(json_object_get(object, key));
}

uint64_t answer_amount(const json_t *object, const char *key)
{
    int64_t number = answer_number(object, key);

    return number < 0 ? 0 : (uint64_t)number;
}

const char *answer_text_of(const json_t *object, const char *key, const char *inner)
{
    return answer_text(json_object_get(object, key), inner);
}

int64_t answer_us(const json_t *object, const char *key)
{
    int64_t at_us = 0;

    return instant_read(answer_text(object, key), &at_us) == INSTANT_MOMENT ? at_us : 0;
}

const char *answer_time(const json_t *object, const char *key, char out[INSTANT_TEXT_MAX])
{
    instant_format_local(answer_us(object, key), out);
    return out;
}
