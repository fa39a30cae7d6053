/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cim_xml_rig.h"

#include <stdio.h>

#define SETTING "Msvm_ReplicationSettingData"
#define DISK "CIM_StorageAllocationSettingData"
#define CHANGE "CIM_InstModification"
#define JOB_PATH                                                                                   \
    "<INSTANCENAME CLASSNAME='Msvm_ConcreteJob'><KEYBINDING NAME='InstanceID'>"                    \
    "<KEYVALUE>1</KEYVALUE></KEYBINDING></INSTANCENAME>"

static int read_value(struct rig *rig, const char *text, enum cim_type type, bool is_array,
                      const char *embedded_class, struct cim_value *out)
{
    return cim_xml_read_value(&rig->arena, text == NULL ? NULL : rig_parse(rig, text), type,
                              is_array, embedded_class, out, &rig->err);
}

/* --- values ----------------------------------------------------------------------------------- */

static void nothing_is_null(void **state)
{
    struct cim_value value = {0};

    assert_int_equal(read_value(*state, NULL, CIM_UINT16, true, NULL, &value), 0);
    assert_true(value.is_null && value.is_array && value.count == 0);
    assert_int_equal(value.type, CIM_UINT16);
}

static void values_are_read_as_clients_write_them(void **state)
{
    struct rig *rig = *state;
    struct cim_value value = {0};

    assert_int_equal(read_value(rig, "<VALUE>\n0x10 </VALUE>", CIM_UINT8, false, NULL, &value), 0);
    assert_int_equal(value.items[0].number, 16);
    assert_int_equal(read_value(rig, "<VALUE>tRuE</VALUE>", CIM_BOOLEAN, false, NULL, &value), 0);
    assert_true(value.items[0].boolean);
    assert_int_equal(read_value(rig, "<VALUE/>", CIM_STRING, false, NULL, &value), 0);
    assert_string_equal(value.items[0].text, "");
    assert_false(value.is_null);
    assert_int_equal(
        read_value(rig, "<VALUE><![CDATA[<a> ]]></VALUE>", CIM_STRING, false, NULL, &value), 0);
    assert_string_equal(value.items[0].text, "<a> ");
    assert_int_equal(read_value(rig, "<VALUE.ARRAY/>", CIM_STRING, true, NULL, &value), 0);
    assert_true(!value.is_null && value.is_array && value.count == 0);
    assert_int_equal(read_value(rig,
                                "<VALUE.REFARRAY><VALUE.REFERENCE>" JOB_PATH "</VALUE.REFERENCE>"
                                "<VALUE>Msvm_ConcreteJob.InstanceID=\"2\"</VALUE></VALUE.REFARRAY>",
                                CIM_REFERENCE, true, NULL, &value),
                     0);
    assert_string_equal(cim_path_key(value.items[0].path, "InstanceID"), "1");
    assert_string_equal(cim_path_key(value.items[1].path, "InstanceID"), "2");
}

static void what_is_no_value_is_refused(void **state)
{
    static const struct {
        const char *text;
        enum cim_type type;
        bool is_array;
        const char *reason;
    } refusals[] = {
        {"<X/>", CIM_STRING, false, "X stands where VALUE must be"},
        {"<VALUE.ARRAY/>", CIM_STRING, false, "VALUE.ARRAY stands where VALUE must be"},
        {"<VALUE>x</VALUE>", CIM_STRING, true, "VALUE stands where VALUE.ARRAY must be"},
        {"<VALUE>x</VALUE>", CIM_REFERENCE, true, "where VALUE.REFARRAY must be"},
        {"<VALUE.NULL/>", CIM_STRING, false, "cannot be null"},
        {"<VALUE.ARRAY><VALUE>1</VALUE><VALUE.NULL/></VALUE.ARRAY>", CIM_UINT8, true, "leave it"},
        {"<VALUE.ARRAY><X/></VALUE.ARRAY>", CIM_UINT8, true, "X stands where VALUE must be"},
        {"<VALUE><INSTANCE CLASSNAME='C'/></VALUE>", CIM_STRING, false, "must be escaped"},
        {"<VALUE/>", CIM_UINT8, false, "'' is no uint8"},
        {"<VALUE>256</VALUE>", CIM_UINT8, false, "'256' is no uint8"},
        {"<VALUE>-1</VALUE>", CIM_UINT64, false, "'-1' is no uint64"},
        {"<VALUE>128</VALUE>", CIM_SINT8, false, "'128' is no sint8"},
        {"<VALUE>yes</VALUE>", CIM_BOOLEAN, false, "'yes' is no boolean"},
        {"<VALUE>ab</VALUE>", CIM_CHAR16, false, "'ab' is no char16"},
        {"<VALUE>x</VALUE>", CIM_REAL64, false, "'x' is no real64"},
        {"<VALUE>today</VALUE>", CIM_DATETIME, false, "'today' is no datetime"},
        {"<VALUE.REFERENCE>" JOB_PATH "</VALUE.REFERENCE>", CIM_STRING, false, "where VALUE must"},
        {"<VALUE.REFERENCE/>", CIM_REFERENCE, false, "needs one path"},
        {"<VALUE.REFERENCE>" JOB_PATH JOB_PATH "</VALUE.REFERENCE>", CIM_REFERENCE, false,
         "needs one path"},
        {"<VALUE.REFERENCE><X/></VALUE.REFERENCE>", CIM_REFERENCE, false, "X stands where"},
        {"<VALUE>vm 1</VALUE>", CIM_REFERENCE, false, ""},
        {JOB_PATH, CIM_REFERENCE, false, "INSTANCENAME stands where VALUE.REFERENCE must be"},
    };
    struct rig *rig = *state;

    for (size_t i = 0; i < ARRAY_COUNT(refusals); i++) {
        struct cim_value value = {.count = 77};

        if (read_value(rig, refusals[i].text, refusals[i].type, refusals[i].is_array, NULL,
                       &value) == 0) {
            fail_msg("taken: %s", refusals[i].text);
        }
        assert_int_equal(value.count, 77);
        rig_expect_reason(rig, refusals[i].text, ERR_USAGE, refusals[i].reason);
    }
}

static void arrays_and_texts_are_bounded(void **state)
{
    struct rig *rig = *state;
    struct cim_value value = {0};

    for (uint32_t count = CIM_ARRAY_MAX; count <= CIM_ARRAY_MAX + 1; count++) {
        xml_raw(&rig->text, "<VALUE.ARRAY>");
        for (uint32_t i = 0; i < count; i++) {
            xml_raw(&rig->text, "<VALUE>1</VALUE>");
        }
        xml_raw(&rig->text, "</VALUE.ARRAY>");
        int result = read_value(rig, rig_written(rig), CIM_UINT8, true, NULL, &value);

        assert_int_equal(result, count > CIM_ARRAY_MAX ? -1 : 0);
    }
    rig_expect_reason(rig, "array", ERR_LIMIT, "1024 items");
    xml_raw(&rig->text, "<VALUE>");
    for (uint32_t i = 0; i < CIM_TEXT_MAX; i++) {
        xml_raw(&rig->text, "x");
    }
    xml_raw(&rig->text, "</VALUE>");
    assert_int_equal(read_value(rig, rig_written(rig), CIM_STRING, false, NULL, &value), -1);
    rig_expect_reason(rig, "text", ERR_LIMIT, "65535 bytes");
}

/* --- instances -------------------------------------------------------------------------------- */

static struct cim_instance *read_instance(struct rig *rig, const char *text, uint64_t given[2])
{
    struct cim_instance *instance = NULL;

    if (cim_xml_read_instance(&rig->arena, rig_parse(rig, text), &instance, given, &rig->err) !=
        0) {
        fail_msg("%s: %s", rig->err.message, text);
    }
    return instance;
}

static bool is_given(const struct cim_instance *instance, const uint64_t given[2], const char *name)
{
    int index = cim_property_index(instance->class, name);

    assert_true(index >= 0);
    return (given[index / 64] >> (index % 64) & 1U) != 0;
}

static void an_instance_has_what_was_given(void **state)
{
    struct rig *rig = *state;
    uint64_t given[2] = {77, 77};
    uint64_t number = 0;
    const struct cim_instance *instance = read_instance(
        rig,
        "<INSTANCE CLASSNAME='msvm_replicationsettingdata'>"
        "<QUALIFIER NAME='dynamic' TYPE='boolean'><VALUE>TRUE</VALUE></QUALIFIER>"
        "<PROPERTY NAME='__CLASS' CLASSORIGIN='___SYSTEM' TYPE='string'><VALUE>x</VALUE></PROPERTY>"
        "<PROPERTY.ARRAY NAME='__DERIVATION' TYPE='string'/>"
        "<PROPERTY NAME='recoveryhistory' TYPE='uint16'><QUALIFIER NAME='q' TYPE='string'/>"
        "<VALUE>3</VALUE></PROPERTY>"
        "<PROPERTY NAME='ReplicationInterval' TYPE='uint16'/>"
        "<PROPERTY NAME='ElementName'><VALUE>n</VALUE></PROPERTY>"
        "</INSTANCE>",
        given);

    assert_string_equal(instance->class->name, SETTING);
    assert_true(cim_get_number(instance, "RecoveryHistory", &number) && number == 3);
    assert_string_equal(cim_get_text(instance, "ElementName"), "n");
    assert_true(cim_get(instance, "ReplicationInterval")->is_null);
    assert_true(cim_get(instance, "AutoResynchronizeEnabled")->is_null); /* no default either */
    assert_true(is_given(instance, given, "RecoveryHistory"));
    assert_true(is_given(instance, given, "ReplicationInterval"));
    assert_true(is_given(instance, given, "ElementName"));
    assert_int_equal(__builtin_popcountll(given[0]) + __builtin_popcountll(given[1]), 3);
    assert_non_null(read_instance(rig, "<INSTANCE CLASSNAME='CIM_Job'/>", NULL));
}

static void references_are_read_into_associations(void **state)
{
    const struct cim_instance *instance =
        read_instance(*state,
                      "<INSTANCE CLASSNAME='CIM_HostedService'>"
                      "<PROPERTY.REFERENCE NAME='Antecedent' REFERENCECLASS='CIM_System'>"
                      "<VALUE.REFERENCE>" JOB_PATH "</VALUE.REFERENCE></PROPERTY.REFERENCE>"
                      "<PROPERTY.REFERENCE NAME='Dependent'/></INSTANCE>",
                      NULL);

    assert_string_equal(cim_get(instance, "Antecedent")->items[0].path->class_name,
                        "Msvm_ConcreteJob");
    assert_true(cim_get(instance, "Dependent")->is_null);
}

#define SETTING_OF(properties) "<INSTANCE CLASSNAME='" SETTING "'>" properties "</INSTANCE>"

static void what_is_no_instance_is_refused(void **state)
{
    static const struct {
        const char *text;
        const char *reason;
    } refusals[] = {
        {"<X/>", "X stands where INSTANCE must be"},
        {"<INSTANCE/>", "needs the attribute CLASSNAME"},
        {"<INSTANCE CLASSNAME=''/>", "there is no class ''"},
        {"<INSTANCE CLASSNAME='Msvm_Nothing'/>", "there is no class 'Msvm_Nothing'"},
        {SETTING_OF("<PROPERTY/>"), "has no NAME"},
        {SETTING_OF("<PROPERTY NAME='Nothing'/>"), SETTING " has no property 'Nothing'"},
        {SETTING_OF("<X NAME='RecoveryHistory'/>"), "must be a PROPERTY, not a X"},
        {SETTING_OF("<PROPERTY.ARRAY NAME='RecoveryHistory'/>"), "not a PROPERTY.ARRAY"},
        {SETTING_OF("<PROPERTY NAME='IncludedDisks'/>"), "must be a PROPERTY.ARRAY"},
        {SETTING_OF("<PROPERTY.REFERENCE NAME='ElementName'/>"), "not a PROPERTY.REFERENCE"},
        {SETTING_OF("<PROPERTY NAME='RecoveryHistory' TYPE='string'/>"), "is a uint16, not"},
        {SETTING_OF("<PROPERTY NAME='RecoveryHistory' TYPE='x'/>"), "is a uint16, not a 'x'"},
        {SETTING_OF("<PROPERTY NAME='RecoveryHistory'><VALUE>x</VALUE></PROPERTY>"), "no uint16"},
        {SETTING_OF("<PROPERTY NAME='RecoveryHistory'><VALUE>1</VALUE><VALUE>2</VALUE></PROPERTY>"),
         "more than one value"},
        {SETTING_OF("<PROPERTY NAME='RecoveryHistory'/><PROPERTY NAME='RECOVERYHISTORY'/>"),
         "RECOVERYHISTORY is given twice"},
    };
    struct rig *rig = *state;

    for (size_t i = 0; i < ARRAY_COUNT(refusals); i++) {
        struct cim_instance *instance = NULL;
        uint64_t given[2] = {77, 77};

        if (cim_xml_read_instance(&rig->arena, rig_parse(rig, refusals[i].text), &instance, given,
                                  &rig->err) == 0) {
            fail_msg("taken: %s", refusals[i].text);
        }
        assert_true(instance == NULL && given[0] == 77);
        rig_expect_reason(rig, refusals[i].text, ERR_USAGE, refusals[i].reason);
    }
    struct cim_instance *instance = NULL;

    assert_int_equal(cim_xml_read_instance(&rig->arena, NULL, &instance, NULL, &rig->err), -1);
    rig_expect_reason(rig, "NULL", ERR_USAGE, "INSTANCE is missing");
}

/* --- embedded instances ----------------------------------------------------------------------- */

static struct cim_instance *setting(struct rig *rig, const struct cim_instance *disk)
{
    struct cim_instance *instance =
        cim_instance_new(&rig->arena, cim_class_find(CIM_SPACE_VIRTUALIZATION, SETTING));

    cim_set_text(instance, "ElementName", "<&\"'>\n\xE2\x82\xAC");
    cim_set_number(instance, "RecoveryHistory", 24);
    if (disk != NULL) {
        const struct cim_instance *disks[] = {disk, disk};

        cim_set_instances(instance, "IncludedDisks", disks, 2);
    }
    return instance;
}

static struct cim_instance *disk(struct rig *rig)
{
    struct cim_instance *instance =
        cim_instance_new(&rig->arena, cim_class_find(CIM_SPACE_VIRTUALIZATION, DISK));

    cim_set_text(instance, "InstanceID", "disk \"1\" & more");
    return instance;
}

static void expect_same(const struct cim_instance *a, const struct cim_instance *b)
{
    assert_ptr_equal(a->class, b->class);
    for (uint32_t i = 0; i < a->class->property_count; i++) {
        if (!cim_value_equal(&a->values[i], &b->values[i])) {
            fail_msg("%s differs", a->class->properties[i].name);
        }
    }
}

static void embedded_instances_come_back(void **state)
{
    struct rig *rig = *state;
    const struct cim_instance *again = NULL;
    const struct cim_instance *all[] = {setting(rig, NULL), setting(rig, disk(rig))};

    for (size_t i = 0; i < ARRAY_COUNT(all); i++) {
        const char *text = cim_xml_embedded(&rig->arena, all[i]);

        rig_expect_readable(text);
        if (cim_xml_read_embedded(&rig->arena, text, "CIM_SettingData", &again, &rig->err) != 0) {
            fail_msg("%s: %s", rig->err.message, text);
        }
        expect_same(all[i], again);
    }
    assert_int_equal(cim_get(again, "IncludedDisks")->type, CIM_INSTANCE);
    assert_int_equal(cim_get(again, "IncludedDisks")->count, 2);
}

static void a_value_unfolds_where_its_class_is_known(void **state)
{
    struct rig *rig = *state;
    struct cim_value value = {0};
    const char *text = arena_print(&rig->arena, "<VALUE><![CDATA[ %s]]></VALUE>",
                                   cim_xml_embedded(&rig->arena, disk(rig)));

    assert_int_equal(read_value(rig, text, CIM_STRING, false, DISK, &value), 0);
    assert_int_equal(value.type, CIM_INSTANCE);
    expect_same(value.items[0].instance, disk(rig));
    assert_int_equal(read_value(rig, text, CIM_STRING, false, NULL, &value), 0);
    assert_int_equal(value.type, CIM_STRING);
}

static void names_among_embedded_instances_stay_texts(void **state)
{
    struct rig *rig = *state;
    struct cim_value value = {0};

    assert_int_equal(read_value(rig,
                                "<VALUE.ARRAY><VALUE>name</VALUE><VALUE>&lt;x</VALUE>"
                                "</VALUE.ARRAY>",
                                CIM_STRING, true, DISK, &value),
                     0);
    assert_int_equal(value.type, CIM_STRING);
    assert_string_equal(value.items[1].text, "<x");
    assert_int_equal(read_value(rig, "<VALUE.ARRAY/>", CIM_STRING, true, DISK, &value), 0);
    assert_int_equal(value.type, CIM_STRING);
}

#define WRAPPED "<INSTANCE CLASSNAME='" DISK "'/>"

static void an_embedded_text_is_taken_as_others_write_it(void **state)
{
    static const char *const texts[] = {
        WRAPPED,
        "  \r\n" WRAPPED "\n",
        "<?xml version=\"1.0\" encoding=\"utf-16\"?>\n" WRAPPED,
        "<DECLGROUP><VALUE.OBJECT>" WRAPPED "</VALUE.OBJECT></DECLGROUP>",
        "<CIM CIMVERSION='2.0' DTDVERSION='2.0'><DECLARATION><DECLGROUP><VALUE.OBJECT>" WRAPPED
        "</VALUE.OBJECT></DECLGROUP></DECLARATION></CIM>",
        "<VALUE.NAMEDINSTANCE>" JOB_PATH WRAPPED "</VALUE.NAMEDINSTANCE>",
    };
    struct rig *rig = *state;

    for (size_t i = 0; i < ARRAY_COUNT(texts); i++) {
        const struct cim_instance *instance = NULL;

        if (cim_xml_read_embedded(&rig->arena, texts[i], DISK, &instance, &rig->err) != 0) {
            fail_msg("%s: %s", rig->err.message, texts[i]);
        }
        assert_string_equal(instance->class->name, DISK);
    }
}

static void what_cannot_be_embedded_is_refused(void **state)
{
    static const struct {
        const char *text;
        const char *reason;
    } refusals[] = {
        {"", "must be XML"},
        {"some text", "must be XML"},
        {"instance of " DISK " { };", "not MOF"},
        {"\nInstance of " DISK "\n{\n};", "not MOF"},
        {"<?xml version='1.0'", "refused at line 1"},
        {"<INSTANCE", "refused at line 1"},
        {"<!DOCTYPE INSTANCE><INSTANCE CLASSNAME='" DISK "'/>", "DOCTYPE"},
        {"<X/>", "must hold an INSTANCE, not X"},
        {"<DECLGROUP/>", "must hold an INSTANCE, not nothing"},
        {"<DECLGROUP><X/></DECLGROUP>", "not nothing"},
        {"<DECLGROUP>" WRAPPED WRAPPED "</DECLGROUP>", "one INSTANCE, no more"},
        {"<INSTANCE CLASSNAME='Msvm_Nothing'/>", "there is no class"},
        {"<INSTANCE CLASSNAME='Msvm_ConcreteJob'/>", "must be a " DISK ", not a Msvm_ConcreteJob"},
        {"<INSTANCE CLASSNAME='" DISK "'><PROPERTY NAME='x'/></INSTANCE>", "no property 'x'"},
    };
    struct rig *rig = *state;

    for (size_t i = 0; i < ARRAY_COUNT(refusals); i++) {
        const struct cim_instance *instance = NULL;

        if (cim_xml_read_embedded(&rig->arena, refusals[i].text, DISK, &instance, &rig->err) == 0) {
            fail_msg("taken: %s", refusals[i].text);
        }
        assert_null(instance);
        rig_expect_reason(rig, refusals[i].text, ERR_USAGE, refusals[i].reason);
    }
}

/* A change of a setting that has disks is two deep in itself, and three as a text. */
static void depth_is_bounded(void **state)
{
    struct rig *rig = *state;
    struct cim_instance *change =
        cim_instance_new(&rig->arena, cim_class_find(CIM_SPACE_VIRTUALIZATION, CHANGE));
    const struct cim_instance *changed = setting(rig, disk(rig));
    struct cim_instance *again = NULL;
    const struct cim_instance *embedded = NULL;

    cim_set_instances(change, "SourceInstance", &changed, 1);
    cim_xml_instance(&rig->text, change, NULL);
    const char *text = rig_written(rig);

    again = read_instance(rig, text, NULL);
    assert_int_equal(cim_get(again, "SourceInstance")->type, CIM_INSTANCE);
    expect_same(cim_get(again, "SourceInstance")->items[0].instance, changed);
    assert_int_equal(cim_xml_read_embedded(&rig->arena, text, NULL, &embedded, &rig->err), -1);
    rig_expect_reason(rig, text, ERR_LIMIT, "more than 2 instances");
}

static void no_memory_is_said(void **state)
{
    struct rig *rig = *state;
    const char *text = cim_xml_embedded(&rig->arena, setting(rig, disk(rig)));
    struct arena small;

    for (size_t max_bytes = 0; max_bytes < 20000; max_bytes += 500) {
        const struct cim_instance *instance = NULL;
        struct error err = {0};

        arena_init(&small, max_bytes);
        if (cim_xml_read_embedded(&small, text, SETTING, &instance, &err) == 0) {
            assert_false(small.bad);
        } else {
            assert_int_equal(err.kind, ERR_LIMIT);
            assert_null(instance);
        }
        arena_free(&small);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RIG_TEST(nothing_is_null),
        RIG_TEST(values_are_read_as_clients_write_them),
        RIG_TEST(what_is_no_value_is_refused),
        RIG_TEST(arrays_and_texts_are_bounded),
        RIG_TEST(an_instance_has_what_was_given),
        RIG_TEST(references_are_read_into_associations),
        RIG_TEST(what_is_no_instance_is_refused),
        RIG_TEST(embedded_instances_come_back),
        RIG_TEST(a_value_unfolds_where_its_class_is_known),
        RIG_TEST(names_among_embedded_instances_stay_texts),
        RIG_TEST(an_embedded_text_is_taken_as_others_write_it),
        RIG_TEST(what_cannot_be_embedded_is_refused),
        RIG_TEST(depth_is_bounded),
        RIG_TEST(no_memory_is_said),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
