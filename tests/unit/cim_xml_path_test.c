/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cim_xml_rig.h"

#include <stdio.h>

#define LOCAL                                                                                      \
    "<LOCALNAMESPACEPATH><NAMESPACE NAME=\"root\"/><NAMESPACE NAME=\"virtualization\"/>"           \
    "<NAMESPACE NAME=\"v2\"/></LOCALNAMESPACEPATH>"
#define JOB_NAME                                                                                   \
    "<INSTANCENAME CLASSNAME=\"Msvm_ConcreteJob\"><KEYBINDING NAME=\"InstanceID\">"                \
    "<KEYVALUE VALUETYPE=\"string\">a&lt;b</KEYVALUE></KEYBINDING></INSTANCENAME>"

static struct cim_path job_path(struct rig *rig)
{
    const struct cim_path *path =
        cim_path_new(&rig->arena, "Msvm_ConcreteJob", "InstanceID", "a<b", NULL);

    assert_non_null(path);
    return *path;
}

static const struct cim_path *read_path(struct rig *rig, const char *text)
{
    const struct cim_path *path = NULL;

    if (cim_xml_read_path(&rig->arena, rig_parse(rig, text), &path, &rig->err) != 0) {
        fail_msg("%s: %s", rig->err.message, text);
    }
    assert_non_null(path);
    return path;
}

static void expect_no_path(struct rig *rig, const char *text, enum error_kind kind,
                           const char *reason)
{
    const struct cim_path *path = NULL;

    if (cim_xml_read_path(&rig->arena, rig_parse(rig, text), &path, &rig->err) == 0) {
        fail_msg("taken: %s", text);
    }
    assert_null(path);
    rig_expect_reason(rig, text, kind, reason);
}

/* --- writing ---------------------------------------------------------------------------------- */

static void names_are_written_in_three_lengths(void **state)
{
    struct rig *rig = *state;
    struct cim_path path = job_path(rig);

    cim_xml_instance_name(&rig->text, &path);
    rig_expect_written(rig, JOB_NAME);
    cim_xml_local_path(&rig->text, &path); /* the default namespace is that of all */
    rig_expect_written(rig, "<LOCALINSTANCEPATH>" LOCAL JOB_NAME "</LOCALINSTANCEPATH>");
    path.host = "h&1";
    path.namespace_name = "\\root\\interop/";
    cim_xml_path(&rig->text, &path);
    rig_expect_written(
        rig, "<INSTANCEPATH><NAMESPACEPATH><HOST>h&amp;1</HOST><LOCALNAMESPACEPATH>"
             "<NAMESPACE NAME=\"root\"/><NAMESPACE NAME=\"interop\"/></LOCALNAMESPACEPATH>"
             "</NAMESPACEPATH>" JOB_NAME "</INSTANCEPATH>");
}

static void keys_say_what_they_are(void **state)
{
    static const struct cim_key keys[] = {
        {.name = "S", .type = CIM_STRING, .text = "1"},
        {.name = "B", .type = CIM_BOOLEAN, .text = "TRUE"},
        {.name = "U", .type = CIM_UINT16, .text = "7"},
        {.name = "N", .type = CIM_SINT64, .text = "-7"},
    };
    const struct cim_path path = {"", "", "C", keys, 4};
    struct rig *rig = *state;

    cim_xml_instance_name(&rig->text, &path);
    rig_expect_written(
        rig, "<INSTANCENAME CLASSNAME=\"C\">"
             "<KEYBINDING NAME=\"S\"><KEYVALUE VALUETYPE=\"string\">1</KEYVALUE></KEYBINDING>"
             "<KEYBINDING NAME=\"B\"><KEYVALUE VALUETYPE=\"boolean\">TRUE</KEYVALUE></KEYBINDING>"
             "<KEYBINDING NAME=\"U\"><KEYVALUE VALUETYPE=\"numeric\">7</KEYVALUE></KEYBINDING>"
             "<KEYBINDING NAME=\"N\"><KEYVALUE VALUETYPE=\"numeric\">-7</KEYVALUE></KEYBINDING>"
             "</INSTANCENAME>");
}

static void a_path_without_keys_is_that_of_a_class(void **state)
{
    const struct cim_path path = {"", "root/interop", "C", NULL, 0};
    const struct cim_path on_host = {"h", "root/interop", "C", NULL, 0};
    struct rig *rig = *state;

    cim_xml_local_path(&rig->text, &path);
    rig_expect_written(rig, "<LOCALCLASSPATH><LOCALNAMESPACEPATH><NAMESPACE NAME=\"root\"/>"
                            "<NAMESPACE NAME=\"interop\"/></LOCALNAMESPACEPATH>"
                            "<CLASSNAME NAME=\"C\"/></LOCALCLASSPATH>");
    cim_xml_path(&rig->text, &on_host);
    assert_non_null(strstr(rig_written(rig), "<CLASSNAME NAME=\"C\"/></CLASSPATH>"));
}

/* A path whose key "K" is a path whose key is one, so deep. */
static const struct cim_path *nest(struct rig *rig, uint32_t depth)
{
    const struct cim_path *inner = NULL;

    for (uint32_t i = 0; i < depth; i++) {
        struct cim_path *path = arena_take(&rig->arena, sizeof *path);
        struct cim_key *keys = arena_take_many(&rig->arena, 2, sizeof *keys);

        keys[0] = (struct cim_key){.name = "K",
                                   .type = inner == NULL ? CIM_STRING : CIM_REFERENCE,
                                   .text = inner == NULL ? "end" : "",
                                   .path = inner};
        keys[1] = (struct cim_key){.name = "L", .type = CIM_STRING, .text = "x"};
        *path = (struct cim_path){i == 1 ? "host" : "", i == 2 ? "root/interop" : "", "C", keys, 2};
        if (i == 1) {
            path->namespace_name = CIM_NAMESPACE_DEFAULT;
        }
        inner = path;
    }
    return inner;
}

static void keys_may_be_references(void **state)
{
    struct rig *rig = *state;

    for (uint32_t depth = 1; depth <= CIM_NEST_MAX; depth++) {
        const struct cim_path *path = nest(rig, depth);
        const struct cim_path *again = NULL;

        cim_xml_instance_name(&rig->text, path);
        assert_int_equal(cim_xml_read_path(&rig->arena, rig_parse_written(rig), &again, &rig->err),
                         0);
        assert_true(cim_path_equal(path, again));
        assert_int_equal(again->key_count, 2);
    }
    cim_xml_instance_name(&rig->text, nest(rig, CIM_NEST_MAX + 1));
    assert_int_equal(xml_text_done(&rig->text, NULL), -1);
}

static void no_path_spoils_the_text(void **state)
{
    static const struct cim_key key = {.name = "K", .type = CIM_REFERENCE, .text = ""};
    const struct cim_path path = {"", "", "C", &key, 1};
    struct rig *rig = *state;

    cim_xml_path(&rig->text, NULL);
    assert_int_equal(xml_text_done(&rig->text, NULL), -1);
    xml_text_free(&rig->text);
    cim_xml_path(&rig->text, &path);
    assert_int_equal(xml_text_done(&rig->text, NULL), -1);
}

/* --- reading ---------------------------------------------------------------------------------- */

static void every_form_of_a_path_is_read(void **state)
{
    struct rig *rig = *state;
    struct cim_path expected = job_path(rig);
    const struct cim_path *path = read_path(rig, JOB_NAME);

    assert_true(cim_path_equal(path, &expected));
    assert_string_equal(path->host, "");
    assert_string_equal(path->namespace_name, "");
    path = read_path(rig, "<LOCALINSTANCEPATH>" LOCAL JOB_NAME "</LOCALINSTANCEPATH>");
    assert_string_equal(path->namespace_name, "root/virtualization/v2");
    path = read_path(rig, "<INSTANCEPATH><NAMESPACEPATH><HOST> 127.0.0.1 </HOST>" LOCAL
                          "</NAMESPACEPATH>" JOB_NAME "</INSTANCEPATH>");
    assert_string_equal(path->host, "127.0.0.1");
    assert_string_equal(cim_path_key(path, "instanceid"), "a<b");
    path = read_path(rig, "<CLASSNAME NAME=\"C\"/>");
    assert_string_equal(path->class_name, "C");
    assert_int_equal(path->key_count, 0);
    path = read_path(rig, "<LOCALCLASSPATH>" LOCAL "<CLASSNAME NAME='C'/></LOCALCLASSPATH>");
    assert_string_equal(path->namespace_name, "root/virtualization/v2");
    path = read_path(rig, "<CLASSPATH><NAMESPACEPATH><HOST>h</HOST>" LOCAL
                          "</NAMESPACEPATH><CLASSNAME NAME='C'/></CLASSPATH>");
    assert_string_equal(path->host, "h");
}

static const struct cim_key *read_key(struct rig *rig, const char *value)
{
    const char *text =
        arena_print(&rig->arena,
                    "<INSTANCENAME CLASSNAME='C'><KEYBINDING NAME='K'>%s</KEYBINDING>"
                    "</INSTANCENAME>",
                    value);

    return read_path(rig, text)->keys;
}

static void keys_have_their_types(void **state)
{
    struct rig *rig = *state;
    const struct cim_key *key = read_key(rig, "<KEYVALUE> text </KEYVALUE>");

    assert_int_equal(key->type, CIM_STRING);
    assert_string_equal(key->text, " text ");
    key = read_key(rig, "<KEYVALUE VALUETYPE='string' TYPE='string'></KEYVALUE>");
    assert_string_equal(key->text, "");
    key = read_key(rig, "<KEYVALUE VALUETYPE='boolean'>true</KEYVALUE>");
    assert_int_equal(key->type, CIM_BOOLEAN);
    assert_string_equal(key->text, "TRUE");
    key = read_key(rig, "<KEYVALUE VALUETYPE='numeric'> 0x1F </KEYVALUE>");
    assert_int_equal(key->type, CIM_UINT64);
    assert_string_equal(key->text, "31");
    key = read_key(rig, "<KEYVALUE VALUETYPE='numeric'>-3</KEYVALUE>");
    assert_int_equal(key->type, CIM_SINT64);
    assert_string_equal(key->text, "-3");
    key = read_key(rig, "<KEYVALUE VALUETYPE='numeric' TYPE='uint16'>65535</KEYVALUE>");
    assert_int_equal(key->type, CIM_UINT16);
}

static void an_only_key_needs_no_name(void **state)
{
    struct rig *rig = *state;
    const char *text = "<INSTANCENAME CLASSNAME=\"C\"><KEYVALUE VALUETYPE=\"string\">v</KEYVALUE>"
                       "</INSTANCENAME>";
    const struct cim_path *path = read_path(rig, text);

    assert_string_equal(cim_path_key(path, "Whatever"), "v");
    cim_xml_instance_name(&rig->text, path);
    rig_expect_written(rig, text);
}

#define NAME_OF(keys) "<INSTANCENAME CLASSNAME='C'>" keys "</INSTANCENAME>"
#define KEY_OF(value) NAME_OF("<KEYBINDING NAME='K'>" value "</KEYBINDING>")

static void what_is_no_path_is_refused(void **state)
{
    static const struct {
        const char *text;
        const char *reason;
    } refusals[] = {
        {"<X/>", "X stands where INSTANCENAME must be"},
        {"<INSTANCENAME/>", "needs the attribute CLASSNAME"},
        {"<INSTANCENAME CLASSNAME=''/>", "needs the attribute CLASSNAME"},
        {"<CLASSNAME/>", "needs the attribute NAME"},
        {NAME_OF("<KEYBINDING/><KEYBINDING/>"), "needs the attribute NAME"},
        {NAME_OF("<KEYBINDING NAME='K'/>"), "the key K needs one value"},
        {NAME_OF("<X/>"), "X stands where KEYVALUE"},
        {NAME_OF("<KEYVALUE/><KEYVALUE/>"), "KEYVALUE stands where KEYBINDING must be"},
        {KEY_OF("<KEYVALUE/><KEYVALUE/>"), "the key K needs one value"},
        {KEY_OF("<VALUE>x</VALUE>"), "VALUE stands where KEYVALUE"},
        {KEY_OF("<KEYVALUE><X/></KEYVALUE>"), "holds a text"},
        {KEY_OF("<KEYVALUE VALUETYPE='date'>x</KEYVALUE>"), "'date' is none of"},
        {KEY_OF("<KEYVALUE VALUETYPE='boolean'>x</KEYVALUE>"), "'x' is no boolean"},
        {KEY_OF("<KEYVALUE VALUETYPE='numeric'>x</KEYVALUE>"), "'x' is no uint64"},
        {KEY_OF("<KEYVALUE VALUETYPE='numeric' TYPE='string'>1</KEYVALUE>"), "TYPE 'string'"},
        {KEY_OF("<KEYVALUE VALUETYPE='numeric' TYPE='uint8'>256</KEYVALUE>"), "no uint8"},
        {KEY_OF("<VALUE.REFERENCE/>"), "VALUE.REFERENCE stands where"},
        {KEY_OF("<VALUE.REFERENCE><X/></VALUE.REFERENCE>"), "X stands where"},
        {KEY_OF("<VALUE.REFERENCE><CLASSNAME NAME='a'/><CLASSNAME NAME='b'/></VALUE.REFERENCE>"),
         "with one path"},
        {NAME_OF("<KEYBINDING NAME='K'><KEYVALUE/></KEYBINDING>"
                 "<KEYBINDING NAME='k'><KEYVALUE/></KEYBINDING>"),
         "k is given twice"},
        {"<LOCALINSTANCEPATH/>", "LOCALNAMESPACEPATH is missing"},
        {"<LOCALINSTANCEPATH>" LOCAL "</LOCALINSTANCEPATH>", "INSTANCENAME is missing"},
        {"<LOCALINSTANCEPATH>" LOCAL "<CLASSNAME NAME='C'/></LOCALINSTANCEPATH>",
         "CLASSNAME stands where INSTANCENAME must be"},
        {"<LOCALCLASSPATH>" LOCAL JOB_NAME "</LOCALCLASSPATH>", "where CLASSNAME must be"},
        {"<LOCALINSTANCEPATH><LOCALNAMESPACEPATH/>" JOB_NAME "</LOCALINSTANCEPATH>", "NAMESPACEs"},
        {"<INSTANCEPATH/>", "NAMESPACEPATH is missing"},
        {"<INSTANCEPATH>" LOCAL JOB_NAME "</INSTANCEPATH>", "where NAMESPACEPATH must be"},
        {"<INSTANCEPATH><NAMESPACEPATH/>" JOB_NAME "</INSTANCEPATH>", "HOST is missing"},
        {"<INSTANCEPATH><NAMESPACEPATH><HOST>h</HOST></NAMESPACEPATH>" JOB_NAME "</INSTANCEPATH>",
         "LOCALNAMESPACEPATH is missing"},
        {"<INSTANCEPATH><NAMESPACEPATH><HOST>h</HOST>" LOCAL "</NAMESPACEPATH></INSTANCEPATH>",
         "INSTANCENAME is missing"},
    };

    for (size_t i = 0; i < ARRAY_COUNT(refusals); i++) {
        expect_no_path(*state, refusals[i].text, ERR_USAGE, refusals[i].reason);
    }
}

static void no_path_at_all_is_refused(void **state)
{
    struct rig *rig = *state;
    const struct cim_path *path = NULL;
    const char *namespace_name = NULL;

    assert_int_equal(cim_xml_read_path(&rig->arena, NULL, &path, &rig->err), -1);
    rig_expect_reason(rig, "NULL", ERR_USAGE, "INSTANCENAME is missing");
    assert_int_equal(cim_xml_read_namespace(&rig->arena, NULL, &namespace_name, &rig->err), -1);
    rig_expect_reason(rig, "NULL", ERR_USAGE, "LOCALNAMESPACEPATH is missing");
}

static void paths_are_bounded(void **state)
{
    struct rig *rig = *state;
    char text[8000];
    size_t used = 0;
    const char *head = "<INSTANCENAME CLASSNAME='C'>";

    for (uint32_t i = 0; i <= CIM_NEST_MAX; i++) {
        used += (size_t)snprintf(text + used, sizeof text - used,
                                 "%s<KEYBINDING NAME='K'><VALUE.REFERENCE>", head);
    }
    used += (size_t)snprintf(text + used, sizeof text - used, "<CLASSNAME NAME='C'/>");
    for (uint32_t i = 0; i <= CIM_NEST_MAX; i++) {
        used += (size_t)snprintf(text + used, sizeof text - used,
                                 "</VALUE.REFERENCE></KEYBINDING></INSTANCENAME>");
    }
    expect_no_path(rig, text, ERR_LIMIT, "within one another");
    used = (size_t)snprintf(text, sizeof text, "%s", head);
    for (uint32_t i = 0; i <= CIM_KEYS_MAX; i++) {
        used += (size_t)snprintf(text + used, sizeof text - used,
                                 "<KEYBINDING NAME='K%u'><KEYVALUE/></KEYBINDING>", i);
    }
    (void)snprintf(text + used, sizeof text - used, "</INSTANCENAME>");
    expect_no_path(rig, text, ERR_LIMIT, "more than 16 keys");
}

/* As many paths as can wait at a time: all keys of each are references. */
static void many_references_fit(void **state)
{
    struct rig *rig = *state;
    struct xml_text *text = &rig->text;

    xml_raw(text, "<INSTANCENAME CLASSNAME='C'>");
    for (uint32_t i = 0; i < CIM_KEYS_MAX; i++) {
        xml_print(text, "<KEYBINDING NAME='K%u'><VALUE.REFERENCE><INSTANCENAME CLASSNAME='D'>", i);
        for (uint32_t j = 0; j < CIM_KEYS_MAX; j++) {
            xml_print(text,
                      "<KEYBINDING NAME='L%u'><VALUE.REFERENCE><INSTANCENAME CLASSNAME='E'>"
                      "<KEYBINDING NAME='M'><KEYVALUE>%u</KEYVALUE></KEYBINDING>"
                      "</INSTANCENAME></VALUE.REFERENCE></KEYBINDING>",
                      j, i * CIM_KEYS_MAX + j);
        }
        xml_raw(text, "</INSTANCENAME></VALUE.REFERENCE></KEYBINDING>");
    }
    xml_raw(text, "</INSTANCENAME>");
    const struct cim_path *path = read_path(rig, rig_written(rig));

    assert_int_equal(path->key_count, CIM_KEYS_MAX);
    assert_string_equal(path->keys[3].path->keys[5].path->keys[0].text, "53");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RIG_TEST(names_are_written_in_three_lengths),
        RIG_TEST(keys_say_what_they_are),
        RIG_TEST(a_path_without_keys_is_that_of_a_class),
        RIG_TEST(keys_may_be_references),
        RIG_TEST(no_path_spoils_the_text),
        RIG_TEST(every_form_of_a_path_is_read),
        RIG_TEST(keys_have_their_types),
        RIG_TEST(an_only_key_needs_no_name),
        RIG_TEST(what_is_no_path_is_refused),
        RIG_TEST(no_path_at_all_is_refused),
        RIG_TEST(paths_are_bounded),
        RIG_TEST(many_references_fit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
