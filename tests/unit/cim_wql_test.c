/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cim/wql.h"

#include "base/env.h"
#include "cim/wql_internal.h"
#include "wql_rig.h"

struct rig {
    struct arena arena;
    const struct cim_instance *thing;
};

static void rig_start(struct rig *rig)
{
    arena_init(&rig->arena, CIM_REQUEST_BYTES);
    rig->thing = make_thing(&rig->arena);
}

static void rig_stop(struct rig *rig)
{
    assert_false(rig->arena.bad);
    arena_free(&rig->arena);
}

static struct wql parse(struct rig *rig, const char *text)
{
    struct wql query = {0};
    struct error err = {0};

    if (wql_parse(&rig->arena, text, &query, &err) < 0) {
        fail_msg("%s: %s", text, err.message);
    }
    return query;
}

/* SELECT * FROM Test_Thing WHERE ... */
static struct wql parse_where(struct rig *rig, const char *where)
{
    const char *text = arena_print(&rig->arena, "SELECT * FROM Test_Thing WHERE %s", where);
    struct error err = {0};

    assert_non_null(text);
    struct wql query = parse(rig, text);
    if (wql_check(&query, &thing_class, &err) < 0) {
        fail_msg("%s: %s", where, err.message);
    }
    return query;
}

/* --- what matches ------------------------------------------------------------------------------
 */

struct match {
    const char *where;
    bool is_true;
};

static const struct match matches[] = {
    /* texts, without case */
    {"Name = 'web\\\\1 \\'LIVE\\''", true},
    {"name = \"Web\\\\1 'live'\"", true},
    {"NAME <> 'web'", true},
    {"Name != \"Web\\\\1 'live'\"", false},
    {"Name > 'Web'", true},
    {"Name < 'WEC'", true},
    {"Name <= 'wea'", false},
    {"'web' < Name", true},
    {"'web' > Name", false},
    {"Test_Thing.Name > 'Web'", true},
    {"test_thing.name > 'Web'", true},
    {"Letter = 'Q'", true},
    {"Letter > 'q'", false},
    {"Letter >= 'q'", true},
    /* numbers as numbers */
    {"Count = 42", true},
    {"Count = 0x2A", true},
    {"Count = 0X2a", true},
    {"Count = +42", true},
    {"Count = 42.0", true},
    {"Count = 4.2e1", true},
    {"Count = '42'", true},
    {"Count = '042'", true},
    {"Count <> '43'", true},
    {"Count < 100", true},
    {"Count < '100'", true},
    {"Count > -1", true},
    {"100 >= Count", true},
    {"42 < Count", false},
    {"42 <= Count", true},
    {"Size = 9223372036854775809", true},
    {"Size = 9223372036854775808", false}, /* one less: no double could tell */
    {"Size > 9223372036854775808", true},
    {"Size < 18446744073709551615", true},
    {"Size < 18446744073709551616", true}, /* beyond 64 bits: as a real */
    {"Size = 0x8000000000000001", true},
    {"Delta = -9223372036854775808", true},
    {"Delta < -9223372036854775807", true},
    {"Delta < 0", true},
    {"Delta > 9223372036854775808", false},
    {"Delta <> 9223372036854775808", true},
    {"Ratio = 0.25", true},
    {"Ratio = '0.25'", true},
    {"Ratio = 25e-2", true},
    {"Ratio < 1", true},
    {"Ratio > 0", true},
    {"NoNumber = 0", false},
    {"NoNumber <> 0", false},
    {"NOT NoNumber = 0", false},
    /* texts that are numbers, with numbers; with texts they are texts */
    {"Digits = 42", true},
    {"Digits = 42.0", true},
    {"Digits < 100", true},
    {"Digits = '42'", false},
    {"Digits < '1'", true},
    {"Name = 42", false},
    {"Name <> 42", true},
    /* booleans */
    {"IsOn = TRUE", true},
    {"IsOn = true", true},
    {"IsOn = FALSE", false},
    {"IsOn <> FALSE", true},
    {"IsOn = 1", true},
    {"IsOn = 0", false},
    {"IsOn = 'True'", true},
    {"TRUE = IsOn", true},
    /* datetimes as moments */
    {"When = '20260301220000.000000+060'", true},
    {"When = '20260301210000.000000+000'", true},
    {"When = '2026-03-01T21:00:00Z'", true},
    {"When = '2026-03-01T22:00:00+01:00'", true},
    {"When < '2026-03-01T21:00:01Z'", true},
    {"When > '20260301213000.000000+060'", true},
    {"'2026-01-01T00:00:00Z' <= When", true},
    {"Length = '00000000000500.000000:000'", true},
    {"Length < '00000000000501.000000:000'", true},
    {"Length < '2026-03-01T21:00:00Z'", false}, /* a moment: neither less ... */
    {"Length >= '2026-03-01T21:00:00Z'", false},
    {"NOT Length >= '2026-03-01T21:00:00Z'", false},
    {"When LIKE '20260301%'", true},
    /* null is neither true nor false */
    {"Nothing IS NULL", true},
    {"Nothing IS NOT NULL", false},
    {"Name IS NULL", false},
    {"Name IS NOT NULL", true},
    {"Nothing = NULL", true},
    {"Nothing <> NULL", false},
    {"NULL = Nothing", true},
    {"NULL != Name", true},
    {"Nothing = 'x'", false},
    {"Nothing <> 'x'", false},
    {"NOT Nothing = 'x'", false},
    {"NOT Nothing <> 'x'", false},
    {"NOT (Nothing = 'x' AND Count = 42)", false},
    {"NOT (Nothing = 'x' AND Count = 1)", true}, /* false whatever Nothing were */
    {"Nothing = 'x' OR Count = 42", true},
    {"NOT (Nothing = 'x' OR Count = 1)", false},
    {"NOT Nothing LIKE '%'", false},
    /* arrays: any */
    {"Tags = 'RED'", true},
    {"Tags = 'blue'", true},
    {"Tags = 'green'", false},
    {"NOT Tags = 'green'", true},
    {"'red' = Tags", true},
    {"Numbers = 7", true},
    {"Numbers = '2'", true},
    {"Numbers = 3", false},
    {"Nones = 3", false},
    {"NOT Nones = 3", true},
    {"Nones IS NULL", false},
    {"Tags IS NOT NULL", true},
    /* references */
    {"Owner = 'Test_Base.Name=\"anna\"'", true},
    {"Owner = 'Test_Base.Name=\"bert\"'", false},
    {"Owner <> 'Test_Base.Name=\"bert\"'", true},
    {"Owner = '\\\\\\\\HOST\\\\root\\\\virtualization\\\\v2:Test_Base.Name=\"anna\"'", true},
    {"Owner IS NOT NULL", true},
    /* classes */
    {"__CLASS = 'test_thing'", true},
    {"__CLASS <> 'Test_Thing'", false},
    {"__class = 'Test_Base'", false},
    {"__CLASS LIKE 'Test[_]%'", true},
    {"__CLASS ISA 'Test_Base'", true},
    {"__CLASS ISA 'TEST_THING'", true},
    {"__CLASS ISA Test_Base", true},
    {"__CLASS ISA 'Test_Other'", false},
    {"__CLASS IS NOT NULL", true},
    {"__CLASS = NULL", false},
    {"Inside ISA 'Test_Base'", true},
    {"Inside ISA 'Test_Thing'", false},
    {"Insides ISA 'Test_Thing'", true},
    {"Insides ISA 'Test_Other'", false},
    {"Inside IS NOT NULL", true},
    /* how strongly they bind: NOT, AND, OR */
    {"Count = 1 OR Count = 42 AND IsOn = FALSE", false},
    {"IsOn = FALSE AND Count = 1 OR Count = 42", true},
    {"Count = 42 OR Count = 1 AND IsOn = FALSE", true},
    {"(Count = 42 OR Count = 1) AND IsOn = FALSE", false},
    {"NOT Count = 1 AND IsOn = TRUE", true},
    {"NOT Count = 42 OR IsOn = TRUE", true},
    {"NOT (Count = 42 OR IsOn = TRUE)", false},
    {"NOT NOT Count = 42", true},
    {"NOT NOT NOT Count = 42", false},
    {"((((Count = 42))))", true},
    {"not count=42 or(count=42)and not(ison=false)", true},
};

static void queries_match_as_they_should(void **state)
{
    struct rig rig;

    (void)state;
    rig_start(&rig);
    for (size_t i = 0; i < ARRAY_COUNT(matches); i++) {
        struct wql query = parse_where(&rig, matches[i].where);
        if (wql_matches(&query, rig.thing) != matches[i].is_true) {
            fail_msg("%s is not %s", matches[i].where, matches[i].is_true ? "true" : "false");
        }
    }
    rig_stop(&rig);
}

static void without_where_everything_matches(void **state)
{
    struct rig rig;

    (void)state;
    rig_start(&rig);
    struct wql query = parse(&rig, " select *\r\n\tfrom Test_Base ");
    assert_int_equal(query.kind, WQL_SELECT);
    assert_string_equal(query.class_name, "Test_Base");
    assert_null(query.properties);
    assert_int_equal(query.step_count, 0);
    assert_int_equal(wql_check(&query, &base_class, NULL), 0);
    assert_true(wql_matches(&query, rig.thing));
    rig_stop(&rig);
}

static void a_query_of_an_ancestor_matches_its_descendants(void **state)
{
    struct rig rig;

    (void)state;
    rig_start(&rig);
    struct wql query = parse(&rig, "SELECT Name FROM Test_Base WHERE Name LIKE 'web%'");
    assert_int_equal(wql_check(&query, &base_class, NULL), 0);
    assert_true(wql_matches(&query, rig.thing));
    assert_false(wql_matches(&query, make_base(&rig.arena, "db")));
    rig_stop(&rig);
}

static void a_list_has_the_properties_and_not_the_systems(void **state)
{
    struct rig rig;

    (void)state;
    rig_start(&rig);
    struct wql query = parse(&rig, "SELECT Name, __PATH, Test_Thing.Count ,IsOn FROM Test_Thing");
    assert_int_equal(query.property_count, 3);
    assert_string_equal(query.properties[0], "Name");
    assert_string_equal(query.properties[1], "Count");
    assert_string_equal(query.properties[2], "IsOn");
    query = parse(&rig, "SELECT __RELPATH FROM Test_Thing");
    assert_int_equal(query.property_count, 0);
    assert_non_null(query.properties); /* none, which is not all */
    rig_stop(&rig);
}

/* --- LIKE ------------------------------------------------------------------------------------- */

static const struct {
    const char *pattern;
    const char *text;
    bool is_like;
} likes[] = {
    {"", "", true},
    {"", "a", false},
    {"%", "", true},
    {"%%", "abc", true},
    {"_", "", false},
    {"_", "a", true},
    {"_", "\xc3\xa4", true}, /* one character, two bytes */
    {"__", "\xc3\xa4", false},
    {"_", "\xf0\x9f\x92\xbe", true},
    {"a%", "ABC", true},
    {"%c", "abc", true},
    {"%b%", "abc", true},
    {"a%c", "abcabd", false},
    {"a%b%c", "axxbyyc", true},
    {"a_c", "abc", true},
    {"a_c", "ac", false},
    {"[a-c]x", "bX", true},
    {"[a-c]x", "dx", false},
    {"[A-C]x", "bx", true},
    {"[^a-c]x", "dx", true},
    {"[^a-c]x", "ax", false},
    {"[abc]", "c", true},
    {"[abc-]", "-", true},
    {"[-a]", "-", true},
    {"[%]", "%", true},
    {"[%]", "a", false},
    {"100[%]", "100%", true},
    {"[_]", "_", true},
    {"[_]", "a", false},
    {"[[]", "[", true},
    {"[]]", "]", true},
    {"[^]]", "]", false},
    {"[^]]", "a", true},
    {"a]", "a]", true},
    {"[\xc3\xa4-\xc3\xbc]", "\xc3\xb6", true}, /* from a to u with diaeresis: o with one */
    {"[\xc3\xa4-\xc3\xbc]", "o", false},
    {"[^x]", "\xc3\xb6", true},
    {"%_", "\xc3\xb6", true},
    {"_%_", "\xc3\xb6", false},
    {"_", "\xff", true}, /* no character, but one byte, like nothing else */
    {"\xff", "\xfe", false},
    {"%[0-9][0-9]", "vm-07", true},
    {"%[0-9][0-9]", "vm-7", false},
};

static void patterns_match_as_they_should(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(likes); i++) {
        assert_null(wql_like_check(likes[i].pattern));
        if (wql_like(likes[i].pattern, likes[i].text) != likes[i].is_like) {
            fail_msg("'%s' LIKE '%s' is not %s", likes[i].text, likes[i].pattern,
                     likes[i].is_like ? "true" : "false");
        }
    }
}

/* With going back to every %, this would take longer than the universe has existed. */
static void a_hostile_pattern_takes_no_time(void **state)
{
    struct rig rig;
    char pattern[4001];
    char text[8001];

    (void)state;
    rig_start(&rig);
    for (size_t i = 0; i + 1 < sizeof pattern; i += 2) {
        pattern[i] = '%';
        pattern[i + 1] = 'a';
    }
    pattern[sizeof pattern - 2] = 'b';
    pattern[sizeof pattern - 1] = '\0';
    memset(text, 'a', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    const uint64_t begun_ns = env_now_ns(env_system());
    assert_false(wql_like(pattern, text));
    assert_true(env_now_ns(env_system()) - begun_ns < 5 * NS_PER_S);
    rig_stop(&rig);
}

/* --- refusals --------------------------------------------------------------------------------- */

static const struct {
    const char *text;
    const char *message; /* of it */
} refusals[] = {
    {"", "at column 1: SELECT, ASSOCIATORS OF or REFERENCES OF was expected, not the end"},
    {"   ", "at column 4: SELECT"},
    {"DELETE FROM X", "at column 1: SELECT, ASSOCIATORS OF or REFERENCES OF was expected, not "
                      "'DELETE'"},
    {"SELECT", "at column 7: a property's name was expected, not the end"},
    {"SELECT FROM X", "at column 8: a property's name was expected, not 'FROM'"},
    {"SELECT * X", "at column 10: FROM was expected, not 'X'"},
    {"SELECT *, A FROM X", "at column 9: FROM was expected, not ','"},
    {"SELECT A, FROM X", "at column 11: a property's name"},
    {"SELECT A B FROM X", "at column 10: FROM was expected, not 'B'"},
    {"SELECT A. FROM X", "at column 11: a property's name"},
    {"SELECT Y.A FROM X", "at column 8: 'Y' is not the class after FROM"},
    {"SELECT X.A, Y.B FROM X", "at column 13: 'Y' is not the class after FROM"},
    {"SELECT * FROM", "at column 14: a class's name was expected, not the end"},
    {"SELECT * FROM 'X'", "at column 15: a class's name was expected, not 'X'"},
    {"SELECT * FROM X Y", "at column 17: WHERE or the end was expected, not 'Y'"},
    {"SELECT * FROM X WITHIN 2", "at column 17: WHERE or the end was expected, not 'WITHIN'"},
    {"SELECT * FROM X WHERE", "at column 22: a property's name was expected, not the end"},
    {"SELECT * FROM X WHERE AND A = 1", "at column 23: a property's name was expected, not 'AND'"},
    {"SELECT * FROM X WHERE A", "at column 24: =, <>, <, <=, >, >=, IS, LIKE or ISA was expected"},
    {"SELECT * FROM X WHERE A B", "at column 25: =, <>"},
    {"SELECT * FROM X WHERE A =", "at column 26: a value ('text', a number, TRUE, FALSE or NULL)"},
    {"SELECT * FROM X WHERE A = B", "at column 27: a value"},
    {"SELECT * FROM X WHERE A = = 1", "at column 27: a value"},
    {"SELECT * FROM X WHERE A == 1", "at column 26: a value"},
    {"SELECT * FROM X WHERE A = 1 B = 2", "at column 29: AND, OR or the end was expected, not 'B'"},
    {"SELECT * FROM X WHERE A = 1 AND",
     "at column 32: a property's name was expected, not the end"},
    {"SELECT * FROM X WHERE A = 1 OR OR B = 2", "at column 32: a property's name"},
    {"SELECT * FROM X WHERE NOT", "at column 26: a property's name"},
    {"SELECT * FROM X WHERE A NOT = 1", "at column 25: =, <>"},
    {"SELECT * FROM X WHERE (A = 1", "at column 23: this ( is not closed"},
    {"SELECT * FROM X WHERE (A = 1 AND (B = 2)", "at column 23: this ( is not closed"},
    {"SELECT * FROM X WHERE A = 1)", "at column 28: this ) closes nothing"},
    {"SELECT * FROM X WHERE ()", "at column 24: a property's name was expected, not ')'"},
    {"SELECT * FROM X WHERE (A) = 1", "at column 25: =, <>"},
    {"SELECT * FROM X WHERE A < NULL", "at column 27: NULL is not less or greater"},
    {"SELECT * FROM X WHERE NULL >= A", "at column 23: NULL is not less or greater"},
    {"SELECT * FROM X WHERE A IS", "at column 27: NULL was expected, not the end"},
    {"SELECT * FROM X WHERE A IS 1", "at column 28: NULL was expected, not '1'"},
    {"SELECT * FROM X WHERE A IS NOT 1", "at column 32: NULL was expected, not '1'"},
    {"SELECT * FROM X WHERE A LIKE 1", "at column 30: a pattern in quotes was expected, not '1'"},
    {"SELECT * FROM X WHERE A LIKE 'a[b'", "at column 30: a [ of the pattern has no closing ]"},
    {"SELECT * FROM X WHERE A LIKE '['", "at column 30: a [ of the pattern"},
    {"SELECT * FROM X WHERE A LIKE '[]'", "at column 30: a [ of the pattern"},
    {"SELECT * FROM X WHERE A LIKE '[^'", "at column 30: a [ of the pattern"},
    {"SELECT * FROM X WHERE A LIKE '[^]'", "at column 30: a [ of the pattern"},
    {"SELECT * FROM X WHERE A ISA 1", "at column 29: a class's name was expected, not '1'"},
    {"SELECT * FROM X WHERE A ISA NULL", "at column 29: a class's name"},
    {"SELECT * FROM X WHERE 1 A", "at column 25: =, <>"},
    {"SELECT * FROM X WHERE 1 = 1", "at column 27: a property's name was expected, not '1'"},
    {"SELECT * FROM X WHERE TRUE", "at column 27: =, <>"},
    {"SELECT * FROM X WHERE Y.A = 1", "at column 23: 'Y' is not the class after FROM"},
    {"SELECT * FROM X WHERE A = 12abc", "at column 27: '12abc' is no number"},
    {"SELECT * FROM X WHERE A = 0x", "at column 27: '0x' is no number"},
    {"SELECT * FROM X WHERE A = 0xg", "at column 27: '0xg' is no number"},
    {"SELECT * FROM X WHERE A = 1.2.3", "at column 27: '1.2.3' is no number"},
    {"SELECT * FROM X WHERE A = 1e", "at column 27: '1e' is no number"},
    {"SELECT * FROM X WHERE A = -", "at column 27: '-' has no meaning here"},
    {"SELECT * FROM X WHERE A = 'b", "at column 27: the text that begins here has no closing '"},
    {"SELECT * FROM X WHERE A = \"b'", "at column 27: the text that begins here has no closing \""},
    {"SELECT * FROM X WHERE A = 'b\\", "at column 29: this backslash escapes nothing"},
    {"SELECT * FROM X WHERE A = 'C:\\p'", "at column 30: this backslash escapes nothing"},
    {"SELECT * FROM X WHERE A = '\xc3\xa4\xc3\xb6\\p'", "at column 30: this backslash"},
    {"SELECT * FROM X WHERE A = 'it''s'", "at column 31: AND, OR or the end"},
    {"SELECT * FROM X; DROP", "at column 16: ';' has no meaning here"},
    {"SELECT * FROM \xc3\xa4", "at column 15: the byte 0xc3 may stand within quotes only"},
    {"SELECT * FROM X WHERE A = \x01", "at column 27: the byte 0x01 may stand"},
    {"SELECT * FROM X WHERE {X} = 1", "at column 23: a property's name was expected, not 'X'"},
    {"SELECT * FROM X WHERE { = 1", "at column 23: the path that begins here has no closing }"},
    {"ASSOCIATORS {X}", "at column 13: OF was expected, not 'X'"},
    {"ASSOCIATORS OF X", "at column 16: the path of an object in { } was expected, not 'X'"},
    {"ASSOCIATORS OF", "at column 15: the path of an object in { } was expected, not the end"},
    {"ASSOCIATORS OF {}", "at column 16: "},
    {"ASSOCIATORS OF {X.=}", "at column 16: "},
    {"ASSOCIATORS OF {X.A=\"}\"", "at column 16: the path that begins here has no closing }"},
    {"ASSOCIATORS OF {X=1} Y", "at column 22: WHERE or the end was expected, not 'Y'"},
    {"ASSOCIATORS OF {X=1} WHERE", "at column 27: AssocClass, ResultClass, Role, ResultRole"},
    {"ASSOCIATORS OF {X=1} WHERE Foo=Y", "at column 28: AssocClass, ResultClass"},
    {"ASSOCIATORS OF {X=1} WHERE Role", "at column 32: = was expected, not the end"},
    {"ASSOCIATORS OF {X=1} WHERE Role<>Y", "at column 32: = was expected, not '<>'"},
    {"ASSOCIATORS OF {X=1} WHERE Role=", "at column 33: a name was expected, not the end"},
    {"ASSOCIATORS OF {X=1} WHERE Role=''", "at column 33: a name was expected, not ''"},
    {"ASSOCIATORS OF {X=1} WHERE Role=1", "at column 33: a name was expected, not '1'"},
    {"ASSOCIATORS OF {X=1} WHERE Role=A Role=B", "at column 35: Role is here a second time"},
    {"ASSOCIATORS OF {X=1} WHERE Role=A AND ResultRole=B", "at column 35: AssocClass"},
    {"REFERENCES OF {X=1} WHERE AssocClass=Y", "at column 27: ResultClass, Role, Required"},
    {"REFERENCES OF {X=1} WHERE ResultRole=Y", "at column 27: ResultClass, Role, Required"},
    {"REFERENCES OF {X=1} WHERE RequiredAssocQualifier=Y", "at column 27: ResultClass, Role"},
};

static void what_is_no_query_is_refused_with_its_place(void **state)
{
    struct rig rig;

    (void)state;
    rig_start(&rig);
    for (size_t i = 0; i < ARRAY_COUNT(refusals); i++) {
        struct error err = {0};
        struct wql query = {0};
        if (wql_parse(&rig.arena, refusals[i].text, &query, &err) == 0) {
            fail_msg("'%s' is taken", refusals[i].text);
        }
        assert_int_equal(err.kind, ERR_USAGE);
        assert_int_equal(query.kind, WQL_INVALID);
        if (strstr(err.message, refusals[i].message) == NULL) {
            fail_msg("'%s': %s", refusals[i].text, err.message);
        }
    }
    rig_stop(&rig);
}

static void a_long_word_is_shown_in_part(void **state)
{
    struct rig rig;
    struct error err = {0};
    struct wql query = {0};
    char text[200] = "SELECT * FROM X ";
    size_t length = strlen(text);

    (void)state;
    rig_start(&rig);
    memset(text + length, 'y', 100);
    assert_int_equal(wql_parse(&rig.arena, text, &query, &err), -1);
    assert_non_null(strstr(err.message, "not 'yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy...'"));
    /* Characters are shown whole: byte 40 is within one. */
    (void)snprintf(
        text + length, sizeof text - length, "'a%s'",
        "\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4"
        "\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4"
        "\xc3\xa4");
    assert_int_equal(wql_parse(&rig.arena, text, &query, &err), -1);
    assert_non_null(strstr(err.message, "\xc3\xa4...'"));
    rig_stop(&rig);
}

static const struct {
    const char *text;
    const char *message;
} unfit[] = {
    {"SELECT Foo FROM Test_Thing", "Test_Thing has no property 'Foo'"},
    {"SELECT Name, Foo FROM Test_Thing", "Test_Thing has no property 'Foo'"},
    {"SELECT * FROM Test_Thing WHERE Foo = 1", "Test_Thing has no property 'Foo'"},
    {"SELECT * FROM Test_Thing WHERE Foo IS NULL", "Test_Thing has no property 'Foo'"},
    {"SELECT * FROM Test_Thing WHERE __PATH = 'x'", "Test_Thing has no property '__PATH'"},
    {"SELECT * FROM Test_Thing WHERE Count = 'x'", "Test_Thing.Count can be compared with a number "
                                                   "only, not with 'x'"},
    {"SELECT * FROM Test_Thing WHERE Count = TRUE", "with a number only, not with 'TRUE'"},
    {"SELECT * FROM Test_Thing WHERE Count LIKE '4%'", "Test_Thing.Count is a uint16, which cannot "
                                                       "be compared with LIKE"},
    {"SELECT * FROM Test_Thing WHERE Ratio = 'NaN'", "with a number only, not with 'NaN'"},
    {"SELECT * FROM Test_Thing WHERE Ratio = ' 1'", "with a number only"},
    {"SELECT * FROM Test_Thing WHERE IsOn > FALSE",
     "is a boolean, which cannot be compared with >"},
    {"SELECT * FROM Test_Thing WHERE IsOn = 2", "with TRUE or FALSE only, not with '2'"},
    {"SELECT * FROM Test_Thing WHERE IsOn = 'yes'", "with TRUE or FALSE only, not with 'yes'"},
    {"SELECT * FROM Test_Thing WHERE When = 'today'", "with a datetime only, not with 'today'"},
    {"SELECT * FROM Test_Thing WHERE When = 20260301", "with a datetime only"},
    {"SELECT * FROM Test_Thing WHERE When = '2026****************+000'", "with a datetime only"},
    {"SELECT * FROM Test_Thing WHERE Tags <> 'red'", "is an array of string, which cannot be "
                                                     "compared with <>"},
    {"SELECT * FROM Test_Thing WHERE Tags LIKE 'r%'", "which cannot be compared with LIKE"},
    {"SELECT * FROM Test_Thing WHERE Numbers < 3", "which cannot be compared with <"},
    {"SELECT * FROM Test_Thing WHERE Owner = 'anna'", "with the path of an object only"},
    {"SELECT * FROM Test_Thing WHERE Owner < 'X=1'",
     "a reference, which cannot be compared with <"},
    {"SELECT * FROM Test_Thing WHERE Inside = 'x'", "is an embedded instance, which cannot be"},
    {"SELECT * FROM Test_Thing WHERE Insides = 'x'", "is an array of embedded instance"},
    {"SELECT * FROM Test_Thing WHERE Name ISA 'X'", "a string, which cannot be compared with ISA"},
    {"SELECT * FROM Test_Thing WHERE __CLASS = 5", "__CLASS of Test_Thing can be compared with a "
                                                   "class's name in quotes only, not with '5'"},
};

static void what_the_class_does_not_have_is_refused(void **state)
{
    struct rig rig;

    (void)state;
    rig_start(&rig);
    for (size_t i = 0; i < ARRAY_COUNT(unfit); i++) {
        struct error err = {0};
        struct wql query = parse(&rig, unfit[i].text);
        if (wql_check(&query, &thing_class, &err) == 0) {
            fail_msg("'%s' is taken", unfit[i].text);
        }
        assert_int_equal(err.kind, ERR_USAGE);
        if (strstr(err.message, unfit[i].message) == NULL) {
            fail_msg("'%s': %s", unfit[i].text, err.message);
        }
    }
    rig_stop(&rig);
}

/* --- limits ----------------------------------------------------------------------------------- */

static void expect_limit(struct rig *rig, const char *text, const char *message)
{
    struct error err = {0};
    struct wql query = {0};

    assert_int_equal(wql_parse(&rig->arena, text, &query, &err), -1);
    assert_int_equal(err.kind, ERR_LIMIT);
    assert_non_null(strstr(err.message, message));
}

/* `times` times before, a comparison, and `times` times behind. */
static const char *nested(struct rig *rig, const char *before, const char *behind, size_t times)
{
    size_t size_bytes = 100 + times * (strlen(before) + strlen(behind));
    char *text = arena_take(&rig->arena, size_bytes);
    size_t length = 0;

    assert_non_null(text);
    length += (size_t)snprintf(text, size_bytes, "SELECT * FROM Test_Thing WHERE ");
    for (size_t i = 0; i < times; i++) {
        length += (size_t)snprintf(text + length, size_bytes - length, "%s", before);
    }
    length += (size_t)snprintf(text + length, size_bytes - length, "Count=42");
    for (size_t i = 0; i < times; i++) {
        length += (size_t)snprintf(text + length, size_bytes - length, "%s", behind);
    }
    return text;
}

static void nesting_is_bounded(void **state)
{
    struct rig rig;

    (void)state;
    rig_start(&rig);
    struct wql query = parse(&rig, nested(&rig, "(", ")", WQL_STEPS_MAX - 1));
    assert_true(wql_matches(&query, rig.thing));
    expect_limit(&rig, nested(&rig, "(", ")", WQL_STEPS_MAX), "more than 256 comparisons");
    query = parse(&rig, nested(&rig, "NOT ", "", WQL_STEPS_MAX - 1));
    assert_int_equal(query.step_count, WQL_STEPS_MAX);
    assert_false(wql_matches(&query, rig.thing));
    expect_limit(&rig, nested(&rig, "NOT ", "", WQL_STEPS_MAX), "more than 256 comparisons");
    rig_stop(&rig);
}

static void comparisons_are_bounded(void **state)
{
    struct rig rig;

    (void)state;
    rig_start(&rig);
    struct wql query = parse(&rig, nested(&rig, "", " AND Count=42", WQL_STEPS_MAX / 2 - 1));
    assert_int_equal(query.step_count, WQL_STEPS_MAX - 1);
    assert_true(wql_matches(&query, rig.thing));
    query = parse(&rig, nested(&rig, "Count=1 OR (", ")", WQL_STEPS_MAX / 3));
    assert_true(wql_matches(&query, rig.thing));
    expect_limit(&rig, nested(&rig, "", " AND Count=42", WQL_STEPS_MAX / 2), "more than 256");
    expect_limit(&rig, nested(&rig, "", " OR Count=42", WQL_STEPS_MAX / 2), "more than 256");
    rig_stop(&rig);
}

static void a_long_text_is_refused(void **state)
{
    struct rig rig;
    struct wql query = {0};
    char *text = NULL;

    (void)state;
    rig_start(&rig);
    text = arena_take(&rig.arena, WQL_TEXT_MAX + 2);
    assert_non_null(text);
    memset(text, ' ', WQL_TEXT_MAX + 1);
    memcpy(text, "SELECT * FROM X", 15);
    expect_limit(&rig, text, "may have 8192 bytes at most");
    text[WQL_TEXT_MAX] = '\0';
    assert_int_equal(wql_parse(&rig.arena, text, &query, NULL), 0);
    rig_stop(&rig);
}

static void without_memory_there_is_a_limit_and_no_crash(void **state)
{
    static const char *const texts[] = {
        "SELECT Name, Count FROM Test_Thing WHERE Name LIKE 'a%' AND Count = 0x10",
        "ASSOCIATORS OF {X.A=\"1\"} WHERE Role=A ResultClass=B"};

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(texts); i++) {
        int result = -1;
        for (size_t size_bytes = 0; result < 0; size_bytes += 16) {
            struct arena arena;
            struct wql query = {0};
            struct error err = {0};
            arena_init(&arena, size_bytes);
            result = wql_parse(&arena, texts[i], &query, &err);
            assert_int_equal(query.kind != WQL_INVALID, result == 0);
            assert_true(result == 0 || arena.bad);
            arena_free(&arena);
            assert_true(size_bytes < CIM_REQUEST_BYTES);
        }
    }
}

/* --- associations ----------------------------------------------------------------------------- */

static void associators_have_their_clauses(void **state)
{
    struct rig rig;

    (void)state;
    rig_start(&rig);
    struct wql query = parse(&rig, "associators of {Test_Base.Name=\"a}b\"} where "
                                   "AssocClass = Test_Link ResultClass='Test_Thing' "
                                   "ROLE=Antecedent resultrole=\"Dependent\" KeysOnly "
                                   "RequiredQualifier=Dynamic RequiredAssocQualifier=Association");
    assert_int_equal(query.kind, WQL_ASSOCIATORS);
    assert_string_equal(query.of->class_name, "Test_Base");
    assert_string_equal(cim_path_key(query.of, "Name"), "a}b");
    assert_string_equal(query.filter.association_class, "Test_Link");
    assert_string_equal(query.filter.result_class, "Test_Thing");
    assert_string_equal(query.filter.role, "Antecedent");
    assert_string_equal(query.filter.result_role, "Dependent");
    assert_string_equal(query.filter.required_qualifier, "Dynamic");
    assert_string_equal(query.filter.required_association_qualifier, "Association");
    assert_true(query.is_keys_only);
    assert_false(query.is_classes_only);
    assert_int_equal(wql_check(&query, &thing_class, NULL), 0);
    rig_stop(&rig);
}

static void associators_without_clauses_narrow_nothing(void **state)
{
    struct rig rig;

    (void)state;
    rig_start(&rig);
    struct wql query =
        parse(&rig, "ASSOCIATORS OF {\\\\.\\root\\virtualization\\v2:Test_Base.Name='a'}");
    assert_int_equal(query.kind, WQL_ASSOCIATORS);
    assert_string_equal(cim_path_key(query.of, "Name"), "a");
    assert_null(query.filter.association_class);
    assert_null(query.filter.result_class);
    assert_null(query.filter.role);
    assert_null(query.filter.result_role);
    assert_false(query.is_keys_only);
    query = parse(&rig, "ASSOCIATORS OF {Test_Base} WHERE SchemaOnly");
    assert_int_equal(query.of->key_count, 0);
    assert_true(query.is_classes_only);
    query = parse(&rig, "ASSOCIATORS OF {Test_Base.Name=\"a\"} WHERE ClassDefsOnly Role=A");
    assert_true(query.is_classes_only);
    assert_string_equal(query.filter.role, "A");
    rig_stop(&rig);
}

static void references_have_fewer_clauses(void **state)
{
    struct rig rig;

    (void)state;
    rig_start(&rig);
    struct wql query = parse(&rig, "REFERENCES OF {Test_Base.Name=\"say \\\"}\\\"\"} WHERE "
                                   "ResultClass=Test_Link Role='Antecedent'");
    assert_int_equal(query.kind, WQL_REFERENCES);
    assert_string_equal(cim_path_key(query.of, "Name"), "say \"}\"");
    assert_string_equal(query.filter.result_class, "Test_Link");
    assert_string_equal(query.filter.role, "Antecedent");
    rig_stop(&rig);
}

/* --- the shortcut ----------------------------------------------------------------------------- */

static const struct {
    const char *where;
    const char *wanted; /* of Name */
} wanted[] = {
    {"Name = 'a'", "a"},
    {"'a' = name", "a"},
    {"Name = 'a' AND Count = 1", "a"},
    {"Count = 1 AND Name = 'a'", "a"},
    {"Count = 1 AND (IsOn = TRUE AND (Name = 'a' AND Size > 1))", "a"},
    {"(Count = 1 OR Count = 2) AND Name = 'a'", "a"},
    {"Name = 'a' AND NOT Count = 2", "a"},
    {"Name = 'a' OR Count = 1", NULL},
    {"Count = 1 AND (Name = 'a' OR Count = 2)", NULL},
    {"NOT Name = 'a'", NULL},
    {"NOT (Count = 1 AND Name = 'a')", NULL},
    {"NOT NOT Name = 'a'", NULL}, /* it could be told, and nobody writes it */
    {"Name <> 'a'", NULL},
    {"Name LIKE 'a'", NULL},
    {"Name >= 'a'", NULL},
    {"Name = 5", NULL},
    {"Name IS NULL", NULL},
    {"Digits = 'a'", NULL},
};

static void the_wanted_text_is_what_every_match_has(void **state)
{
    struct rig rig;

    (void)state;
    rig_start(&rig);
    for (size_t i = 0; i < ARRAY_COUNT(wanted); i++) {
        struct wql query = parse_where(&rig, wanted[i].where);
        const char *text = wql_wanted_text(&query, "NAME");
        if ((text == NULL) != (wanted[i].wanted == NULL) ||
            (text != NULL && strcmp(text, wanted[i].wanted) != 0)) {
            fail_msg("%s: %s", wanted[i].where, text != NULL ? text : "none");
        }
    }
    struct wql all = parse(&rig, "SELECT * FROM Test_Thing");
    assert_null(wql_wanted_text(&all, "Name"));
    struct wql most = parse(&rig, nested(&rig, "", " AND Count=42", WQL_STEPS_MAX / 2 - 1));
    assert_null(wql_wanted_text(&most, "Name"));
    rig_stop(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(queries_match_as_they_should),
        cmocka_unit_test(without_where_everything_matches),
        cmocka_unit_test(a_query_of_an_ancestor_matches_its_descendants),
        cmocka_unit_test(a_list_has_the_properties_and_not_the_systems),
        cmocka_unit_test(patterns_match_as_they_should),
        cmocka_unit_test(a_hostile_pattern_takes_no_time),
        cmocka_unit_test(what_is_no_query_is_refused_with_its_place),
        cmocka_unit_test(a_long_word_is_shown_in_part),
        cmocka_unit_test(what_the_class_does_not_have_is_refused),
        cmocka_unit_test(nesting_is_bounded),
        cmocka_unit_test(comparisons_are_bounded),
        cmocka_unit_test(a_long_text_is_refused),
        cmocka_unit_test(without_memory_there_is_a_limit_and_no_crash),
        cmocka_unit_test(associators_have_their_clauses),
        cmocka_unit_test(associators_without_clauses_narrow_nothing),
        cmocka_unit_test(references_have_fewer_clauses),
        cmocka_unit_test(the_wanted_text_is_what_every_match_has),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
