/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/endpoint.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct endpoint endpoint;

static void parse_well(const char *text)
{
    struct error err = {0};

    if (endpoint_parse(text, strlen(text), &endpoint, &err) < 0) {
        fail_msg("'%s': %s", text, err.message);
    }
    assert_string_equal(endpoint.text, text);
}

static void expect_path(const char *text)
{
    parse_well(text);
    assert_int_equal(endpoint.kind, ENDPOINT_PATH);
    assert_string_equal(endpoint.path, text);
    assert_false(endpoint_is_remote(&endpoint));
}

static void expect_ssh(const char *text, const char *user, const char *host, const char *path)
{
    parse_well(text);
    assert_int_equal(endpoint.kind, ENDPOINT_SSH);
    assert_string_equal(endpoint.user, user);
    assert_string_equal(endpoint.host, host);
    assert_string_equal(endpoint.path, path);
    assert_true(endpoint_is_remote(&endpoint));
}

static void expect_tls(const char *text, const char *host, const char *port, const char *name)
{
    parse_well(text);
    assert_int_equal(endpoint.kind, ENDPOINT_TLS);
    assert_string_equal(endpoint.host, host);
    assert_string_equal(endpoint.port, port);
    assert_string_equal(endpoint.path, name);
    assert_true(endpoint_is_remote(&endpoint));
}

static void expect_refused(const char *text, const char *word)
{
    struct error err = {0};

    if (endpoint_parse(text, strlen(text), &endpoint, &err) == 0) {
        fail_msg("'%s' passes as kind %d", text, (int)endpoint.kind);
    }
    assert_int_equal(err.kind, ERR_USAGE);
    if (strstr(err.message, word) == NULL) {
        fail_msg("'%s': no '%s' in: %s", text, word, err.message);
    }
}

static void paths_are_local(void **state)
{
    (void)state;
    expect_path("a.raw");
    expect_path("/srv/vm/a.raw");
    expect_path("./a:b");
    expect_path("../a:b");
    expect_path("/a:b");
    expect_path("dir/host:path");
    expect_path("a b=c;$(d)'.raw");
    expect_path("user@host");
    expect_path("[x]");
    expect_path("./[::1]:x");
    expect_path("tls");
    expect_path("-");
    expect_path("./tls://x");
    expect_path("caf\xc3\xa9\x01\xff");
}

static void a_colon_before_the_first_slash_names_a_host(void **state)
{
    (void)state;
    expect_ssh("db1:a.raw", "", "db1", "a.raw");
    expect_ssh("db1:/srv/a.raw", "", "db1", "/srv/a.raw");
    expect_ssh("db1:a:b", "", "db1", "a:b");
    expect_ssh("db1:/a:b", "", "db1", "/a:b");
    expect_ssh("root@db1:/srv/a.raw", "root", "db1", "/srv/a.raw");
    expect_ssh("db1.example.com:x", "", "db1.example.com", "x");
    expect_ssh("192.0.2.7:x", "", "192.0.2.7", "x");
    expect_ssh("my_alias-2:x", "", "my_alias-2", "x");
    expect_ssh("db1:./:x", "", "db1", "./:x");
    expect_ssh("db1: ", "", "db1", " ");
    expect_ssh("db1:a@b", "", "db1", "a@b");
    expect_ssh("db1:[x]:y", "", "db1", "[x]:y");
    expect_ssh("db1:$(reboot)", "", "db1", "$(reboot)"); /* it never meets a shell */
    expect_ssh("db1:nbd+unix:///x?socket=/s", "", "db1", "nbd+unix:///x?socket=/s");
}

static void the_last_at_sign_ends_the_user(void **state)
{
    (void)state;
    expect_ssh("anna@corp.example@db1:x", "anna@corp.example", "db1", "x");
    expect_ssh("CORP\\anna@db1:x", "CORP\\anna", "db1", "x");
    expect_ssh("a.b-c_d+e@db1:x", "a.b-c_d+e", "db1", "x");
}

static void brackets_hold_ipv6(void **state)
{
    (void)state;
    expect_ssh("[::1]:a.raw", "", "::1", "a.raw");
    expect_ssh("[2001:db8::7]:/srv/a:b", "", "2001:db8::7", "/srv/a:b");
    expect_ssh("root@[fe80::1%eth0]:x", "root", "fe80::1%eth0", "x");
    expect_refused("[::1]", "./");
    expect_refused("[::1", "./");
    expect_refused("[::1]x:y", "./");
    expect_refused("[]:x", "./");
    expect_refused("[db1]:x", "./");
    expect_refused("[-oProxyCommand=x:y]:z", "./");
    expect_refused("[::1:x", "./");
    expect_refused("a[::1]:x", "./");
}

static void nothing_that_ssh_or_a_shell_could_misread(void **state)
{
    static const char *const texts[] = {
        "-oProxyCommand=reboot:x",
        "-l:x",
        "a b:x",
        "a;b:x",
        "$(x):y",
        "`x`:y",
        "a'b:x",
        "a\"b:x",
        "a\nb:x",
        "a\x01:x",
        "a|b:x",
        "a&b:x",
        "%h:x",
        "h\xc3\xa9:x",
        "a,b:x",
        "*:x",
        "a=b:x",
        "[x]y:z",
        "-l@db1:x",
        "@db1:x",
        "a b@db1:x",
        "a;b@db1:x",
        "$u@db1:x",
        "`u`@db1:x",
        "u'@db1:x",
        "u|v@db1:x",
        "u@:x",
        "u@-h:x",
        "u@v w:x",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(texts); i++) {
        expect_refused(texts[i], texts[i][0] == '\0' ? "" : "'");
    }
}

static void half_a_remote_name_is_refused(void **state)
{
    (void)state;
    expect_refused("", "empty");
    expect_refused(":x", "./:x");
    expect_refused("db1:", "no path");
    expect_refused("db1::module", "two colons");
    expect_refused("db1:~/a.raw", "home directory");
    expect_refused("db1:~anna/a.raw", "home directory");
}

static void other_urls_are_no_hosts(void **state)
{
    (void)state;
    expect_refused("http://db1/x", "not an endpoint");
    expect_refused("ssh://db1/x", "[USER@]HOST:PATH");
    expect_refused("nbd://db1/x", "nbd+unix");
    expect_refused("nbds+unix:///x?socket=/s", "not an endpoint");
    expect_refused("TLS://db1:1/x", "tls://HOST:PORT/NAME");
}

static void tls_needs_all_three_parts(void **state)
{
    (void)state;
    expect_tls("tls://db1:8490/vda", "db1", "8490", "vda");
    expect_tls("tls://db1.example:1/vm1/disk-0.raw_x", "db1.example", "1", "vm1/disk-0.raw_x");
    expect_tls("tls://[::1]:65535/vda", "::1", "65535", "vda");
    expect_tls("tls://192.0.2.7:08490/0", "192.0.2.7", "8490", "0");
    static const char *const texts[] = {
        "tls://",
        "tls://db1",
        "tls://db1:8490",
        "tls://db1:8490/",
        "tls://db1/vda",
        "tls://:8490/vda",
        "tls://db1:/vda",
        "tls://db1:0/vda",
        "tls://db1:65536/vda",
        "tls://db1:99999/x",
        "tls://db1:x/vda",
        "tls://db1:-1/vda",
        "tls://[::1]/vda",
        "tls://::1:1/vda",
        "tls://db1:1//etc/passwd",
        "tls://db1:1/../x",
        "tls://db1:1/a b",
        "tls://db1:1/a?b",
        "tls://db1:1/a=b",
        "tls://db1:1/a,b",
        "tls://db1:1/%41",
        "tls://-h:1/vda",
        "tls://u@db1:1/vda",
        "tls://db1:1/a\n",
    };
    for (size_t i = 0; i < ARRAY_COUNT(texts); i++) {
        expect_refused(texts[i], "'");
    }
}

static void nbd_needs_a_socket(void **state)
{
    (void)state;
    parse_well("nbd+unix:///vda?socket=/run/x:y.sock");
    assert_int_equal(endpoint.kind, ENDPOINT_NBD);
    assert_string_equal(endpoint.path, endpoint.text);
    assert_false(endpoint_is_remote(&endpoint));
    parse_well("nbd+unix:///?socket=s");
    expect_refused("nbd+unix:///", "?socket=PATH");
    expect_refused("nbd+unix:///x?socket=", "?socket=PATH");
    expect_refused("nbd+unix://host/x?socket=/s", "?socket=PATH");
    expect_refused("nbd+unix:/x", "?socket=PATH");
}

static void too_long_is_refused_and_just_not_too_long_is_not(void **state)
{
    static char text[PATH_TEXT_MAX + 1];
    struct error err = {0};

    (void)state;
    memset(text, 'a', PATH_TEXT_MAX);
    assert_int_equal(endpoint_parse(text, PATH_TEXT_MAX - 1, &endpoint, &err), 0);
    assert_int_equal(strlen(endpoint.path), PATH_TEXT_MAX - 1);
    assert_int_equal(endpoint_parse(text, PATH_TEXT_MAX, &endpoint, &err), -1);
    text[HOST_TEXT_MAX - 1] = ':';
    assert_int_equal(endpoint_parse(text, 1000, &endpoint, &err), 0);
    assert_int_equal(strlen(endpoint.host), HOST_TEXT_MAX - 1);
    text[HOST_TEXT_MAX - 1] = 'a';
    text[HOST_TEXT_MAX] = ':';
    assert_int_equal(endpoint_parse(text, 1000, &endpoint, &err), -1);
    text[HOST_TEXT_MAX] = 'a';
    text[USER_TEXT_MAX] = '@';
    text[USER_TEXT_MAX + 5] = ':';
    assert_int_equal(endpoint_parse(text, 1000, &endpoint, &err), -1);
    text[USER_TEXT_MAX - 1] = '@';
    text[USER_TEXT_MAX] = 'a';
    assert_int_equal(endpoint_parse(text, 1000, &endpoint, &err), 0);
    assert_int_equal(strlen(endpoint.user), USER_TEXT_MAX - 1);
}

static void only_the_given_bytes_are_read(void **state)
{
    struct error err = {0};

    (void)state;
    assert_int_equal(endpoint_parse("a.raw=b:c", 5, &endpoint, &err), 0);
    assert_string_equal(endpoint.path, "a.raw");
    assert_int_equal(endpoint.kind, ENDPOINT_PATH);
}

static void same_host_is_the_same_way_there(void **state)
{
    static const struct {
        const char *a;
        const char *b;
        bool same;
    } pairs[] = {
        {"a", "b", true},
        {"a", "nbd+unix:///?socket=s", true},
        {"h:a", "h:b", true},
        {"u@h:a", "u@h:b", true},
        {"u@h:a", "h:b", false},
        {"h:a", "i:a", false},
        {"h:a", "a", false},
        {"tls://h:1/a", "tls://h:1/b", true},
        {"tls://h:1/a", "tls://h:2/a", false},
        {"tls://h:1/a", "h:a", false},
    };
    static struct endpoint a;
    static struct endpoint b;

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(pairs); i++) {
        assert_int_equal(endpoint_parse(pairs[i].a, strlen(pairs[i].a), &a, NULL), 0);
        assert_int_equal(endpoint_parse(pairs[i].b, strlen(pairs[i].b), &b, NULL), 0);
        assert_int_equal(endpoint_same_host(&a, &b), pairs[i].same);
        assert_int_equal(endpoint_same_host(&b, &a), pairs[i].same);
    }
}

static void expect_split(const char *pair, const char *source)
{
    struct error err = {0};
    size_t len = 0;

    assert_int_equal(endpoint_split_pair(pair, &len, &err), 0);
    assert_int_equal(len, strlen(source));
    assert_memory_equal(pair, source, len);
}

static void pairs_split_at_the_first_equals_sign(void **state)
{
    static const char *const bad[] = {"", "a", "a=", "=b", "=", "nbd+unix:///x?socket=/s"};
    struct error err = {0};
    size_t len = 77;

    (void)state;
    expect_split("a=b", "a");
    expect_split("a=b=c", "a");
    expect_split("a=nbd+unix:///x?socket=/s", "a");
    expect_split("nbd+unix:///x?socket=/s=b", "nbd+unix:///x?socket=/s");
    expect_split("nbd+unix:///x?socket=/s=nbd+unix:///y?socket=/t", "nbd+unix:///x?socket=/s");
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        assert_int_equal(endpoint_split_pair(bad[i], &len, &err), -1);
        assert_int_equal(err.kind, ERR_USAGE);
        assert_int_equal(len, 77);
    }
}

static void export_names_are_no_paths(void **state)
{
    static const char *const good[] = {"a", "vda", "vm1/disk-0.raw", "0_x"};
    static const char *const bad[] = {"",    "/etc/passwd", "../x", ".x",  "-x",         "a b",
                                      "a=b", "a,b",         "a:b",  "a\n", "caf\xc3\xa9"};
    char name[EXPORT_NAME_MAX + 1];

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(good); i++) {
        assert_true(endpoint_is_export_name(good[i]));
    }
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        assert_false(endpoint_is_export_name(bad[i]));
    }
    memset(name, 'a', sizeof name);
    name[EXPORT_NAME_MAX] = '\0';
    assert_false(endpoint_is_export_name(name));
    name[EXPORT_NAME_MAX - 1] = '\0';
    assert_true(endpoint_is_export_name(name));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(paths_are_local),
        cmocka_unit_test(a_colon_before_the_first_slash_names_a_host),
        cmocka_unit_test(the_last_at_sign_ends_the_user),
        cmocka_unit_test(brackets_hold_ipv6),
        cmocka_unit_test(nothing_that_ssh_or_a_shell_could_misread),
        cmocka_unit_test(half_a_remote_name_is_refused),
        cmocka_unit_test(other_urls_are_no_hosts),
        cmocka_unit_test(tls_needs_all_three_parts),
        cmocka_unit_test(nbd_needs_a_socket),
        cmocka_unit_test(too_long_is_refused_and_just_not_too_long_is_not),
        cmocka_unit_test(only_the_given_bytes_are_read),
        cmocka_unit_test(same_host_is_the_same_way_there),
        cmocka_unit_test(pairs_split_at_the_first_equals_sign),
        cmocka_unit_test(export_names_are_no_paths),
    };
    return cmocka_run_group_tests_name("endpoint", tests, NULL, NULL);
}
