/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cim_xml_rig.h"

#include <strings.h>

static const char *const TRUTH[] = {"TRUE"};
static const char *const NUMBERS[] = {"0", "4096"};
static const char *const MEANINGS[] = {"<Done>", "Job started"};
static const char *const VERSION[] = {"2.0.0"};

static const struct cim_qualifier KEY_QUALIFIERS[] = {
    {"Key", CIM_BOOLEAN, false, false, true, false, TRUTH, 1}};
static const struct cim_qualifier IN_QUALIFIERS[] = {
    {"In", CIM_BOOLEAN, false, false, true, false, TRUTH, 1}};
static const struct cim_qualifier METHOD_QUALIFIERS[] = {
    {"ValueMap", CIM_STRING, true, true, true, false, NUMBERS, 2},
    {"Values", CIM_STRING, true, true, true, true, MEANINGS, 2}};
static const struct cim_qualifier CLASS_QUALIFIERS[] = {
    {"Version", CIM_STRING, false, true, false, true, VERSION, 1}};

static const struct cim_parameter PARAMETERS[] = {
    {.name = "System",
     .type = CIM_REFERENCE,
     .is_in = true,
     .reference_class = "CIM_System",
     .qualifiers = {IN_QUALIFIERS, 1}},
    {.name = "When", .type = CIM_DATETIME, .is_in = true, .qualifiers = {IN_QUALIFIERS, 1}},
    {.name = "Names", .type = CIM_STRING, .is_array = true, .is_in = true},
    {.name = "Jobs",
     .type = CIM_REFERENCE,
     .is_array = true,
     .is_out = true,
     .reference_class = "CIM_Job"},
};
static const struct cim_method METHODS[] = {
    {"Start", CIM_UINT32, "Test_Owner", NULL, 0, {NULL, 0}},
    {"Run", CIM_UINT32, "Test_Thing", PARAMETERS, 4, {METHOD_QUALIFIERS, 2}},
};
static const struct cim_property PROPERTIES[] = {
    {.name = "Name",
     .type = CIM_STRING,
     .is_key = true,
     .origin = "Test_Owner",
     .qualifiers = {KEY_QUALIFIERS, 1}},
    {.name = "State", .type = CIM_UINT16, .origin = "Test_Thing", .initial = "5"},
    {.name = "Notes", .type = CIM_STRING, .is_array = true, .origin = "Test_Thing"},
    {.name = "End", .type = CIM_REFERENCE, .reference_class = "Test_End", .origin = "Test_Thing"},
};
static const struct cim_class OWNER = {.name = "Test_Owner"};
static const struct cim_class THING = {
    .name = "Test_Thing",
    .parent = &OWNER,
    .properties = PROPERTIES,
    .property_count = 4,
    .methods = METHODS,
    .method_count = 2,
    .qualifiers = {CLASS_QUALIFIERS, 1},
};

static void a_class_is_shown_with_all_that_clients_ask_for(void **state)
{
    struct rig *rig = *state;
    const struct cim_view view = {.has_class_origin = true, .has_qualifiers = true};

    cim_xml_class(&rig->text, &THING, &view);
    rig_expect_written(
        rig,
        "<CLASS NAME=\"Test_Thing\" SUPERCLASS=\"Test_Owner\">"
        "<QUALIFIER NAME=\"Version\" TYPE=\"string\" TOSUBCLASS=\"false\" TRANSLATABLE=\"true\">"
        "<VALUE>2.0.0</VALUE></QUALIFIER>"
        "<PROPERTY NAME=\"Name\" CLASSORIGIN=\"Test_Owner\" PROPAGATED=\"true\" TYPE=\"string\">"
        "<QUALIFIER NAME=\"Key\" TYPE=\"boolean\" OVERRIDABLE=\"false\"><VALUE>TRUE</VALUE>"
        "</QUALIFIER></PROPERTY>"
        "<PROPERTY NAME=\"State\" CLASSORIGIN=\"Test_Thing\" TYPE=\"uint16\"><VALUE>5</VALUE>"
        "</PROPERTY>"
        "<PROPERTY.ARRAY NAME=\"Notes\" CLASSORIGIN=\"Test_Thing\" TYPE=\"string\">"
        "</PROPERTY.ARRAY>"
        "<PROPERTY.REFERENCE NAME=\"End\" CLASSORIGIN=\"Test_Thing\" "
        "REFERENCECLASS=\"Test_End\"></PROPERTY.REFERENCE>"
        "<METHOD NAME=\"Start\" TYPE=\"uint32\" CLASSORIGIN=\"Test_Owner\" PROPAGATED=\"true\">"
        "</METHOD>"
        "<METHOD NAME=\"Run\" TYPE=\"uint32\" CLASSORIGIN=\"Test_Thing\">"
        "<QUALIFIER NAME=\"ValueMap\" TYPE=\"string\"><VALUE.ARRAY><VALUE>0</VALUE>"
        "<VALUE>4096</VALUE></VALUE.ARRAY></QUALIFIER>"
        "<QUALIFIER NAME=\"Values\" TYPE=\"string\" TRANSLATABLE=\"true\"><VALUE.ARRAY>"
        "<VALUE>&lt;Done&gt;</VALUE><VALUE>Job started</VALUE></VALUE.ARRAY></QUALIFIER>"
        "<PARAMETER.REFERENCE NAME=\"System\" REFERENCECLASS=\"CIM_System\">"
        "<QUALIFIER NAME=\"In\" TYPE=\"boolean\" OVERRIDABLE=\"false\"><VALUE>TRUE</VALUE>"
        "</QUALIFIER></PARAMETER.REFERENCE>"
        "<PARAMETER NAME=\"When\" TYPE=\"datetime\">"
        "<QUALIFIER NAME=\"In\" TYPE=\"boolean\" OVERRIDABLE=\"false\"><VALUE>TRUE</VALUE>"
        "</QUALIFIER></PARAMETER>"
        "<PARAMETER.ARRAY NAME=\"Names\" TYPE=\"string\"></PARAMETER.ARRAY>"
        "<PARAMETER.REFARRAY NAME=\"Jobs\" REFERENCECLASS=\"CIM_Job\"></PARAMETER.REFARRAY>"
        "</METHOD></CLASS>");
}

static void a_view_leaves_out_qualifiers_and_what_is_inherited(void **state)
{
    static const char *const names[] = {"state", "Name"};
    struct rig *rig = *state;
    const struct cim_view view = {.properties = names, .property_count = 2, .is_local_only = true};

    cim_xml_class(&rig->text, &THING, &view);
    rig_expect_written(
        rig, "<CLASS NAME=\"Test_Thing\" SUPERCLASS=\"Test_Owner\">"
             "<PROPERTY NAME=\"State\" TYPE=\"uint16\"><VALUE>5</VALUE></PROPERTY>"
             "<METHOD NAME=\"Run\" TYPE=\"uint32\">"
             "<PARAMETER.REFERENCE NAME=\"System\" REFERENCECLASS=\"CIM_System\">"
             "</PARAMETER.REFERENCE><PARAMETER NAME=\"When\" TYPE=\"datetime\"></PARAMETER>"
             "<PARAMETER.ARRAY NAME=\"Names\" TYPE=\"string\"></PARAMETER.ARRAY>"
             "<PARAMETER.REFARRAY NAME=\"Jobs\" REFERENCECLASS=\"CIM_Job\"></PARAMETER.REFARRAY>"
             "</METHOD></CLASS>");
    cim_xml_class(&rig->text, &OWNER, NULL);
    rig_expect_written(rig, "<CLASS NAME=\"Test_Owner\"></CLASS>");
}

static uint32_t count_children(const struct xml_element *element, const char *name)
{
    uint32_t count = 0;

    for (const struct xml_element *child = xml_child(element, "", name); child != NULL;
         child = xml_sibling(child, "", name)) {
        count++;
    }
    return count;
}

/* wbemcli sends only parameters that the class calls In, and shows those that it calls Out. */
static void expect_direction(const struct xml_element *method, const struct cim_parameter *wanted)
{
    const struct xml_element *parameter = method->first;

    while (parameter != NULL && (xml_is(parameter, "", "QUALIFIER") ||
                                 strcmp(xml_attribute(parameter, "", "NAME"), wanted->name) != 0)) {
        parameter = parameter->next;
    }
    assert_non_null(parameter);
    bool has_in = false;
    bool has_out = false;

    for (const struct xml_element *q = xml_child(parameter, "", "QUALIFIER"); q != NULL;
         q = xml_sibling(q, "", "QUALIFIER")) {
        bool is_true = strcmp(xml_child(q, "", "VALUE") == NULL ? "" : q->first->text, "TRUE") == 0;

        has_in = has_in || (strcasecmp(xml_attribute(q, "", "NAME"), "In") == 0 && is_true);
        has_out = has_out || (strcasecmp(xml_attribute(q, "", "NAME"), "Out") == 0 && is_true);
    }
    if (has_in != wanted->is_in || has_out != wanted->is_out) {
        fail_msg("%s.%s: In or Out is not said", xml_attribute(method, "", "NAME"), wanted->name);
    }
}

static void every_class_of_the_model_can_be_read(void **state)
{
    struct rig *rig = *state;

    for (uint32_t i = 0; i < cim_class_count; i++) {
        const struct cim_class *class = cim_classes[i];

        cim_xml_class(&rig->text, class, NULL);
        const struct xml_element *element = rig_parse_written(rig);

        assert_string_equal(xml_attribute(element, "", "NAME"), class->name);
        assert_int_equal(count_children(element, "PROPERTY") +
                             count_children(element, "PROPERTY.ARRAY") +
                             count_children(element, "PROPERTY.REFERENCE"),
                         class->property_count);
        assert_int_equal(count_children(element, "METHOD"), class->method_count);
        const struct xml_element *method = xml_child(element, "", "METHOD");

        for (uint32_t j = 0; j < class->method_count; j++) {
            for (uint32_t k = 0; k < class->methods[j].parameter_count; k++) {
                expect_direction(method, &class->methods[j].parameters[k]);
            }
            method = xml_sibling(method, "", "METHOD");
        }
        arena_free(&rig->arena);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RIG_TEST(a_class_is_shown_with_all_that_clients_ask_for),
        RIG_TEST(a_view_leaves_out_qualifiers_and_what_is_inherited),
        RIG_TEST(every_class_of_the_model_can_be_read),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
