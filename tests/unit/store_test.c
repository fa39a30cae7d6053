/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Every call of the state database; what it withstands: store_damage_test.c; what it opens:
 * store_open_test.c. */
#include "store_rig.h"

static struct store *store;

static int begin(void **state)
{
    if (rig_begin(state) < 0) {
        return -1;
    }
    store = rig_open(rig_path);
    return 0;
}

static int end(void **state)
{
    store_close(store);
    return rig_end(state);
}

static void reopen(void)
{
    store_close(store);
    store = rig_open(rig_path);
}

/* What is written, in words, without a database. */
struct words {
    char *text;
    size_t len_bytes;
    FILE *out;
};

static void words_begin(struct words *words)
{
    *words = (struct words){.text = NULL};
    words->out = open_memstream(&words->text, &words->len_bytes);
    assert_non_null(words->out);
}

static void words_expect(struct words *words)
{
    assert_int_equal(fclose(words->out), 0);
    rig_expect(store, words->text);
    reopen();
    rig_expect(store, words->text);
    free(words->text);
}

static char *long_report(void)
{
    char *report = malloc(JOB_REPORT_MAX);

    assert_non_null(report);
    memset(report, 'r', JOB_REPORT_MAX - 1);
    report[JOB_REPORT_MAX - 1] = '\0';
    return report;
}

static void the_largest_value_of_every_field_comes_back(void **state)
{
    struct relationship_disk disks[DISKS_MAX];
    struct relationship_row relationship = rig_relationship(disks);
    struct host_row host = rig_host();
    struct authorization_row authorization = rig_authorization();
    struct statistics_row statistics = rig_statistics();
    struct job_row job = rig_job(INT64_MAX - 1);
    struct event_row event = rig_event();
    struct words words;

    (void)state;
    rig_put_all(store);
    job.id = rig_uuid(2);
    job.report = long_report();
    assert_int_equal(store_put_job(store, &job, NULL), 0);
    words_begin(&words);
    (void)rig_say_host(words.out, &host, NULL);
    (void)rig_say_authorization(words.out, &authorization, NULL);
    (void)rig_say_relationship(words.out, &relationship, NULL);
    (void)rig_say_job(words.out, &job, NULL);
    job_row_done(&job);
    job = rig_job(1);
    (void)rig_say_job(words.out, &job, NULL);
    event.id = 1;
    (void)rig_say_event(words.out, &event, NULL);
    (void)rig_say_statistics(words.out, &statistics, NULL);
    (void)fprintf(words.out, "last 'a value' next %" PRId64 "\n", INT64_MAX);
    words_expect(&words);
}

static void the_smallest_value_of_every_field_comes_back(void **state)
{
    const struct host_row host = {.name = "h"};
    const struct authorization_row authorization = {.allowed_primary = "h"};
    const struct relationship_row relationship = {.hop = 0};
    const struct job_row job = {.sequence = 1};
    const struct statistics_row statistics = {.hop = 0};
    struct event_row event = {.hop = 0};
    struct words words;

    (void)state;
    assert_int_equal(store_put_host(store, &host, NULL), 0);
    assert_int_equal(store_put_authorization(store, &authorization, NULL), 0);
    assert_int_equal(store_put_relationship(store, &relationship, NULL), 0);
    assert_int_equal(store_put_job(store, &job, NULL), 0);
    assert_int_equal(store_add_event(store, &event, NULL), 0);
    assert_int_equal(store_put_statistics(store, &statistics, NULL), 0);
    assert_int_equal(event.id, 1);
    words_begin(&words);
    (void)rig_say_host(words.out, &host, NULL);
    (void)rig_say_authorization(words.out, &authorization, NULL);
    (void)rig_say_relationship(words.out, &relationship, NULL);
    (void)rig_say_job(words.out, &job, NULL);
    (void)rig_say_event(words.out, &event, NULL);
    (void)rig_say_statistics(words.out, &statistics, NULL);
    (void)fprintf(words.out, "last '' next 2\n");
    words_expect(&words);
}

static void an_empty_text_and_no_report_are_two_things(void **state)
{
    char nothing[] = "";
    struct job_row job = rig_job(1);
    struct job_row found;

    (void)state;
    job.report = nothing;
    assert_int_equal(store_put_job(store, &job, NULL), 0);
    assert_int_equal(store_find_job(store, &job.id, &found, NULL), 1);
    assert_string_equal(found.report, "");
    job_row_done(&found);
    job.report = NULL;
    assert_int_equal(store_put_job(store, &job, NULL), 0);
    assert_int_equal(store_find_job(store, &job.id, &found, NULL), 1);
    assert_null(found.report);
}

static void putting_again_replaces(void **state)
{
    struct relationship_disk disks[DISKS_MAX];
    struct relationship_row relationship = rig_relationship(disks);
    struct host_row host = rig_host();
    struct authorization_row authorization = rig_authorization();
    struct statistics_row statistics = rig_statistics();
    struct job_row job = rig_job(1);
    struct event_row event = rig_event();
    struct words words;

    (void)state;
    rig_put_all(store);
    host.address[0] = '\0';
    authorization.trust_group[0] = '\0';
    relationship.disk_count = 1;
    relationship.state = 3;
    statistics.success_count = 4;
    job.percent = 5;
    assert_int_equal(store_put_host(store, &host, NULL), 0);
    assert_int_equal(store_put_authorization(store, &authorization, NULL), 0);
    assert_int_equal(store_put_relationship(store, &relationship, NULL), 0);
    assert_int_equal(store_put_statistics(store, &statistics, NULL), 0);
    assert_int_equal(store_put_job(store, &job, NULL), 0);
    assert_int_equal(store_put_setting(store, "last", "", NULL), 0);
    event.id = 1;
    words_begin(&words);
    (void)rig_say_host(words.out, &host, NULL);
    (void)rig_say_authorization(words.out, &authorization, NULL);
    (void)rig_say_relationship(words.out, &relationship, NULL);
    (void)rig_say_job(words.out, &job, NULL);
    (void)rig_say_event(words.out, &event, NULL);
    (void)rig_say_statistics(words.out, &statistics, NULL);
    (void)fprintf(words.out, "last '' next 2\n");
    words_expect(&words);
}

static void what_is_removed_is_gone_and_may_be_removed_again(void **state)
{
    const struct uuid vm = rig_uuid(1);
    struct host_row host = rig_host();
    struct authorization_row authorization = rig_authorization();
    struct job_row job = rig_job(1);
    struct event_row event = rig_event();
    struct words words;

    (void)state;
    rig_put_all(store);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(store_remove_host(store, host.name, NULL), 0);
        assert_int_equal(store_remove_authorization(store, authorization.allowed_primary, NULL), 0);
        assert_int_equal(store_remove_relationship(store, &vm, 1, NULL), 0);
        assert_int_equal(store_remove_statistics(store, &vm, 1, NULL), 0);
    }
    event.id = 1;
    words_begin(&words);
    (void)rig_say_job(words.out, &job, NULL);
    (void)rig_say_event(words.out, &event, NULL);
    (void)fprintf(words.out, "last 'a value' next 2\n");
    words_expect(&words);
}

static void another_hop_is_left_alone(void **state)
{
    struct relationship_disk disks[DISKS_MAX];
    struct relationship_row row = rig_relationship(disks);
    struct statistics_row statistics = rig_statistics();
    struct words words;

    (void)state;
    assert_int_equal(store_put_relationship(store, &row, NULL), 0);
    assert_int_equal(store_put_statistics(store, &statistics, NULL), 0);
    assert_int_equal(store_remove_relationship(store, &row.vm, 0, NULL), 0);
    assert_int_equal(store_remove_statistics(store, &row.vm, 0, NULL), 0);
    words_begin(&words);
    (void)rig_say_relationship(words.out, &row, NULL);
    (void)rig_say_statistics(words.out, &statistics, NULL);
    (void)fprintf(words.out, "last '' next 1\n");
    words_expect(&words);
}

/* --- what no row may hold -------------------------------------------------------------------- */

static void values_beyond_the_fields_are_refused_and_change_nothing(void **state)
{
    struct relationship_disk disks[DISKS_MAX];
    struct relationship_row row = rig_relationship(disks);
    struct job_row job = rig_job(0);
    struct error err = {0};

    (void)state;
    rig_put_all(store);
    char *before = rig_say(store, NULL);
    row.generation = (uint64_t)INT64_MAX + 1;
    assert_int_equal(store_put_relationship(store, &row, &err), -1);
    assert_int_equal(err.kind, ERR_INTERNAL);
    row = rig_relationship(disks);
    row.disks[9].size_bytes = DISK_SIZE_MAX + 1;
    assert_int_equal(store_put_relationship(store, &row, NULL), -1);
    row = rig_relationship(disks);
    memcpy(row.disks[9].name, row.disks[8].name, DISK_NAME_MAX);
    assert_int_equal(store_put_relationship(store, &row, NULL), -1);
    assert_int_equal(store_put_job(store, &job, NULL), -1); /* a sequence of 0 */
    job = rig_job(2);
    job.percent = 101;
    assert_int_equal(store_put_job(store, &job, NULL), -1);
    job = rig_job(2);
    job.started_us = -1;
    assert_int_equal(store_put_job(store, &job, NULL), -1);
    rig_expect(store, before);
    free(before);
}

static void a_sequence_belongs_to_one_job(void **state)
{
    struct job_row job = rig_job(1);
    struct error err = {0};

    (void)state;
    rig_put_all(store);
    char *before = rig_say(store, NULL);
    job.id = rig_uuid(99);
    assert_int_equal(store_put_job(store, &job, &err), -1);
    assert_int_equal(err.kind, ERR_INTERNAL);
    job = rig_job(1);
    job.sequence = 2;
    assert_int_equal(store_put_job(store, &job, NULL), -1);
    rig_expect(store, before);
    free(before);
}

/* --- visits ---------------------------------------------------------------------------------- */

static int stop_at_second(void *context, const struct host_row *row, struct error *err)
{
    int *seen = context;

    (void)row;
    (void)err;
    return ++*seen == 2 ? 42 : 0;
}

static int note_name(void *context, const struct host_row *row, struct error *err)
{
    char *names = context;

    (void)err;
    size_t len = strlen(names);
    (void)snprintf(names + len, 64 - len, "%s ", row->name);
    return 0;
}

static void rows_come_in_the_order_of_keys_until_the_visitor_stops(void **state)
{
    static const char *const names[] = {"m", "a", "z", "Z"};
    char seen[64] = "";
    int count = 0;

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        struct host_row row = {.paired_us = 1};
        (void)snprintf(row.name, sizeof row.name, "%s", names[i]);
        assert_int_equal(store_put_host(store, &row, NULL), 0);
    }
    assert_int_equal(store_load_hosts(store, note_name, seen, NULL), 0);
    assert_string_equal(seen, "Z a m z ");
    assert_int_equal(store_load_hosts(store, stop_at_second, &count, NULL), 42);
    assert_int_equal(count, 2);
}

static int note_sequence(void *context, const struct job_row *row, struct error *err)
{
    char *numbers = context;

    (void)err;
    size_t len = strlen(numbers);
    (void)snprintf(numbers + len, 64 - len, "%" PRIu64 " ", row->sequence);
    return 0;
}

static void expect_jobs(struct job_filter filter, const char *expected)
{
    char numbers[64] = "";

    assert_int_equal(store_load_jobs(store, &filter, note_sequence, numbers, NULL), 0);
    assert_string_equal(numbers, expected);
}

static void jobs_are_filtered(void **state)
{
    static const int64_t ends[] = {0, 100, 200, 0, 300};

    (void)state;
    for (unsigned int i = 0; i < ARRAY_COUNT(ends); i++) {
        struct job_row job = rig_job(i + 1);
        job.ended_us = ends[i];
        job.vm = rig_uuid(i % 2);
        assert_int_equal(store_put_job(store, &job, NULL), 0);
    }
    expect_jobs((struct job_filter){.limit = 0}, "5 4 3 2 1 ");
    expect_jobs((struct job_filter){.limit = 2}, "5 4 ");
    expect_jobs((struct job_filter){.is_open_only = true}, "4 1 ");
    expect_jobs((struct job_filter){.ended_since_us = 200}, "5 4 3 1 ");
    expect_jobs((struct job_filter){.ended_since_us = 201}, "5 4 1 ");
    expect_jobs((struct job_filter){.vm = rig_uuid(1)}, "4 2 ");
    expect_jobs((struct job_filter){.vm = rig_uuid(1), .is_open_only = true}, "4 ");
    expect_jobs((struct job_filter){.vm = rig_uuid(7)}, "");
}

static void a_job_that_is_not_there_is_not_found(void **state)
{
    const struct uuid id = rig_uuid(77);
    struct job_row found = {.sequence = 5};

    (void)state;
    assert_int_equal(store_find_job(store, &id, &found, NULL), 0);
    assert_int_equal(found.sequence, 5);
}

static void a_sequence_is_never_given_again(void **state)
{
    struct job_row job = rig_job(7);
    uint64_t next = 0;

    (void)state;
    assert_int_equal(store_next_sequence(store, &next, NULL), 0);
    assert_int_equal(next, 1);
    assert_int_equal(store_put_job(store, &job, NULL), 0);
    store_close(store);
    rig_sql(rig_path, "DELETE FROM jobs");
    store = rig_open(rig_path);
    assert_int_equal(store_next_sequence(store, &next, NULL), 0);
    assert_int_equal(next, 8);
}

/* --- events ---------------------------------------------------------------------------------- */

struct seen_events {
    uint64_t count;
    uint64_t first;
    uint64_t last;
};

static int note_event(void *context, const struct event_row *row, struct error *err)
{
    struct seen_events *seen = context;

    (void)err;
    assert_true(row->id > seen->last);
    seen->first = seen->count++ == 0 ? row->id : seen->first;
    seen->last = row->id;
    return 0;
}

static void expect_events(uint64_t after, struct uuid vm, uint32_t limit, struct seen_events wanted)
{
    struct seen_events seen = {0};

    assert_int_equal(store_load_events(store, after, &vm, limit, note_event, &seen, NULL), 0);
    assert_int_equal(seen.count, wanted.count);
    assert_int_equal(seen.first, wanted.first);
    assert_int_equal(seen.last, wanted.last);
}

static void the_oldest_events_go(void **state)
{
    const struct uuid any = {{0}};
    struct event_row event = {.what = "w"};
    uint64_t newest = 99;

    (void)state;
    assert_int_equal(store_newest_event(store, &newest, NULL), 0);
    assert_int_equal(newest, 0);
    assert_int_equal(store_begin(store, NULL), 0);
    for (unsigned int i = 1; i <= EVENTS_MAX + 10; i++) {
        event.vm = rig_uuid(i % 10);
        assert_int_equal(store_add_event(store, &event, NULL), 0);
        assert_int_equal(event.id, i);
    }
    assert_int_equal(store_commit(store, NULL), 0);
    assert_int_equal(store_newest_event(store, &newest, NULL), 0);
    assert_int_equal(newest, EVENTS_MAX + 10);
    expect_events(0, any, UINT32_MAX, (struct seen_events){EVENTS_MAX, 11, EVENTS_MAX + 10});
    expect_events(0, any, 5, (struct seen_events){5, 11, 15});
    expect_events(EVENTS_MAX, any, 100, (struct seen_events){10, EVENTS_MAX + 1, EVENTS_MAX + 10});
    expect_events(0, rig_uuid(3), 2, (struct seen_events){2, 13, 23});
    expect_events(newest, any, 5, (struct seen_events){0, 0, 0});
}

/* --- statistics, settings -------------------------------------------------------------------- */

static int note_start(void *context, const struct statistics_row *row, struct error *err)
{
    char *starts = context;

    (void)err;
    size_t len = strlen(starts);
    (void)snprintf(starts + len, 64 - len, "%" PRId64 " ", row->start_us);
    return 0;
}

static void expect_starts(struct uuid vm, uint8_t hop, uint32_t limit, const char *expected)
{
    char starts[64] = "";

    assert_int_equal(store_load_statistics(store, &vm, hop, limit, note_start, starts, NULL), 0);
    assert_string_equal(starts, expected);
}

static void the_newest_intervals_come_first(void **state)
{
    (void)state;
    for (unsigned int i = 1; i <= 6; i++) {
        struct statistics_row row = {.vm = rig_uuid(i % 2), .hop = i > 4, .start_us = i};
        assert_int_equal(store_put_statistics(store, &row, NULL), 0);
    }
    expect_starts((struct uuid){{0}}, 0, 10, "6 5 4 3 2 1 ");
    expect_starts(rig_uuid(1), 0, 10, "3 1 ");
    expect_starts(rig_uuid(1), 0, 1, "3 ");
    expect_starts(rig_uuid(0), 1, 10, "6 ");
    expect_starts(rig_uuid(9), 0, 10, "");
}

static void a_setting_that_does_not_fit_is_refused_whole(void **state)
{
    char value[8] = "before";
    struct error err = {0};

    (void)state;
    assert_int_equal(store_get_setting(store, "name", value, sizeof value, NULL), 0);
    assert_string_equal(value, "before");
    assert_int_equal(store_put_setting(store, "name", "12345678", NULL), 0);
    assert_int_equal(store_get_setting(store, "name", value, sizeof value, &err), -1);
    assert_non_null(strstr(err.message, "longer than 7 bytes"));
    assert_string_equal(value, "before");
    assert_int_equal(store_put_setting(store, "name", "1234567", NULL), 0);
    assert_int_equal(store_get_setting(store, "name", value, sizeof value, NULL), 1);
    assert_string_equal(value, "1234567");
}

/* Names go into a statement as values. */
static void quotes_are_letters(void **state)
{
    char value[64] = "";
    const char *name = "x'); DROP TABLE settings; --\"";

    (void)state;
    assert_int_equal(store_put_setting(store, name, "'%s\"\n", NULL), 0);
    assert_int_equal(store_get_setting(store, name, value, sizeof value, NULL), 1);
    assert_string_equal(value, "'%s\"\n");
}

/* --- transactions ---------------------------------------------------------------------------- */

static void a_rollback_leaves_everything_as_it_was(void **state)
{
    (void)state;
    assert_int_equal(store_put_setting(store, "last", "first", NULL), 0);
    char *before = rig_say(store, NULL);
    assert_int_equal(store_begin(store, NULL), 0);
    rig_put_all(store);
    store_rollback(store);
    rig_expect(store, before);
    reopen();
    rig_expect(store, before);
    free(before);
}

static void a_commit_keeps_everything(void **state)
{
    (void)state;
    assert_int_equal(store_begin(store, NULL), 0);
    rig_put_all(store);
    assert_int_equal(store_commit(store, NULL), 0);
    char *after = rig_say(store, NULL);
    reopen();
    rig_expect(store, after);
    free(after);
}

/* What closes without a commit was not there: here by the child's end. */
static void what_is_not_committed_ends_with_the_process(void **state)
{
    int status = -1;

    (void)state;
    store_close(store);
    store = NULL;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        store = rig_open(rig_path);
        bool is_begun = store_begin(store, NULL) == 0;
        rig_put_all(store);
        _exit(is_begun ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    store = rig_open(rig_path);
    rig_expect(store, "last '' next 1\n");
}

/* A call of several statements fails in the middle of somebody's transaction. */
static void a_call_that_fails_changes_nothing_in_a_transaction_either(void **state)
{
    struct relationship_disk disks[DISKS_MAX];
    struct relationship_row row = rig_relationship(disks);

    (void)state;
    rig_put_all(store);
    char *before = rig_say(store, NULL);
    assert_int_equal(store_begin(store, NULL), 0);
    row.state = 3;
    memcpy(row.disks[9].name, row.disks[8].name, DISK_NAME_MAX);
    assert_int_equal(store_put_relationship(store, &row, NULL), -1);
    rig_expect(store, before);
    assert_int_equal(store_put_setting(store, "other", "goes on", NULL), 0);
    assert_int_equal(store_commit(store, NULL), 0);
    reopen();
    rig_expect(store, before);
    free(before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_largest_value_of_every_field_comes_back, begin, end),
        cmocka_unit_test_setup_teardown(the_smallest_value_of_every_field_comes_back, begin, end),
        cmocka_unit_test_setup_teardown(an_empty_text_and_no_report_are_two_things, begin, end),
        cmocka_unit_test_setup_teardown(putting_again_replaces, begin, end),
        cmocka_unit_test_setup_teardown(what_is_removed_is_gone_and_may_be_removed_again, begin,
                                        end),
        cmocka_unit_test_setup_teardown(another_hop_is_left_alone, begin, end),
        cmocka_unit_test_setup_teardown(values_beyond_the_fields_are_refused_and_change_nothing,
                                        begin, end),
        cmocka_unit_test_setup_teardown(a_sequence_belongs_to_one_job, begin, end),
        cmocka_unit_test_setup_teardown(rows_come_in_the_order_of_keys_until_the_visitor_stops,
                                        begin, end),
        cmocka_unit_test_setup_teardown(jobs_are_filtered, begin, end),
        cmocka_unit_test_setup_teardown(a_job_that_is_not_there_is_not_found, begin, end),
        cmocka_unit_test_setup_teardown(a_sequence_is_never_given_again, begin, end),
        cmocka_unit_test_setup_teardown(the_oldest_events_go, begin, end),
        cmocka_unit_test_setup_teardown(the_newest_intervals_come_first, begin, end),
        cmocka_unit_test_setup_teardown(a_setting_that_does_not_fit_is_refused_whole, begin, end),
        cmocka_unit_test_setup_teardown(quotes_are_letters, begin, end),
        cmocka_unit_test_setup_teardown(a_rollback_leaves_everything_as_it_was, begin, end),
        cmocka_unit_test_setup_teardown(a_commit_keeps_everything, begin, end),
        cmocka_unit_test_setup_teardown(what_is_not_committed_ends_with_the_process, begin, end),
        cmocka_unit_test_setup_teardown(a_call_that_fails_changes_nothing_in_a_transaction_either,
                                        begin, end),
    };
    return cmocka_run_group_tests_name("store", tests, NULL, NULL);
}
