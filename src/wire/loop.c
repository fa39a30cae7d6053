/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One thread, one session. Each turn of the loop: read what the link has, take back what the disks
 * finished, step the session, carry out its actions, write what the link takes; poll when nothing
 * moved.
 *
 * Invariants:
 * 1. The loop does not end while a request is at a disk: its buffers belong to the session.
 * 2. Every wait has an end: the disks finish or fail, and the link's peer must say something within
 * PEER_SILENT_S.
 */
#include "wire/loop.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <string.h>

#include "points/checkpoint_file.h"

#define POLL_FDS_MAX (DISKS_MAX + LINK_POLL_MAX + 1)
#define PROGRESS_EVERY_NS (100 * NS_PER_MS)
#define IDLE_AFTER_NS (5 * NS_PER_S)     /* then a PING goes out */
#define FAREWELL_NS (1 * NS_PER_S)       /* for the last words after a failure */
#define RATE_WINDOW_NS (250 * NS_PER_MS) /* over which the link's speed is judged */
#define THIN_BYTES_PER_S                                                                           \
    (125 * MIB)                    /* a link slower than this: compressing is faster than sending */
#define BURST_NS (200 * NS_PER_MS) /* what a rate limit lets through at once, as time */
#define QUANTUM_BYTES (16 * KIB)   /* what a rate limit saves up before it lets it through */
#define TURN_REQUESTS 8U /* requests taken back from one disk before the link has its turn */

struct loop {
    const struct loop_config *config; /* borrowed */
    struct session *session;          /* owned */
    struct loop_disks disks;          /* owned: its disks */
    uint32_t disk_count;
    uint32_t in_flight[DISKS_MAX];
    struct checkpoint loaded;
    uint8_t record[CHECKPOINT_RECORD_MAX];

    bool is_waiting; /* for room, as the host was told last */
    bool is_committing;
    struct session_seal seal; /* while is_committing */

    bool link_has_ended;
    bool write_has_failed; /* the link takes nothing any more; what can still be read comes first */
    struct error write_error;
    bool was_stopped;
    uint64_t last_received_ns;
    uint64_t last_sent_ns;
    uint64_t last_progress_ns;
    uint64_t failed_ns; /* when the session failed; 0: it has not */

    uint64_t rate_bytes_per_s; /* 0: no limit */
    uint64_t budget_bytes;     /* that may be written now */
    uint64_t budget_ns;        /* when it was last refilled */

    uint64_t window_ns; /* start of the window over which the link is judged */
    uint64_t window_bytes;
    uint64_t window_blocked_ns; /* of it: something waited and the link took nothing */
    uint64_t blocked_since_ns;  /* 0: it takes */
    bool is_thin;
};

static void run_step(struct loop *loop, const struct session_event *event);

static uint64_t now_ns(const struct loop *loop)
{
    return env_now_ns(loop->config->env);
}

/* --- actions --------------------------------------------------------------------------------- */

/* What a checkpoint is bound to. */
static int identify_disk(struct loop *loop, uint32_t index, bool stamp,
                         uint8_t identity[DISK_IDENTITY_BYTES], struct error *err)
{
    if (loop->disks.staging != NULL && staging_identity(loop->disks.staging, index, identity)) {
        return 0;
    }
    return disk_identity(loop->disks.disks[index], stamp, identity, err);
}

/* How much of a staged disk's journal is durable. */
static uint64_t journal_groups(const struct loop *loop, uint32_t index)
{
    return loop->disks.staging == NULL ? 0 : staging_groups(loop->disks.staging, index);
}

static int take_facts(struct loop *loop, bool is_target, struct session_disk_facts *facts,
                      struct error *err)
{
    for (uint32_t i = 0; i < loop->disk_count; i++) {
        struct disk *disk = loop->disks.disks[i];
        int result = 0;
        facts[i] = (struct session_disk_facts){.size_bytes = disk->size_bytes};
        /* The fingerprint first: what changes between the two shows in the one taken at the end. */
        if (!is_target) {
            result = disk_fingerprint(disk, facts[i].fingerprint, err);
        }
        if (result == 0) {
            result = identify_disk(loop, i, false, facts[i].identity, err);
        }
        if (result != 0) {
            error_set_disk(err, disk->name);
            return -1;
        }
    }
    return 0;
}

/* The checkpoint of an earlier run, if every target disk is still what it was when it was recorded.
 */
static const struct checkpoint *load_checkpoint(struct loop *loop,
                                                const struct session_disk_facts *facts)
{
    struct error unused;
    size_t len_bytes = 0;

    if (loop->disks.checkpoint_dir[0] == '\0' ||
        checkpoint_file_load(loop->disks.checkpoint_dir,
                             (struct span){loop->record, sizeof loop->record}, &len_bytes,
                             &unused) != 0 ||
        len_bytes == 0 ||
        checkpoint_decode((struct const_span){loop->record, len_bytes}, &loop->loaded, &unused) !=
            0 ||
        loop->loaded.disk_count != loop->disk_count) {
        return NULL; /* without a usable checkpoint everything is compared: slower, never wrong */
    }
    for (uint32_t i = 0; i < loop->disk_count; i++) {
        if (!checkpoint_identity_known(facts[i].identity) ||
            memcmp(loop->loaded.target_identity[i], facts[i].identity, DISK_IDENTITY_BYTES) != 0 ||
            loop->loaded.target_groups[i] > journal_groups(loop, i)) {
            return NULL;
        }
    }
    return &loop->loaded;
}

static void open_disks(struct loop *loop)
{
    const struct session_open *open = session_open(loop->session);
    struct session_disk_facts facts[DISKS_MAX];
    struct session_event event = {.kind = SESSION_DISKS, .facts = facts};
    struct error err = {0};
    bool is_target = open->role == ROLE_TARGET;

    if (loop->config->host->open_disks(loop->config->host->context, open, &loop->disks, &err) ==
        0) {
        loop->disk_count = open->disk_count;
        if (take_facts(loop, is_target, facts, &err) != 0) {
            event.error = &err;
        } else if (is_target && (open->flags & SESSION_CHECK) == 0) {
            event.checkpoint = load_checkpoint(loop, facts);
        }
        event.is_staged = loop->disks.staging != NULL;
    } else {
        event.error = &err;
    }
    loop->rate_bytes_per_s = open->role == ROLE_SOURCE ? open->rate_bytes_per_s : 0;
    run_step(loop, &event);
}

static void identify(struct loop *loop)
{
    struct session_disk_facts facts[DISKS_MAX];
    struct error err = {0};
    struct session_event event = {.kind = SESSION_IDENTIFIED, .facts = facts};

    if (take_facts(loop, false, facts, &err) != 0) {
        event.error = &err;
    }
    run_step(loop, &event);
}

static int save_checkpoint(struct loop *loop, struct checkpoint *checkpoint, struct error *err)
{
    struct const_span record = {NULL, 0};

    if (loop->disks.checkpoint_dir[0] == '\0') {
        return 0; /* a target that can have none: its interrupted run is compared anew */
    }
    for (uint32_t i = 0; i < loop->disk_count; i++) {
        checkpoint->target_groups[i] = journal_groups(loop, i);
        if (identify_disk(loop, i, true, checkpoint->target_identity[i], err) != 0) {
            return -1;
        }
    }
    if (checkpoint_encode(checkpoint, (struct span){loop->record, sizeof loop->record}, &record,
                          err) != 0) {
        return -1;
    }
    return checkpoint_file_save(loop->disks.checkpoint_dir, record, err);
}

static void record(struct loop *loop, struct checkpoint *checkpoint)
{
    struct error err = {0};
    struct session_event event = {.kind = SESSION_RECORDED};

    if (save_checkpoint(loop, checkpoint, &err) != 0) {
        event.error = &err;
    }
    run_step(loop, &event);
}

static void forget(struct loop *loop)
{
    if (loop->disks.checkpoint_dir[0] != '\0' &&
        checkpoint_file_remove(loop->disks.checkpoint_dir, NULL) != 0) {
        /* One that stays behind is harmless: it only ever says what is true of a target that did
         * not change since. */
        return;
    }
}

static void submit(struct loop *loop, struct disk_request *request)
{
    assert(request->disk_index < loop->disk_count);
    loop->in_flight[request->disk_index]++;
    disk_submit(loop->disks.disks[request->disk_index], request);
}

/* Steps until the session has no more to do for now. Never deeper than one call: an action that
 * answers at once (opening, recording) is always the last of its kind, so the nesting is bounded by
 * their number. */
static void run_step(struct loop *loop, const struct session_event *event)
{
    static const struct session_event go_on = {.kind = SESSION_CONTINUE};
    struct session_actions actions;

    session_step(loop->session, event, &actions);
    while (actions.count > 0) {
        bool was_full = actions.count == SESSION_ACTIONS_MAX;
        for (size_t i = 0; i < actions.count; i++) {
            const struct session_action *action = &actions.list[i];
            switch (action->kind) {
            case ACTION_SUBMIT:
                submit(loop, action->request);
                break;
            case ACTION_OPEN_DISKS:
                open_disks(loop);
                break;
            case ACTION_RECORD:
                record(loop, action->checkpoint);
                break;
            case ACTION_FORGET:
                forget(loop);
                break;
            case ACTION_IDENTIFY:
                identify(loop);
                break;
            case ACTION_COMMIT:
                loop->is_committing = true;
                loop->seal = action->seal;
                break;
            case ACTION_INVALID:
                break;
            }
        }
        actions.count = 0;
        if (was_full) {
            session_step(loop->session, &go_on, &actions);
        }
    }
}

/* --- the link -------------------------------------------------------------------------------- */

static void end_link(struct loop *loop, const struct error *err)
{
    loop->link_has_ended = true;
    run_step(loop, &(struct session_event){.kind = SESSION_LINK_ENDED, .error = err});
}

/* Reads once. True if anything came. */
static bool read_link(struct loop *loop)
{
    struct error err = {0};
    struct span inbox = session_inbox(loop->session);

    if (loop->link_has_ended || inbox.len_bytes == 0) {
        return false;
    }
    ssize_t got = link_read(loop->config->link, inbox, &err);
    if (got == LINK_AGAIN) {
        if (loop->write_has_failed) {
            end_link(loop, &loop->write_error);
        }
        return loop->write_has_failed;
    }
    if (got < 0) {
        end_link(loop, got == LINK_FAILED ? &err : NULL);
        return true;
    }
    loop->last_received_ns = now_ns(loop);
    run_step(loop, &(struct session_event){.kind = SESSION_RECEIVED, .len_bytes = (size_t)got});
    return true;
}

/* How many bytes the rate limit lets through now. */
static size_t refill_budget(struct loop *loop, uint64_t now)
{
    if (loop->rate_bytes_per_s == 0) {
        return SIZE_MAX;
    }
    uint64_t most = loop->rate_bytes_per_s * (BURST_NS / NS_PER_MS) / 1000;
    uint64_t passed_ns = now - loop->budget_ns;

    most = most < QUANTUM_BYTES ? QUANTUM_BYTES : most;
    if (passed_ns > NS_PER_S) {
        passed_ns = NS_PER_S;
    }
    uint64_t earned =
        (uint64_t)((double)loop->rate_bytes_per_s * (double)passed_ns / (double)NS_PER_S);
    if (earned > 0) {
        loop->budget_ns = now;
        loop->budget_bytes =
            loop->budget_bytes + earned < most ? loop->budget_bytes + earned : most;
    }
    return (size_t)loop->budget_bytes;
}

/* Whether the rate limit lets enough through to be worth a write: many small ones cost the link,
 * and an ssh behind it, more than the bytes. */
static bool has_budget(const struct loop *loop, size_t waiting_bytes)
{
    return loop->rate_bytes_per_s == 0 || loop->budget_bytes >= QUANTUM_BYTES ||
           loop->budget_bytes >= waiting_bytes;
}

/* Judges the link by how fast it took what was waiting: only while it was what held us up. */
static void judge_link(struct loop *loop, uint64_t now)
{
    uint64_t window = now - loop->window_ns;

    if (window < RATE_WINDOW_NS || loop->config->link->is_local) {
        return;
    }
    uint64_t blocked =
        loop->window_blocked_ns + (loop->blocked_since_ns > 0 ? now - loop->blocked_since_ns : 0);
    bool holds_up = blocked > window / 2;
    bool is_slow = loop->window_bytes < THIN_BYTES_PER_S / 1000 * (window / NS_PER_MS);
    if (holds_up && is_slow != loop->is_thin && loop->rate_bytes_per_s == 0) {
        loop->is_thin = is_slow;
        run_step(loop, &(struct session_event){.kind = SESSION_THIN, .is_thin = is_slow});
    }
    loop->window_ns = now;
    loop->window_bytes = 0;
    loop->window_blocked_ns = 0;
    loop->blocked_since_ns = loop->blocked_since_ns > 0 ? now : 0;
}

/* The link took some, or nothing, of what waits. */
static void note_written(struct loop *loop, size_t bytes, uint64_t now)
{
    if (bytes == 0) {
        loop->blocked_since_ns = loop->blocked_since_ns > 0 ? loop->blocked_since_ns : now;
        return;
    }
    if (loop->blocked_since_ns > 0) {
        loop->window_blocked_ns += now - loop->blocked_since_ns;
        loop->blocked_since_ns = 0;
    }
    loop->window_bytes += bytes;
    loop->last_sent_ns = now;
}

/* Writes once. True if anything went. */
static bool write_link(struct loop *loop)
{
    struct const_span waiting = session_outbox(loop->session);
    struct error err = {0};

    if (loop->link_has_ended || loop->write_has_failed || waiting.len_bytes == 0) {
        return false;
    }
    uint64_t now = now_ns(loop);
    size_t budget = refill_budget(loop, now);
    if (!has_budget(loop, waiting.len_bytes)) {
        return false;
    }
    waiting.len_bytes = waiting.len_bytes < budget ? waiting.len_bytes : budget;
    ssize_t put = link_write(loop->config->link, waiting, &err);
    if (put < 0) {
        /* What the peer said before it went says more than this error, and may have to wait until
         * the session takes it: reading finds the end. */
        loop->write_has_failed = true;
        loop->write_error = err;
        return true;
    }
    note_written(loop, (size_t)put, now);
    if (put == 0) {
        return false;
    }
    loop->budget_bytes -= loop->rate_bytes_per_s > 0 ? (uint64_t)put : 0;
    run_step(loop, &(struct session_event){.kind = SESSION_SENT, .len_bytes = (size_t)put});
    return true;
}

/* --- turns ----------------------------------------------------------------------------------- */

static bool reap_disks(struct loop *loop)
{
    bool did_any = false;

    for (uint32_t i = 0; i < loop->disk_count; i++) {
        for (uint32_t turn = 0; turn < TURN_REQUESTS && loop->in_flight[i] > 0; turn++) {
            struct disk_request *request = disk_reap(loop->disks.disks[i]);
            if (request == NULL) {
                break;
            }
            loop->in_flight[i]--;
            run_step(loop, &(struct session_event){.kind = SESSION_DISK_DONE, .request = request});
            did_any = true;
        }
    }
    return did_any;
}

/* Goes on with the commit. True if it did anything. */
static bool go_on_committing(struct loop *loop)
{
    struct error err = {0};
    struct session_event event = {.kind = SESSION_COMMITTED};

    if (!loop->is_committing) {
        return false;
    }
    int result = loop->config->host->commit(loop->config->host->context, &loop->seal, &err);
    if (result > 0) {
        return true;
    }
    loop->is_committing = false;
    event.error = result < 0 ? &err : NULL;
    run_step(loop, &event);
    return true;
}

static void cancel(struct loop *loop, enum error_kind kind, const char *message)
{
    struct error err = {0};

    (void)fail(&err, kind, 0, "%s", message);
    run_step(loop, &(struct session_event){.kind = SESSION_CANCEL, .error = &err});
}

/* A staged target that finds no room waits for some, until the session is to end. */
static void look_at_room(struct loop *loop, enum session_state state)
{
    struct staging *staging = loop->disks.staging;

    if (staging == NULL) {
        return;
    }
    if (loop->was_stopped || state == SESSION_ENDING || state == SESSION_FAILED) {
        staging_give_up(staging);
    }
    struct error why = {0};
    bool is_waiting = staging_is_waiting(staging, &why);
    if (is_waiting != loop->is_waiting && loop->config->host->waiting != NULL) {
        loop->config->host->waiting(loop->config->host->context, is_waiting ? &why : NULL);
    }
    loop->is_waiting = is_waiting;
}

/* What depends on the clock. */
static void look_at_clock(struct loop *loop)
{
    uint64_t now = now_ns(loop);
    enum session_state state = session_state(loop->session);
    uint64_t patience_s =
        loop->config->link->patience_s > 0 ? loop->config->link->patience_s : HANDSHAKE_TIMEOUT_S;
    uint64_t silent_s = state == SESSION_HELLO ? patience_s : PEER_SILENT_S;

    judge_link(loop, now);
    look_at_room(loop, state);
    if (loop->failed_ns == 0 && state == SESSION_FAILED) {
        loop->failed_ns = now;
    }
    if (!loop->link_has_ended && now - loop->last_sent_ns > IDLE_AFTER_NS) {
        loop->last_sent_ns = now;
        run_step(loop, &(struct session_event){.kind = SESSION_IDLE});
    }
    if (!loop->link_has_ended && now - loop->last_received_ns > silent_s * NS_PER_S &&
        session_inbox(loop->session).len_bytes > 0 && state != SESSION_DONE &&
        state != SESSION_FAILED && state != SESSION_ENDING) {
        struct error err = {0};
        (void)fail(&err, ERR_PEER, 0, "%s said nothing for %llu seconds", loop->config->link->peer,
                   (unsigned long long)silent_s);
        end_link(loop, &err);
    }
    if (loop->config->host->progress != NULL && now - loop->last_progress_ns > PROGRESS_EVERY_NS) {
        loop->last_progress_ns = now;
        loop->config->host->progress(loop->config->host->context, session_progress(loop->session));
    }
}

static int poll_timeout_ms(const struct loop *loop)
{
    bool is_waiting_for_budget =
        loop->rate_bytes_per_s > 0 && session_outbox(loop->session).len_bytes > 0;

    return is_waiting_for_budget ? 5 : (int)(PROGRESS_EVERY_NS / NS_PER_MS);
}

/* Waits until something may be done. */
static void wait_for_work(struct loop *loop)
{
    struct pollfd fds[POLL_FDS_MAX];
    size_t count = 0;
    bool wants_read = !loop->link_has_ended && session_inbox(loop->session).len_bytes > 0;
    bool wants_write = !loop->link_has_ended && !loop->write_has_failed &&
                       session_outbox(loop->session).len_bytes > 0 &&
                       has_budget(loop, session_outbox(loop->session).len_bytes);

    for (uint32_t i = 0; i < loop->disk_count; i++) {
        if (loop->in_flight[i] > 0) {
            fds[count] = (struct pollfd){0};
            disk_poll_on(loop->disks.disks[i], &fds[count].fd, &fds[count].events);
            count++;
        }
    }
    size_t stop_at = count;
    if (loop->config->stop_fd >= 0 && !loop->was_stopped) {
        fds[count++] = (struct pollfd){.fd = loop->config->stop_fd, .events = POLLIN};
    }
    if (wants_read || wants_write) {
        count += loop->config->link->ops->poll_on(loop->config->link, wants_read, wants_write,
                                                  &fds[count]);
        if (wants_read && loop->config->link->ops->has_buffered(loop->config->link)) {
            return;
        }
    }
    int ready = poll(fds, (nfds_t)count, poll_timeout_ms(loop));
    if (ready > 0 && stop_at < count && fds[stop_at].fd == loop->config->stop_fd &&
        fds[stop_at].revents != 0 && !loop->was_stopped) {
        loop->was_stopped = true;
        cancel(loop, ERR_CANCELLED, "stopped; the same command resumes it");
    }
}

/* Whether the stop descriptor is readable: looked at now and then while the loop never waits. */
static void look_at_stop(struct loop *loop)
{
    struct pollfd fd = {.fd = loop->config->stop_fd, .events = POLLIN};

    if (loop->config->stop_fd >= 0 && !loop->was_stopped && poll(&fd, 1, 0) > 0) {
        loop->was_stopped = true;
        cancel(loop, ERR_CANCELLED, "stopped; the same command resumes it");
    }
}

static bool is_over(const struct loop *loop)
{
    if (loop->is_committing || !session_is_finished(loop->session)) {
        return false;
    }
    /* After a failure the peer is told why, if it takes it. */
    return session_state(loop->session) == SESSION_DONE || loop->link_has_ended ||
           session_outbox(loop->session).len_bytes == 0 ||
           (loop->failed_ns > 0 && now_ns(loop) - loop->failed_ns > FAREWELL_NS);
}

static void drive(struct loop *loop)
{
    uint32_t turns = 0;

    run_step(loop, &(struct session_event){.kind = SESSION_START});
    while (!is_over(loop)) {
        bool did_any = reap_disks(loop);
        did_any |= read_link(loop);
        did_any |= write_link(loop);
        did_any |= go_on_committing(loop);
        if (!did_any) {
            wait_for_work(loop);
        } else if (++turns % 64 == 0) {
            look_at_stop(loop);
        }
        if (!did_any || turns % 16 == 0) {
            look_at_clock(loop);
        }
    }
}

/* --- entry ----------------------------------------------------------------------------------- */

static int give_result(struct loop *loop, struct progress *out, struct error *err)
{
    *out = *session_progress(loop->session);
    if (loop->config->host->progress != NULL) {
        loop->config->host->progress(loop->config->host->context, out);
    }
    if (session_state(loop->session) == SESSION_DONE) {
        return 0;
    }
    if (err != NULL) {
        *err = *session_error(loop->session);
    }
    return -1;
}

int loop_run(const struct loop_config *config, struct progress *out, struct error *err)
{
    struct loop loop = {.config = config};
    struct session_config session = config->session;

    *out = (struct progress){0};
    session.link_secret = config->link->has_secret ? config->link->secret : NULL;
    if (session_new(&session, &loop.session, err) != 0) {
        config->link->ops->shutdown(config->link); /* or the peer would wait for our first word */
        return -1;
    }
    uint64_t now = now_ns(&loop);
    loop.last_received_ns = now;
    loop.last_sent_ns = now;
    loop.last_progress_ns = now;
    loop.window_ns = now;
    loop.budget_ns = now;
    drive(&loop);
    config->link->ops->shutdown(config->link);
    int result = give_result(&loop, out, err);
    session_free(loop.session);
    for (uint32_t i = 0; i < loop.disk_count; i++) {
        disk_close(loop.disks.disks[i]);
    }
    return result;
}
