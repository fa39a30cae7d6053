/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Instances take values of their class's types, and our own mistakes stop the program. */
#include "cim_things.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static void a_new_instance_has_the_mofs_defaults(void **state)
{
    struct cim_instance *thing = cim_instance_new(*state, &thing_class);
    uint64_t number = 0;

    assert_non_null(thing);
    assert_ptr_equal(thing->class, &thing_class);
    assert_ptr_equal(thing->arena, *state);
    assert_true(cim_get_number(thing, "Uint16", &number));
    assert_int_equal(number, 12);
    assert_string_equal(cim_get_text(thing, "Caption"), "none yet");
    assert_string_equal(cim_get_text(thing, "When"), "00000000000500.000000:000");
    for (uint32_t i = 0; i < thing_class.property_count; i++) {
        const struct cim_property *property = &thing_class.properties[i];
        assert_int_equal(thing->values[i].is_null, property->initial == NULL);
        assert_int_equal(thing->values[i].type, property->type);
        assert_int_equal(thing->values[i].is_array, property->is_array);
    }
}

static void a_class_without_properties_has_an_instance(void **state)
{
    struct cim_instance *base = cim_instance_new(*state, &base_class);

    assert_non_null(base);
    assert_null(cim_get(base, "Name"));
}

static void every_class_of_the_model_has_an_instance(void **state)
{
    for (uint32_t i = 0; i < cim_class_count; i++) {
        assert_non_null(cim_instance_new(*state, cim_classes[i]));
    }
    assert_int_equal(arena_done(*state, NULL), 0);
}

static void values_are_found_by_names_without_case(void **state)
{
    struct cim_instance *thing = make_thing(*state, "x");

    cim_set_text(thing, "CAPTION", "new");
    assert_string_equal(cim_get_text(thing, "caption"), "new");
    assert_null(cim_get(thing, "Captio"));
    assert_null(cim_get(thing, ""));
}

/* Each whole type at 0, min and max; the next ones beyond are in beyond_the_range_is_a_mistake. */
static void numbers_are_held_up_to_their_limits(void **state)
{
    static const struct {
        const char *name;
        uint64_t max;
    } unsigned_types[] = {{"Uint8", UINT8_MAX},
                          {"Uint16", UINT16_MAX},
                          {"Uint32", UINT32_MAX},
                          {"Uint64", UINT64_MAX}};
    static const struct {
        const char *name;
        int64_t min;
        int64_t max;
    } signed_types[] = {{"Sint8", INT8_MIN, INT8_MAX},
                        {"Sint16", INT16_MIN, INT16_MAX},
                        {"Sint32", INT32_MIN, INT32_MAX},
                        {"Sint64", INT64_MIN, INT64_MAX}};
    struct cim_instance *thing = make_thing(*state, "x");

    for (size_t i = 0; i < ARRAY_COUNT(unsigned_types); i++) {
        const uint64_t values[] = {0, 1, unsigned_types[i].max - 1, unsigned_types[i].max};
        for (size_t k = 0; k < ARRAY_COUNT(values); k++) {
            uint64_t number = 77;
            cim_set_number(thing, unsigned_types[i].name, values[k]);
            assert_true(cim_get_number(thing, unsigned_types[i].name, &number));
            assert_int_equal(number, values[k]);
        }
    }
    for (size_t i = 0; i < ARRAY_COUNT(signed_types); i++) {
        const int64_t values[] = {0, -1, signed_types[i].min, signed_types[i].max};
        for (size_t k = 0; k < ARRAY_COUNT(values); k++) {
            uint64_t number = 77;
            cim_set_integer(thing, signed_types[i].name, values[k]);
            assert_int_equal(cim_get(thing, signed_types[i].name)->items[0].integer, values[k]);
            assert_false(cim_get_number(thing, signed_types[i].name, &number));
            assert_int_equal(number, 77);
        }
    }
}

static void booleans_are_held(void **state)
{
    struct cim_instance *thing = make_thing(*state, "x");
    bool is = true;

    assert_false(cim_get_boolean(thing, "Boolean", &is));
    cim_set_boolean(thing, "Boolean", false);
    assert_true(cim_get_boolean(thing, "Boolean", &is));
    assert_false(is);
    assert_false(cim_get_boolean(thing, "Uint16", &is));
}

static void texts_are_copied_and_null_leaves_null(void **state)
{
    struct cim_instance *thing = make_thing(*state, "x");
    char text[] = "text";

    cim_set_text(thing, "Caption", text);
    text[0] = 'n';
    assert_string_equal(cim_get_text(thing, "Caption"), "text");
    cim_set_text(thing, "Caption", NULL);
    assert_true(cim_get(thing, "Caption")->is_null);
    assert_null(cim_get_text(thing, "Caption"));
    assert_null(cim_get_text(thing, "Uint16"));
    cim_set_text(thing, "Caption", "");
    assert_string_equal(cim_get_text(thing, "Caption"), "");
}

static void times_are_held(void **state)
{
    struct cim_instance *thing = make_thing(*state, "x");

    cim_set_moment(thing, "When", 1772398800LL * 1000000);
    assert_string_equal(cim_get_text(thing, "When"), "20260301210000.000000+000");
    cim_set_interval(thing, "When", 90000000);
    assert_string_equal(cim_get_text(thing, "When"), "00000000000130.000000:000");
    cim_set_text(thing, "When", "********020000.000000+***");
    assert_string_equal(cim_get_text(thing, "When"), "********020000.000000+***");
    cim_set_moment(thing, "When", 0);
    assert_true(cim_get(thing, "When")->is_null);
    cim_set_interval(thing, "When", 0);
    assert_string_equal(cim_get_text(thing, "When"), "00000000000000.000000:000");
}

static void paths_are_held(void **state)
{
    struct cim_instance *thing = make_thing(*state, "x");
    const struct cim_path *path = cim_path_new(*state, "Test_Thing", "Name", "y", NULL);

    cim_set_path(thing, "Other", path);
    assert_ptr_equal(cim_get(thing, "Other")->items[0].path, path);
    cim_set_path(thing, "Other", NULL);
    assert_true(cim_get(thing, "Other")->is_null);
}

static void arrays_are_held_and_empty_is_not_null(void **state)
{
    static const uint64_t numbers[] = {0, 65535};
    static const char *const texts[] = {"a", "", "c"};
    struct cim_instance *thing = make_thing(*state, "x");
    uint64_t number;

    cim_set_numbers(thing, "Numbers", numbers, 2);
    assert_int_equal(cim_get(thing, "Numbers")->count, 2);
    assert_int_equal(cim_get(thing, "Numbers")->items[1].number, 65535);
    assert_false(cim_get_number(thing, "Numbers", &number));
    cim_set_texts(thing, "Texts", texts, 3);
    assert_int_equal(cim_get(thing, "Texts")->count, 3);
    assert_string_equal(cim_get(thing, "Texts")->items[2].text, "c");
    assert_null(cim_get_text(thing, "Texts"));
    cim_set_texts(thing, "Texts", NULL, 0);
    assert_false(cim_get(thing, "Texts")->is_null);
    assert_int_equal(cim_get(thing, "Texts")->count, 0);
    cim_set_numbers(thing, "Numbers", NULL, 0);
    assert_false(cim_get(thing, "Numbers")->is_null);
    cim_set_null(thing, "Numbers");
    assert_true(cim_get(thing, "Numbers")->is_null && cim_get(thing, "Numbers")->is_array);
}

static void instances_are_embedded_alone_and_in_arrays(void **state)
{
    struct cim_instance *thing = make_thing(*state, "x");
    const struct cim_instance *const parts[] = {make_thing(*state, "a"), make_thing(*state, "b")};

    cim_set_instances(thing, "Part", parts, 1);
    assert_int_equal(cim_get(thing, "Part")->type, CIM_INSTANCE);
    assert_ptr_equal(cim_get(thing, "Part")->items[0].instance, parts[0]);
    assert_null(cim_get_text(thing, "Part"));
    cim_set_instances(thing, "Parts", parts, 2);
    assert_int_equal(cim_get(thing, "Parts")->count, 2);
    assert_ptr_equal(cim_get(thing, "Parts")->items[1].instance, parts[1]);
    cim_set_instances(thing, "Parts", NULL, 0);
    assert_false(cim_get(thing, "Parts")->is_null);
    cim_set_instances(thing, "Part", NULL, 0);
    assert_true(cim_get(thing, "Part")->is_null);
}

static void no_instance_is_left_alone(void **state)
{
    uint64_t number;
    bool is;

    (void)state;
    cim_set_null(NULL, "Name");
    cim_set_boolean(NULL, "Name", true);
    cim_set_number(NULL, "Name", 1);
    cim_set_integer(NULL, "Name", 1);
    cim_set_text(NULL, "Name", "x");
    cim_set_moment(NULL, "Name", 1);
    cim_set_interval(NULL, "Name", 1);
    cim_set_path(NULL, "Name", NULL);
    cim_set_numbers(NULL, "Name", NULL, 0);
    cim_set_texts(NULL, "Name", NULL, 0);
    cim_set_instances(NULL, "Name", NULL, 0);
    assert_null(cim_get(NULL, "Name"));
    assert_null(cim_get_text(NULL, "Name"));
    assert_false(cim_get_number(NULL, "Name", &number));
    assert_false(cim_get_boolean(NULL, "Name", &is));
}

/* Whatever the limit, nothing is touched that is not there, and the arena says that it was one. */
static void everything_can_be_set_while_memory_runs_out(void **state)
{
    static const uint64_t numbers[] = {1, 2, 3};
    static const char *const texts[] = {"a", "b", NULL};
    size_t limit = 0;
    bool is_enough = false;

    (void)state;
    for (; !is_enough; limit += 16) {
        struct arena arena;
        arena_init(&arena, limit);
        struct cim_instance *thing = cim_instance_new(&arena, &thing_class);
        const struct cim_instance *part = cim_instance_new(&arena, &base_class);
        cim_set_text(thing, "Name", "x");
        cim_set_number(thing, "Uint8", 1);
        cim_set_integer(thing, "Sint8", 1);
        cim_set_boolean(thing, "Boolean", true);
        cim_set_moment(thing, "When", 1);
        cim_set_path(thing, "Other", cim_path_new(&arena, "Test_Thing", "Name", "y", NULL));
        cim_set_numbers(thing, "Numbers", numbers, 3);
        cim_set_texts(thing, "Texts", texts, 2);
        cim_set_instances(thing, "Part", &part, 1);
        cim_set_instances(thing, "Parts", NULL, 0);
        is_enough = arena_done(&arena, NULL) == 0;
        assert_true(thing != NULL || !is_enough);
        arena_free(&arena);
    }
    assert_true(limit > sizeof(struct cim_instance));
}

static void a_text_that_could_not_be_made_leaves_the_array_null(void **state)
{
    static const char *const texts[] = {"a", NULL};
    const struct cim_instance *const parts[] = {make_thing(*state, "a"), NULL};
    struct cim_instance *thing = make_thing(*state, "x");

    cim_set_texts(thing, "Texts", texts, 2);
    assert_true(cim_get(thing, "Texts")->is_null);
    cim_set_instances(thing, "Parts", parts, 2);
    assert_true(cim_get(thing, "Parts")->is_null);
}

/* --- our own mistakes ------------------------------------------------------------------------- */

static struct cim_instance *mistaken;

static void unknown_name(void)
{
    cim_set_text(mistaken, "Nothing", "x");
}

static void text_into_number(void)
{
    cim_set_text(mistaken, "Uint8", "1");
}

static void number_into_text(void)
{
    cim_set_number(mistaken, "Name", 1);
}

static void number_into_signed(void)
{
    cim_set_number(mistaken, "Sint8", 1);
}

static void number_into_array(void)
{
    cim_set_number(mistaken, "Numbers", 1);
}

static void boolean_into_number(void)
{
    cim_set_boolean(mistaken, "Uint8", true);
}

static void array_into_number(void)
{
    const uint64_t numbers[] = {1};
    cim_set_numbers(mistaken, "Uint16", numbers, 1);
}

static void moment_into_text(void)
{
    cim_set_moment(mistaken, "Name", 1);
}

static void words_into_datetime(void)
{
    cim_set_text(mistaken, "When", "tomorrow");
}

static void path_into_text(void)
{
    cim_set_path(mistaken, "Name", NULL);
}

static void instance_into_plain_text(void)
{
    cim_set_instances(mistaken, "Name", NULL, 0);
}

static void instance_of_a_wrong_class(void)
{
    const struct cim_instance *part = cim_instance_new(mistaken->arena, &base_class);
    cim_set_instances(mistaken, "Parts", &part, 1);
}

static void two_instances_into_one(void)
{
    const struct cim_instance *const parts[] = {mistaken, mistaken};
    cim_set_instances(mistaken, "Part", parts, 2);
}

static void beyond_uint8(void)
{
    cim_set_number(mistaken, "Uint8", 256);
}

static void beyond_uint16(void)
{
    cim_set_number(mistaken, "Uint16", 65536);
}

static void beyond_uint32(void)
{
    cim_set_number(mistaken, "Uint32", 4294967296);
}

static void beyond_uint16_in_an_array(void)
{
    const uint64_t numbers[] = {1, 65536};
    cim_set_numbers(mistaken, "Numbers", numbers, 2);
}

static void above_sint8(void)
{
    cim_set_integer(mistaken, "Sint8", 128);
}

static void below_sint8(void)
{
    cim_set_integer(mistaken, "Sint8", -129);
}

static void above_sint16(void)
{
    cim_set_integer(mistaken, "Sint16", 32768);
}

static void below_sint16(void)
{
    cim_set_integer(mistaken, "Sint16", -32769);
}

static void above_sint32(void)
{
    cim_set_integer(mistaken, "Sint32", 2147483648);
}

static void below_sint32(void)
{
    cim_set_integer(mistaken, "Sint32", -2147483649);
}

static bool stops(void (*mistake)(void))
{
    int status = 0;
    pid_t child = fork();

    assert_true(child >= 0);
    if (child == 0) {
        const struct rlimit no_core = {0, 0};
        (void)setrlimit(RLIMIT_CORE, &no_core);
        (void)signal(SIGABRT, SIG_DFL);
        (void)close(STDERR_FILENO); /* the words of assert() */
        mistake();
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

static void wrong_names_and_types_are_a_mistake(void **state)
{
    mistaken = make_thing(*state, "x");
    assert_true(stops(unknown_name));
    assert_true(stops(text_into_number));
    assert_true(stops(number_into_text));
    assert_true(stops(number_into_signed));
    assert_true(stops(number_into_array));
    assert_true(stops(boolean_into_number));
    assert_true(stops(array_into_number));
    assert_true(stops(moment_into_text));
    assert_true(stops(words_into_datetime));
    assert_true(stops(path_into_text));
    assert_true(stops(instance_into_plain_text));
    assert_true(stops(instance_of_a_wrong_class));
    assert_true(stops(two_instances_into_one));
}

static void beyond_the_range_is_a_mistake(void **state)
{
    mistaken = make_thing(*state, "x");
    assert_true(stops(beyond_uint8));
    assert_true(stops(beyond_uint16));
    assert_true(stops(beyond_uint32));
    assert_true(stops(beyond_uint16_in_an_array));
    assert_true(stops(above_sint8));
    assert_true(stops(below_sint8));
    assert_true(stops(above_sint16));
    assert_true(stops(below_sint16));
    assert_true(stops(above_sint32));
    assert_true(stops(below_sint32));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ARENA_TEST(a_new_instance_has_the_mofs_defaults),
        ARENA_TEST(a_class_without_properties_has_an_instance),
        ARENA_TEST(every_class_of_the_model_has_an_instance),
        ARENA_TEST(values_are_found_by_names_without_case),
        ARENA_TEST(numbers_are_held_up_to_their_limits),
        ARENA_TEST(booleans_are_held),
        ARENA_TEST(texts_are_copied_and_null_leaves_null),
        ARENA_TEST(times_are_held),
        ARENA_TEST(paths_are_held),
        ARENA_TEST(arrays_are_held_and_empty_is_not_null),
        ARENA_TEST(instances_are_embedded_alone_and_in_arrays),
        ARENA_TEST(no_instance_is_left_alone),
        ARENA_TEST(everything_can_be_set_while_memory_runs_out),
        ARENA_TEST(a_text_that_could_not_be_made_leaves_the_array_null),
        ARENA_TEST(wrong_names_and_types_are_a_mistake),
        ARENA_TEST(beyond_the_range_is_a_mistake),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
