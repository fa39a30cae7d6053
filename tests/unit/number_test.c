/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/number.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void expect_size(const char *text, uint64_t expected)
{
    struct error err = {0};
    uint64_t bytes = 77;

    if (number_parse_size(text, &bytes, &err) < 0) {
        fail_msg("'%s': %s", text, err.message);
    }
    if (bytes != expected) {
        fail_msg("'%s' gives %llu, not %llu", text, (unsigned long long)bytes,
                 (unsigned long long)expected);
    }
}

static void expect_no_size(const char *text)
{
    struct error err = {0};
    uint64_t bytes = 77;

    if (number_parse_size(text, &bytes, &err) == 0) {
        fail_msg("'%s' passes for %llu", text, (unsigned long long)bytes);
    }
    assert_int_equal(err.kind, ERR_USAGE);
    /* A line end of the text does not get into the message. */
    assert_true(strstr(err.message, text) != NULL || strchr(text, '\n') != NULL);
    assert_true(bytes == 77);
}

static void plain_numbers_are_bytes(void **state)
{
    (void)state;
    expect_size("0", 0);
    expect_size("1", 1);
    expect_size("65536", 65536);
    expect_size("512b", 512);
    expect_size("512B", 512);
    expect_size("007", 7);
    expect_size("18446744073709551615", UINT64_MAX);
}

static void letters_count_in_steps_of_1024(void **state)
{
    (void)state;
    expect_size("500k", 500 * KIB);
    expect_size("500K", 500 * KIB);
    expect_size("10M", 10 * MIB);
    expect_size("10m", 10 * MIB);
    expect_size("3G", 3 * GIB);
    expect_size("2T", 2 * TIB);
    expect_size("10MiB", 10 * MIB);
    expect_size("10Mi", 10 * MIB);
    expect_size("10mib", 10 * MIB);
    expect_size("1KiB", KIB);
    expect_size("1TiB", TIB);
    expect_size("16777215T", 16777215 * TIB);
}

static void letters_with_b_count_in_steps_of_1000(void **state)
{
    (void)state;
    expect_size("1kB", 1000);
    expect_size("1KB", 1000);
    expect_size("40MB", 40000000);
    expect_size("40mb", 40000000);
    expect_size("3GB", 3000000000);
    expect_size("1TB", 1000000000000);
}

static void fractions_are_rounded_down(void **state)
{
    (void)state;
    expect_size("1.5G", GIB + 512 * MIB);
    expect_size("0.5k", 512);
    expect_size("1.50K", 1536);
    expect_size("0.000001K", 0);
    expect_size("0.999999K", 1023);
    expect_size("1.234567MB", 1234567);
    expect_size("1.999999T", TIB + 999999 * TIB / 1000000);
}

static void anything_else_is_refused(void **state)
{
    static const char *const texts[] = {
        "",    "K",    "fast",  "-1",    "+1",       " 1",   "1 ",     "1 K",   "1K ",
        "1.5", "1.5B", "1.",    ".5K",   "1.K",      "1,5K", "1..5K",  "1.5.5", "0x10",
        "1e3", "1P",   "1KiBs", "1KBB",  "1Bi",      "1iB",  "1Kib/s", "1kk",   "1.1234567G",
        "inf", "nan",  "1K\n",  "10M/s", "\xc2\xb2", "1M1K",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(texts); i++) {
        expect_no_size(texts[i]);
    }
}

static void what_does_not_fit_is_refused(void **state)
{
    (void)state;
    expect_no_size("18446744073709551616");
    expect_no_size("99999999999999999999");
    expect_no_size("99999999999999999999999999999999999999999999999999");
    expect_no_size("16777216T");
    expect_no_size("16777216.5T");
    expect_no_size("18014398509481984K");
    expect_size("18014398509481983.999999K", UINT64_MAX);
}

static void ranges_have_both_ends(void **state)
{
    struct error err = {0};
    uint64_t value = 0;

    (void)state;
    assert_int_equal(number_parse_range("1", "a port", 1, 65535, &value, &err), 0);
    assert_true(value == 1);
    assert_int_equal(number_parse_range("65535", "a port", 1, 65535, &value, &err), 0);
    assert_true(value == 65535);
    static const char *const texts[] = {
        "0", "65536", "", "-1", " 1", "1 ", "80x", "4294967297", "18446744073709551617"};
    for (size_t i = 0; i < ARRAY_COUNT(texts); i++) {
        assert_int_equal(number_parse_range(texts[i], "a port", 1, 65535, &value, &err), -1);
        assert_int_equal(err.kind, ERR_USAGE);
        assert_non_null(strstr(err.message, "a port"));
        assert_true(value == 65535);
    }
}

static void reals_are_decimal_and_finite(void **state)
{
    static const char *const none[] = {"",   ".",  "+",   "e1",  "1e",    "1e+", "1.2.3", "0x1",
                                       " 1", "1 ", "inf", "nan", "1e309", "1,5", "--1",   "1f"};
    double value = 7;

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(none); i++) {
        assert_false(number_parse_real(none[i], &value));
        assert_true(value == 7);
    }
    assert_true(number_parse_real("-1.25", &value) && value == -1.25);
    assert_true(number_parse_real("+.5e3", &value) && value == 500);
    assert_true(number_parse_real("2.", &value) && value == 2);
    assert_true(number_parse_real("1E-400", &value) && value == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_numbers_are_bytes),
        cmocka_unit_test(letters_count_in_steps_of_1024),
        cmocka_unit_test(letters_with_b_count_in_steps_of_1000),
        cmocka_unit_test(fractions_are_rounded_down),
        cmocka_unit_test(anything_else_is_refused),
        cmocka_unit_test(what_does_not_fit_is_refused),
        cmocka_unit_test(ranges_have_both_ends),
        cmocka_unit_test(reals_are_decimal_and_finite),
    };
    return cmocka_run_group_tests_name("number", tests, NULL, NULL);
}
