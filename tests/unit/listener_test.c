/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "wire/listener.h"

#include <arpa/inet.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

/* A connection to what the listener says that it listens on (IPv4). */
static int connect_to(const char *shown)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    unsigned port = 0;

    assert_int_equal(sscanf(shown, "127.0.0.1:%u", &port), 1);
    address.sin_port = htons((uint16_t)port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

static void port_0_is_a_free_port_that_is_told(void **state)
{
    struct listener listener = {.fd = -1};
    struct error err = {0};
    char peer[LISTENER_SHOWN_MAX];
    char own[LISTENER_SHOWN_MAX];
    struct sockaddr_in address = {0};
    socklen_t len = sizeof address;
    int accepted = -1;

    (void)state;
    assert_int_equal(listener_open("127.0.0.1:0", &listener, &err), 0);
    assert_string_not_equal(listener.shown, "127.0.0.1:0");
    assert_int_equal(listener_accept(&listener, &accepted, &err), LISTENER_NOTHING);
    int client = connect_to(listener.shown);
    struct pollfd fd = {.fd = listener.fd, .events = POLLIN};
    assert_int_equal(poll(&fd, 1, 10000), 1);
    assert_int_equal(listener_accept(&listener, &accepted, &err), LISTENER_ACCEPTED);
    listener_peer_text(accepted, peer);
    assert_int_equal(getsockname(client, (struct sockaddr *)&address, &len), 0);
    (void)snprintf(own, sizeof own, "127.0.0.1:%u", (unsigned)ntohs(address.sin_port));
    assert_string_equal(peer, own);
    (void)close(client);
    (void)close(accepted);
    listener_close(&listener);
    assert_int_equal(listener.fd, -1);
    listener_close(&listener);
}

static void a_taken_port_is_an_error_that_names_it(void **state)
{
    struct listener first = {.fd = -1};
    struct listener second = {.fd = -1};
    struct error err = {0};

    (void)state;
    assert_int_equal(listener_open("127.0.0.1:0", &first, &err), 0);
    assert_int_equal(listener_open(first.shown, &second, &err), -1);
    assert_int_equal(err.kind, ERR_IO);
    assert_non_null(strstr(err.message, first.shown));
    assert_int_equal(second.fd, -1);
    listener_close(&first);
}

static void ipv6_is_shown_in_brackets(void **state)
{
    struct listener listener = {.fd = -1};
    struct error err = {0};

    (void)state;
    if (listener_open("[::1]:0", &listener, &err) < 0) {
        skip(); /* a host without IPv6 */
    }
    assert_memory_equal(listener.shown, "[::1]:", 6);
    listener_close(&listener);
}

static void what_is_no_address_is_a_usage_error(void **state)
{
    static const char *const texts[] = {
        "", "8490", "127.0.0.1", "127.0.0.1:x", "a b:1", "no-such-host.invalid:1"};
    struct listener listener = {.fd = -1};
    struct error err = {0};

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(texts); i++) {
        assert_int_equal(listener_open(texts[i], &listener, &err), -1);
        assert_int_equal(err.kind, ERR_USAGE);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(port_0_is_a_free_port_that_is_told),
        cmocka_unit_test(a_taken_port_is_an_error_that_names_it),
        cmocka_unit_test(ipv6_is_shown_in_brackets),
        cmocka_unit_test(what_is_no_address_is_a_usage_error),
    };
    return cmocka_run_group_tests_name("listener", tests, NULL, NULL);
}
