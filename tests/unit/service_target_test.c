/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * service_target_test.c - the side that keeps replicas: what peers may ask, which sessions are let
 * in, and what follows a new point.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "service_rig.h"

#include <cmocka.h>

#define BETA 2
#define GAMMA 3
#define STRANGER 9

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

static void assert_asked(struct rig *rig, uint8_t host, enum peer_call call, uint64_t generation,
                         enum return_value value)
{
    assert_int_equal(rig_asked(rig, host, call, generation, RIG_DISK_BYTES).value, value);
}

static int admit(struct rig *rig, uint8_t host, const struct session_request *request,
                 struct session_grant *out, struct error *err)
{
    uint8_t fingerprint[FINGERPRINT_BYTES];

    rig_fingerprint(host, fingerprint);
    *err = (struct error){0};
    return service_admit(rig->service, fingerprint, request, out, err);
}

static void assert_refused(struct rig *rig, uint8_t host, const struct session_request *request,
                           enum error_kind kind)
{
    struct session_grant grant;
    struct error err;

    assert_int_equal(admit(rig, host, request, &grant, &err), -1);
    assert_int_equal(err.kind, kind);
    assert_true(err.message[0] != '\0');
}

static struct uuid let_in(struct rig *rig, uint64_t generation, bool is_initial)
{
    static struct session_request request;
    static struct session_grant grant;
    struct error err;

    rig_request_far(generation, &request);
    assert_int_equal(admit(rig, GAMMA, &request, &grant, &err), 0);
    assert_int_equal(grant.is_initial, is_initial);
    assert_string_equal(grant.folder, "/srv/replicas/fa010000-0000-0000-0000-000000000000");
    return grant.ticket;
}

static void target_ends(struct rig *rig, const struct uuid *ticket, bool is_done, uint64_t written)
{
    static struct session_end end;

    end = (struct session_end){.is_done = is_done};
    end.progress.disk_count = 1;
    end.progress.disks[0].written_bytes = written;
    if (!is_done) {
        end.error = (struct error){.kind = ERR_PEER, .message = "the source has gone"};
    }
    service_target_ended(rig->service, ticket, &end);
}

/* The far VM's replica is here, and complete. */
static void make_replica(struct rig *rig)
{
    assert_asked(rig, GAMMA, PEER_OFFER, 1, RETURN_DONE);
    struct uuid ticket = let_in(rig, 1, true);
    target_ends(rig, &ticket, true, 1);
    assert_int_equal(rig_state(rig, "far"), STATE_REPLICATING);
}

/* --- questions ------------------------------------------------------------------------------- */

static void strangers_may_nothing(void **state)
{
    struct rig *rig = *state;
    struct session_request *request = calloc(1, sizeof *request);
    uint8_t fingerprint[FINGERPRINT_BYTES];

    assert_non_null(request);
    for (int call = PEER_CALL_INVALID; call <= PEER_CALL_MAX; call++) {
        assert_asked(rig, STRANGER, (enum peer_call)call, 1, RETURN_ACCESS_DENIED);
    }
    rig_fingerprint(STRANGER, fingerprint);
    assert_null(service_knows_peer(rig->service, fingerprint));
    rig_request_far(1, request);
    assert_refused(rig, STRANGER, request, ERR_PEER);
    free(request);
}

static void hello_says_who_this_is(void **state)
{
    struct rig *rig = *state;
    struct peer_answer answer = rig_asked(rig, BETA, PEER_HELLO, 1, 0);

    assert_int_equal(answer.value, RETURN_DONE);
    assert_string_equal(answer.host_name, "here");
    assert_true(answer.version[0] != '\0');
    assert_asked(rig, BETA, PEER_CALL_INVALID, 1, RETURN_NOT_SUPPORTED);
}

static void an_entry_is_what_lets_a_host_replicate(void **state)
{
    struct rig *rig = *state;
    struct host_row host = {.name = "gamma", .address = "gamma.example:8490"};
    enum return_value value = RETURN_FAILED;

    assert_asked(rig, BETA, PEER_OFFER, 1, RETURN_ACCESS_DENIED); /* paired, no entry */
    assert_asked(rig, BETA, PEER_PREPARE, 1, RETURN_ACCESS_DENIED);
    assert_asked(rig, BETA, PEER_MODIFY, 1, RETURN_ACCESS_DENIED);
    make_replica(rig);
    assert_int_equal(rig_row(rig, "far", 0)->role, RELATIONSHIP_REPLICA);
    /* Paired anew with another certificate: its entry was made for the old one. */
    rig_fingerprint(7, host.fingerprint);
    assert_int_equal(service_add_host(rig->service, &rig_administrator, &host, &value, NULL), 0);
    assert_asked(rig, 7, PEER_PREPARE, 1, RETURN_ACCESS_DENIED);
    assert_asked(rig, GAMMA, PEER_PREPARE, 1, RETURN_ACCESS_DENIED);
}

static void a_host_that_takes_no_replicas_takes_none(void **state)
{
    struct rig *rig = *state;

    rig->config.is_replica_enabled = false;
    rig_restart(rig);
    assert_asked(rig, GAMMA, PEER_OFFER, 1, RETURN_ACCESS_DENIED);
    assert_asked(rig, GAMMA, PEER_HELLO, 1, RETURN_DONE);
}

static void what_is_not_kept_here_is_refused(void **state)
{
    struct rig *rig = *state;

    assert_asked(rig, GAMMA, PEER_PREPARE, 1, RETURN_INVALID_STATE);
    assert_asked(rig, GAMMA, PEER_MODIFY, 1, RETURN_INVALID_STATE);
    assert_asked(rig, GAMMA, PEER_REMOVE, 1, RETURN_DONE); /* that is how it shall be */
}

static void preparing_looks_at_state_sizes_and_generation(void **state)
{
    struct rig *rig = *state;
    struct service_asker asker;

    assert_asked(rig, GAMMA, PEER_OFFER, 5, RETURN_DONE);
    assert_asked(rig, GAMMA, PEER_PREPARE, 4, RETURN_INVALID_STATE); /* an earlier owner */
    assert_asked(rig, GAMMA, PEER_PREPARE, 5, RETURN_DONE);
    assert_asked(rig, GAMMA, PEER_MODIFY, 4, RETURN_INVALID_STATE);
    struct uuid ticket = let_in(rig, 6, true);
    assert_asked(rig, GAMMA, PEER_PREPARE, 6, RETURN_IN_USE);
    target_ends(rig, &ticket, true, 1);
    assert_asked(rig, GAMMA, PEER_PREPARE, 5, RETURN_INVALID_STATE);
    assert_asked(rig, GAMMA, PEER_PREPARE, 6, RETURN_DONE);
    assert_int_equal(rig_asked(rig, GAMMA, PEER_PREPARE, 6, RIG_DISK_BYTES + 4096).value,
                     RETURN_INVALID_STATE);
    (void)rig_asker(rig, &rig_operator, &asker);
    service_request_state(rig->service, &asker, "far", 0, STATE_SUSPENDED);
    assert_int_equal(rig_state(rig, "far"), STATE_SUSPENDED);
    assert_asked(rig, GAMMA, PEER_PREPARE, 6, RETURN_INVALID_STATE);
}

static void an_offer_made_again_begins_anew(void **state)
{
    struct rig *rig = *state;

    make_replica(rig);
    assert_asked(rig, GAMMA, PEER_OFFER, 1, RETURN_DONE);
    assert_int_equal(rig_state(rig, "far"), STATE_WAITING_INITIAL);
    assert_int_equal(rig_row(rig, "far", 0)->last_replication_us, 0);
    rig_check(rig);
    struct uuid ticket = let_in(rig, 1, true);
    assert_asked(rig, GAMMA, PEER_OFFER, 2, RETURN_IN_USE);
    assert_asked(rig, GAMMA, PEER_REMOVE, 2, RETURN_IN_USE);
    target_ends(rig, &ticket, false, 0);
}

static void an_offer_that_cannot_be_saved_changes_nothing(void **state)
{
    struct rig *rig = *state;

    make_replica(rig);
    rig_break_store(rig, true);
    assert_asked(rig, GAMMA, PEER_OFFER, 9, RETURN_FAILED);
    assert_asked(rig, GAMMA, PEER_MODIFY, 9, RETURN_FAILED);
    assert_asked(rig, GAMMA, PEER_REMOVE, 9, RETURN_FAILED);
    rig_break_store(rig, false);
    assert_int_equal(rig_state(rig, "far"), STATE_REPLICATING);
    assert_int_equal(rig_row(rig, "far", 0)->peer_generation, 1);
}

static void a_vm_of_this_host_cannot_become_a_replica(void **state)
{
    struct rig *rig = *state;
    struct relationship_disk disk = {.name = "vda", .is_included = true};
    struct peer_question question = {
        .call = PEER_OFFER,
        .relationship = {
            .vm = {{1, 7}}, .vm_name = "web1", .generation = 1, .disk_count = 1, .disks = &disk}};
    uint8_t fingerprint[FINGERPRINT_BYTES];
    struct peer_answer answer;

    rig_fingerprint(GAMMA, fingerprint);
    service_asked(rig->service, fingerprint, &question, &answer);
    assert_int_equal(answer.value, RETURN_IN_USE);
    /* Nor what is a replica of another host. */
    make_replica(rig);
    enum return_value value = RETURN_FAILED;
    struct authorization_row entry = {.allowed_primary = "beta", .storage_root = "/srv/b"};
    assert_int_equal(
        service_set_authorization(rig->service, &rig_administrator, &entry, &value, NULL), 0);
    assert_asked(rig, BETA, PEER_OFFER, 9, RETURN_IN_USE);
    assert_asked(rig, BETA, PEER_PREPARE, 9, RETURN_INVALID_STATE);
    assert_asked(rig, BETA, PEER_REMOVE, 9, RETURN_DONE);
    assert_non_null(rig_row(rig, "far", 0));
}

static void settings_and_removal_come_from_the_source(void **state)
{
    struct rig *rig = *state;
    struct service_asker asker;
    struct relationship_settings settings;

    make_replica(rig);
    service_settings_default(&settings);
    struct rig_reply *reply = rig_asker(rig, &rig_administrator, &asker);
    service_modify(rig->service, &asker, "far", 0, &settings);
    assert_int_equal(reply->last.value, RETURN_INVALID_STATE);
    assert_asked(rig, GAMMA, PEER_MODIFY, 1, RETURN_DONE);
    assert_asked(rig, GAMMA, PEER_REMOVE, 1, RETURN_DONE);
    assert_null(rig_row(rig, "far", 0));
}

/* --- sessions -------------------------------------------------------------------------------- */

static void a_session_must_bring_the_disks_that_were_agreed(void **state)
{
    struct rig *rig = *state;
    static struct session_request request;

    make_replica(rig);
    rig_request_far(1, &request);
    request.disk_count = 1;
    assert_refused(rig, GAMMA, &request, ERR_USAGE);
    rig_request_far(1, &request);
    (void)snprintf(request.disks[1], DISK_NAME_MAX, "vdc");
    assert_refused(rig, GAMMA, &request, ERR_USAGE);
    rig_request_far(1, &request);
    (void)snprintf(request.disks[1], DISK_NAME_MAX, "vda"); /* twice */
    assert_refused(rig, GAMMA, &request, ERR_USAGE);
    rig_request_far(1, &request);
    request.size_bytes[1] += 4096;
    assert_refused(rig, GAMMA, &request, ERR_USAGE);
    rig_request_far(0, &request); /* an earlier owner */
    assert_refused(rig, GAMMA, &request, ERR_WRONG_STATE);
    rig_request_far(1, &request);
    request.hop = 1;
    assert_refused(rig, GAMMA, &request, ERR_WRONG_STATE);
    rig_request_far(1, &request);
    assert_refused(rig, BETA, &request, ERR_PEER);
    assert_int_equal(rig->service->admitted_count, 0);
}

static void one_session_at_a_time(void **state)
{
    struct rig *rig = *state;
    static struct session_request request;

    make_replica(rig);
    struct uuid ticket = let_in(rig, 1, false);
    rig_request_far(1, &request);
    assert_refused(rig, GAMMA, &request, ERR_WRONG_STATE);
    assert_false(service_is_idle(rig->service));
    target_ends(rig, &ticket, false, 0);
    target_ends(rig, &ticket, true, 1); /* once more: nobody has this ticket now */
    assert_true(service_is_idle(rig->service));
    service_stop(rig->service);
    assert_refused(rig, GAMMA, &request, ERR_CANCELLED);
}

static void a_session_fences_earlier_owners_or_is_not_let_in(void **state)
{
    struct rig *rig = *state;
    static struct session_request request;

    make_replica(rig);
    rig_request_far(8, &request);
    rig_break_store(rig, true);
    assert_refused(rig, GAMMA, &request, ERR_IO);
    rig_break_store(rig, false);
    assert_int_equal(rig_row(rig, "far", 0)->peer_generation, 1);
    struct uuid ticket = let_in(rig, 8, false);
    rig_restart(rig); /* the session is gone with the daemon; the fence is not */
    target_ends(rig, &ticket, true, 1);
    rig_request_far(7, &request);
    assert_refused(rig, GAMMA, &request, ERR_WRONG_STATE);
    ticket = let_in(rig, 8, false);
    target_ends(rig, &ticket, true, 0);
}

static void a_suspended_target_lets_nothing_in_and_keeps_what_comes(void **state)
{
    struct rig *rig = *state;
    static struct session_request request;
    struct service_asker asker;

    make_replica(rig);
    struct uuid ticket = let_in(rig, 1, false);
    (void)rig_asker(rig, &rig_operator, &asker);
    service_request_state(rig->service, &asker, "far", 0, STATE_SUSPENDED);
    rig_pass(rig, US_PER_S);
    target_ends(rig, &ticket, true, 1);
    assert_int_equal(rig_state(rig, "far"), STATE_SUSPENDED);
    assert_int_equal(rig_row(rig, "far", 0)->last_replication_us, rig->wall_us);
    rig_request_far(1, &request);
    assert_refused(rig, GAMMA, &request, ERR_WRONG_STATE);
}

/* --- extended replicas ----------------------------------------------------------------------- */

static void extend(struct rig *rig)
{
    make_replica(rig);
    struct rig_reply *created = rig_create(rig, "far", "beta");
    rig_answer_all(rig);
    assert_int_equal(created->last.value, RETURN_DONE);
    struct rig_reply *started = rig_start(rig, "far");
    rig_answer_all(rig);
    assert_int_equal(started->last.value, RETURN_JOB_STARTED);
    assert_int_equal(rig_session_of(rig, &started->last.job)->hop, 1);
    rig_end(rig, &started->last.job, ERR_NONE);
    assert_int_equal(rig_row(rig, "far", 1)->state, STATE_REPLICATING);
}

static void bring_point(struct rig *rig, uint64_t written)
{
    rig_pass(rig, RIG_MINUTE_US);
    struct uuid ticket = let_in(rig, 1, false);
    target_ends(rig, &ticket, true, written);
}

static const struct service_job *follower(struct rig *rig)
{
    return service_open_job(rig->service, &rig_far, 1);
}

static void an_extended_replica_follows_new_points(void **state)
{
    struct rig *rig = *state;

    extend(rig);
    bring_point(rig, 0); /* nothing was written: nothing to follow */
    assert_null(follower(rig));
    bring_point(rig, 4096);
    assert_int_equal(follower(rig)->row.type, JOB_RESYNC_EXTENDED);
    rig_pass(rig, US_PER_S);
    struct uuid job = follower(rig)->row.id;
    assert_non_null(rig_session_of(rig, &job));
    assert_asked(rig, GAMMA, PEER_PREPARE, 1, RETURN_IN_USE); /* the VM's disks are at work */
    assert_asked(rig, GAMMA, PEER_REMOVE, 1, RETURN_INVALID_STATE);
    rig_end(rig, &job, ERR_NONE);
    assert_int_equal(rig_row(rig, "far", 1)->state, STATE_REPLICATING);
}

static void what_a_person_suspended_is_not_followed_until_it_is_resumed(void **state)
{
    struct rig *rig = *state;

    extend(rig);
    assert_int_equal(rig_request(rig, "far", STATE_SUSPENDED)->last.value, RETURN_DONE);
    bring_point(rig, 4096);
    assert_int_equal(rig_row(rig, "far", 1)->state, STATE_SUSPENDED);
    assert_null(follower(rig));
    assert_int_equal(rig_request(rig, "far", STATE_REPLICATING)->last.value, RETURN_DONE);
    assert_non_null(follower(rig));
    rig_pass(rig, US_PER_S);
    assert_non_null(rig_session_of(rig, &follower(rig)->row.id));
}

static void a_suspended_resync_stays_suspended_when_a_point_comes(void **state)
{
    struct rig *rig = *state;

    extend(rig);
    bring_point(rig, 4096);
    rig_pass(rig, US_PER_S);
    struct uuid job = follower(rig)->row.id;
    (void)rig_request(rig, "far", STATE_SUSPENDED);
    rig_end(rig, &job, ERR_CANCELLED);
    bring_point(rig, 4096);
    assert_int_equal(rig_row(rig, "far", 1)->state, STATE_RESYNC_SUSPENDED);
    assert_int_equal(rig_request(rig, "far", STATE_REPLICATING)->last.value, RETURN_JOB_STARTED);
}

static void extending_is_refused_where_it_makes_no_sense(void **state)
{
    struct rig *rig = *state;
    struct relationship_request request = {.vm = "far", .host = "beta"};
    struct service_asker asker;

    assert_asked(rig, GAMMA, PEER_OFFER, 1, RETURN_DONE);
    assert_int_equal(rig_create(rig, "far", "beta")->last.value, RETURN_INVALID_STATE);
    struct uuid ticket = let_in(rig, 1, true);
    target_ends(rig, &ticket, true, 1);
    assert_int_equal(rig_create(rig, "far", "gamma")->last.value, RETURN_INVALID_PARAMETER);
    service_settings_default(&request.settings);
    request.settings.interval_s = 30; /* not for an extended one */
    struct rig_reply *reply = rig_asker(rig, &rig_administrator, &asker);
    service_create(rig->service, &asker, &request);
    assert_int_equal(reply->last.value, RETURN_INVALID_PARAMETER);
    assert_int_equal(rig_start(rig, "far")->last.value, RETURN_INVALID_STATE);
    assert_int_equal(rig_resync(rig, "far", NULL)->last.value, RETURN_INVALID_STATE);
}

static void the_replica_goes_after_what_extends_it(void **state)
{
    struct rig *rig = *state;
    struct service_asker asker;

    extend(rig);
    assert_int_equal(rig_create(rig, "far", "beta")->last.value, RETURN_INVALID_STATE);
    struct rig_reply *reply = rig_asker(rig, &rig_administrator, &asker);
    service_remove(rig->service, &asker, "far", 0);
    assert_int_equal(reply->last.value, RETURN_INVALID_STATE);
    struct rig_reply *second = rig_remove(rig, "far"); /* hop 1 */
    rig_answer_all(rig);
    assert_int_equal(second->last.value, RETURN_DONE);
    assert_int_equal(rig_remove(rig, "far")->last.value, RETURN_DONE);
    assert_null(rig_row(rig, "far", 0));
}

#define RIG_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        RIG_TEST(strangers_may_nothing),
        RIG_TEST(hello_says_who_this_is),
        RIG_TEST(an_entry_is_what_lets_a_host_replicate),
        RIG_TEST(a_host_that_takes_no_replicas_takes_none),
        RIG_TEST(what_is_not_kept_here_is_refused),
        RIG_TEST(preparing_looks_at_state_sizes_and_generation),
        RIG_TEST(an_offer_made_again_begins_anew),
        RIG_TEST(an_offer_that_cannot_be_saved_changes_nothing),
        RIG_TEST(a_vm_of_this_host_cannot_become_a_replica),
        RIG_TEST(settings_and_removal_come_from_the_source),
        RIG_TEST(a_session_must_bring_the_disks_that_were_agreed),
        RIG_TEST(one_session_at_a_time),
        RIG_TEST(a_session_fences_earlier_owners_or_is_not_let_in),
        RIG_TEST(a_suspended_target_lets_nothing_in_and_keeps_what_comes),
        RIG_TEST(an_extended_replica_follows_new_points),
        RIG_TEST(what_a_person_suspended_is_not_followed_until_it_is_resumed),
        RIG_TEST(a_suspended_resync_stays_suspended_when_a_point_comes),
        RIG_TEST(extending_is_refused_where_it_makes_no_sense),
        RIG_TEST(the_replica_goes_after_what_extends_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
