/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Values are read from what clients send, within their types' ranges, and compared. */
#include "cim_things.h"

#include <math.h>

struct reading {
    enum cim_type type;
    const char *text;
    const char *shown; /* what cim_item_text() makes of it; NULL: it is refused */
};

static void check(struct arena *arena, const struct reading *reading)
{
    char *copy = strdup(reading->text); /* of its exact size, for the address sanitizer */
    union cim_item item = {.number = 77};
    struct error err = {0};

    assert_non_null(copy);
    int result = cim_item_read(arena, reading->type, copy, &item, &err);
    if (reading->shown == NULL) {
        if (result == 0) {
            fail_msg("'%s' is taken for %s", copy, cim_type_name(reading->type));
        }
        assert_int_equal(err.kind, ERR_USAGE);
        assert_non_null(strstr(err.message, cim_type_name(reading->type)));
        assert_int_equal(item.number, 77);
    } else if (result != 0) {
        fail_msg("%s", err.message);
    }
    free(copy); /* what was read is a copy */
    if (reading->shown != NULL) {
        assert_string_equal(cim_item_text(arena, reading->type, &item), reading->shown);
    }
}

static void check_all(void **state, const struct reading *readings, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        check(*state, &readings[i]);
    }
}

/* Each whole type at 0, max, max + 1, min, min - 1, and with the zeros, signs and bases there are.
 */
static void whole_numbers_are_read_up_to_their_limits(void **state)
{
    static const struct reading readings[] = {
        {CIM_UINT8, "0", "0"},
        {CIM_UINT8, "255", "255"},
        {CIM_UINT8, "256", NULL},
        {CIM_UINT8, "-1", NULL},
        {CIM_UINT8, "-0", "0"},
        {CIM_UINT16, "0", "0"},
        {CIM_UINT16, "65535", "65535"},
        {CIM_UINT16, "65536", NULL},
        {CIM_UINT16, "-1", NULL},
        {CIM_UINT32, "0", "0"},
        {CIM_UINT32, "4294967295", "4294967295"},
        {CIM_UINT32, "4294967296", NULL},
        {CIM_UINT32, "-1", NULL},
        {CIM_UINT64, "0", "0"},
        {CIM_UINT64, "18446744073709551615", "18446744073709551615"},
        {CIM_UINT64, "18446744073709551616", NULL},
        {CIM_UINT64, "184467440737095516150", NULL},
        {CIM_UINT64, "-1", NULL},
        {CIM_UINT64, "-18446744073709551615", NULL},
        {CIM_SINT8, "0", "0"},
        {CIM_SINT8, "127", "127"},
        {CIM_SINT8, "128", NULL},
        {CIM_SINT8, "-128", "-128"},
        {CIM_SINT8, "-129", NULL},
        {CIM_SINT16, "32767", "32767"},
        {CIM_SINT16, "32768", NULL},
        {CIM_SINT16, "-32768", "-32768"},
        {CIM_SINT16, "-32769", NULL},
        {CIM_SINT32, "2147483647", "2147483647"},
        {CIM_SINT32, "2147483648", NULL},
        {CIM_SINT32, "-2147483648", "-2147483648"},
        {CIM_SINT32, "-2147483649", NULL},
        {CIM_SINT64, "0", "0"},
        {CIM_SINT64, "-0", "0"},
        {CIM_SINT64, "9223372036854775807", "9223372036854775807"},
        {CIM_SINT64, "9223372036854775808", NULL},
        {CIM_SINT64, "-9223372036854775808", "-9223372036854775808"},
        {CIM_SINT64, "-9223372036854775809", NULL},
        {CIM_SINT64, "18446744073709551615", NULL},
    };
    check_all(state, readings, ARRAY_COUNT(readings));
}

static void numbers_are_read_in_the_forms_of_dsp0201(void **state)
{
    static const struct reading readings[] = {
        {CIM_UINT16, " \t\r\n12 \n", "12"},
        {CIM_UINT16, "+12", "12"},
        {CIM_UINT16, "0012", "12"},
        {CIM_UINT16, "0x1F", "31"},
        {CIM_UINT16, "0XffFF", "65535"},
        {CIM_UINT16, "0x10000", NULL},
        {CIM_SINT16, "-0x8000", "-32768"},
        {CIM_SINT16, "-0x8001", NULL},
        {CIM_UINT16, "", NULL},
        {CIM_UINT16, "  ", NULL},
        {CIM_UINT16, "+", NULL},
        {CIM_UINT16, "-", NULL},
        {CIM_UINT16, "--1", NULL},
        {CIM_UINT16, "+-1", NULL},
        {CIM_UINT16, "0x", NULL},
        {CIM_UINT16, "x1", NULL},
        {CIM_UINT16, "1f", NULL},
        {CIM_UINT16, "0x1g", NULL},
        {CIM_UINT16, "1 2", NULL},
        {CIM_UINT16, "- 1", NULL},
        {CIM_UINT16, "1.0", NULL},
        {CIM_UINT16, "1e3", NULL},
        {CIM_UINT16, "abc", NULL},
        {CIM_UINT16, "\xd9\xa1", NULL}, /* an Arabic digit */
        {CIM_UINT16, "1\v", NULL},
        {CIM_UINT16, "TRUE", NULL},
        {CIM_INVALID, "1", NULL},
        {CIM_REFERENCE, "Test_Thing.Name=\"x\"", NULL},
        {CIM_INSTANCE, "<INSTANCE/>", NULL},
    };
    check_all(state, readings, ARRAY_COUNT(readings));
}

static void booleans_are_read_in_any_case(void **state)
{
    static const struct reading readings[] = {
        {CIM_BOOLEAN, "true", "TRUE"},   {CIM_BOOLEAN, "TRUE", "TRUE"},
        {CIM_BOOLEAN, "tRUe", "TRUE"},   {CIM_BOOLEAN, "1", "TRUE"},
        {CIM_BOOLEAN, "false", "FALSE"}, {CIM_BOOLEAN, " FALSE\n", "FALSE"},
        {CIM_BOOLEAN, "0", "FALSE"},     {CIM_BOOLEAN, "", NULL},
        {CIM_BOOLEAN, "yes", NULL},      {CIM_BOOLEAN, "2", NULL},
        {CIM_BOOLEAN, "-1", NULL},       {CIM_BOOLEAN, "01", NULL},
        {CIM_BOOLEAN, "truee", NULL},    {CIM_BOOLEAN, "t", NULL},
    };
    check_all(state, readings, ARRAY_COUNT(readings));
}

static void reals_are_read_and_written_without_loss(void **state)
{
    static const struct reading readings[] = {
        {CIM_REAL64, "0", "0.0000000000000000e+00"},
        {CIM_REAL64, "1.5", "1.5000000000000000e+00"},
        {CIM_REAL64, " -.5e-3 ", "-5.0000000000000001e-04"},
        {CIM_REAL64, "+2.", "2.0000000000000000e+00"},
        {CIM_REAL64, "1E308", "1.0000000000000000e+308"},
        {CIM_REAL64, "1.7976931348623157e308", "1.7976931348623157e+308"},
        {CIM_REAL64, "1e309", NULL},
        {CIM_REAL64, "-1e309", NULL},
        {CIM_REAL64, "1e-400", "0.0000000000000000e+00"},
        {CIM_REAL32, "3.40282347e38", "3.40282347e+38"},
        {CIM_REAL32, "-3.40282347e38", "-3.40282347e+38"},
        {CIM_REAL32, "3.5e38", NULL},
        {CIM_REAL32, "0.1", "1.00000001e-01"},
        {CIM_REAL64, "INF", "INF"},
        {CIM_REAL64, "-INF", "-INF"},
        {CIM_REAL32, "NaN", "NaN"},
        {CIM_REAL64, "", NULL},
        {CIM_REAL64, ".", NULL},
        {CIM_REAL64, "e5", NULL},
        {CIM_REAL64, "1e", NULL},
        {CIM_REAL64, "1e+", NULL},
        {CIM_REAL64, "1.5.5", NULL},
        {CIM_REAL64, "0x1p3", NULL},
        {CIM_REAL64, "infinity", NULL},
        {CIM_REAL64, "nan(1)", NULL},
        {CIM_REAL64, "1,5", NULL},
        {CIM_REAL64, "--1", NULL},
    };
    check_all(state, readings, ARRAY_COUNT(readings));
}

static void a_character_is_read_by_itself_or_by_its_number(void **state)
{
    static const struct reading readings[] = {
        {CIM_CHAR16, "A", "A"},
        {CIM_CHAR16, "5", "5"}, /* itself: no number has one digit */
        {CIM_CHAR16, " ", " "},
        {CIM_CHAR16, "65", "A"},
        {CIM_CHAR16, "0x41", "A"},
        {CIM_CHAR16, "228", "\xc3\xa4"},
        {CIM_CHAR16, "8364", "\xe2\x82\xac"},
        {CIM_CHAR16, "65535", "\xef\xbf\xbf"},
        {CIM_CHAR16, "\xc3\xa4", "\xc3\xa4"},
        {CIM_CHAR16, "\xe2\x82\xac", "\xe2\x82\xac"},
        {CIM_CHAR16, "", NULL},
        {CIM_CHAR16, "AB", NULL},
        {CIM_CHAR16, "00", NULL},
        {CIM_CHAR16, "65536", NULL},
        {CIM_CHAR16, "-65", NULL},
        {CIM_CHAR16, "55296", NULL},            /* half of a pair */
        {CIM_CHAR16, "57343", NULL},            /* the other half */
        {CIM_CHAR16, "\xf0\x9f\x98\x80", NULL}, /* beyond 16 bits */
        {CIM_CHAR16, "\xc3", NULL},
        {CIM_CHAR16, "\x80", NULL},
        {CIM_CHAR16, "\xc0\x80", NULL},
        {CIM_CHAR16, "\xe0\x80\x80", NULL},
        {CIM_CHAR16, "\xed\xa0\x80", NULL},
    };
    check_all(state, readings, ARRAY_COUNT(readings));
}

static void texts_and_datetimes_are_read(void **state)
{
    static const struct reading readings[] = {
        {CIM_STRING, "", ""},
        {CIM_STRING, "  as it is \n", "  as it is \n"},
        {CIM_DATETIME, "20260301210000.000000+000", "20260301210000.000000+000"},
        {CIM_DATETIME, "\n 2026-03-01T22:00:00+01:00 ", "20260301220000.000000+060"},
        {CIM_DATETIME, "PT5M", "00000000000500.000000:000"},
        {CIM_DATETIME, "20260301", NULL},
        {CIM_DATETIME, "", NULL},
        {CIM_DATETIME, "now", NULL},
    };
    check_all(state, readings, ARRAY_COUNT(readings));
}

static void a_number_with_many_zeros_is_refused_not_overrun(void **state)
{
    char text[2000];
    union cim_item item;

    memset(text, '0', sizeof text);
    text[sizeof text - 1] = '\0';
    assert_int_equal(cim_item_read(*state, CIM_UINT8, text, &item, NULL), -1);
    assert_int_equal(cim_item_read(*state, CIM_REAL64, text, &item, NULL), -1);
    assert_int_equal(cim_item_read(*state, CIM_CHAR16, text, &item, NULL), -1);
    text[511] = '\0';
    assert_int_equal(cim_item_read(*state, CIM_UINT8, text, &item, NULL), 0);
    text[511] = '0';
    text[512] = '\0';
    assert_int_equal(cim_item_read(*state, CIM_UINT8, text, &item, NULL), -1);
}

static void refusals_show_a_short_clean_piece_and_what_is_right(void **state)
{
    char text[300];
    union cim_item item;
    struct error err = {0};

    assert_int_equal(cim_item_read(*state, CIM_UINT16, "a\nb\x1b[2J", &item, &err), -1);
    assert_string_equal(err.message, "'a?b?[2J' is no uint16: give a whole number from 0 to 65535");
    for (size_t i = 0; i + 2 < sizeof text; i += 2) {
        memcpy(text + i, "\xc3\xa4", 3);
    }
    text[0] = 'x'; /* so that the cut would fall within a character */
    text[1] = 'x';
    memmove(text + 1, text + 2, strlen(text + 2) + 1);
    assert_int_equal(cim_item_read(*state, CIM_SINT8, text, &item, &err), -1);
    assert_non_null(strstr(err.message, "\xc3\xa4...' is no sint8: give a whole number from -128"));
}

static void no_memory_is_a_limit_and_no_usage(void **state)
{
    struct error err = {0};
    union cim_item item;
    struct arena small;

    (void)state;
    arena_init(&small, 16);
    assert_int_equal(cim_item_read(&small, CIM_STRING, "longer than sixteen", &item, &err), -1);
    assert_int_equal(err.kind, ERR_LIMIT);
    arena_free(&small);
}

/* The least and the greatest of each type, and what lies just beyond; NULL: nothing does. */
struct limit {
    const char *low;
    const char *high;
    const char *below;
    const char *above;
};

static const struct limit limits[] = {
    [CIM_BOOLEAN] = {"FALSE", "TRUE", "-1", "2"},
    [CIM_UINT8] = {"0", "255", "-1", "256"},
    [CIM_UINT16] = {"0", "65535", "-1", "65536"},
    [CIM_UINT32] = {"0", "4294967295", "-1", "4294967296"},
    [CIM_UINT64] = {"0", "18446744073709551615", "-1", "18446744073709551616"},
    [CIM_SINT8] = {"-128", "127", "-129", "128"},
    [CIM_SINT16] = {"-32768", "32767", "-32769", "32768"},
    [CIM_SINT32] = {"-2147483648", "2147483647", "-2147483649", "2147483648"},
    [CIM_SINT64] = {"-9223372036854775808", "9223372036854775807", "-9223372036854775809",
                    "9223372036854775808"},
    [CIM_REAL32] = {"-3.40282347e+38", "3.40282347e+38", "-3.5e+38", "3.5e+38"},
    [CIM_REAL64] = {"-1.7976931348623157e+308", "1.7976931348623157e+308", "-1.8e308", "1.8e308"},
    [CIM_CHAR16] = {"\x01", "\xef\xbf\xbf", "00", "65536"},
    [CIM_STRING] = {"", "any", NULL, NULL},
    [CIM_DATETIME] = {"00010101000000.000000+000", "99991231235959.999999+000",
                      "00010100000000.000000+000", "99991232000000.000000+000"},
    [CIM_REFERENCE] = {NULL, NULL, "A", "A.K=1"}, /* read by cim_path_read() */
};

static void check_limits(struct arena *arena, enum cim_type type)
{
    const struct limit *limit = &limits[type];
    const struct reading readings[] = {{type, limit->low, limit->low},
                                       {type, limit->high, limit->high},
                                       {type, limit->below, NULL},
                                       {type, limit->above, NULL}};

    assert_true((size_t)type < ARRAY_COUNT(limits) && type != CIM_INVALID);
    for (size_t i = 0; i < ARRAY_COUNT(readings); i++) {
        if (readings[i].text != NULL) {
            check(arena, &readings[i]);
        }
    }
}

static void every_type_keeps_to_its_limits(void **state)
{
    for (int type = CIM_BOOLEAN; type <= CIM_REFERENCE; type++) {
        check_limits(*state, (enum cim_type)type);
    }
}

static void check_method(struct arena *arena, const struct cim_method *method)
{
    check_limits(arena, method->type);
    for (uint32_t i = 0; i < method->parameter_count; i++) {
        check_limits(arena, method->parameters[i].type);
    }
}

static void everything_in_the_model_keeps_to_its_limits(void **state)
{
    uint32_t count = 0;

    (void)state;
    for (uint32_t i = 0; i < cim_class_count; i++) {
        struct arena arena;
        arena_init(&arena, CIM_REQUEST_BYTES);
        for (uint32_t k = 0; k < cim_classes[i]->property_count; k++, count++) {
            check_limits(&arena, cim_classes[i]->properties[k].type);
        }
        for (uint32_t k = 0; k < cim_classes[i]->method_count; k++) {
            check_method(&arena, &cim_classes[i]->methods[k]);
        }
        arena_free(&arena);
    }
    assert_true(count > 0);
}

/* --- equality --------------------------------------------------------------------------------- */

static struct cim_value value_of(struct arena *arena, enum cim_type type, const char *text)
{
    struct cim_value value = {
        .type = type, .count = 1, .items = arena_take(arena, sizeof(union cim_item))};

    assert_int_equal(cim_item_read(arena, type, text, value.items, NULL), 0);
    return value;
}

static void expect_equal(struct arena *arena, enum cim_type type_a, const char *text_a,
                         enum cim_type type_b, const char *text_b, bool expected)
{
    struct cim_value a = value_of(arena, type_a, text_a);
    struct cim_value b = value_of(arena, type_b, text_b);

    if (cim_value_equal(&a, &b) != expected || cim_value_equal(&b, &a) != expected) {
        fail_msg("%s %s and %s %s", cim_type_name(type_a), text_a, cim_type_name(type_b), text_b);
    }
    assert_true(cim_value_equal(&a, &a) && cim_value_equal(&b, &b));
}

static void values_of_a_family_are_compared(void **state)
{
    struct arena *arena = *state;

    expect_equal(arena, CIM_UINT8, "5", CIM_UINT64, "5", true);
    expect_equal(arena, CIM_UINT8, "5", CIM_SINT64, "5", true);
    expect_equal(arena, CIM_UINT8, "5", CIM_SINT64, "-5", false);
    expect_equal(arena, CIM_UINT64, "18446744073709551615", CIM_SINT64, "-1", false);
    expect_equal(arena, CIM_UINT64, "18446744073709551615", CIM_UINT64, "18446744073709551614",
                 false);
    expect_equal(arena, CIM_REAL64, "5", CIM_UINT8, "5", true);
    expect_equal(arena, CIM_REAL64, "5.5", CIM_UINT8, "5", false);
    expect_equal(arena, CIM_REAL64, "NaN", CIM_REAL32, "NaN", true);
    expect_equal(arena, CIM_REAL64, "NaN", CIM_REAL64, "1", false);
    expect_equal(arena, CIM_REAL64, "INF", CIM_REAL32, "INF", true);
    expect_equal(arena, CIM_REAL64, "INF", CIM_REAL64, "-INF", false);
    expect_equal(arena, CIM_STRING, "a", CIM_STRING, "A", false);
    expect_equal(arena, CIM_STRING, "1", CIM_UINT8, "1", false);
    expect_equal(arena, CIM_BOOLEAN, "1", CIM_UINT8, "1", false);
    expect_equal(arena, CIM_BOOLEAN, "1", CIM_BOOLEAN, "true", true);
    expect_equal(arena, CIM_DATETIME, "PT60M", CIM_DATETIME, "PT1H", true);
    expect_equal(arena, CIM_DATETIME, "2026-03-01T21:00:00Z", CIM_DATETIME,
                 "2026-03-01T22:00:00+01:00", true);
    expect_equal(arena, CIM_DATETIME, "2026-03-01T21:00:00Z", CIM_DATETIME,
                 "2026-03-01T21:00:00+01:00", false);
    expect_equal(arena, CIM_DATETIME, "20260301210000.******+000", CIM_DATETIME,
                 "20260301210000.000000+000", false);
    expect_equal(arena, CIM_DATETIME, "PT1H", CIM_STRING, "PT1H", false);
}

static void null_equals_null_alone(void **state)
{
    struct cim_value null = cim_null(CIM_UINT8, false);
    struct cim_value other = cim_null(CIM_STRING, true);
    struct cim_value zero = value_of(*state, CIM_UINT8, "0");
    struct cim_value empty = {.type = CIM_UINT8, .is_array = true};
    struct cim_value empty_too = {.type = CIM_SINT8, .is_array = true};

    assert_true(null.is_null && null.count == 0 && null.items == NULL);
    assert_true(cim_value_equal(&null, &other));
    assert_false(cim_value_equal(&null, &zero));
    assert_false(cim_value_equal(&zero, &null));
    assert_false(cim_value_equal(&null, &empty));
    assert_true(cim_value_equal(&empty, &empty_too));
}

static void arrays_are_compared_item_by_item(void **state)
{
    static const uint64_t numbers[] = {1, 2, 3};
    static const uint64_t others[] = {1, 3, 2};
    struct cim_instance *a = make_thing(*state, "a");
    struct cim_instance *b = make_thing(*state, "a");

    cim_set_numbers(a, "Numbers", numbers, 3);
    cim_set_numbers(b, "Numbers", numbers, 3);
    assert_true(cim_value_equal(cim_get(a, "Numbers"), cim_get(b, "Numbers")));
    cim_set_numbers(b, "Numbers", numbers, 2);
    assert_false(cim_value_equal(cim_get(a, "Numbers"), cim_get(b, "Numbers")));
    cim_set_numbers(b, "Numbers", others, 3);
    assert_false(cim_value_equal(cim_get(a, "Numbers"), cim_get(b, "Numbers")));
    cim_set_number(a, "Uint8", 1);
    cim_set_numbers(b, "Numbers", numbers, 1);
    assert_false(cim_value_equal(cim_get(a, "Uint8"), cim_get(b, "Numbers")));
}

/* depth instances, each in the one before; the innermost has that name. */
static struct cim_instance *nested(struct arena *arena, unsigned int depth, const char *name)
{
    struct cim_instance *inner = make_thing(arena, name);

    for (unsigned int i = 1; i < depth; i++) {
        struct cim_instance *outer = make_thing(arena, "outer");
        const struct cim_instance *const parts[] = {inner, inner};
        cim_set_instances(outer, "Parts", parts, 2);
        inner = outer;
    }
    return inner;
}

static void embedded_instances_are_compared_to_their_depth(void **state)
{
    struct arena *arena = *state;

    for (unsigned int depth = 1; depth <= CIM_NEST_MAX + 2; depth++) {
        const struct cim_instance *const all[] = {
            nested(arena, depth, "x"), nested(arena, depth, "x"), nested(arena, depth, "y")};
        struct cim_instance *a = make_thing(arena, "a");
        struct cim_instance *b = make_thing(arena, "b");
        struct cim_instance *c = make_thing(arena, "c");
        cim_set_instances(a, "Part", &all[0], 1);
        cim_set_instances(b, "Part", &all[1], 1);
        cim_set_instances(c, "Part", &all[2], 1);
        /* Each instance takes one level of CIM_NEST_MAX, and the value itself the first. */
        assert_int_equal(cim_value_equal(cim_get(a, "Part"), cim_get(b, "Part")),
                         depth < CIM_NEST_MAX);
        assert_false(cim_value_equal(cim_get(a, "Part"), cim_get(c, "Part")));
    }
}

static void instances_of_other_classes_differ(void **state)
{
    struct arena *arena = *state;
    const struct cim_instance *thing = make_thing(arena, "x");
    const struct cim_instance *base = cim_instance_new(arena, &base_class);
    struct cim_instance *a = make_thing(arena, "a");
    struct cim_instance *b = make_thing(arena, "b");

    cim_set_instances(a, "Part", &thing, 1);
    cim_set_instances(b, "Part", &base, 1);
    assert_false(cim_value_equal(cim_get(a, "Part"), cim_get(b, "Part")));
    cim_set_instances(a, "Part", &base, 1);
    assert_true(cim_value_equal(cim_get(a, "Part"), cim_get(b, "Part")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ARENA_TEST(whole_numbers_are_read_up_to_their_limits),
        ARENA_TEST(numbers_are_read_in_the_forms_of_dsp0201),
        ARENA_TEST(booleans_are_read_in_any_case),
        ARENA_TEST(reals_are_read_and_written_without_loss),
        ARENA_TEST(a_character_is_read_by_itself_or_by_its_number),
        ARENA_TEST(texts_and_datetimes_are_read),
        ARENA_TEST(a_number_with_many_zeros_is_refused_not_overrun),
        ARENA_TEST(refusals_show_a_short_clean_piece_and_what_is_right),
        ARENA_TEST(no_memory_is_a_limit_and_no_usage),
        ARENA_TEST(every_type_keeps_to_its_limits),
        ARENA_TEST(everything_in_the_model_keeps_to_its_limits),
        ARENA_TEST(values_of_a_family_are_compared),
        ARENA_TEST(null_equals_null_alone),
        ARENA_TEST(arrays_are_compared_item_by_item),
        ARENA_TEST(embedded_instances_are_compared_to_their_depth),
        ARENA_TEST(instances_of_other_classes_differ),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
