/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "peer/identity.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "points/durable.h"

#include <cmocka.h>

static char dir[PATH_TEXT_MAX - 64];

static int make_dir(void **state)
{
    const char *tmp = getenv("TMPDIR");

    (void)state;
    (void)snprintf(dir, sizeof dir, "%s/resilver-identity-XXXXXX", tmp == NULL ? "/tmp" : tmp);
    return mkdtemp(dir) == NULL ? -1 : 0;
}

static int remove_dir(void **state)
{
    char tls[PATH_TEXT_MAX];

    (void)state;
    (void)snprintf(tls, sizeof tls, "%s/tls", dir);
    return durable_remove_tree(tls, NULL) < 0 ? -1 : rmdir(dir);
}

static void it_is_made_once_and_kept(void **state)
{
    struct identity first;
    struct identity second;
    struct stat status;

    (void)state;
    assert_int_equal(identity_open(dir, "a,DNS:b", &first, NULL), 0);
    assert_int_equal(identity_open(dir, "another", &second, NULL), 0);
    assert_memory_equal(first.fingerprint, second.fingerprint, FINGERPRINT_BYTES);
    assert_string_equal(first.certificate, second.certificate);
    assert_int_equal(stat(first.key_path, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0600);
}

/* A PEM file is that text in lines, between two lines of its own. */
static void the_certificate_is_that_of_the_file(void **state)
{
    struct identity identity;
    char text[CERTIFICATE_TEXT_MAX] = "";
    char line[256];

    (void)state;
    assert_int_equal(identity_open(dir, "a", &identity, NULL), 0);
    FILE *file = fopen(identity.cert_path, "re");
    assert_non_null(file);
    while (fgets(line, sizeof line, file) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        if (line[0] != '-') {
            size_t len = strlen(text);
            (void)snprintf(text + len, sizeof text - len, "%s", line);
        }
    }
    assert_int_equal(fclose(file), 0);
    assert_true(strlen(text) > 100);
    assert_string_equal(identity.certificate, text);
}

static void names_longer_than_a_certificate_takes_are_fine(void **state)
{
    struct identity identity;
    char name[HOST_NAME_MAX_BYTES];

    (void)state;
    memset(name, 'x', sizeof name);
    name[sizeof name - 1] = '\0';
    assert_int_equal(identity_open(dir, name, &identity, NULL), 0);
    assert_int_equal(identity_open(dir, "caf\xc3\xa9", &identity, NULL), 0);
}

static void half_of_it_is_refused(void **state)
{
    struct identity identity;
    struct error err = {.kind = ERR_NONE};

    (void)state;
    assert_int_equal(identity_open(dir, "a", &identity, &err), 0);
    assert_int_equal(chmod(identity.key_path, 0640), 0);
    assert_int_equal(identity_open(dir, "a", &identity, &err), -1);
    assert_int_equal(err.kind, ERR_WRONG_STATE);
    assert_int_equal(unlink(identity.key_path), 0);
    assert_int_equal(identity_open(dir, "a", &identity, &err), -1);
    assert_int_equal(err.kind, ERR_WRONG_STATE);
    assert_int_equal(
        durable_write(identity.key_path, (struct const_span){(const uint8_t *)"x", 1}, NULL), 0);
    assert_int_equal(identity_open(dir, "a", &identity, &err), -1);
    assert_int_equal(err.kind, ERR_WRONG_STATE);
}

static void fingerprints_are_written_and_read(void **state)
{
    uint8_t bytes[FINGERPRINT_BYTES] = {0x01, 0xab, [31] = 0xff};
    uint8_t back[FINGERPRINT_BYTES];
    char text[FINGERPRINT_TEXT_MAX];

    (void)state;
    fingerprint_format(bytes, text);
    assert_int_equal(strlen(text), 64);
    assert_int_equal(fingerprint_parse(text, back, NULL), 0);
    assert_memory_equal(bytes, back, sizeof bytes);
    text[63] = 'g';
    assert_int_equal(fingerprint_parse(text, back, NULL), -1);
    text[63] = '\0';
    assert_int_equal(fingerprint_parse(text, back, NULL), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(it_is_made_once_and_kept, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(the_certificate_is_that_of_the_file, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(names_longer_than_a_certificate_takes_are_fine, make_dir,
                                        remove_dir),
        cmocka_unit_test_setup_teardown(half_of_it_is_refused, make_dir, remove_dir),
        cmocka_unit_test(fingerprints_are_written_and_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
