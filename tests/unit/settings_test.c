/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/settings.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define WORDS_MAX 8

static struct settings settings;
static struct plan plan;
static struct error err;

/* Reads "sync" and the words of text, which are separated by single blanks. */
static int read_words(const char *text)
{
    char *argv[WORDS_MAX + 2];
    int argc = 1;
    /* The settings borrow from the words, so these stay until the next call. */
    static char copy[256];
    static char name[] = "sync";

    assert_true(strlen(text) < sizeof copy);
    memcpy(copy, text, strlen(text) + 1);
    argv[0] = name;
    for (char *word = copy; word != NULL && *word != '\0';) {
        assert_true(argc <= WORDS_MAX);
        argv[argc++] = word;
        word = strchr(word, ' ');
        if (word != NULL) {
            *word++ = '\0';
        }
    }
    argv[argc] = NULL;
    plan_done(&plan);
    assert_int_equal(plan_init(&plan, NULL), 0);
    err = (struct error){0};
    return settings_read(&settings, &plan, argc, argv, &err);
}

static void read_well(const char *text)
{
    if (read_words(text) != 0) {
        fail_msg("%s: %s", text, err.message);
    }
}

static void expect_refused(const char *text, const char *words)
{
    if (read_words(text) != -1) {
        fail_msg("%s passes", text);
    }
    assert_int_equal(err.kind, ERR_USAGE);
    if (strstr(err.message, words) == NULL) {
        fail_msg("%s: no '%s' in: %s", text, words, err.message);
    }
}

static int release(void **state)
{
    (void)state;
    plan_done(&plan);
    return 0;
}

static void nothing_said_is_the_careful_choice(void **state)
{
    (void)state;
    read_well("a.raw b.raw");
    assert_int_equal(plan.disk_count, 1);
    assert_string_equal(plan.pairs[0].source.text, "a.raw");
    assert_string_equal(plan.pairs[0].target.text, "b.raw");
    assert_false(settings.is_check || settings.create || settings.yes);
    assert_false(settings.json || settings.verbose || settings.quiet);
    assert_null(settings.source_format);
    assert_null(settings.target_format);
    assert_true(settings.rate_bytes_per_s == 0);
    assert_int_equal(settings.compress, SETTINGS_AUTO);
    assert_int_equal(settings.refine, SETTINGS_AUTO);
    assert_int_equal(settings.progress, SETTINGS_AUTO);
    assert_string_equal(settings.ssh, "ssh");
    assert_string_equal(settings.remote_path, "resilver");
}

static void every_flag_sets_its_own(void **state)
{
    (void)state;
    read_well("--check --json a b");
    assert_true(settings.is_check && settings.json);
    assert_false(settings.create || settings.yes || settings.verbose || settings.quiet);
    read_well("--create --yes -v a b");
    assert_true(settings.create && settings.yes && settings.verbose);
    assert_false(settings.is_check || settings.json || settings.quiet);
    read_well("-q -y a b");
    assert_true(settings.quiet && settings.yes);
    assert_false(settings.create);
}

static void every_value_goes_to_its_place(void **state)
{
    (void)state;
    read_well("--bwlimit=1.5M --compress=always --refine=never --progress=never a b");
    assert_true(settings.rate_bytes_per_s == 1536 * KIB);
    assert_int_equal(settings.compress, SETTINGS_ALWAYS);
    assert_int_equal(settings.refine, SETTINGS_NEVER);
    assert_int_equal(settings.progress, SETTINGS_NEVER);
    read_well("--ssh=dbclient --remote-path=/opt/resilver a h:b");
    assert_string_equal(settings.ssh, "dbclient");
    assert_string_equal(settings.remote_path, "/opt/resilver");
    read_well("--cert=c --key=k --ca=a a tls://h:1/b");
    assert_string_equal(settings.credentials.cert, "c");
    assert_string_equal(settings.credentials.key, "k");
    assert_string_equal(settings.credentials.ca, "a");
    read_well("--bwlimit=0 a b");
    assert_true(settings.rate_bytes_per_s == 0);
}

static void one_format_is_for_both_and_the_closer_word_wins(void **state)
{
    (void)state;
    read_well("--format=qcow2 a b");
    assert_string_equal(settings.source_format, "qcow2");
    assert_string_equal(settings.target_format, "qcow2");
    read_well("--target-format=raw --format=qcow2 a b");
    assert_string_equal(settings.source_format, "qcow2");
    assert_string_equal(settings.target_format, "raw");
    read_well("--source-format=vhdx a b");
    assert_string_equal(settings.source_format, "vhdx");
    assert_null(settings.target_format);
}

static void several_disks_are_named_by_disk_alone(void **state)
{
    (void)state;
    read_well("--disk=a=b --disk c=d");
    assert_int_equal(plan.disk_count, 2);
    assert_string_equal(plan.pairs[1].target.text, "d");
    expect_refused("--disk=a=b c", "one too many");
    expect_refused("--disk=a=b c d", "one too many");
    expect_refused("--disk=a", "SOURCE=TARGET");
}

static void what_makes_no_sense_is_refused(void **state)
{
    (void)state;
    expect_refused("", "no disks");
    expect_refused("a", "only one");
    expect_refused("a b c", "more than two");
    expect_refused("--check --create a b", "--create");
    expect_refused("--bwlimit=1023 a b", "1K");
    expect_refused("--bwlimit=fast a b", "fast");
    expect_refused("--compress=yes a b", "--compress=yes");
    expect_refused("--ssh= a h:b", "--ssh is empty");
    expect_refused("--remote-path= a h:b", "--remote-path is empty");
    expect_refused("--chekc a b", "did you mean '--check'");
}

static void the_format_of_an_export_is_its_servers(void **state)
{
    (void)state;
    expect_refused("--format=raw a tls://h:1/b", "--source-format");
    expect_refused("--format=raw tls://h:1/a b", "--target-format");
    expect_refused("--target-format=raw a tls://h:1/b", "--source-format");
    expect_refused("--source-format=raw tls://h:1/a b", "--target-format");
    read_well("--source-format=raw --cert=c --key=k --ca=a a tls://h:1/b");
}

static void help_is_asked_for_before_anything_is_checked(void **state)
{
    (void)state;
    assert_int_equal(read_words("--help"), 1);
    assert_int_equal(read_words("-h a"), 1);
    assert_int_equal(read_words("a b --help --nonsense"), 1);
}

static void json_is_found_wherever_it_stands(void **state)
{
    char sync[] = "sync";
    char other[] = "--nonsense";
    char json[] = "--json";
    char end[] = "--";
    char *first[] = {sync, json, other, NULL};
    char *last[] = {sync, other, json, NULL};
    char *operand[] = {sync, end, json, NULL};
    char *none[] = {sync, other, NULL};

    (void)state;
    assert_true(settings_ask_for_json(3, first));
    assert_true(settings_ask_for_json(3, last));
    assert_false(settings_ask_for_json(3, operand));
    assert_false(settings_ask_for_json(2, none));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_said_is_the_careful_choice),
        cmocka_unit_test(every_flag_sets_its_own),
        cmocka_unit_test(every_value_goes_to_its_place),
        cmocka_unit_test(one_format_is_for_both_and_the_closer_word_wins),
        cmocka_unit_test(several_disks_are_named_by_disk_alone),
        cmocka_unit_test(what_makes_no_sense_is_refused),
        cmocka_unit_test(the_format_of_an_export_is_its_servers),
        cmocka_unit_test(help_is_asked_for_before_anything_is_checked),
        cmocka_unit_test(json_is_found_wherever_it_stands),
    };
    return cmocka_run_group_tests_name("settings", tests, NULL, release);
}
