/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cim_xml_rig.h"

#include <math.h>
#include <stdint.h>

/* Writes it, reads it again, and finds the same. */
static void expect_round_trip(struct rig *rig, const struct cim_value *value,
                              const char *embedded_class)
{
    struct cim_value again = {0};
    enum cim_type type = value->type == CIM_INSTANCE ? CIM_STRING : value->type;

    cim_xml_value(&rig->text, value);
    if (cim_xml_read_value(&rig->arena, rig_parse_written(rig), type, value->is_array,
                           embedded_class, &again, &rig->err) != 0) {
        fail_msg("%s: %s", cim_type_name(type), rig->err.message);
    }
    assert_int_equal(again.type, value->type);
    assert_int_equal(again.count, value->count);
    assert_true(cim_value_equal(value, &again));
}

/* As single values, and all of them as an array. */
static void expect_round_trips(struct rig *rig, enum cim_type type, union cim_item *items,
                               uint32_t count)
{
    const struct cim_value array = {type, true, false, count, items};
    const struct cim_value empty = {type, true, false, 0, NULL};

    for (uint32_t i = 0; i < count; i++) {
        const struct cim_value value = {type, false, false, 1, &items[i]};

        expect_round_trip(rig, &value, NULL);
    }
    expect_round_trip(rig, &array, NULL);
    expect_round_trip(rig, &empty, NULL);
}

static void numbers_come_back(void **state)
{
    static const struct {
        enum cim_type type;
        uint64_t max;
    } kinds[] = {{CIM_UINT8, UINT8_MAX},
                 {CIM_UINT16, UINT16_MAX},
                 {CIM_UINT32, UINT32_MAX},
                 {CIM_UINT64, UINT64_MAX}};
    static const struct {
        enum cim_type type;
        int64_t min;
        int64_t max;
    } with_sign[] = {{CIM_SINT8, INT8_MIN, INT8_MAX},
                     {CIM_SINT16, INT16_MIN, INT16_MAX},
                     {CIM_SINT32, INT32_MIN, INT32_MAX},
                     {CIM_SINT64, INT64_MIN, INT64_MAX}};

    for (size_t i = 0; i < ARRAY_COUNT(kinds); i++) {
        union cim_item items[] = {{.number = 0}, {.number = 1}, {.number = kinds[i].max}};

        expect_round_trips(*state, kinds[i].type, items, 3);
    }
    for (size_t i = 0; i < ARRAY_COUNT(with_sign); i++) {
        union cim_item items[] = {
            {.integer = with_sign[i].min}, {.integer = -1}, {.integer = with_sign[i].max}};

        expect_round_trips(*state, with_sign[i].type, items, 3);
    }
}

static void reals_come_back(void **state)
{
    union cim_item items[] = {
        {.real = 0.1}, {.real = -1e300}, {.real = INFINITY}, {.real = -INFINITY}};
    union cim_item small[] = {{.real = 0.5}, {.real = -1048576.25}};

    expect_round_trips(*state, CIM_REAL64, items, 4);
    expect_round_trips(*state, CIM_REAL32, small, 2);
}

static void texts_come_back(void **state)
{
    union cim_item texts[] = {{.text = ""},
                              {.text = "<VALUE/> & \"'&#10; ]]>"},
                              {.text = " a\tb\n "},
                              {.text = "\xC3\xA4\xE2\x82\xAC\xF0\x9F\x98\x80"}};
    union cim_item characters[] = {{.text = "<"}, {.text = "\xE2\x82\xAC"}};
    union cim_item datetimes[] = {{.text = "20260822123456.654321+120"},
                                  {.text = "00000000000500.000000:000"},
                                  {.text = "20260822******.******+000"}};
    union cim_item booleans[] = {{.boolean = true}, {.boolean = false}};

    expect_round_trips(*state, CIM_STRING, texts, 4);
    expect_round_trips(*state, CIM_CHAR16, characters, 2);
    expect_round_trips(*state, CIM_DATETIME, datetimes, 3);
    expect_round_trips(*state, CIM_BOOLEAN, booleans, 2);
}

static void references_come_back(void **state)
{
    struct rig *rig = *state;
    struct cim_path local =
        *cim_path_new(&rig->arena, "Msvm_ConcreteJob", "InstanceID", "<&>", NULL);
    struct cim_path full = local;
    const struct cim_path class = {"h", "root/interop", "C", NULL, 0};

    full.host = "host";
    full.namespace_name = CIM_NAMESPACE_DEFAULT;
    local.namespace_name = CIM_NAMESPACE_INTEROP;
    union cim_item items[] = {{.path = &local}, {.path = &full}, {.path = &class}};

    expect_round_trips(rig, CIM_REFERENCE, items, 3);
    const struct cim_value value = {CIM_REFERENCE, false, false, 1, items};

    cim_xml_value(&rig->text, &value);
    rig_expect_written(
        rig, "<VALUE.REFERENCE><LOCALINSTANCEPATH><LOCALNAMESPACEPATH><NAMESPACE NAME=\"root\"/>"
             "<NAMESPACE NAME=\"interop\"/></LOCALNAMESPACEPATH>"
             "<INSTANCENAME CLASSNAME=\"Msvm_ConcreteJob\"><KEYBINDING NAME=\"InstanceID\">"
             "<KEYVALUE VALUETYPE=\"string\">&lt;&amp;&gt;</KEYVALUE></KEYBINDING></INSTANCENAME>"
             "</LOCALINSTANCEPATH></VALUE.REFERENCE>");
}

static void values_have_start_and_end_tags(void **state)
{
    struct rig *rig = *state;
    union cim_item items[] = {{.number = 7}, {.number = 8}};
    union cim_item text = {.text = ""};
    struct cim_value value = {CIM_UINT16, true, false, 2, items};

    cim_xml_value(&rig->text, &value);
    rig_expect_written(rig, "<VALUE.ARRAY><VALUE>7</VALUE><VALUE>8</VALUE></VALUE.ARRAY>");
    value.count = 0;
    cim_xml_value(&rig->text, &value);
    rig_expect_written(rig, "<VALUE.ARRAY></VALUE.ARRAY>");
    value = (struct cim_value){CIM_STRING, false, false, 1, &text};
    cim_xml_value(&rig->text, &value);
    rig_expect_written(rig, "<VALUE></VALUE>");
    value = cim_null(CIM_STRING, false);
    cim_xml_value(&rig->text, &value);
    xml_raw(&rig->text, "|");
    value = cim_null(CIM_REFERENCE, true);
    cim_xml_value(&rig->text, &value);
    rig_expect_written(rig, "|");
}

static void what_has_no_type_spoils_the_text(void **state)
{
    struct rig *rig = *state;
    union cim_item item = {.number = 7};
    const struct cim_value value = {CIM_INVALID, false, false, 1, &item};

    cim_xml_value(&rig->text, &value);
    assert_int_equal(xml_text_done(&rig->text, NULL), -1);
}

/* --- instances -------------------------------------------------------------------------------- */

static const struct cim_class OWNER = {.name = "Test_Owner"};
static const struct cim_property PROPERTIES[] = {
    {.name = "Name", .type = CIM_STRING, .is_key = true, .origin = "Test_Owner"},
    {.name = "States", .type = CIM_UINT16, .is_array = true, .origin = "Test_Thing"},
    {.name = "When", .type = CIM_DATETIME, .origin = "Test_Thing"},
    {.name = "End", .type = CIM_REFERENCE, .reference_class = "Test_End", .origin = "Test_Thing"},
    {.name = "Inner", .type = CIM_STRING, .embedded_class = "Test_Thing", .origin = "Test_Thing"},
};
static const struct cim_class THING = {
    .name = "Test_Thing", .parent = &OWNER, .properties = PROPERTIES, .property_count = 5};

static const struct cim_instance *thing(struct rig *rig, bool is_full)
{
    struct cim_instance *instance = cim_instance_new(&rig->arena, &THING);
    static const uint64_t numbers[] = {2, 32768};

    cim_set_text(instance, "Name", "a&b");
    if (is_full) {
        cim_set_numbers(instance, "States", numbers, 2);
        cim_set_text(instance, "When", "20260822123456.000000+000");
        cim_set_path(instance, "End", cim_path_new(&rig->arena, "Test_End", "K", "v", NULL));
        const struct cim_instance *inner = thing(rig, false);

        cim_set_instances(instance, "Inner", &inner, 1);
    }
    return instance;
}

static void an_instance_shows_what_is_not_null(void **state)
{
    struct rig *rig = *state;

    cim_xml_instance(&rig->text, thing(rig, false), NULL);
    rig_expect_written(rig, "<INSTANCE CLASSNAME=\"Test_Thing\">"
                            "<PROPERTY NAME=\"Name\" TYPE=\"string\"><VALUE>a&amp;b</VALUE>"
                            "</PROPERTY></INSTANCE>");
    cim_xml_instance(&rig->text, thing(rig, true), NULL);
    rig_expect_written(
        rig, "<INSTANCE CLASSNAME=\"Test_Thing\">"
             "<PROPERTY NAME=\"Name\" TYPE=\"string\"><VALUE>a&amp;b</VALUE></PROPERTY>"
             "<PROPERTY.ARRAY NAME=\"States\" TYPE=\"uint16\"><VALUE.ARRAY><VALUE>2</VALUE>"
             "<VALUE>32768</VALUE></VALUE.ARRAY></PROPERTY.ARRAY>"
             "<PROPERTY NAME=\"When\" TYPE=\"datetime\"><VALUE>20260822123456.000000+000</VALUE>"
             "</PROPERTY>"
             "<PROPERTY.REFERENCE NAME=\"End\" REFERENCECLASS=\"Test_End\"><VALUE.REFERENCE>"
             "<INSTANCENAME CLASSNAME=\"Test_End\"><KEYBINDING NAME=\"K\">"
             "<KEYVALUE VALUETYPE=\"string\">v</KEYVALUE></KEYBINDING></INSTANCENAME>"
             "</VALUE.REFERENCE></PROPERTY.REFERENCE>"
             "<PROPERTY NAME=\"Inner\" TYPE=\"string\" EmbeddedObject=\"instance\"><VALUE>"
             "&lt;INSTANCE CLASSNAME=&quot;Test_Thing&quot;&gt;&lt;PROPERTY NAME=&quot;Name&quot; "
             "TYPE=&quot;string&quot;&gt;&lt;VALUE&gt;a&amp;amp;b&lt;/VALUE&gt;&lt;/PROPERTY&gt;"
             "&lt;/INSTANCE&gt;</VALUE></PROPERTY></INSTANCE>");
}

static void a_view_shows_nulls_and_origins(void **state)
{
    struct rig *rig = *state;
    const struct cim_view view = {.has_class_origin = true};

    cim_xml_instance(&rig->text, thing(rig, false), &view);
    rig_expect_written(
        rig,
        "<INSTANCE CLASSNAME=\"Test_Thing\">"
        "<PROPERTY NAME=\"Name\" CLASSORIGIN=\"Test_Owner\" PROPAGATED=\"true\" TYPE=\"string\">"
        "<VALUE>a&amp;b</VALUE></PROPERTY>"
        "<PROPERTY.ARRAY NAME=\"States\" CLASSORIGIN=\"Test_Thing\" TYPE=\"uint16\">"
        "</PROPERTY.ARRAY>"
        "<PROPERTY NAME=\"When\" CLASSORIGIN=\"Test_Thing\" TYPE=\"datetime\"></PROPERTY>"
        "<PROPERTY.REFERENCE NAME=\"End\" CLASSORIGIN=\"Test_Thing\" "
        "REFERENCECLASS=\"Test_End\"></PROPERTY.REFERENCE>"
        "<PROPERTY NAME=\"Inner\" CLASSORIGIN=\"Test_Thing\" TYPE=\"string\" "
        "EmbeddedObject=\"instance\"></PROPERTY></INSTANCE>");
}

static void a_view_may_have_few_properties_or_none(void **state)
{
    static const char *const names[] = {"WHEN", "name", "Unknown"};
    struct rig *rig = *state;
    struct cim_view view = {.properties = names, .property_count = 3};

    cim_xml_instance(&rig->text, thing(rig, false), &view);
    rig_expect_written(rig, "<INSTANCE CLASSNAME=\"Test_Thing\">"
                            "<PROPERTY NAME=\"Name\" TYPE=\"string\"><VALUE>a&amp;b</VALUE>"
                            "</PROPERTY><PROPERTY NAME=\"When\" TYPE=\"datetime\"></PROPERTY>"
                            "</INSTANCE>");
    view.property_count = 0;
    cim_xml_instance(&rig->text, thing(rig, true), &view);
    rig_expect_written(rig, "<INSTANCE CLASSNAME=\"Test_Thing\"></INSTANCE>");
}

/* --- embedded instances ----------------------------------------------------------------------- */

static void an_embedded_instance_is_the_same_text(void **state)
{
    struct rig *rig = *state;
    const char *text = cim_xml_embedded(&rig->arena, thing(rig, true));

    cim_xml_instance(&rig->text, thing(rig, true), NULL);
    rig_expect_written(rig, text);
    assert_null(cim_xml_embedded(&rig->arena, NULL));
    assert_false(rig->arena.bad);
}

/* A thing in a thing, so deep. */
static const struct cim_instance *nest(struct rig *rig, uint32_t depth)
{
    const struct cim_instance *inner = thing(rig, false);

    for (uint32_t i = 0; i < depth; i++) {
        struct cim_instance *outer = cim_instance_new(&rig->arena, &THING);

        cim_set_instances(outer, "Inner", &inner, 1);
        inner = outer;
    }
    return inner;
}

static void embedded_instances_are_no_deeper_than_readers_take(void **state)
{
    struct rig *rig = *state;

    cim_xml_instance(&rig->text, nest(rig, CIM_EMBEDDED_MAX), NULL);
    assert_non_null(strstr(rig_written(rig), "a&amp;amp;amp;b"));
    cim_xml_instance(&rig->text, nest(rig, CIM_EMBEDDED_MAX + 1), NULL);
    assert_int_equal(xml_text_done(&rig->text, NULL), -1);
    assert_non_null(cim_xml_embedded(&rig->arena, nest(rig, CIM_EMBEDDED_MAX - 1)));
    assert_null(cim_xml_embedded(&rig->arena, nest(rig, CIM_EMBEDDED_MAX)));
    assert_true(rig->arena.bad);
}

static void what_does_not_fit_is_said(void **state)
{
    struct rig *rig = *state;
    const struct cim_instance *instance = thing(rig, true);
    struct arena small;

    rig->text.max_bytes = 300;
    cim_xml_instance(&rig->text, instance, NULL);
    assert_int_equal(xml_text_done(&rig->text, &rig->err), -1);
    assert_int_equal(rig->err.kind, ERR_LIMIT);
    arena_init(&small, 300);
    assert_null(cim_xml_embedded(&small, instance));
    assert_true(small.bad);
    arena_free(&small);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RIG_TEST(numbers_come_back),
        RIG_TEST(reals_come_back),
        RIG_TEST(texts_come_back),
        RIG_TEST(references_come_back),
        RIG_TEST(values_have_start_and_end_tags),
        RIG_TEST(what_has_no_type_spoils_the_text),
        RIG_TEST(an_instance_shows_what_is_not_null),
        RIG_TEST(a_view_shows_nulls_and_origins),
        RIG_TEST(a_view_may_have_few_properties_or_none),
        RIG_TEST(an_embedded_instance_is_the_same_text),
        RIG_TEST(embedded_instances_are_no_deeper_than_readers_take),
        RIG_TEST(what_does_not_fit_is_said),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
