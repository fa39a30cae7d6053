/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What wire/loop.c does with a poll, this does with a timeline: reads and writes the link in
 * pieces, takes requests back from the disks, carries out actions. Answers to actions are given
 * within the step that asked, as the loop gives them, or some time later (plan.answers_at_once).
 */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "world.h"

#define ANSWER_LEAST_NS 10000U
#define ANSWER_MOST_NS (20 * NS_PER_MS)
#define START_MOST_NS (5 * NS_PER_MS)
#define FAREWELL_NS (1 * NS_PER_S) /* as the loop's */

static void host_step(struct sim_host *host, const struct session_event *event);

const char *host_name(const struct sim_host *host)
{
    return host->index == SOURCE_HOST ? "source" : "target";
}

const char *host_state_name(enum session_state state)
{
    static const char *const names[] = {"INVALID", "HELLO",  "OPENING", "RUNNING",
                                        "SEALING", "ENDING", "DONE",    "FAILED"};

    return (size_t)state < ARRAY_COUNT(names) ? names[state] : names[0];
}

static struct sim_disk *disk_of(const struct sim_host *host, uint32_t index)
{
    return &host->world->disks[host->index][index];
}

static struct session_plan *plan_of(const struct sim_host *host)
{
    return &host->world->session;
}

/* --- clock and chance ------------------------------------------------------------------------ */

static uint64_t host_now_ns(void *context)
{
    return ((struct sim_host *)context)->world->timeline.now_ns;
}

static int host_random(void *context, struct span out, struct error *err)
{
    struct sim_host *host = context;
    struct fault *fault = world_fault(host->world, FAULT_CHANCE);

    if (fault != NULL && fault->host == host->index) {
        fault->has_fired = true;
        return fail(err, ERR_INTERNAL, EIO, "no random bytes are to be had");
    }
    chance_fill(&host->world->chance, out);
    return 0;
}

/* --- opening --------------------------------------------------------------------------------- */

/* What is to be opened must be what the initiator named. */
static void check_open(const struct sim_host *host)
{
    const struct world *world = host->world;
    const struct session_open *open = session_open(host->session);
    bool is_right = (open->role == ROLE_SOURCE) == (host->index == SOURCE_HOST) &&
                    open->role == session_role(host->session) &&
                    open->flags == world->session.flags &&
                    open->rate_bytes_per_s == world->session.rate_bytes_per_s &&
                    open->disk_count == world->plan.disk_count;

    for (uint32_t i = 0; is_right && i < open->disk_count; i++) {
        const struct session_disk_name *name = &world->names[host->index][i];
        is_right =
            strcmp(open->disks[i].name, name->name) == 0 && open->disks[i].format == name->format;
        if (host->index == TARGET_HOST) {
            is_right =
                is_right && open->size_bytes[i] == world->disks[SOURCE_HOST][i].disk.size_bytes;
        }
    }
    if (!is_right) {
        trace_fail(world->trace, "%s was asked to open something else than was meant",
                   host_name(host));
    }
}

static int open_disks(struct sim_host *host, struct error *err)
{
    const struct session_open *open = session_open(host->session);
    bool is_source = host->index == SOURCE_HOST;
    bool may_fit = !is_source && (open->flags & SESSION_CREATE) != 0;
    struct fault *fault =
        world_fault(host->world, is_source ? FAULT_OPEN_SOURCE : FAULT_OPEN_TARGET);

    if (fault != NULL) {
        fault->has_fired = true;
        (void)fail(err, ERR_IO, EACCES, "cannot open %s", disk_of(host, fault->disk)->disk.name);
        error_set_disk(err, disk_of(host, fault->disk)->disk.name);
        return -1;
    }
    for (uint32_t i = 0; i < open->disk_count; i++) {
        struct sim_disk *disk = disk_of(host, i);
        uint64_t wanted_bytes = open->size_bytes[i];
        if (may_fit &&
            (disk->disk.size_bytes < wanted_bytes ||
             (disk->disk.size_bytes > wanted_bytes && (open->flags & SESSION_SHRINK) != 0))) {
            sim_disk_resize(disk, wanted_bytes);
        }
        sim_disk_open(disk, !is_source && (open->flags & SESSION_CHECK) == 0);
    }
    host->is_open = true;
    return 0;
}

static int take_facts(struct sim_host *host, struct session_disk_facts *facts, struct error *err)
{
    for (uint32_t i = 0; i < host->world->plan.disk_count; i++) {
        struct disk *disk = &disk_of(host, i)->disk;
        facts[i] = (struct session_disk_facts){.size_bytes = disk->size_bytes};
        if ((host->index == SOURCE_HOST &&
             disk_fingerprint(disk, facts[i].fingerprint, err) != 0) ||
            disk_identity(disk, false, facts[i].identity, err) != 0) {
            return -1;
        }
    }
    return 0;
}

/* The record that is there, if every target disk is what it was when it was made. */
static const struct checkpoint *load_checkpoint(struct sim_host *host,
                                                const struct session_disk_facts *facts)
{
    const struct world *world = host->world;
    struct error unused;

    if (world->record_bytes == 0 ||
        checkpoint_decode((struct const_span){world->record, world->record_bytes}, &host->loaded,
                          &unused) != 0 ||
        host->loaded.disk_count != world->plan.disk_count) {
        return NULL;
    }
    for (uint32_t i = 0; i < world->plan.disk_count; i++) {
        if (!checkpoint_identity_known(facts[i].identity) ||
            memcmp(host->loaded.target_identity[i], facts[i].identity, DISK_IDENTITY_BYTES) != 0) {
            return NULL;
        }
    }
    return &host->loaded;
}

static void answer_open(struct sim_host *host)
{
    struct session_disk_facts facts[SIM_DISKS_MAX];
    struct session_event event = {.kind = SESSION_DISKS, .facts = facts};
    struct error err = {0};

    host->is_opening = false;
    if (open_disks(host, &err) != 0 || take_facts(host, facts, &err) != 0) {
        event.error = &err;
    } else {
        if (host->index == SOURCE_HOST) {
            memcpy(host->world->oracle.source_facts, facts, sizeof facts);
        } else if ((session_open(host->session)->flags & SESSION_CHECK) == 0) {
            event.checkpoint = load_checkpoint(host, facts);
            host->world->oracle.has_resumed = event.checkpoint != NULL;
            host->world->oracle.resume_node = host->loaded.node;
        }
        oracle_opened(host->world, host->index);
    }
    event.is_staged = host->index == TARGET_HOST && host->world->plan.is_staged;
    trace_say(host->world->trace, "%s: disks opened: %s%s", host_name(host),
              event.error != NULL ? err.message : "well",
              event.checkpoint != NULL ? ", with a checkpoint" : "");
    host_step(host, &event);
}

/* --- the other answers ----------------------------------------------------------------------- */

static void answer_identify(struct sim_host *host)
{
    struct session_disk_facts facts[SIM_DISKS_MAX];
    struct session_event event = {.kind = SESSION_IDENTIFIED, .facts = facts};
    struct fault *fault = world_fault(host->world, FAULT_IDENTIFY);
    struct error err = {0};

    host->is_identifying = false;
    if (fault != NULL) {
        fault->has_fired = true;
        (void)fail(&err, ERR_IO, EIO, "cannot look at %s", disk_of(host, 0)->disk.name);
        event.error = &err;
    } else if (take_facts(host, facts, &err) != 0) {
        event.error = &err;
    }
    host->is_identified = true;
    host_step(host, &event);
}

/* The stage is gone with its checkpoint. */
static void answer_commit(struct sim_host *host)
{
    struct session_event event = {.kind = SESSION_COMMITTED};

    host->is_committing = false;
    trace_say(host->world->trace, "%s: committed", host_name(host));
    host->world->record_bytes = 0;
    host_step(host, &event);
}

static int save_record(struct sim_host *host, struct error *err)
{
    struct world *world = host->world;
    struct fault *fault = world_fault(world, FAULT_RECORD);
    uint8_t buffer[CHECKPOINT_RECORD_MAX];
    struct const_span bytes = {NULL, 0};
    bool fails = fault != NULL;

    for (uint32_t i = 0; i < world->plan.disk_count; i++) {
        if (disk_identity(&disk_of(host, i)->disk, true, host->recording->target_identity[i],
                          err) != 0) {
            return -1;
        }
    }
    if (checkpoint_encode(host->recording, (struct span){buffer, sizeof buffer}, &bytes, err) !=
        0) {
        return -1;
    }
    /* One that failed may be there all the same: what failed may have been the folder's flush. */
    if (!fails || chance_one_in(&world->chance, 2)) {
        memcpy(world->record, bytes.at, bytes.len_bytes);
        world->record_bytes = bytes.len_bytes;
    }
    if (fails) {
        fault->has_fired = true;
        return fail(err, ERR_LIMIT, ENOSPC, "cannot record the checkpoint");
    }
    return 0;
}

static void answer_record(struct sim_host *host)
{
    struct session_event event = {.kind = SESSION_RECORDED};
    struct error err = {0};

    if (save_record(host, &err) != 0) {
        event.error = &err;
    }
    trace_say(host->world->trace, "%s: recorded up to node %llu: %s", host_name(host),
              (unsigned long long)host->recording->node,
              event.error != NULL ? err.message : "well");
    host->recording = NULL;
    host->world->records++;
    host->world->census->checkpoints++;
    host_step(host, &event);
}

/* --- actions --------------------------------------------------------------------------------- */

static void plan_answer(struct sim_host *host, enum occurrence_kind kind)
{
    struct world *world = host->world;

    timeline_add(&world->timeline, chance_between(&world->chance, ANSWER_LEAST_NS, ANSWER_MOST_NS),
                 (struct occurrence){.kind = kind, .host = host->index});
}

static void submit(struct sim_host *host, struct disk_request *request)
{
    if (request->disk_index >= host->world->plan.disk_count || !host->is_open) {
        trace_fail(host->world->trace, "%s: a request for disk %u, which is not open",
                   host_name(host), request->disk_index);
    }
    host->in_flight++;
    if (!host->is_dead) {
        oracle_submit(host->world, host, request);
    }
    disk_submit(&disk_of(host, request->disk_index)->disk, request);
}

static void ask_open(struct sim_host *host)
{
    if (host->was_asked_to_open) {
        trace_fail(host->world->trace, "%s is asked to open its disks twice", host_name(host));
    }
    host->was_asked_to_open = true;
    check_open(host);
    if (host->world->plan.answers_at_once) {
        answer_open(host);
    } else {
        host->is_opening = true;
        plan_answer(host, OCCUR_OPENED);
    }
}

static void ask_record(struct sim_host *host, struct checkpoint *checkpoint)
{
    if (host->recording != NULL || host->index != TARGET_HOST) {
        trace_fail(host->world->trace, "%s asks for a second checkpoint while one is recorded",
                   host_name(host));
    }
    oracle_record(host->world, checkpoint);
    host->recording = checkpoint;
    if (host->world->plan.answers_at_once) {
        answer_record(host);
    } else {
        plan_answer(host, OCCUR_RECORDED);
    }
}

static void ask_identify(struct sim_host *host)
{
    if (host->is_identifying || host->index != SOURCE_HOST) {
        trace_fail(host->world->trace, "%s asks twice to be identified", host_name(host));
    }
    host->is_identifying = true;
    if (host->world->plan.answers_at_once) {
        answer_identify(host);
    } else {
        plan_answer(host, OCCUR_IDENTIFIED);
    }
}

static void ask_commit(struct sim_host *host)
{
    if (host->index != TARGET_HOST || host->has_committed || !host->world->plan.is_staged ||
        host->recording != NULL || host->in_flight > 0) {
        trace_fail(host->world->trace, "%s asks for a commit that is not due", host_name(host));
    }
    oracle_commit(host->world);
    host->is_committing = true;
    host->has_committed = true;
    host->world->has_forgotten = true;
    host->world->census->commits++;
    if (host->world->plan.answers_at_once) {
        answer_commit(host);
    } else {
        plan_answer(host, OCCUR_COMMITTED);
    }
}

static void forget(struct sim_host *host)
{
    trace_say(host->world->trace, "%s: the checkpoint is forgotten", host_name(host));
    host->world->record_bytes = 0;
    host->world->has_forgotten = true;
}

static void carry_out(struct sim_host *host, const struct session_action *action)
{
    if (host->is_dead && action->kind != ACTION_SUBMIT) {
        return; /* nobody is there to do it */
    }
    switch (action->kind) {
    case ACTION_SUBMIT:
        submit(host, action->request);
        break;
    case ACTION_OPEN_DISKS:
        ask_open(host);
        break;
    case ACTION_RECORD:
        ask_record(host, action->checkpoint);
        break;
    case ACTION_FORGET:
        forget(host);
        break;
    case ACTION_IDENTIFY:
        ask_identify(host);
        break;
    case ACTION_COMMIT:
        ask_commit(host);
        break;
    case ACTION_INVALID:
        trace_fail(host->world->trace, "%s: an action of no kind", host_name(host));
    }
}

static void look_at_state(struct sim_host *host)
{
    enum session_state state = session_state(host->session);

    if (state == host->state) {
        return;
    }
    trace_say(host->world->trace, "%s: %s after %s%s%s", host_name(host), host_state_name(state),
              host_state_name(host->state),
              state == SESSION_ENDING || state == SESSION_FAILED ? ": " : "",
              session_error(host->session)->message);
    host->state = state;
    if (state == SESSION_FAILED && !host->is_dead) {
        timeline_add(&host->world->timeline, FAREWELL_NS,
                     (struct occurrence){.kind = OCCUR_FAREWELL, .host = host->index});
    }
}

/* As the loop's run_step: an action that answers at once steps the session again from within. */
static void host_step(struct sim_host *host, const struct session_event *event)
{
    static const struct session_event go_on = {.kind = SESSION_CONTINUE};
    struct session_actions actions;

    session_step(host->session, event, &actions);
    while (actions.count > 0) {
        bool was_full = actions.count == SESSION_ACTIONS_MAX;
        oracle_step(host->world, host, actions.count);
        for (size_t i = 0; i < actions.count; i++) {
            carry_out(host, &actions.list[i]);
        }
        actions.count = 0;
        if (was_full) {
            session_step(host->session, &go_on, &actions);
        }
    }
    oracle_step(host->world, host, 0);
    look_at_state(host);
}

void host_tell(struct sim_host *host, enum session_event_kind kind, const struct error *err,
               bool is_thin)
{
    host_step(host, &(struct session_event){.kind = kind, .error = err, .is_thin = is_thin});
}

/* --- the link -------------------------------------------------------------------------------- */

void host_end_link(struct sim_host *host, const struct error *err)
{
    host->link_has_ended = true;
    trace_say(host->world->trace, "%s: the link has ended: %s", host_name(host),
              err != NULL ? err->message : "properly");
    host_tell(host, SESSION_LINK_ENDED, err, false);
}

static void read_link(struct sim_host *host)
{
    struct world *world = host->world;
    const struct sim_link *link = &world->link;
    struct span inbox = session_inbox(host->session);
    size_t waiting_bytes = sim_link_waiting(link, host->index);
    struct error err = {0};

    host->read_is_due = false;
    if (host->link_has_ended || inbox.len_bytes == 0 || link->is_silent) {
        return;
    }
    if (waiting_bytes > 0) {
        waiting_bytes = waiting_bytes < inbox.len_bytes ? waiting_bytes : inbox.len_bytes;
        inbox.len_bytes = sim_link_chunk(link, waiting_bytes, &world->chance);
        sim_link_take(&world->link, host->index, inbox);
        trace_say(world->trace, "%s: read %zu bytes", host_name(host), inbox.len_bytes);
        host_step(host,
                  &(struct session_event){.kind = SESSION_RECEIVED, .len_bytes = inbox.len_bytes});
    } else if (link->pipes[1 - host->index].writer_ended) {
        (void)fail(&err, ERR_PEER, ECONNRESET, "the connection broke");
        host_end_link(host, link->is_cut && !link->cut_is_clean ? &err : NULL);
    }
}

static void write_link(struct sim_host *host)
{
    struct world *world = host->world;
    struct const_span outbox = session_outbox(host->session);
    size_t room_bytes = sim_link_room(&world->link, host->index);

    host->write_is_due = false;
    if (host->link_has_ended || host->write_has_failed || outbox.len_bytes == 0 ||
        world->link.is_silent) {
        return;
    }
    if (world->link.pipes[host->index].reader_ended) {
        host->write_has_failed = true; /* reading finds the end */
        return;
    }
    if (room_bytes == 0) {
        return;
    }
    room_bytes = room_bytes < outbox.len_bytes ? room_bytes : outbox.len_bytes;
    outbox.len_bytes = sim_link_chunk(&world->link, room_bytes, &world->chance);
    sim_link_put(&world->link, host->index, outbox, &world->chance);
    trace_say(world->trace, "%s: wrote %zu bytes", host_name(host), outbox.len_bytes);
    host_step(host, &(struct session_event){.kind = SESSION_SENT, .len_bytes = outbox.len_bytes});
}

static bool can_read(const struct sim_host *host)
{
    const struct sim_link *link = &host->world->link;

    return !link->is_silent &&
           (sim_link_waiting(link, host->index) > 0 || link->pipes[1 - host->index].writer_ended);
}

static bool can_write(const struct sim_host *host)
{
    const struct sim_link *link = &host->world->link;

    return !link->is_silent && !host->write_has_failed &&
           (sim_link_room(link, host->index) > 0 || link->pipes[host->index].reader_ended);
}

static uint64_t link_delay_ns(struct world *world)
{
    uint64_t delay_ns = world->plan.link_least_ns;

    if (world->plan.link_spread_ns > 0) {
        delay_ns += chance_below(&world->chance, world->plan.link_spread_ns);
    }
    return chance_one_in(&world->chance, 500) ? delay_ns + 30 * NS_PER_MS : delay_ns;
}

static bool is_over(const struct sim_host *host)
{
    if (host->is_committing || !session_is_finished(host->session)) {
        return false;
    }
    return host->state == SESSION_DONE || host->link_has_ended ||
           session_outbox(host->session).len_bytes == 0 || host->has_waited;
}

/* The loop ends: the link and the disks are closed. */
static void leave(struct sim_host *host)
{
    host->is_over = true;
    host->said_all = session_outbox(host->session).len_bytes == 0;
    trace_say(host->world->trace, "%s: over", host_name(host));
    if (host->in_flight > 0) {
        trace_fail(host->world->trace, "%s: %u requests are in flight at the end", host_name(host),
                   host->in_flight);
    }
    sim_link_leave(&host->world->link, host->index);
    for (uint32_t i = 0; host->is_open && i < host->world->plan.disk_count; i++) {
        disk_close(&disk_of(host, i)->disk);
    }
    host->is_open = false;
}

void host_poke(struct sim_host *host)
{
    struct world *world = host->world;

    if (host->is_over || !host->has_started) {
        return;
    }
    if (is_over(host)) {
        leave(host);
        return;
    }
    if (host->link_has_ended) {
        return;
    }
    if (!host->read_is_due && can_read(host) && session_inbox(host->session).len_bytes > 0) {
        host->read_is_due = true;
        timeline_add(&world->timeline, link_delay_ns(world),
                     (struct occurrence){.kind = OCCUR_READ, .host = host->index});
    }
    if (!host->write_is_due && can_write(host) && session_outbox(host->session).len_bytes > 0) {
        host->write_is_due = true;
        timeline_add(&world->timeline, link_delay_ns(world),
                     (struct occurrence){.kind = OCCUR_WRITE, .host = host->index});
    }
}

/* --- occurrences ----------------------------------------------------------------------------- */

static void take_request_back(struct sim_host *host, struct disk_request *request)
{
    assert(host->in_flight > 0);
    host->in_flight--;
    if (!host->is_dead) {
        oracle_done(host->world, host, request);
    }
    host_step(host, &(struct session_event){.kind = SESSION_DISK_DONE, .request = request});
}

static void complete_disk(struct sim_host *host, const struct occurrence *occurrence)
{
    struct sim_disk *disk = disk_of(host, occurrence->disk);

    sim_disk_complete(disk, occurrence->value);
    struct disk_request *request = disk_reap(&disk->disk);
    assert(request != NULL);
    take_request_back(host, request);
}

void host_occur(struct sim_host *host, const struct occurrence *occurrence)
{
    if (host->session == NULL || host->is_over) {
        return;
    }
    switch (occurrence->kind) {
    case OCCUR_START:
        host->has_started = true;
        host_tell(host, SESSION_START, NULL, false);
        break;
    case OCCUR_DISK:
        complete_disk(host, occurrence);
        break;
    case OCCUR_READ:
        read_link(host);
        break;
    case OCCUR_WRITE:
        write_link(host);
        break;
    case OCCUR_OPENED:
        answer_open(host);
        break;
    case OCCUR_RECORDED:
        answer_record(host);
        break;
    case OCCUR_IDENTIFIED:
        answer_identify(host);
        break;
    case OCCUR_COMMITTED:
        answer_commit(host);
        break;
    case OCCUR_FAREWELL:
        host->has_waited = true;
        break;
    case OCCUR_INVALID:
        break;
    }
}

/* --- life ------------------------------------------------------------------------------------ */

void host_begin(struct sim_host *host)
{
    struct world *world = host->world;
    uint32_t index = host->index;
    bool is_initiator = world->session.initiator == index;
    uint8_t secret[LINK_SECRET_BYTES] = {7};
    struct error err = {0};

    *host = (struct sim_host){.world = world, .index = index, .state = SESSION_HELLO};
    host->env = (struct env){.now_ns = host_now_ns, .random = host_random, .context = host};
    struct session_config config = {
        .is_initiator = is_initiator,
        .env = &host->env,
        .link_secret = world->session.has_secret ? secret : NULL,
        .features_off = world->session.features_off[index],
    };
    if (is_initiator) {
        config.role = index == SOURCE_HOST ? ROLE_SOURCE : ROLE_TARGET;
        config.flags = world->session.flags;
        config.disk_count = world->plan.disk_count;
        config.local_disks = world->names[index];
        config.remote_disks = world->names[1 - index];
        config.compress = world->session.compress;
        config.refine = world->session.refine;
        config.rate_bytes_per_s = plan_of(host)->rate_bytes_per_s;
    }
    if (session_new(&config, &host->session, &err) != 0) {
        trace_fail(world->trace, "%s: no session: %s", host_name(host), err.message);
    }
    timeline_add(&world->timeline, chance_below(&world->chance, START_MOST_NS),
                 (struct occurrence){.kind = OCCUR_START, .host = index});
}

void host_end(struct sim_host *host)
{
    session_free(host->session);
    host->session = NULL;
}

/*
 * What the disks have of it stays; the session is brought to rest, unseen: it may be freed only
 * when all its requests are back.
 */
static void bury(struct sim_host *host)
{
    struct error err = {0};

    (void)fail(&err, ERR_INTERNAL, 0, "dead");
    host->is_dead = true;
    host_tell(host, SESSION_LINK_ENDED, &err, false);
    while (host->in_flight > 0) {
        for (uint32_t i = 0; i < host->world->plan.disk_count; i++) {
            struct disk_request *request = NULL;
            while ((request = sim_disk_take_back(disk_of(host, i))) != NULL) {
                request->errnum = EIO;
                take_request_back(host, request);
            }
        }
    }
}

void host_die(struct sim_host *host, bool with_power)
{
    struct world *world = host->world;

    trace_say(world->trace, "%s: dies%s", host_name(host), with_power ? " with its power" : "");
    if (host->recording != NULL && chance_one_in(&world->chance, 2)) {
        struct error unused;
        if (save_record(host, &unused) != 0) {
            trace_say(world->trace, "%s: recording failed as well", host_name(host));
        }
    }
    host->recording = NULL;
    if (host->is_committing) {
        world->record_bytes = 0; /* whatever became of the commit, whoever recovers removes it */
        host->is_committing = false;
    }
    for (uint32_t i = 0; i < world->plan.disk_count; i++) {
        struct sim_disk *disk = disk_of(host, i);
        if (with_power) {
            sim_disk_cut_power(disk);
        } else {
            sim_disk_kill(disk);
        }
        disk->is_dead = host->is_open;
    }
    if (!host->is_over) {
        bury(host);
        leave(host);
    }
    for (uint32_t i = 0; i < world->plan.disk_count; i++) {
        disk_of(host, i)->is_dead = false;
    }
    if (with_power && chance_one_in(&world->chance, 3)) {
        world->link.is_silent = true;
    } else if (!world->link.is_cut) {
        sim_link_cut(&world->link, &world->chance);
    }
}
