/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * service_test.c - relationships and hosts: made, changed, removed, found; who may; and what a
 * store that fails leaves.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "service_rig.h"

#include <cmocka.h>

static int set_up(void **state)
{
    *state = rig_new();
    return 0;
}

static int tear_down(void **state)
{
    rig_check(*state);
    rig_free(*state);
    return 0;
}

static void assert_value(const struct rig_reply *reply, enum return_value value)
{
    assert_int_equal(reply->count, 1);
    assert_int_equal(reply->last.value, value);
}

static struct rig_reply *create_with(struct rig *rig, struct relationship_request *request)
{
    struct service_asker asker;
    struct rig_reply *reply = rig_asker(rig, &rig_administrator, &asker);

    service_create(rig->service, &asker, request);
    return reply;
}

static struct rig_reply *modify(struct rig *rig, const char *vm,
                                const struct relationship_settings *settings)
{
    struct service_asker asker;
    struct rig_reply *reply = rig_asker(rig, &rig_administrator, &asker);

    service_modify(rig->service, &asker, vm, -1, settings);
    return reply;
}

/* --- create ---------------------------------------------------------------------------------- */

static void a_relationship_is_made_when_disks_and_peer_agree(void **state)
{
    struct rig *rig = *state;
    struct rig_reply *reply = rig_create(rig, "web1", "BETA");

    assert_int_equal(reply->count, 0);
    assert_null(rig_row(rig, "web1", 0));
    assert_true(rig_look(rig, NULL));
    assert_int_equal(rig->waits[0].call, PEER_OFFER);
    assert_int_equal(rig->waits[0].generation, 1);
    assert_true(rig_answer(rig, PEER_ANSWERED, RETURN_DONE));
    assert_value(reply, RETURN_DONE);
    const struct relationship_row *row = rig_row(rig, "web1", 0);
    assert_int_equal(row->role, RELATIONSHIP_PRIMARY);
    assert_int_equal(row->state, STATE_READY);
    assert_int_equal(row->disk_count, 2);
    assert_string_equal(row->peer, "beta");
    assert_value(rig_create(rig, "web1", "gamma"), RETURN_INVALID_STATE);
}

static void only_the_disks_that_are_named_take_part(void **state)
{
    static const char *const one[] = {"vdb"};
    static const char *const none[] = {"vdz"};
    struct rig *rig = *state;
    struct relationship_request request = {
        .vm = "web1", .host = "beta", .disk_count = 1, .disks = none};

    service_settings_default(&request.settings);
    assert_value(create_with(rig, &request), RETURN_INVALID_PARAMETER);
    request.disks = one;
    struct rig_reply *created = create_with(rig, &request);
    rig_answer_all(rig);
    assert_value(created, RETURN_DONE);
    assert_false(rig_row(rig, "web1", 0)->disks[0].is_included);
    assert_int_equal(rig_row(rig, "web1", 0)->disks[0].size_bytes, 0);
    assert_true(rig_row(rig, "web1", 0)->disks[1].is_included);
    assert_int_equal(rig_row(rig, "web1", 0)->disks[1].size_bytes, RIG_DISK_BYTES);
    struct rig_reply *started = rig_start(rig, "web1");
    rig_answer_all(rig);
    assert_int_equal(rig_session_of(rig, &started->last.job)->disk_count, 1);
}

static void settings_that_cannot_be_are_refused(void **state)
{
    struct rig *rig = *state;
    struct relationship_request request = {.vm = "web1", .host = "beta"};

    for (uint32_t i = 0; i < 4; i++) {
        service_settings_default(&request.settings);
        request.settings.interval_s = i == 0 ? 31 : 30;
        request.settings.recovery_history = i == 1 ? REPLICA_HISTORY_MAX + 1 : 0;
        request.settings.auto_start_minute = i == 2 ? 1440 : 0;
        request.settings.auto_end_minute = i == 3 ? 1440 : 0;
        assert_value(create_with(rig, &request), RETURN_INVALID_PARAMETER);
    }
    assert_int_equal(rig->wait_count, 0);
}

static void what_is_not_known_is_refused(void **state)
{
    struct rig *rig = *state;

    assert_value(rig_create(rig, "web9", "beta"), RETURN_INVALID_PARAMETER);
    assert_value(rig_create(rig, "web1", "delta"), RETURN_INVALID_PARAMETER);
    assert_value(rig_remove(rig, "web1"), RETURN_INVALID_STATE);
    struct rig_reply *reply = rig_create(rig, "web1", "beta");
    struct error err = {.kind = ERR_IO, .errnum = ENOENT, .message = "no such file"};
    assert_true(rig_look(rig, &err));
    assert_value(reply, RETURN_FILE_NOT_FOUND);
    reply = rig_create(rig, "web1", "beta");
    assert_true(rig_look(rig, NULL));
    assert_true(rig_answer(rig, PEER_ANSWERED, RETURN_ACCESS_DENIED));
    assert_value(reply, RETURN_ACCESS_DENIED);
    assert_non_null(strstr(reply->last.error.message, "beta"));
    assert_null(rig_row(rig, "web1", 0));
}

static void of_two_creations_at_once_one_wins(void **state)
{
    struct rig *rig = *state;
    struct rig_reply *first = rig_create(rig, "web1", "beta");
    struct rig_reply *second = rig_create(rig, "web1", "gamma");

    rig_answer_all(rig);
    assert_value(first, RETURN_DONE);
    assert_value(second, RETURN_INVALID_STATE);
    assert_string_equal(rig_row(rig, "web1", 0)->peer, "beta");
}

/* --- modify, remove -------------------------------------------------------------------------- */

static void settings_change_when_the_peer_has_them(void **state)
{
    struct rig *rig = *state;
    struct relationship_settings settings;

    rig_make_replicating(rig, "web1");
    service_settings_default(&settings);
    settings.interval_s = 900;
    struct rig_reply *reply = modify(rig, "web1", &settings);
    assert_int_equal(rig_row(rig, "web1", 0)->settings.interval_s, 300);
    assert_true(rig_answer(rig, PEER_UNREACHABLE, RETURN_DONE));
    assert_value(reply, RETURN_NOT_AVAILABLE);
    assert_int_equal(rig_row(rig, "web1", 0)->settings.interval_s, 300);
    reply = modify(rig, "web1", &settings);
    rig_answer_all(rig);
    assert_value(reply, RETURN_DONE);
    assert_int_equal(rig_row(rig, "web1", 0)->settings.interval_s, 900);
    settings.interval_s = 1;
    assert_value(modify(rig, "web1", &settings), RETURN_INVALID_PARAMETER);
    assert_value(modify(rig, "web2", &settings), RETURN_INVALID_STATE);
}

/* Each was made from the settings before; the later answer would take the earlier one back. */
static void settings_are_changed_by_one_at_a_time(void **state)
{
    struct rig *rig = *state;
    struct relationship_settings one;
    struct relationship_settings other;

    rig_make_replicating(rig, "web1");
    service_settings_default(&one);
    other = one;
    one.interval_s = 900;
    other.recovery_history = 5;
    struct rig_reply *first = modify(rig, "web1", &one);
    assert_value(modify(rig, "web1", &other), RETURN_IN_USE);
    rig_answer_all(rig);
    assert_value(first, RETURN_DONE);
    assert_int_equal(rig_row(rig, "web1", 0)->settings.interval_s, 900);
    other.interval_s = 900;
    struct rig_reply *second = modify(rig, "web1", &other);
    rig_answer_all(rig);
    assert_value(second, RETURN_DONE);
    assert_int_equal(rig_row(rig, "web1", 0)->settings.recovery_history, 5);
}

static void a_removal_tells_the_peer_and_happens_without_it(void **state)
{
    struct rig *rig = *state;

    rig_make_replicating(rig, "web1");
    struct rig_reply *reply = rig_remove(rig, "web1");
    assert_true(rig_answer(rig, PEER_ANSWERED, RETURN_IN_USE));
    assert_value(reply, RETURN_IN_USE);
    assert_non_null(rig_row(rig, "web1", 0));
    reply = rig_remove(rig, "web1");
    assert_true(rig_answer(rig, PEER_UNREACHABLE, RETURN_DONE));
    assert_value(reply, RETURN_DONE);
    assert_null(rig_row(rig, "web1", 0));
    rig_make_replicating(rig, "web1"); /* and it can be made anew */
}

static void a_removal_ends_the_job_that_waits_and_not_the_one_at_work(void **state)
{
    struct rig *rig = *state;

    rig_make_replicating(rig, "web1");
    struct uuid job = rig_begin_resync(rig, "web1");
    assert_value(rig_remove(rig, "web1"), RETURN_IN_USE);
    rig_end(rig, &job, ERR_PEER);
    struct rig_reply *reply = rig_remove(rig, "web1");
    rig_pass(rig, RIG_HOUR_US); /* it is due, and does not begin while the peer is asked */
    assert_int_equal(rig_running(rig), 0);
    rig_answer_all(rig);
    assert_value(reply, RETURN_DONE);
    assert_int_equal(rig_job(rig, &job)->state, JOB_TERMINATED);
}

/* --- hosts ----------------------------------------------------------------------------------- */

static void a_revoked_host_may_nothing(void **state)
{
    struct rig *rig = *state;
    enum return_value value = RETURN_FAILED;
    uint8_t fingerprint[FINGERPRINT_BYTES];
    struct authorization_row entry = {.allowed_primary = "gamma", .storage_root = "/srv"};

    rig_make_replicating(rig, "web1");
    assert_int_equal(service_revoke_host(rig->service, &rig_administrator, "Gamma", &value, NULL),
                     0);
    assert_int_equal(value, RETURN_DONE);
    assert_int_equal(rig->cut_count, 1);
    rig_fingerprint(3, fingerprint);
    assert_memory_equal(rig->cut_fingerprint, fingerprint, FINGERPRINT_BYTES);
    assert_null(service_knows_peer(rig->service, fingerprint));
    assert_int_equal(service_authorization_count(rig->service), 0);
    assert_int_equal(rig_asked(rig, 3, PEER_HELLO, 1, 0).value, RETURN_ACCESS_DENIED);
    assert_int_equal(
        service_set_authorization(rig->service, &rig_administrator, &entry, &value, NULL), -1);
    assert_value(rig_create(rig, "web2", "gamma"), RETURN_INVALID_PARAMETER);
    assert_int_equal(service_host_count(rig->service), 2);
    rig_restart(rig);
    assert_null(service_knows_peer(rig->service, fingerprint));
    assert_int_equal(service_authorization_count(rig->service), 0);
    /* A relationship with one: it is removed without being told. */
    assert_int_equal(service_revoke_host(rig->service, &rig_administrator, "beta", &value, NULL),
                     0);
    assert_value(rig_resync(rig, "web1", NULL), RETURN_NOT_AVAILABLE);
    assert_value(rig_remove(rig, "web1"), RETURN_DONE);
}

static void hosts_and_entries_that_cannot_be_are_refused(void **state)
{
    struct rig *rig = *state;
    struct host_row host = {.name = "Here"};
    struct authorization_row entry = {.allowed_primary = "delta", .storage_root = "/srv"};
    enum return_value value = RETURN_DONE;

    assert_int_equal(service_add_host(rig->service, &rig_administrator, &host, &value, NULL), -1);
    assert_int_equal(value, RETURN_INVALID_PARAMETER);
    assert_int_equal(
        service_set_authorization(rig->service, &rig_administrator, &entry, &value, NULL), -1);
    assert_int_equal(value, RETURN_INVALID_PARAMETER);
    (void)snprintf(entry.allowed_primary, sizeof entry.allowed_primary, "beta");
    (void)snprintf(entry.storage_root, sizeof entry.storage_root, "srv");
    assert_int_equal(
        service_set_authorization(rig->service, &rig_administrator, &entry, &value, NULL), -1);
    assert_int_equal(
        service_remove_authorization(rig->service, &rig_administrator, "beta", &value, NULL), -1);
    assert_int_equal(
        service_set_host_address(rig->service, &rig_administrator, "delta", "x:1", &value, NULL),
        -1);
    assert_int_equal(service_revoke_host(rig->service, &rig_administrator, "delta", &value, NULL),
                     -1);
    assert_int_equal(rig->cut_count, 0);
}

static void a_test_says_who_answered(void **state)
{
    struct rig *rig = *state;
    struct service_asker asker;
    struct rig_reply *reply = rig_asker(rig, &rig_viewer, &asker);

    service_test_host(rig->service, &asker, "beta");
    assert_true(rig_answer(rig, PEER_ANSWERED, RETURN_DONE));
    assert_value(reply, RETURN_DONE);
    assert_non_null(strstr(reply->last.error.message, "version 1"));
    reply = rig_asker(rig, &rig_viewer, &asker);
    service_test_host(rig->service, &asker, "delta");
    assert_value(reply, RETURN_INVALID_PARAMETER);
}

static void every_host_is_greeted_once_after_a_start(void **state)
{
    struct rig *rig = *state;

    rig_restart(rig);
    assert_int_equal(rig->wait_count, 0);
    (void)service_step(rig->service);
    assert_int_equal(rig->wait_count, 2);
    (void)service_step(rig->service);
    assert_int_equal(rig->wait_count, 2);
    assert_int_equal(rig->waits[0].call, PEER_HELLO);
}

/* --- who may --------------------------------------------------------------------------------- */

/* Every operation, by number; -1 when there are no more. Nothing of it exists: whoever may, is told
 * something else than "access denied". */
static int call_as(struct rig *rig, const struct caller *caller, int number,
                   enum return_value *out_value)
{
    struct relationship_request request = {.vm = "none", .host = "beta"};
    struct relationship_settings settings;
    struct host_row host = {.name = "here"};
    struct authorization_row entry = {.allowed_primary = "none", .storage_root = "/"};
    struct uuid no_job = {{1}};
    struct service_asker asker;
    struct service *service = rig->service;
    struct rig_reply *reply = number < 9 ? rig_asker(rig, caller, &asker) : NULL;
    int result = -1;

    service_settings_default(&settings);
    switch (number) {
    case 0:
        service_test_host(service, &asker, "none");
        break;
    case 1:
        service_start(service, &asker, "none", -1, NULL, false);
        break;
    case 2:
        service_resynchronize(service, &asker, "none", NULL);
        break;
    case 3:
        service_request_state(service, &asker, "none", -1, 99);
        break;
    case 4:
        service_request_job_state(service, &asker, &no_job, 4);
        break;
    case 5:
        service_reset_statistics(service, &asker, "none", -1);
        break;
    case 6:
        service_create(service, &asker, &request);
        break;
    case 7:
        service_modify(service, &asker, "none", -1, &settings);
        break;
    case 8:
        service_remove(service, &asker, "none", -1);
        break;
    case 9:
        result = service_add_host(service, caller, &host, out_value, NULL);
        break;
    case 10:
        result = service_set_host_address(service, caller, "none", "x:1", out_value, NULL);
        break;
    case 11:
        result = service_revoke_host(service, caller, "none", out_value, NULL);
        break;
    case 12:
        result = service_set_authorization(service, caller, &entry, out_value, NULL);
        break;
    case 13:
        result = service_remove_authorization(service, caller, "none", out_value, NULL);
        break;
    default:
        return -1;
    }
    if (reply != NULL) {
        assert_int_equal(reply->count, 1);
        *out_value = reply->last.value;
    } else {
        assert_int_equal(result, -1);
    }
    return 0;
}

static void every_operation_asks_who_it_is(void **state)
{
    static const struct {
        const struct caller *caller;
        int may; /* of the numbers below */
    } rows[] = {{&rig_nobody, 0}, {&rig_viewer, 1}, {&rig_operator, 6}, {&rig_administrator, 14}};
    struct rig *rig = *state;
    uint32_t asked = 0;

    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        enum return_value value = RETURN_DONE;
        for (int number = 0; call_as(rig, rows[i].caller, number, &value) == 0; number++) {
            assert_int_equal(value == RETURN_ACCESS_DENIED, number >= rows[i].may);
            asked++;
        }
    }
    assert_int_equal(asked, 4 * 14);
}

/* --- the store fails ------------------------------------------------------------------------- */

static void operations_that_cannot_be_saved_change_nothing(void **state)
{
    struct rig *rig = *state;
    struct relationship_settings settings;
    enum return_value value = RETURN_DONE;
    struct rig_reply *replies[8];

    rig_make_replicating(rig, "web1");
    rig_make_replicating(rig, "web2");
    rig_make_replicating(rig, "web3");
    struct uuid job = rig_begin_resync(rig, "web2");
    struct uuid planned = rig_resync(rig, "web3", rig_start_text(rig, RIG_HOUR_US))->last.job;
    service_settings_default(&settings);
    settings.interval_s = 900;
    rig_break_store(rig, true);
    replies[0] = rig_create(rig, "web4", "beta");
    replies[1] = modify(rig, "web1", &settings);
    rig_answer_all(rig); /* a VM waits for one answer at a time */
    replies[2] = rig_resync(rig, "web1", NULL);
    rig_answer_all(rig);
    replies[3] = rig_remove(rig, "web1");
    rig_answer_all(rig);
    replies[4] = rig_request(rig, "web1", STATE_SUSPENDED);
    replies[5] = rig_request(rig, "web2", STATE_WAITING_RESYNC);
    replies[6] = rig_request_job(rig, &planned, 4);
    replies[7] = rig_resync(rig, "web3", NULL); /* would move it */
    for (size_t i = 0; i < ARRAY_COUNT(replies); i++) {
        assert_value(replies[i], RETURN_FAILED);
    }
    assert_int_equal(service_revoke_host(rig->service, &rig_administrator, "beta", &value, NULL),
                     -1);
    assert_int_equal(value, RETURN_FAILED);
    assert_int_equal(rig->cut_count, 0);
    rig_break_store(rig, false);
    rig_check(rig);
    assert_null(rig_row(rig, "web4", 0));
    assert_int_equal(rig_state(rig, "web1"), STATE_REPLICATING);
    assert_int_equal(rig_row(rig, "web1", 0)->settings.interval_s, 300);
    assert_int_equal(rig_state(rig, "web2"), STATE_RESYNCHRONIZING);
    assert_false(rig_session_of(rig, &job)->is_told_to_stop);
    assert_int_equal(rig_job(rig, &planned)->scheduled_us, RIG_NOON_US + RIG_HOUR_US);
}

static void what_happened_anyway_is_saved_later(void **state)
{
    struct rig *rig = *state;

    rig_make_replicating(rig, "web1");
    struct uuid job = rig_begin_resync(rig, "web1");
    rig_break_store(rig, true);
    rig_end(rig, &job, ERR_NONE);
    assert_int_equal(rig_state(rig, "web1"), STATE_REPLICATING);
    assert_true(service_find_relationship(rig->service, &rig_job(rig, &job)->vm, 0)->is_unsaved);
    assert_true(service_find_job_of(rig->service, &job)->is_unsaved);
    assert_true(service_step(rig->service) <= rig->now_ns + NS_PER_S);
    rig_pass(rig, RIG_HOUR_US); /* not forgotten before it is saved */
    assert_non_null(service_find_job(rig->service, &job));
    rig_break_store(rig, false);
    (void)service_step(rig->service);
    rig_check(rig);
    rig_restart(rig);
    assert_int_equal(rig_state(rig, "web1"), STATE_REPLICATING);
}

/* --- the end --------------------------------------------------------------------------------- */

static void whoever_waits_is_told_when_the_service_goes(void **state)
{
    struct rig *rig = *state;
    struct service_asker asker;

    rig_make_replicating(rig, "web1");
    struct rig_reply *looking = rig_resync(rig, "web1", NULL);
    struct rig_reply *asking = rig_asker(rig, &rig_viewer, &asker);
    service_test_host(rig->service, &asker, "beta");
    assert_false(service_is_idle(rig->service));
    assert_int_equal(looking->count + asking->count, 0);
    rig_restart(rig);
    assert_value(looking, RETURN_FAILED);
    assert_value(asking, RETURN_FAILED);
    assert_int_equal(rig_state(rig, "web1"), STATE_REPLICATING);
}

static void statistics_are_kept_and_reset(void **state)
{
    struct rig *rig = *state;
    struct service_asker asker;

    rig_make_replicating(rig, "web1");
    struct uuid job = rig_begin_resync(rig, "web1");
    struct uuid vm = rig_job(rig, &job)->vm;
    rig_end(rig, &job, ERR_PEER);
    rig_restart(rig);
    assert_int_equal(service_statistics(rig->service, &vm, 0)->success_count, 1);
    assert_int_equal(service_statistics(rig->service, &vm, 0)->network_failure_count, 1);
    rig_pass(rig, 12 * RIG_HOUR_US);
    assert_int_equal(service_statistics(rig->service, &vm, 0)->success_count, 0);
    struct rig_reply *reply = rig_asker(rig, &rig_operator, &asker);
    service_reset_statistics(rig->service, &asker, "web1", -1);
    assert_value(reply, RETURN_DONE);
}

static void vms_are_found_by_id_and_name(void **state)
{
    struct rig *rig = *state;
    struct service_vm vm;
    struct error err = {0};

    rig_make_replicating(rig, "web1");
    assert_int_equal(service_vm_count(rig->service), RIG_VMS);
    assert_int_equal(
        service_find_vm(rig->service, "01070000-0000-0000-0000-000000000000", &vm, NULL), 0);
    assert_string_equal(vm.name, "web1");
    assert_int_equal(vm.mode, MODE_PRIMARY);
    assert_int_equal(rig_asked(rig, 3, PEER_OFFER, 1, RIG_DISK_BYTES).value, RETURN_DONE);
    assert_int_equal(service_vm_count(rig->service), RIG_VMS + 1);
    service_vm_at(rig->service, RIG_VMS, &vm);
    assert_string_equal(vm.name, "far");
    assert_int_equal(vm.mode, MODE_REPLICA);
    assert_int_equal(service_find_vm(rig->service, "fra", &vm, &err), -1);
    assert_non_null(strstr(err.message, "'far'"));
}

#define RIG_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        RIG_TEST(a_relationship_is_made_when_disks_and_peer_agree),
        RIG_TEST(only_the_disks_that_are_named_take_part),
        RIG_TEST(settings_that_cannot_be_are_refused),
        RIG_TEST(what_is_not_known_is_refused),
        RIG_TEST(of_two_creations_at_once_one_wins),
        RIG_TEST(settings_change_when_the_peer_has_them),
        RIG_TEST(settings_are_changed_by_one_at_a_time),
        RIG_TEST(a_removal_tells_the_peer_and_happens_without_it),
        RIG_TEST(a_removal_ends_the_job_that_waits_and_not_the_one_at_work),
        RIG_TEST(a_revoked_host_may_nothing),
        RIG_TEST(hosts_and_entries_that_cannot_be_are_refused),
        RIG_TEST(a_test_says_who_answered),
        RIG_TEST(every_host_is_greeted_once_after_a_start),
        RIG_TEST(every_operation_asks_who_it_is),
        RIG_TEST(operations_that_cannot_be_saved_change_nothing),
        RIG_TEST(what_happened_anyway_is_saved_later),
        RIG_TEST(whoever_waits_is_told_when_the_service_goes),
        RIG_TEST(statistics_are_kept_and_reset),
        RIG_TEST(vms_are_found_by_id_and_name),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
