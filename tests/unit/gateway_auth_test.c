/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gateway/auth.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "config/users.h"
#include "gateway/credentials.h"

#define FINGERPRINT "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

struct rig {
    char folder[32];
    char path[64];
    struct auth *auth;
    struct env env; /* whose clock stands */
    uint64_t now_ns;
    struct cim_caller caller;
    char why[ERROR_MESSAGE_MAX];
};

static uint64_t standing_clock(void *context)
{
    return *(const uint64_t *)context;
}

static int real_random(void *context, struct span out, struct error *err)
{
    (void)context;
    return env_random(env_system(), out, err);
}

static void set_user(const struct rig *rig, const char *name, const char *password,
                     enum user_role role, const char *fingerprint)
{
    struct user user = {.role = role, .hash = "*"};

    (void)snprintf(user.name, sizeof user.name, "%s", name);
    (void)snprintf(user.fingerprint, sizeof user.fingerprint, "%s", fingerprint);
    if (password != NULL) {
        assert_int_equal(users_hash(password, user.hash, NULL), 0);
    }
    assert_int_equal(users_set(rig->path, &user, NULL), 0);
}

static int set_up(void **state)
{
    struct rig *rig = calloc(1, sizeof *rig);

    assert_non_null(rig);
    (void)snprintf(rig->folder, sizeof rig->folder, "/tmp/auth.XXXXXX");
    assert_non_null(mkdtemp(rig->folder));
    (void)snprintf(rig->path, sizeof rig->path, "%s/users", rig->folder);
    set_user(rig, "alice", "secret", USER_OPERATOR, "");
    set_user(rig, "carol", NULL, USER_VIEWER, FINGERPRINT);
    rig->now_ns = 1000 * NS_PER_S;
    rig->env =
        (struct env){.now_ns = standing_clock, .random = real_random, .context = &rig->now_ns};
    assert_int_equal(auth_new(&rig->env, rig->path, &rig->auth, NULL), 0);
    *state = rig;
    return 0;
}

static int tear_down(void **state)
{
    struct rig *rig = *state;

    auth_free(rig->auth);
    (void)unlink(rig->path);
    (void)rmdir(rig->folder);
    free(rig);
    return 0;
}

/* --- asking ---------------------------------------------------------------------------------- */

static void encode(const char *bytes, size_t count, char *out)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

    for (size_t i = 0; i < count; i += 3) {
        uint32_t bits = 0;
        for (size_t j = 0; j < 3; j++) {
            bits = bits << 8 | (i + j < count ? (unsigned char)bytes[i + j] : 0U);
        }
        for (int j = 0; j < 4; j++) {
            *out++ = i + (size_t)j > count ? '=' : digits[bits >> (18 - 6 * j) & 63];
        }
    }
    *out = '\0';
}

static enum auth_result check(struct rig *rig, const struct auth_offer *offer)
{
    rig->why[0] = '\0';
    memset(&rig->caller, 0, sizeof rig->caller);
    enum auth_result result = auth_check(rig->auth, offer, &rig->caller, rig->why);
    if (result != AUTH_FINE) {
        assert_int_equal(rig->caller.role, CIM_ROLE_NOBODY);
        assert_string_equal(rig->caller.name, "");
        assert_string_not_equal(rig->why, "");
    }
    return result;
}

static enum auth_result try_header(struct rig *rig, const char *header)
{
    return check(rig, &(struct auth_offer){.authorization = header, .remote = "192.0.2.1"});
}

static enum auth_result try_bytes(struct rig *rig, const char *bytes, size_t count,
                                  const char *remote)
{
    char header[4096] = "Basic ";

    encode(bytes, count, header + strlen(header));
    return check(rig, &(struct auth_offer){.authorization = header, .remote = remote});
}

static enum auth_result try_text(struct rig *rig, const char *text, const char *remote)
{
    return try_bytes(rig, text, strlen(text), remote);
}

/* --- passwords ------------------------------------------------------------------------------- */

static void knows_a_user_by_his_password(void **state)
{
    struct rig *rig = *state;

    assert_int_equal(try_text(rig, "alice:secret", "192.0.2.1"), AUTH_FINE);
    assert_string_equal(rig->caller.name, "alice");
    assert_int_equal(rig->caller.role, CIM_ROLE_OPERATOR);
    assert_int_equal(try_header(rig, "bAsIc  YWxpY2U6c2VjcmV0"), AUTH_FINE);
    assert_int_equal(try_text(rig, "alice:secre", "192.0.2.1"), AUTH_REFUSED);
    assert_int_equal(try_text(rig, "alice:secrett", "192.0.2.1"), AUTH_REFUSED);
    assert_int_equal(try_text(rig, "Alice:secret", "192.0.2.1"), AUTH_REFUSED);
    assert_int_equal(try_text(rig, "mallory:secret", "192.0.2.1"), AUTH_REFUSED);
    assert_int_equal(try_text(rig, "carol:*", "192.0.2.1"), AUTH_REFUSED);
}

static void gives_the_roles_of_single_machines(void **state)
{
    struct rig *rig = *state;
    struct user_vm vms[] = {{"db1", USER_ADMINISTRATOR}, {"web", USER_NOBODY}};
    struct user user = {.name = "dave", .role = USER_VIEWER, .vm_count = 2, .vms = vms};

    assert_int_equal(users_hash("secret", user.hash, NULL), 0);
    assert_int_equal(users_set(rig->path, &user, NULL), 0);
    assert_int_equal(try_text(rig, "dave:secret", "192.0.2.1"), AUTH_FINE);
    assert_int_equal(rig->caller.role, CIM_ROLE_VIEWER);
    assert_int_equal(rig->caller.vm_count, 2);
    assert_string_equal(rig->caller.vms[0].vm, "db1");
    assert_int_equal(rig->caller.vms[0].role, CIM_ROLE_ADMINISTRATOR);
    assert_int_equal(rig->caller.vms[1].role, CIM_ROLE_NOBODY);
}

/* Each from an address of its own: they are counted. */
static void refuses_what_is_no_name_and_password(void **state)
{
    static const char *const headers[] = {
        "",
        " ",
        "Basic",
        "Basic ",
        "Basic=",
        "BasicYWxpY2U6c2VjcmV0",
        "Basic\tYWxpY2U6c2VjcmV0",
        "Basic YWxpY2U6c2VjcmV",   /* cut */
        "Basic YWxpY2U6c2VjcmV0=", /* more than is needed */
        "Basic YWxpY2U6c2VjcmV0 ", /* a blank */
        "Basic YWxp Y2U6c2VjcmV0", /* within */
        "Basic YWxpY2U6c2VjcmV0, Basic x",
        "Basic ====",
        "Basic YWxpY2U6c2VjcmV0====",
        "Basic YQ==YQ==",
        "Basic YWxpY2U6c2VjcmV0YR==", /* bits that count for nothing */
        "Basic -_-_",
        "Basic \xc3\xa4\xc3\xa4",
        "Digest YWxpY2U6c2VjcmV0",
        "Negotiate YWxpY2U6c2VjcmV0",
        "Bearer YWxpY2U6c2VjcmV0",
        "alice:secret",
    };
    struct rig *rig = *state;

    for (size_t i = 0; i < ARRAY_COUNT(headers); i++) {
        char remote[32];
        (void)snprintf(remote, sizeof remote, "192.0.2.%zu", i);
        if (check(rig, &(struct auth_offer){.authorization = headers[i], .remote = remote}) !=
            AUTH_REFUSED) {
            fail_msg("not refused: %s", headers[i]);
        }
    }
    assert_int_equal(try_bytes(rig, "alice:secret\0", 13, "198.51.100.1"), AUTH_REFUSED);
    assert_int_equal(try_bytes(rig, "alice\0:secret", 13, "198.51.100.2"), AUTH_REFUSED);
    assert_int_equal(try_text(rig, "alice", "198.51.100.3"), AUTH_REFUSED);
    assert_int_equal(try_text(rig, ":", "198.51.100.4"), AUTH_REFUSED);
    assert_int_equal(try_text(rig, ":secret", "198.51.100.5"), AUTH_REFUSED);
    assert_int_equal(try_text(rig, "alice:", "198.51.100.6"), AUTH_REFUSED);
    assert_int_equal(try_text(rig, "alice:secret\n", "198.51.100.7"), AUTH_REFUSED);
    assert_int_equal(try_text(rig, "alice:secret", "198.51.100.8"), AUTH_FINE);
}

static void takes_names_and_passwords_up_to_their_limits(void **state)
{
    struct credentials credentials = {0};
    char text[1024];
    char header[2048] = "Basic ";

    (void)state;
    memset(text, 'n', sizeof text);
    text[CALLER_NAME_MAX - 1] = ':';
    size_t longest = CALLER_NAME_MAX + PASSWORD_MAX - 1;
    encode(text, longest, header + 6);
    assert_int_equal(credentials_parse(header, &credentials, NULL), 0);
    assert_int_equal(strlen(credentials.name), CALLER_NAME_MAX - 1);
    assert_int_equal(strlen(credentials.password), PASSWORD_MAX - 1);
    encode(text, longest + 1, header + 6);
    assert_int_equal(credentials_parse(header, &credentials, NULL), -1);
    text[CALLER_NAME_MAX - 1] = 'n';
    text[CALLER_NAME_MAX] = ':';
    encode(text, CALLER_NAME_MAX + 5, header + 6);
    assert_int_equal(credentials_parse(header, &credentials, NULL), -1);
    encode(text, sizeof text, header + 6);
    assert_int_equal(credentials_parse(header, &credentials, NULL), -1);
    credentials_wipe(&credentials);
    assert_string_equal(credentials.password, "");
}

static void refuses_headers_given_twice(void **state)
{
    struct rig *rig = *state;
    struct auth_offer offer = {.authorization = "Basic YWxpY2U6c2VjcmV0",
                               .is_twice = true,
                               .fingerprint = FINGERPRINT,
                               .remote = "192.0.2.1"};

    assert_int_equal(check(rig, &offer), AUTH_REFUSED);
    offer.is_twice = false;
    assert_int_equal(check(rig, &offer), AUTH_FINE);
    assert_string_equal(rig->caller.name, "alice");
}

/* --- certificates ---------------------------------------------------------------------------- */

static void knows_a_user_by_his_certificate(void **state)
{
    struct rig *rig = *state;
    struct auth_offer offer = {.fingerprint = FINGERPRINT, .remote = "192.0.2.1"};

    assert_int_equal(check(rig, &offer), AUTH_FINE);
    assert_string_equal(rig->caller.name, "carol");
    assert_int_equal(rig->caller.role, CIM_ROLE_VIEWER);
    offer.fingerprint = "";
    assert_int_equal(check(rig, &offer), AUTH_REFUSED); /* alice has none: that is no match */
    offer.fingerprint = NULL;
    assert_int_equal(check(rig, &offer), AUTH_REFUSED);
    offer.fingerprint = "ff112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
    assert_int_equal(check(rig, &offer), AUTH_REFUSED);
    /* A wrong password is not mended by a right certificate. */
    offer.fingerprint = FINGERPRINT;
    offer.authorization = "Basic YWxpY2U6d3Jvbmc=";
    assert_int_equal(check(rig, &offer), AUTH_REFUSED);
}

/* --- guessing -------------------------------------------------------------------------------- */

static void locks_a_name_after_ten_wrong_passwords(void **state)
{
    struct rig *rig = *state;
    char remote[32];

    for (unsigned i = 0; i < AUTH_TRIES_MAX; i++) {
        (void)snprintf(remote, sizeof remote, "192.0.2.%u", i);
        assert_int_equal(try_text(rig, "alice:wrong", remote), AUTH_REFUSED);
    }
    assert_int_equal(try_text(rig, "alice:secret", "198.51.100.1"), AUTH_LOCKED);
    assert_int_equal(try_text(rig, "alice:wrong", "198.51.100.1"), AUTH_LOCKED);
    rig->now_ns += 59 * NS_PER_S;
    assert_int_equal(try_text(rig, "alice:secret", "198.51.100.1"), AUTH_LOCKED);
    rig->now_ns += NS_PER_S;
    assert_int_equal(try_text(rig, "alice:secret", "198.51.100.1"), AUTH_FINE);
}

/* Else who guesses would be told as soon as he is right. */
static void locks_a_name_whose_password_is_remembered(void **state)
{
    struct rig *rig = *state;
    char remote[32];

    assert_int_equal(try_text(rig, "alice:secret", "198.51.100.1"), AUTH_FINE);
    for (unsigned i = 0; i < AUTH_TRIES_MAX; i++) {
        (void)snprintf(remote, sizeof remote, "192.0.2.%u", i);
        assert_int_equal(try_text(rig, "alice:wrong", remote), AUTH_REFUSED);
    }
    assert_int_equal(try_text(rig, "alice:secret", "198.51.100.1"), AUTH_LOCKED);
}

static void locks_an_address_after_ten_wrong_passwords(void **state)
{
    struct rig *rig = *state;
    char text[32];

    for (unsigned i = 0; i < AUTH_TRIES_MAX; i++) {
        (void)snprintf(text, sizeof text, "user%u:wrong", i);
        assert_int_equal(try_text(rig, text, "192.0.2.1"), AUTH_REFUSED);
    }
    assert_int_equal(try_text(rig, "alice:secret", "192.0.2.1"), AUTH_LOCKED);
    assert_int_equal(try_header(rig, "Basic !"), AUTH_LOCKED);
    assert_int_equal(try_text(rig, "alice:secret", "192.0.2.2"), AUTH_FINE);
}

static void locks_the_network_of_an_ipv6_address(void **state)
{
    struct rig *rig = *state;
    char text[32];
    char remote[64];

    for (unsigned i = 0; i < AUTH_TRIES_MAX; i++) {
        (void)snprintf(text, sizeof text, "user%u:wrong", i);
        (void)snprintf(remote, sizeof remote, "2001:db8::%x", i + 1);
        assert_int_equal(try_text(rig, text, remote), AUTH_REFUSED);
    }
    assert_int_equal(try_text(rig, "alice:secret", "2001:db8::ffff"), AUTH_LOCKED);
    assert_int_equal(try_text(rig, "alice:secret", "2001:db8:0:1::1"), AUTH_FINE);
}

static void counts_a_name_that_is_nobodys_alike(void **state)
{
    struct rig *rig = *state;
    char remote[32];

    for (unsigned i = 0; i < AUTH_TRIES_MAX; i++) {
        (void)snprintf(remote, sizeof remote, "192.0.2.%u", i);
        assert_int_equal(try_text(rig, "mallory:wrong", remote), AUTH_REFUSED);
    }
    assert_int_equal(try_text(rig, "mallory:wrong", "198.51.100.1"), AUTH_LOCKED);
}

static void right_passwords_and_other_schemes_lock_nobody(void **state)
{
    struct rig *rig = *state;

    for (unsigned i = 0; i < 3 * AUTH_TRIES_MAX; i++) {
        rig->now_ns += NS_PER_MS;
        assert_int_equal(try_header(rig, "Negotiate YWxp"), AUTH_REFUSED);
        assert_int_equal(try_text(rig, "alice:secret", "192.0.2.1"), AUTH_FINE);
    }
}

/* --- the memory ------------------------------------------------------------------------------ */

/* Of several: the machine may be busy. */
static uint64_t quickest_ns(struct rig *rig, const char *text, const char *remote, int times)
{
    uint64_t best_ns = UINT64_MAX;

    for (int i = 0; i < times; i++) {
        uint64_t began_ns = env_now_ns(env_system());
        (void)try_text(rig, text, remote);
        uint64_t took_ns = env_now_ns(env_system()) - began_ns;
        best_ns = took_ns < best_ns ? took_ns : best_ns;
    }
    return best_ns;
}

static void an_unknown_name_takes_as_long_as_a_known_one(void **state)
{
    struct rig *rig = *state;

    uint64_t known_ns = quickest_ns(rig, "alice:wrong", "192.0.2.1", 4);
    uint64_t unknown_ns = quickest_ns(rig, "mallory:wrong", "192.0.2.2", 4);
    uint64_t certificate_ns = quickest_ns(rig, "carol:wrong", "192.0.2.3", 4);
    assert_true(unknown_ns > known_ns / 2 && unknown_ns < known_ns * 2);
    assert_true(certificate_ns > known_ns / 2 && certificate_ns < known_ns * 2);
}

static void remembers_right_credentials_for_a_while(void **state)
{
    struct rig *rig = *state;

    uint64_t hashed_ns = quickest_ns(rig, "alice:secret", "192.0.2.1", 1);
    uint64_t remembered_ns = quickest_ns(rig, "alice:secret", "192.0.2.1", 5);
    assert_true(remembered_ns < hashed_ns / 4);
    rig->now_ns += AUTH_CACHE_S * NS_PER_S;
    hashed_ns = quickest_ns(rig, "alice:secret", "192.0.2.1", 1);
    assert_true(remembered_ns < hashed_ns / 4);
    assert_int_equal(try_text(rig, "alice:secre", "192.0.2.1"), AUTH_REFUSED);
}

static void a_changed_file_counts_at_once(void **state)
{
    struct rig *rig = *state;

    assert_int_equal(try_text(rig, "alice:secret", "192.0.2.1"), AUTH_FINE);
    set_user(rig, "alice", "other", USER_VIEWER, "");
    assert_int_equal(try_text(rig, "alice:secret", "192.0.2.1"), AUTH_REFUSED);
    assert_int_equal(try_text(rig, "alice:other", "192.0.2.1"), AUTH_FINE);
    assert_int_equal(rig->caller.role, CIM_ROLE_VIEWER);
    assert_int_equal(users_remove(rig->path, "alice", NULL), 0);
    assert_int_equal(try_text(rig, "alice:other", "192.0.2.1"), AUTH_REFUSED);
    assert_int_equal(unlink(rig->path), 0);
    assert_int_equal(
        check(rig, &(struct auth_offer){.fingerprint = FINGERPRINT, .remote = "192.0.2.1"}),
        AUTH_REFUSED);
}

static void a_file_that_cannot_be_believed_lets_nobody_in(void **state)
{
    struct rig *rig = *state;
    const struct auth_offer offer = {.fingerprint = FINGERPRINT, .remote = "192.0.2.1"};

    assert_int_equal(try_text(rig, "alice:secret", "192.0.2.1"), AUTH_FINE);
    assert_int_equal(chmod(rig->path, 0666), 0);
    assert_int_equal(try_text(rig, "alice:secret", "192.0.2.1"), AUTH_BROKEN);
    assert_int_equal(check(rig, &offer), AUTH_BROKEN);
    assert_non_null(strstr(rig->why, "chmod"));
    assert_int_equal(chmod(rig->path, 0640), 0);
    assert_int_equal(try_text(rig, "alice:secret", "192.0.2.1"), AUTH_FINE);
    FILE *file = fopen(rig->path, "ae");
    assert_non_null(file);
    (void)fputs("nonsense\n", file);
    (void)fclose(file);
    assert_int_equal(try_text(rig, "alice:secret", "192.0.2.1"), AUTH_BROKEN);
    struct auth *another = NULL;
    assert_int_equal(auth_new(&rig->env, rig->path, &another, &(struct error){0}), -1);
    assert_null(another);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(knows_a_user_by_his_password, set_up, tear_down),
        cmocka_unit_test_setup_teardown(gives_the_roles_of_single_machines, set_up, tear_down),
        cmocka_unit_test_setup_teardown(refuses_what_is_no_name_and_password, set_up, tear_down),
        cmocka_unit_test(takes_names_and_passwords_up_to_their_limits),
        cmocka_unit_test_setup_teardown(refuses_headers_given_twice, set_up, tear_down),
        cmocka_unit_test_setup_teardown(knows_a_user_by_his_certificate, set_up, tear_down),
        cmocka_unit_test_setup_teardown(locks_a_name_after_ten_wrong_passwords, set_up, tear_down),
        cmocka_unit_test_setup_teardown(locks_a_name_whose_password_is_remembered, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(locks_an_address_after_ten_wrong_passwords, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(locks_the_network_of_an_ipv6_address, set_up, tear_down),
        cmocka_unit_test_setup_teardown(counts_a_name_that_is_nobodys_alike, set_up, tear_down),
        cmocka_unit_test_setup_teardown(right_passwords_and_other_schemes_lock_nobody, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(an_unknown_name_takes_as_long_as_a_known_one, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(remembers_right_credentials_for_a_while, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_changed_file_counts_at_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_file_that_cannot_be_believed_lets_nobody_in, set_up,
                                        tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
