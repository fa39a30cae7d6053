/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Object paths as text of WMI and WBEM, and what they name. */
#include "cim_things.h"

#include <stdio.h>

#define VM_ID "3AA32387-6924-448C-835D-06E63A624C3E"
#define VM_ID_LOWER "3aa32387-6924-448c-835d-06e63a624c3e"

struct reading {
    const char *text;
    const char *host;
    const char *namespace_name;
    const char *class_name;
    const char *printed; /* NULL: as the text */
};

static void check_reading(struct arena *arena, const struct reading *reading)
{
    char *copy = strdup(reading->text); /* of its exact size, for the address sanitizer */
    const struct cim_path *path;

    assert_non_null(copy);
    path = read_path(arena, copy);
    free(copy);
    assert_string_equal(path->host, reading->host);
    assert_string_equal(path->namespace_name, reading->namespace_name);
    assert_string_equal(path->class_name, reading->class_name);
    assert_string_equal(cim_path_text(arena, path),
                        reading->printed == NULL ? reading->text : reading->printed);
}

static void paths_are_read_and_printed_in_every_form(void **state)
{
    static const struct reading readings[] = {
        {"Msvm_ConcreteJob", "", "", "Msvm_ConcreteJob", NULL},
        {"root/virtualization/v2:Msvm_ConcreteJob", "", "root/virtualization/v2",
         "Msvm_ConcreteJob", NULL},
        {"//host.example/root/virtualization/v2:A.K=\"v\"", "host.example",
         "root/virtualization/v2", "A", NULL},
        {"\\\\HOST\\root\\virtualization\\v2:A.K=\"v\"", "HOST", "root\\virtualization\\v2", "A",
         "//HOST/root/virtualization/v2:A.K=\"v\""},
        {"\\\\.\\root\\virtualization\\v2:A.K=\"v\"", ".", "root\\virtualization\\v2", "A",
         "//./root/virtualization/v2:A.K=\"v\""},
        {"//host:5989/interop:A.K=\"v\"", "host:5989", "interop", "A", NULL},
        {"//[fe80::1]:5989/interop:A.K=\"v\"", "[fe80::1]:5989", "interop", "A", NULL},
        {"/ROOT/interop:A.K=\"v\"", "", "/ROOT/interop", "A", "ROOT/interop:A.K=\"v\""},
        {"A.K=\"v\",L=\"w\"", "", "", "A", NULL},
        {" A . K = \"v\" , L = 7 \n", "", "", "A", "A.K=\"v\",L=7"},
        {"A.K='it is \"so\"'", "", "", "A", "A.K=\"it is \\\"so\\\"\""},
        {"A.K=\"\"", "", "", "A", NULL},
        {"A.K=\"a,b.c=d:e@f\"", "", "", "A", NULL},
        {"A.K=\"Microsoft:x\\\\HVR\\\\0\"", "", "", "A", NULL},
        {"A.K=12", "", "", "A", NULL},
        {"A.K=-12", "", "", "A", NULL},
        {"A.K=0x1F", "", "", "A", "A.K=31"},
        {"A.K=18446744073709551615", "", "", "A", NULL},
        {"A.K=-9223372036854775808", "", "", "A", NULL},
        {"A.K=true,L=FALSE", "", "", "A", "A.K=TRUE,L=FALSE"},
        {"A=\"v\"", "", "", "A", NULL},
        {"A=7", "", "", "A", NULL},
        {"A=@", "", "", "A", "A"},
        {"root/interop:A=@ ", "", "root/interop", "A", "root/interop:A"},
        {"_a1.k_2=\"\xc3\xa4\"", "", "", "_a1", NULL},
    };
    for (size_t i = 0; i < ARRAY_COUNT(readings); i++) {
        check_reading(*state, &readings[i]);
    }
}

static void keys_have_types_and_texts(void **state)
{
    const struct cim_path *path =
        read_path(*state, "A.T=\"x\\\"y\\\\z\",Number=7,Less=-7,Yes=TRUE");

    assert_int_equal(path->key_count, 4);
    assert_int_equal(path->keys[0].type, CIM_STRING);
    assert_string_equal(path->keys[0].text, "x\"y\\z");
    assert_int_equal(path->keys[1].type, CIM_UINT64);
    assert_int_equal(path->keys[2].type, CIM_SINT64);
    assert_string_equal(path->keys[2].text, "-7");
    assert_int_equal(path->keys[3].type, CIM_BOOLEAN);
    assert_string_equal(cim_path_key(path, "NUMBER"), "7");
    assert_null(cim_path_key(path, "Other"));
    assert_null(cim_path_key(NULL, "Other"));
    assert_string_equal(cim_path_key(read_path(*state, "A=\"v\""), "InstanceID"), "v");
    assert_null(cim_path_key(read_path(*state, "A=@"), "InstanceID"));
}

static void broken_paths_are_refused(void **state)
{
    static const char *const texts[] = {
        "",
        " ",
        ":",
        ".",
        "=",
        "@",
        "\"A\"",
        "1A",
        "A-B",
        "A.",
        "A.=",
        "A.K",
        "A.K=",
        "A.K=,",
        "A.=\"v\"",
        "A.1=\"v\"",
        "A.K=\"v",
        "A.K=\"v\\\"",
        "A.K=\"v\\",
        "A.K='v\"",
        "A.K=\"v\"x",
        "A.K=\"v\",",
        "A.K=\"v\",,L=\"w\"",
        "A.K=\"v\" L=\"w\"",
        "A.K=\"v\";L=\"w\"",
        "A.K=\"v\",K=\"w\"",
        "A.K=\"v\",k=\"w\"",
        "A.K=\"a\\b\"",
        "A.K=\"a\\n\"",
        "A.K=v",
        "A.K=1.5",
        "A.K=18446744073709551616",
        "A.K=-9223372036854775809",
        "A.K=NULL",
        "A.K=@",
        "A=",
        "A=v",
        "A=@x",
        "A=\"v\",L=\"w\"",
        "A B",
        "A:B:C",
        ":A",
        "root/interop:",
        "root/interop",
        "root/inter op:A",
        "//:A",
        "//host",
        "//host:A",
        "///interop:A",
        "//host/",
        "//host/:A",
        "//host/interop",
        "//ho st/interop:A",
        "/:A",
        "\\/:A",
        "http://host/root/interop:A.K=\"v\"",
        "\xc3\xa4.K=\"v\"",
    };
    for (size_t i = 0; i < ARRAY_COUNT(texts); i++) {
        const struct cim_path *path = NULL;
        struct error err = {0};
        char *copy = strdup(texts[i]);
        assert_non_null(copy);
        if (cim_path_read(*state, copy, &path, &err) == 0) {
            fail_msg("'%s' is taken for %s", copy, cim_path_text(*state, path));
        }
        free(copy);
        assert_null(path);
        assert_int_equal(err.kind, ERR_USAGE);
    }
}

static void more_keys_than_any_class_has_are_refused(void **state)
{
    char text[512] = "A.";
    const struct cim_path *path = NULL;
    struct error err = {0};

    for (unsigned int i = 0; i < CIM_KEYS_MAX; i++) {
        size_t len = strlen(text);
        (void)snprintf(text + len, sizeof text - len, "%sK%u=%u", i == 0 ? "" : ",", i, i);
    }
    assert_int_equal(read_path(*state, text)->key_count, CIM_KEYS_MAX);
    size_t len = strlen(text);
    (void)snprintf(text + len, sizeof text - len, ",K=1");
    assert_int_equal(cim_path_read(*state, text, &path, &err), -1);
    assert_int_equal(err.kind, ERR_USAGE);
}

static void a_text_over_the_limit_is_refused(void **state)
{
    const struct cim_path *path = NULL;
    char *text = calloc(1, CIM_TEXT_MAX + 2);

    assert_non_null(text);
    memset(text, 'A', CIM_TEXT_MAX);
    assert_int_equal(cim_path_read(*state, text, &path, NULL), 0);
    text[CIM_TEXT_MAX] = 'A';
    path = NULL;
    assert_int_equal(cim_path_read(*state, text, &path, NULL), -1);
    assert_null(path);
    free(text);
}

/* Whatever the limit, it is a limit that is reported, and not a mistake of the caller. */
static void no_memory_is_a_limit_wherever_it_ends(void **state)
{
    static const char text[] = "//h/root/interop:A.K=\"v\",L=-7,M=TRUE,N='x'";
    bool is_enough = false;

    (void)state;
    for (size_t limit = 0; !is_enough; limit += 16) {
        const struct cim_path *path = NULL;
        struct error err = {0};
        struct arena arena;
        arena_init(&arena, limit);
        is_enough = cim_path_read(&arena, text, &path, &err) == 0;
        if (!is_enough) {
            assert_int_equal(err.kind, ERR_LIMIT);
        }
        assert_int_equal(path != NULL, is_enough);
        (void)cim_path_text(&arena, path);
        arena_free(&arena);
    }
}

/* --- building --------------------------------------------------------------------------------- */

static void paths_are_built_from_pairs(void **state)
{
    const struct cim_path *path = cim_path_new(*state, "Msvm_ComputerSystem", "CreationClassName",
                                               "Msvm_ComputerSystem", "Name", VM_ID, NULL);

    assert_string_equal(
        cim_path_text(*state, path),
        "Msvm_ComputerSystem.CreationClassName=\"Msvm_ComputerSystem\",Name=\"" VM_ID "\"");
    assert_string_equal(cim_path_text(*state, cim_path_new(*state, "A", NULL)), "A");
    assert_string_equal(cim_path_text(*state, NULL), "");
}

static void a_value_that_there_was_no_memory_for_makes_no_path(void **state)
{
    struct arena arena;

    (void)state;
    arena_init(&arena, 4096);
    const char *value = arena_print(&arena, "%*s", 5000, "x");
    assert_null(value);
    assert_null(cim_path_new(&arena, "A", "K", value, NULL));
    assert_null(cim_instance_path(&arena, NULL, "root"));
    arena_free(&arena);
}

static void an_instance_is_named_by_its_keys(void **state)
{
    struct cim_instance *thing = make_thing(*state, "x\"y");
    struct cim_instance *counter = cim_instance_new(*state, &counter_class);

    assert_string_equal(
        cim_path_text(*state, cim_instance_path(*state, thing, "root/virtualization/v2")),
        "root/virtualization/v2:Test_Thing.CreationClassName=\"Test_Thing\",Name=\"x\\\"y\"");
    cim_set_number(counter, "Index", 7);
    cim_set_integer(counter, "Level", -3);
    cim_set_boolean(counter, "IsMain", true);
    assert_string_equal(cim_path_text(*state, cim_instance_path(*state, counter, "")),
                        "Test_Counter.Index=7,Level=-3,IsMain=TRUE");
}

static const struct cim_instance *link_of(struct arena *arena, const char *a, const char *b)
{
    struct cim_instance *link = cim_instance_new(arena, &link_class);

    assert_non_null(link);
    cim_set_path(link, "Antecedent",
                 cim_instance_path(arena, make_thing(arena, a), "root/interop"));
    cim_set_path(link, "Dependent", cim_instance_path(arena, make_thing(arena, b), "root/interop"));
    return link;
}

static void a_reference_is_printed_as_a_quoted_path(void **state)
{
    const struct cim_path *path = cim_instance_path(*state, link_of(*state, "a", "b\\"), "");

    assert_string_equal(
        cim_path_text(*state, path),
        "Test_Link.Antecedent=\"root/interop:Test_Thing.CreationClassName=\\\"Test_Thing\\\","
        "Name=\\\"a\\\"\",Dependent=\"root/interop:Test_Thing.CreationClassName="
        "\\\"Test_Thing\\\",Name=\\\"b\\\\\\\\\\\"\"");
}

/* depth paths, each the only key of the one before; the innermost has the key K with that value. */
static const struct cim_path *nested(struct arena *arena, unsigned int depth, const char *value)
{
    const struct cim_path *inner = cim_path_new(arena, "A", "K", value, NULL);

    for (unsigned int i = 1; i < depth; i++) {
        struct cim_path *outer = arena_take(arena, sizeof *outer);
        struct cim_key *key = arena_take(arena, sizeof *key);
        *key = (struct cim_key){.name = "R", .type = CIM_REFERENCE, .text = "", .path = inner};
        *outer = (struct cim_path){
            .host = "", .namespace_name = "", .class_name = "B", .keys = key, .key_count = 1};
        inner = outer;
    }
    return inner;
}

static void paths_within_paths_are_printed_to_a_depth(void **state)
{
    assert_string_equal(cim_path_text(*state, nested(*state, 3, "\"")),
                        "B.R=\"B.R=\\\"A.K=\\\\\\\"\\\\\\\\\\\\\\\"\\\\\\\"\\\"\"");
    for (unsigned int depth = 1; depth <= 40; depth++) {
        const struct cim_path *path = nested(*state, depth, "v");
        const struct cim_path *again = read_path(*state, cim_path_text(*state, path));
        assert_int_equal(cim_path_equal(path, again), depth <= CIM_NEST_MAX);
    }
}

static void paths_within_paths_are_compared_without_end(void **state)
{
    assert_true(cim_path_equal(nested(*state, 10000, "v"), nested(*state, 10000, "v")));
    assert_false(cim_path_equal(nested(*state, 10000, "v"), nested(*state, 10000, "w")));
    assert_false(cim_path_equal(nested(*state, 10000, "v"), nested(*state, 9999, "v")));
}

/* --- what a path names ------------------------------------------------------------------------ */

static void expect_match(struct arena *arena, const struct cim_instance *instance, const char *text,
                         bool expected)
{
    if (cim_path_matches(read_path(arena, text), instance) != expected) {
        fail_msg("%s %s", text, expected ? "does not match" : "matches");
    }
}

static void a_path_names_the_instance_with_equal_keys(void **state)
{
    struct arena *arena = *state;
    const struct cim_instance *thing = make_thing(arena, "Microsoft:" VM_ID "\\HVR\\0");

    expect_match(arena, thing,
                 "Test_Thing.CreationClassName=\"Test_Thing\",Name=\"Microsoft:" VM_ID
                 "\\\\HVR\\\\0\"",
                 true);
    expect_match(arena, thing,
                 "TEST_thing.name=\"Microsoft:" VM_ID
                 "\\\\HVR\\\\0\",creationclassname=\"TEST_THING\"",
                 true);
    expect_match(arena, thing,
                 "Test_Base.CreationClassName=\"Test_Thing\",Name=\"Microsoft:" VM_ID
                 "\\\\HVR\\\\0\"",
                 true);
    expect_match(arena, thing,
                 "Test_Thing.CreationClassName=\"Test_Thing\",Name=\"Microsoft:" VM_ID_LOWER
                 "\\\\HVR\\\\0\"",
                 true);
    expect_match(arena, thing,
                 "Test_Thing.CreationClassName=\"Test_Thing\",Name=\"microsoft:" VM_ID
                 "\\\\HVR\\\\0\"",
                 false);
    expect_match(arena, thing,
                 "Test_Thing.CreationClassName=\"Test_Thing\",Name=\"Microsoft:" VM_ID
                 "\\\\hvr\\\\0\"",
                 false);
    expect_match(arena, thing,
                 "Test_Thing.CreationClassName=\"Test_Thing\",Name=\"Microsoft:" VM_ID
                 "\\\\HVR\\\\1\"",
                 false);
    expect_match(arena, thing,
                 "Test_Thing.CreationClassName=\"Test_Thing\",Name=\"Microsoft:" VM_ID
                 "\\\\HVR\\\\0x\"",
                 false);
    expect_match(arena, thing,
                 "Test_Thing.CreationClassName=\"Test_Thing\",Name=\"Microsoft:" VM_ID "\"", false);
    expect_match(arena, thing,
                 "Test_Thing.CreationClassName=\"Test_Other\",Name=\"Microsoft:" VM_ID
                 "\\\\HVR\\\\0\"",
                 false);
    expect_match(arena, thing,
                 "Test_Link.CreationClassName=\"Test_Thing\",Name=\"Microsoft:" VM_ID
                 "\\\\HVR\\\\0\"",
                 false);
}

static void missing_and_foreign_keys_name_nothing(void **state)
{
    struct arena *arena = *state;
    const struct cim_instance *thing = make_thing(arena, "x");
    const struct cim_instance *base = cim_instance_new(arena, &base_class);

    expect_match(arena, thing, "Test_Thing.CreationClassName=\"Test_Thing\",Name=\"x\"", true);
    expect_match(arena, thing, "Test_Thing", false);
    expect_match(arena, thing, "Test_Thing=@", false);
    expect_match(arena, thing, "Test_Thing=\"x\"", false);
    expect_match(arena, thing, "Test_Thing.Name=\"x\"", false);
    expect_match(arena, thing, "Test_Thing.Name=\"x\",Caption=\"none yet\"", false);
    expect_match(arena, thing, "Test_Thing.CreationClassName=\"Test_Thing\",Name=\"x\",Uint16=12",
                 false);
    expect_match(arena, base, "Test_Base=@", true);
    assert_false(cim_path_matches(NULL, thing));
    assert_false(cim_path_matches(read_path(arena, "Test_Thing"), NULL));
}

static void the_only_key_needs_no_name(void **state)
{
    const struct cim_class *class = cim_class_find(CIM_SPACE_VIRTUALIZATION, "Msvm_ConcreteJob");

    assert_non_null(class);
    struct cim_instance *job = cim_instance_new(*state, class);
    cim_set_text(job, "InstanceID", VM_ID);
    expect_match(*state, job, "Msvm_ConcreteJob=\"" VM_ID_LOWER "\"", true);
    expect_match(*state, job, "CIM_ConcreteJob.InstanceID='" VM_ID "'", true);
    expect_match(*state, job, "Msvm_ConcreteJob=\"x\"", false);
    expect_match(*state, job, "Msvm_ConcreteJob", false);
}

/* WS-Management's selectors are texts, whatever the key's type. */
static void keys_that_are_no_texts_match_in_any_form(void **state)
{
    struct arena *arena = *state;
    struct cim_instance *counter = cim_instance_new(arena, &counter_class);

    cim_set_number(counter, "Index", 7);
    cim_set_integer(counter, "Level", -3);
    cim_set_boolean(counter, "IsMain", true);
    expect_match(arena, counter, "Test_Counter.Index=7,Level=-3,IsMain=TRUE,Since=\"PT1H\"", false);
    cim_set_interval(counter, "Since", 3600000000);
    expect_match(arena, counter, "Test_Counter.Index=7,Level=-3,IsMain=TRUE,Since=\"PT1H\"", true);
    expect_match(arena, counter,
                 "Test_Counter.Index=\"0x7\",Level=\"-03\",IsMain=\"true\",Since=\"00000000010000."
                 "000000:000\"",
                 true);
    expect_match(arena, counter, "Test_Counter.Index=7,Level=-3,IsMain=1,Since=\"PT60M\"", true);
    expect_match(arena, counter, "Test_Counter.Index=8,Level=-3,IsMain=TRUE,Since=\"PT1H\"", false);
    expect_match(arena, counter, "Test_Counter.Index=65543,Level=-3,IsMain=TRUE,Since=\"PT1H\"",
                 false);
    expect_match(arena, counter, "Test_Counter.Index=7,Level=253,IsMain=TRUE,Since=\"PT1H\"",
                 false);
    expect_match(arena, counter, "Test_Counter.Index=7,Level=-3,IsMain=FALSE,Since=\"PT1H\"",
                 false);
    expect_match(arena, counter, "Test_Counter.Index=7,Level=-3,IsMain=TRUE,Since=\"PT2H\"", false);
    expect_match(arena, counter, "Test_Counter.Index=\"\",Level=-3,IsMain=TRUE,Since=\"PT1H\"",
                 false);
}

static void associations_are_named_by_references_in_any_form(void **state)
{
    struct arena *arena = *state;
    const struct cim_instance *link = link_of(arena, "a", VM_ID);
    const struct cim_path *own = cim_instance_path(arena, link, "");

    assert_true(cim_path_matches(own, link));
    assert_false(cim_path_matches(own, link_of(arena, "a", "c")));
    assert_false(cim_path_matches(own, make_thing(arena, "a")));
    expect_match(arena, link, cim_path_text(arena, own), true);
    expect_match(
        arena, link,
        "Test_Link.Antecedent=\"\\\\\\\\HOST\\\\root\\\\interop:Test_Thing.CreationClassName="
        "\\\"Test_Thing\\\",Name=\\\"a\\\"\",Dependent=\"Test_Thing.Name=\\\"" VM_ID_LOWER
        "\\\",CreationClassName=\\\"Test_Thing\\\"\"",
        true);
    expect_match(arena, link,
                 "Test_Link.Antecedent=\"root/cimv2:Test_Thing.CreationClassName="
                 "\\\"Test_Thing\\\",Name=\\\"a\\\"\",Dependent=\"Test_Thing.Name=\\\"" VM_ID
                 "\\\",CreationClassName=\\\"Test_Thing\\\"\"",
                 false);
    expect_match(arena, link, "Test_Link.Antecedent=\"no path\",Dependent=7", false);
}

static void expect_equal(struct arena *arena, const char *a, const char *b, bool expected)
{
    const struct cim_path *path_a = read_path(arena, a);
    const struct cim_path *path_b = read_path(arena, b);

    if (cim_path_equal(path_a, path_b) != expected || cim_path_equal(path_b, path_a) != expected) {
        fail_msg("%s, %s", a, b);
    }
    assert_true(cim_path_equal(path_a, path_a));
}

static void paths_are_equal_by_what_they_name(void **state)
{
    struct arena *arena = *state;

    expect_equal(arena, "A.K=\"v\",L=7", "a.l=7,k=\"v\"", true);
    expect_equal(arena, "A.K=\"v\"", "A.K=\"V\"", false);
    expect_equal(arena, "A.K=\"" VM_ID "\"", "A.K=\"" VM_ID_LOWER "\"", true);
    expect_equal(arena, "A.K=\"v\"", "B.K=\"v\"", false);
    expect_equal(arena, "A.K=\"v\"", "A.K=\"v\",L=7", false);
    expect_equal(arena, "A.K=\"v\"", "A.L=\"v\"", false);
    expect_equal(arena, "A.K=\"v\"", "A=\"v\"", true);
    expect_equal(arena, "A=\"v\"", "A=\"w\"", false);
    expect_equal(arena, "A", "A=@", true);
    expect_equal(arena, "A.K=7", "A.K=\"7\"", true);
    expect_equal(arena, "A.K=7", "A.K=\" 0x7\"", true);
    expect_equal(arena, "A.K=7", "A.K=-7", false);
    expect_equal(arena, "A.K=7", "A.K=\"seven\"", false);
    expect_equal(arena, "A.K=18446744073709551615", "A.K=18446744073709551614", false);
    expect_equal(arena, "A.K=TRUE", "A.K=\"true\"", true);
    expect_equal(arena, "A.K=TRUE", "A.K=FALSE", false);
    expect_equal(arena, "root/interop:A.K=\"v\"", "A.K=\"v\"", true);
    expect_equal(arena, "root/interop:A.K=\"v\"", "interop:A.K=\"v\"", true);
    expect_equal(arena, "//h///interop:A.K=\"v\"", "interop:A.K=\"v\"", true);
    expect_equal(arena, "//h/root/interop:A.K=\"v\"", "//i/ROOT\\interop:A.K=\"v\"", true);
    expect_equal(arena, "root/interop:A.K=\"v\"", "root/virtualization/v2:A.K=\"v\"", false);
    expect_equal(arena, "root/interop:A.K=\"v\"", "root/cimv2:A.K=\"v\"", false);
    expect_equal(arena, "root/cimv2:A.K=\"v\"", "ROOT/cimv2:A.K=\"v\"", true);
    expect_equal(arena, "/Root/cimv2/:A.K=\"v\"", "ROOT\\cimv2:A.K=\"v\"", true);
    expect_equal(arena, "root/cimv2:A.K=\"v\"", "root/cimv22:A.K=\"v\"", false);
    expect_equal(arena, "root/interop:A.K=\"v\"", "root/interop/x:A.K=\"v\"", false);
    expect_equal(arena, "A.CreationClassName=\"a\"", "A.CreationClassName=\"A\"", true);
    expect_equal(arena, "A.SystemCreationClassName=\"a\"", "A.SystemCreationClassName=\"A\"", true);
    expect_equal(arena, "A.SystemName=\"a\"", "A.SystemName=\"A\"", false);
    assert_false(cim_path_equal(NULL, read_path(arena, "A")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ARENA_TEST(paths_are_read_and_printed_in_every_form),
        ARENA_TEST(keys_have_types_and_texts),
        ARENA_TEST(broken_paths_are_refused),
        ARENA_TEST(more_keys_than_any_class_has_are_refused),
        ARENA_TEST(a_text_over_the_limit_is_refused),
        ARENA_TEST(no_memory_is_a_limit_wherever_it_ends),
        ARENA_TEST(paths_are_built_from_pairs),
        ARENA_TEST(a_value_that_there_was_no_memory_for_makes_no_path),
        ARENA_TEST(an_instance_is_named_by_its_keys),
        ARENA_TEST(a_reference_is_printed_as_a_quoted_path),
        ARENA_TEST(paths_within_paths_are_printed_to_a_depth),
        ARENA_TEST(paths_within_paths_are_compared_without_end),
        ARENA_TEST(a_path_names_the_instance_with_equal_keys),
        ARENA_TEST(missing_and_foreign_keys_name_nothing),
        ARENA_TEST(the_only_key_needs_no_name),
        ARENA_TEST(keys_that_are_no_texts_match_in_any_form),
        ARENA_TEST(associations_are_named_by_references_in_any_form),
        ARENA_TEST(paths_are_equal_by_what_they_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
