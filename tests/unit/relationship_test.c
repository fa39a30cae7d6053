/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * relationship_test.c - the whole table, every role in every state at every event, compared with
 * the one that people agreed to (relationship.golden; docs/states.md shows the same), and the words
 * of every refusal.
 *
 * A change of the table is a change of that file: RELATIONSHIP_PRINT=1 relationship_test prints it.
 */
#include "replica/relationship.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/env.h"

#include <cmocka.h>

#define TEXT_MAX (64 * 1024)
#define HOUR_US ((int64_t)(3600 * US_PER_S))
#define NOW_US (1000 * HOUR_US)

/* --- the table as text ----------------------------------------------------------------------- */

struct text {
    char bytes[TEXT_MAX];
    size_t len_bytes;
};

static void say(struct text *text, const char *format, ...) FORMAT_AT(2, 3);

static void say(struct text *text, const char *format, ...)
{
    va_list values;

    va_start(values, format);
    int used = vsnprintf(text->bytes + text->len_bytes, TEXT_MAX - text->len_bytes, format, values);
    va_end(values);
    assert_true(used >= 0 && (size_t)used < TEXT_MAX - text->len_bytes);
    text->len_bytes += (size_t)used;
}

static const char *cell(enum relationship_role role, enum replication_state state,
                        enum relationship_event event, char out[16])
{
    struct relationship_verdict verdict = relationship_judge(role, state, event);

    if (verdict.value == RETURN_DONE && verdict.state != state) {
        (void)snprintf(out, 16, "%d", verdict.state);
    } else if (verdict.value == RETURN_DONE) {
        (void)snprintf(out, 16, "=");
    } else if (verdict.value == RETURN_IN_USE) {
        (void)snprintf(out, 16, "use");
    } else {
        (void)snprintf(out, 16, verdict.value == RETURN_INVALID_STATE ? "." : "?");
    }
    return out;
}

static void say_role(struct text *text, enum relationship_role role)
{
    char shown[16];

    say(text, "%-20s |", relationship_role_name(role));
    for (int state = 0; state <= STATE_MAX; state++) {
        say(text, "%4d", state);
    }
    say(text,
        "\n---------------------+-------------------------------------------------------------\n");
    for (int event = EVENT_CREATE; event <= RELATIONSHIP_EVENT_MAX; event++) {
        say(text, "%-20s |", relationship_event_name((enum relationship_event)event));
        for (int state = 0; state <= STATE_MAX; state++) {
            say(text, "%4s",
                cell(role, (enum replication_state)state, (enum relationship_event)event, shown));
        }
        say(text, "\n");
    }
}

static struct text *print_table(void)
{
    struct text *text = calloc(1, sizeof *text);

    assert_non_null(text);
    for (int role = RELATIONSHIP_PRIMARY; role <= RELATIONSHIP_ROLE_MAX; role++) {
        say(text, role == RELATIONSHIP_PRIMARY ? "" : "\n");
        say_role(text, (enum relationship_role)role);
    }
    return text;
}

static void read_file(const char *path, char out[TEXT_MAX])
{
    FILE *file = fopen(path, "re");

    assert_non_null(file);
    size_t got = fread(out, 1, TEXT_MAX - 1, file);
    assert_true(got < TEXT_MAX - 1);
    out[got] = '\0';
    assert_int_equal(fclose(file), 0);
}

static void the_table_is_the_one_that_was_agreed_to(void **state)
{
    struct text *text = print_table();
    char *golden = calloc(1, TEXT_MAX);

    (void)state;
    assert_non_null(golden);
    read_file(SOURCE_ROOT "/tests/unit/relationship.golden", golden);
    assert_string_equal(text->bytes, golden);
    free(golden);
    free(text);
}

static void the_documentation_shows_the_same_table(void **state)
{
    struct text *text = print_table();
    char *page = calloc(1, TEXT_MAX);

    (void)state;
    assert_non_null(page);
    read_file(SOURCE_ROOT "/docs/states.md", page);
    assert_non_null(strstr(page, text->bytes));
    free(page);
    free(text);
}

/* --- what no table shows --------------------------------------------------------------------- */

static void a_refusal_leaves_the_state_as_it_was(void **state)
{
    (void)state;
    for (int role = 0; role <= RELATIONSHIP_ROLE_MAX; role++) {
        for (int now = 0; now <= STATE_MAX; now++) {
            for (int event = 0; event <= RELATIONSHIP_EVENT_MAX; event++) {
                struct relationship_verdict verdict =
                    relationship_judge((enum relationship_role)role, (enum replication_state)now,
                                       (enum relationship_event)event);
                assert_true(verdict.state <= STATE_MAX);
                if (verdict.value != RETURN_DONE) {
                    assert_int_equal(verdict.state, now);
                }
            }
        }
    }
}

static void zero_and_what_is_not_known_is_refused(void **state)
{
    (void)state;
    for (int event = 0; event <= RELATIONSHIP_EVENT_MAX; event++) {
        enum relationship_event asked = (enum relationship_event)event;
        assert_int_equal(relationship_judge(RELATIONSHIP_INVALID, STATE_REPLICATING, asked).value,
                         RETURN_INVALID_STATE);
        assert_int_equal(relationship_judge((enum relationship_role)(RELATIONSHIP_ROLE_MAX + 1),
                                            STATE_REPLICATING, asked)
                             .value,
                         RETURN_INVALID_STATE);
        assert_int_equal(
            relationship_judge(RELATIONSHIP_PRIMARY, (enum replication_state)(STATE_MAX + 1), asked)
                .value,
            RETURN_INVALID_STATE);
    }
    assert_int_equal(
        relationship_judge(RELATIONSHIP_PRIMARY, STATE_REPLICATING, EVENT_INVALID).value,
        RETURN_INVALID_STATE);
    assert_int_equal(
        relationship_judge((enum relationship_role)40, (enum replication_state)40, EVENT_REMOVE)
            .value,
        RETURN_INVALID_STATE);
}

/* --- refusals -------------------------------------------------------------------------------- */

static struct relationship_row *new_row(enum relationship_role role, enum replication_state state)
{
    struct relationship_row *row = calloc(1, sizeof *row);

    assert_non_null(row);
    row->role = (uint8_t)role;
    row->state = (uint16_t)state;
    (void)snprintf(row->vm_name, sizeof row->vm_name, "web1");
    (void)snprintf(row->peer, sizeof row->peer, "db2.example");
    row->created_us = NOW_US - 30 * HOUR_US;
    return row;
}

/* "'web1' cannot ...: its state is 'x' (primary); the cure" */
static void expect_words(enum relationship_role role, enum replication_state state,
                         enum relationship_event event)
{
    struct relationship_row *row = new_row(role, state);
    struct error err = {0};
    char named[128];

    assert_int_equal(relationship_refuse(row, event, &err), -1);
    assert_int_equal(err.kind, ERR_WRONG_STATE);
    assert_non_null(strstr(err.message, "'web1' cannot "));
    assert_null(strstr(err.message, "what was asked"));
    (void)snprintf(named, sizeof named, "its state is '%s'", replication_state_name(state));
    assert_non_null(strstr(err.message, named));
    const char *cure = strstr(err.message, "; ");
    assert_non_null(cure);
    assert_true(strlen(cure) > 15);
    assert_null(strchr(err.message, '\n'));
    free(row);
}

static void every_refusal_names_the_state_and_the_cure(void **state)
{
    uint32_t count = 0;

    (void)state;
    for (int role = RELATIONSHIP_PRIMARY; role <= RELATIONSHIP_ROLE_MAX; role++) {
        for (int now = 0; now <= STATE_MAX; now++) {
            for (int event = EVENT_CREATE; event <= RELATIONSHIP_EVENT_MAX; event++) {
                if (relationship_judge((enum relationship_role)role, (enum replication_state)now,
                                       (enum relationship_event)event)
                        .value != RETURN_DONE) {
                    expect_words((enum relationship_role)role, (enum replication_state)now,
                                 (enum relationship_event)event);
                    count++;
                }
            }
        }
    }
    print_message("%u refusals\n", count);
}

static void expect_refusal(enum relationship_role role, enum replication_state state,
                           enum relationship_event event, const char *message)
{
    struct relationship_row *row = new_row(role, state);
    struct error err = {0};

    assert_int_equal(relationship_refuse(row, event, &err), -1);
    assert_string_equal(err.message, message);
    free(row);
}

static void refusals_read_like_this(void **state)
{
    (void)state;
    expect_refusal(RELATIONSHIP_PRIMARY, STATE_RESYNCHRONIZING, EVENT_RESYNC,
                   "'web1' cannot be resynchronized: its state is 'resynchronizing' (primary); "
                   "wait until its job is done, or cancel it ('resilver resync cancel')");
    expect_refusal(RELATIONSHIP_PRIMARY, STATE_WAITING_INITIAL, EVENT_RESYNC,
                   "'web1' cannot be resynchronized: its state is 'waiting for initial copy' "
                   "(primary); wait until its initial copy is complete, or cancel that");
    expect_refusal(RELATIONSHIP_REPLICA, STATE_REPLICATING, EVENT_RESYNC,
                   "'web1' cannot be resynchronized: its state is 'replicating', and this host "
                   "keeps a copy of it (replica); ask for it at the host that sends it, "
                   "'db2.example'");
    expect_refusal(RELATIONSHIP_REPLICA, STATE_SUSPENDED, EVENT_SESSION_ADMITTED,
                   "'web1' cannot take a session of its source: its state is 'suspended' "
                   "(replica); resume it on this host first");
    expect_refusal(RELATIONSHIP_PRIMARY, STATE_REPLICATING, EVENT_START,
                   "'web1' cannot begin an initial copy: its state is 'replicating' (primary); its "
                   "initial copy was made: resynchronize it, or remove the relationship and "
                   "replicate it anew");
}

/* --- health ---------------------------------------------------------------------------------- */

static void expect_health(const struct relationship_row *row,
                          const struct statistics_row *statistics, enum replication_health expected,
                          const char *words)
{
    char reason[ERROR_MESSAGE_MAX];

    assert_int_equal(relationship_health(row, statistics, NOW_US, reason, sizeof reason), expected);
    if (words == NULL) {
        assert_string_equal(reason, "");
    } else if (strstr(reason, words) == NULL) {
        assert_string_equal(reason, words);
    }
}

static void expect_state_health(enum relationship_role role, enum replication_state state,
                                enum replication_health expected, const char *words)
{
    struct relationship_row *row = new_row(role, state);

    row->last_replication_us = NOW_US - HOUR_US / 2;
    (void)snprintf(row->reason, sizeof row->reason, "vda was written to");
    expect_health(row, NULL, expected, words);
    free(row);
}

static void states_decide_health_first(void **state)
{
    (void)state;
    expect_state_health(RELATIONSHIP_PRIMARY, STATE_DISABLED, HEALTH_NONE, NULL);
    expect_state_health(RELATIONSHIP_PRIMARY, STATE_READY, HEALTH_WARNING, "not complete");
    expect_state_health(RELATIONSHIP_PRIMARY, STATE_WAITING_INITIAL, HEALTH_WARNING,
                        "not complete");
    expect_state_health(RELATIONSHIP_PRIMARY, STATE_REPLICATING, HEALTH_OK, NULL);
    expect_state_health(RELATIONSHIP_PRIMARY, STATE_RESYNCHRONIZING, HEALTH_OK, NULL);
    expect_state_health(RELATIONSHIP_PRIMARY, STATE_SUSPENDED, HEALTH_WARNING, "at its source");
    expect_state_health(RELATIONSHIP_EXTENDING, STATE_SUSPENDED, HEALTH_WARNING, "at its source");
    expect_state_health(RELATIONSHIP_REPLICA, STATE_SUSPENDED, HEALTH_CRITICAL, "on this host");
    expect_state_health(RELATIONSHIP_EXTENDED, STATE_SUSPENDED, HEALTH_CRITICAL, "on this host");
    expect_state_health(RELATIONSHIP_PRIMARY, STATE_CRITICAL, HEALTH_CRITICAL,
                        "vda was written to");
    expect_state_health(RELATIONSHIP_PRIMARY, STATE_WAITING_RESYNC, HEALTH_CRITICAL,
                        "vda was written to");
    expect_state_health(RELATIONSHIP_PRIMARY, STATE_RESYNC_SUSPENDED, HEALTH_CRITICAL, "suspended");
}

static void an_hour_without_success_is_a_warning(void **state)
{
    struct relationship_row *row = new_row(RELATIONSHIP_PRIMARY, STATE_REPLICATING);

    (void)state;
    row->last_replication_us = NOW_US - HOUR_US;
    expect_health(row, NULL, HEALTH_OK, NULL);
    row->last_replication_us = NOW_US - HOUR_US - 1;
    expect_health(row, NULL, HEALTH_WARNING, "more than 1 h ago");
    row->last_replication_us = 0; /* never: since it was made */
    expect_health(row, NULL, HEALTH_WARNING, "more than 30 h ago");
    free(row);
}

static void an_hour_of_failed_tries_is_critical(void **state)
{
    struct relationship_row *row = new_row(RELATIONSHIP_PRIMARY, STATE_RESYNCHRONIZING);

    (void)state;
    row->last_replication_us = NOW_US - 3 * HOUR_US;
    row->last_try_us = NOW_US - HOUR_US / 4;
    expect_health(row, NULL, HEALTH_OK, NULL); /* it runs: nothing failed */
    (void)snprintf(row->reason, sizeof row->reason, "db2.example cannot be reached");
    expect_health(row, NULL, HEALTH_CRITICAL, "more than 3 h: db2.example cannot be reached");
    row->last_try_us = row->last_replication_us; /* the try that succeeded */
    expect_health(row, NULL, HEALTH_OK, NULL);
    free(row);
}

static void a_fifth_of_the_cycles_missed_is_a_warning(void **state)
{
    struct relationship_row *row = new_row(RELATIONSHIP_PRIMARY, STATE_REPLICATING);
    struct statistics_row statistics = {.success_count = 4, .miss_count = 1};

    (void)state;
    row->last_replication_us = NOW_US;
    expect_health(row, &statistics, HEALTH_OK, NULL);
    statistics.miss_count = 2;
    expect_health(row, &statistics, HEALTH_WARNING, "2 of 6 cycles");
    statistics = (struct statistics_row){.success_count = 0};
    expect_health(row, &statistics, HEALTH_OK, NULL);
    free(row);
}

static void all_reasons_are_told_and_cut_to_the_room(void **state)
{
    struct relationship_row *row = new_row(RELATIONSHIP_PRIMARY, STATE_REPLICATING);
    struct statistics_row statistics = {.success_count = 1, .miss_count = 9};
    char whole[ERROR_MESSAGE_MAX];
    char cut[ERROR_MESSAGE_MAX];

    (void)state;
    (void)relationship_health(row, &statistics, NOW_US, whole, sizeof whole);
    assert_string_equal(whole, "the last replication was more than 30 h ago; 9 of 10 cycles of "
                               "this interval were missed");
    for (size_t room = 1; room <= strlen(whole) + 1; room++) {
        memset(cut, 'x', sizeof cut);
        assert_int_equal(relationship_health(row, &statistics, NOW_US, cut, room), HEALTH_WARNING);
        assert_int_equal(strlen(cut), room - 1);
        assert_memory_equal(cut, whole, room - 1);
        assert_int_equal(cut[room], 'x');
    }
    free(row);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_table_is_the_one_that_was_agreed_to),
        cmocka_unit_test(the_documentation_shows_the_same_table),
        cmocka_unit_test(a_refusal_leaves_the_state_as_it_was),
        cmocka_unit_test(zero_and_what_is_not_known_is_refused),
        cmocka_unit_test(every_refusal_names_the_state_and_the_cure),
        cmocka_unit_test(refusals_read_like_this),
        cmocka_unit_test(states_decide_health_first),
        cmocka_unit_test(an_hour_without_success_is_a_warning),
        cmocka_unit_test(an_hour_of_failed_tries_is_critical),
        cmocka_unit_test(a_fifth_of_the_cycles_missed_is_a_warning),
        cmocka_unit_test(all_reasons_are_told_and_cut_to_the_room),
    };

    if (getenv("RELATIONSHIP_PRINT") != NULL) {
        struct text *text = print_table();
        (void)fputs(text->bytes, stdout);
        free(text);
        return fflush(stdout);
    }
    return cmocka_run_group_tests_name("relationship", tests, NULL, NULL);
}
