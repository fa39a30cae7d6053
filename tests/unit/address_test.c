/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/address.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void addresses_to_listen_on(void **state)
{
    static const struct {
        const char *text;
        const char *host;
        const char *port;
    } good[] = {
        {"127.0.0.1:0", "127.0.0.1", "0"},
        {"[::]:8490", "::", "8490"},
        {":8490", "", "8490"},
        {"localhost:1", "localhost", "1"},
    };
    static const char *const bad[] = {"",         ":",         "x",       "8490",
                                      "::1:8490", "x:",        "x:65536", "x:1:2",
                                      "[::1]",    "[::1]8490", "*:1",     "a b:1"};
    char host[HOST_TEXT_MAX] = "";
    char port[PORT_TEXT_MAX] = "";
    struct error err = {0};

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(good); i++) {
        assert_int_equal(address_parse(good[i].text, 0, false, host, port, &err), 0);
        assert_string_equal(host, good[i].host);
        assert_string_equal(port, good[i].port);
    }
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        if (address_parse(bad[i], 0, false, host, port, &err) == 0) {
            fail_msg("'%s' passes", bad[i]);
        }
        assert_int_equal(err.kind, ERR_USAGE);
    }
    assert_int_equal(address_parse(":1", 0, true, host, port, &err), -1);
    assert_int_equal(address_parse("x:0", 1, true, host, port, &err), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_to_listen_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
