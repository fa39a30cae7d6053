/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gateway/subscriptions.h"

#include "base/log.h"
#include "gateway/contexts.h"

#include "control_rig.h"

#define DEADLINE_S 20 /* of whatever is waited for */

/* --- who is told ------------------------------------------------------------------------------ */

/* Counts the calls of `changed`. */
struct bell {
    pthread_mutex_t lock;
    pthread_cond_t rung;
    unsigned int count;
};

static void bell_init(struct bell *bell)
{
    *bell = (struct bell){0};
    (void)pthread_mutex_init(&bell->lock, NULL);
    (void)pthread_cond_init(&bell->rung, NULL);
}

static void bell_done(struct bell *bell)
{
    (void)pthread_cond_destroy(&bell->rung);
    (void)pthread_mutex_destroy(&bell->lock);
}

static void ring(void *context)
{
    struct bell *bell = context;

    (void)pthread_mutex_lock(&bell->lock);
    bell->count++;
    (void)pthread_cond_broadcast(&bell->rung);
    (void)pthread_mutex_unlock(&bell->lock);
}

static unsigned int bell_count(struct bell *bell)
{
    (void)pthread_mutex_lock(&bell->lock);
    unsigned int count = bell->count;
    (void)pthread_mutex_unlock(&bell->lock);
    return count;
}

/* Until it was rung more often than `before`, or wait_ms have passed. */
static bool bell_wait(struct bell *bell, unsigned int before, unsigned int wait_ms)
{
    struct timespec until;
    int result = 0;

    assert_int_equal(clock_gettime(CLOCK_REALTIME, &until), 0);
    until.tv_nsec += (long)(wait_ms % 1000) * 1000000;
    until.tv_sec += (time_t)(wait_ms / 1000) + until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    (void)pthread_mutex_lock(&bell->lock);
    while (bell->count <= before && result == 0) {
        result = pthread_cond_timedwait(&bell->rung, &bell->lock, &until);
    }
    bool is_rung = bell->count > before;
    (void)pthread_mutex_unlock(&bell->lock);
    return is_rung;
}

static uint64_t now_ns(void)
{
    return env_now_ns(env_system());
}

/* --- changes ---------------------------------------------------------------------------------- */

static struct subscription *subscribe(struct subscriptions *subscriptions, enum cim_role role,
                                      const char *vm, enum cim_role vm_role)
{
    static struct cim_caller caller;
    struct subscription *out = NULL;
    struct error err = {0};

    caller = (struct cim_caller){.name = "anna", .role = role, .vm_count = vm != NULL};
    if (vm != NULL) {
        (void)snprintf(caller.vms[0].vm, sizeof caller.vms[0].vm, "%s", vm);
        caller.vms[0].role = vm_role;
    }
    assert_int_equal(subscriptions_add(subscriptions, &caller, &out, &err), 0);
    return out;
}

static void tell(struct rig *rig, const struct service_change *change)
{
    rig_lock(rig);
    control_changed(rig->control, change);
    rig_unlock(rig);
}

static void tell_job(struct rig *rig)
{
    tell(rig, &(struct service_change){.subject = SUBJECT_JOB, .id = the_job.id});
}

/* What is told after all that a test wants to see, so that it knows when that has come. */
static void tell_mark(struct rig *rig)
{
    tell(rig, &(struct service_change){.subject = SUBJECT_RELATIONSHIP, .id = the_vm.id, .hop = 1});
}

/* Of a test that loses some: how many. */
static bool may_lose;
static uint32_t lost_count;

/* The next change, whose kind it is; its object is let go. False: none. */
static bool take_kind(struct subscription *subscription, char kind[16])
{
    json_t *object = NULL;
    uint32_t lost = 0;

    if (!subscription_take(subscription, kind, &object, &lost)) {
        return false;
    }
    assert_true(lost == 0 || may_lose);
    lost_count += lost;
    assert_true(json_is_object(object));
    json_decref(object);
    return true;
}

static unsigned int count_kind(struct subscription *subscription, const char *wanted)
{
    char kind[16];
    unsigned int count = 0;

    while (take_kind(subscription, kind)) {
        count += strcmp(kind, wanted) == 0;
    }
    return count;
}

/* Watching begins some time after subscriptions_new(): tells until somebody heard. */
static void wait_for_watching(struct rig *rig, struct subscriptions *subscriptions,
                              struct bell *bell)
{
    struct subscription *probe = subscribe(subscriptions, CIM_ROLE_VIEWER, NULL, CIM_ROLE_NOBODY);
    const unsigned int before = bell_count(bell);
    const uint64_t begun_ns = now_ns();

    do {
        assert_true(now_ns() - begun_ns < DEADLINE_S * NS_PER_S);
        tell_job(rig);
    } while (!bell_wait(bell, before, 50));
    unsigned int mark_count = 0;
    tell_mark(rig);
    while (mark_count == 0) {
        const unsigned int rung = bell_count(bell);
        mark_count = count_kind(probe, "relationship");
        assert_true(mark_count > 0 || bell_wait(bell, rung, DEADLINE_S * 1000));
    }
    subscription_free(probe);
}

/* Waits for the mark in the probe's queue; everybody else's is full by then, too. */
static void wait_for_mark(struct subscription *probe, struct bell *bell)
{
    char kind[16] = "";

    while (strcmp(kind, "relationship") != 0) {
        const unsigned int rung = bell_count(bell);
        if (!take_kind(probe, kind)) {
            assert_true(bell_wait(bell, rung, DEADLINE_S * 1000));
        }
    }
}

struct place {
    struct rig rig;
    struct bell bell;
    struct subscriptions *subscriptions;
};

static void place_start(struct place *place)
{
    struct error err = {0};

    rig_start(&place->rig, CALLER_VIEWER);
    bell_init(&place->bell);
    assert_int_equal(subscriptions_new(env_system(), place->rig.path, ring, &place->bell,
                                       &place->subscriptions, &err),
                     0);
    wait_for_watching(&place->rig, place->subscriptions, &place->bell);
}

static void place_stop(struct place *place)
{
    subscriptions_free(place->subscriptions);
    bell_done(&place->bell);
    rig_stop(&place->rig);
}

/* --- tests ------------------------------------------------------------------------------------ */

static void changes_reach_those_who_may_see_the_vm(void **state)
{
    static const struct {
        enum cim_role role;
        const char *vm;
        enum cim_role vm_role;
        bool is_told;
    } callers[] = {
        {CIM_ROLE_VIEWER, NULL, CIM_ROLE_NOBODY, true},
        {CIM_ROLE_ADMINISTRATOR, NULL, CIM_ROLE_NOBODY, true},
        {CIM_ROLE_NOBODY, NULL, CIM_ROLE_NOBODY, false},
        {CIM_ROLE_NOBODY, "web1", CIM_ROLE_VIEWER, true},
        {CIM_ROLE_NOBODY, VM_ID, CIM_ROLE_OPERATOR, true},
        {CIM_ROLE_NOBODY, "db1", CIM_ROLE_ADMINISTRATOR, false},
        {CIM_ROLE_ADMINISTRATOR, "web1", CIM_ROLE_NOBODY, false},
    };
    struct place place = {0};
    struct subscription *all[ARRAY_COUNT(callers)];

    (void)state;
    place_start(&place);
    struct subscription *probe =
        subscribe(place.subscriptions, CIM_ROLE_VIEWER, NULL, CIM_ROLE_NOBODY);
    for (size_t i = 0; i < ARRAY_COUNT(callers); i++) {
        all[i] = subscribe(place.subscriptions, callers[i].role, callers[i].vm, callers[i].vm_role);
    }
    tell_job(&place.rig);
    tell_mark(&place.rig);
    wait_for_mark(probe, &place.bell);
    subscription_free(probe);
    /* All queues get a change under one lock: where one has the mark, all are complete. */
    for (size_t i = 0; i < ARRAY_COUNT(callers); i++) {
        assert_int_equal(count_kind(all[i], "job"), callers[i].is_told ? 1 : 0);
        subscription_free(all[i]);
    }
    place_stop(&place);
}

static void a_change_is_the_object_of_the_control_api(void **state)
{
    struct place place = {0};
    char kind[16];
    json_t *object = NULL;
    uint32_t lost = 7;

    (void)state;
    place_start(&place);
    struct subscription *one =
        subscribe(place.subscriptions, CIM_ROLE_VIEWER, NULL, CIM_ROLE_NOBODY);
    assert_false(subscription_take(one, kind, &object, &lost));
    const unsigned int rung = bell_count(&place.bell);
    tell_job(&place.rig);
    assert_true(bell_wait(&place.bell, rung, DEADLINE_S * 1000));
    assert_true(subscription_take(one, kind, &object, &lost));
    assert_string_equal(kind, "job");
    assert_string_equal(json_string_value(json_object_get(object, "id")), JOB_ID);
    assert_int_equal(lost, 0);
    json_decref(object);
    assert_false(subscription_take(one, kind, &object, &lost));
    subscription_free(one);
    place_stop(&place);
}

static void hosts_and_events_are_nobodys_change(void **state)
{
    struct place place = {0};
    const struct event_row event = {.id = 1, .level = 3, .what = "event"};
    char kind[16];

    (void)state;
    place_start(&place);
    struct subscription *one =
        subscribe(place.subscriptions, CIM_ROLE_ADMINISTRATOR, NULL, CIM_ROLE_NOBODY);
    tell(&place.rig, &(struct service_change){.subject = SUBJECT_HOST});
    tell(&place.rig, &(struct service_change){.subject = SUBJECT_EVENT, .event = &event});
    tell_mark(&place.rig);
    const uint64_t begun_ns = now_ns();
    while (!take_kind(one, kind)) {
        assert_true(now_ns() - begun_ns < DEADLINE_S * NS_PER_S);
        (void)poll(NULL, 0, 5);
    }
    assert_string_equal(kind, "relationship");
    assert_false(take_kind(one, kind));
    subscription_free(one);
    place_stop(&place);
}

static void changes_come_again_when_the_service_does(void **state)
{
    struct place place = {0};
    struct error err = {0};
    struct subscription *one = NULL;

    (void)state;
    place_start(&place);
    one = subscribe(place.subscriptions, CIM_ROLE_VIEWER, NULL, CIM_ROLE_NOBODY);
    rig_halt(&place.rig);
    control_free(place.rig.control);
    struct control_config config = rig_config(&place.rig);
    assert_int_equal(control_new(&config, place.rig.path, &place.rig.control, &err), 0);
    atomic_store(&place.rig.is_ending, false);
    assert_int_equal(pthread_create(&place.rig.thread, NULL, rig_run, &place.rig), 0);
    may_lose = true;
    (void)count_kind(one, "job");
    wait_for_watching(&place.rig, place.subscriptions, &place.bell);
    lost_count = 0;
    assert_true(count_kind(one, "job") > 0); /* one that was there all the time */
    assert_int_equal(lost_count, 1);         /* what nobody saw meanwhile */
    may_lose = false;
    subscription_free(one);
    place_stop(&place);
}

static void changes_that_wait_are_freed(void **state)
{
    struct place place = {0};

    (void)state;
    place_start(&place);
    struct subscription *one =
        subscribe(place.subscriptions, CIM_ROLE_VIEWER, NULL, CIM_ROLE_NOBODY);
    struct subscription *two =
        subscribe(place.subscriptions, CIM_ROLE_VIEWER, NULL, CIM_ROLE_NOBODY);
    const unsigned int rung = bell_count(&place.bell);
    tell_job(&place.rig);
    assert_true(bell_wait(&place.bell, rung, DEADLINE_S * 1000));
    subscription_free(one);
    assert_int_equal(count_kind(two, "job"), 1); /* shared, and still there */
    subscription_free(two);
    subscription_free(NULL);
    place_stop(&place);
}

static void a_dropped_context_ends_its_subscription(void **state)
{
    struct place place = {0};
    struct contexts *contexts = NULL;
    struct context *context = NULL;
    struct error err = {0};

    (void)state;
    place_start(&place);
    assert_int_equal(contexts_new(env_system(), &contexts, &err), 0);
    assert_int_equal(contexts_add(contexts, "wsman", "anna", &context, &err), 0);
    context->subscription = subscribe(place.subscriptions, CIM_ROLE_VIEWER, NULL, CIM_ROLE_NOBODY);
    contexts_drop(contexts, context);
    assert_int_equal(contexts_add(contexts, "wsman", "anna", &context, &err), 0);
    context->subscription = subscribe(place.subscriptions, CIM_ROLE_VIEWER, NULL, CIM_ROLE_NOBODY);
    contexts_give(contexts, context);
    contexts_free(contexts);
    place_stop(&place); /* asserts that no subscription is left */
}

static void free_ends_watching_and_waiting_at_once(void **state)
{
    struct place place = {0};
    struct subscriptions *subscriptions = NULL;
    struct error err = {0};

    (void)state;
    place_start(&place);
    uint64_t begun_ns = now_ns();
    place_stop(&place);
    assert_true(now_ns() - begun_ns < 2 * NS_PER_S);
    bell_init(&place.bell);
    assert_int_equal(subscriptions_new(env_system(), "/nonexistent/control.sock", ring, &place.bell,
                                       &subscriptions, &err),
                     0);
    (void)bell_wait(&place.bell, 0, 1500); /* the first pause is over, the second is 2 s */
    begun_ns = now_ns();
    subscriptions_free(subscriptions);
    assert_true(now_ns() - begun_ns < NS_PER_S);
    assert_int_equal(bell_count(&place.bell), 0);
    bell_done(&place.bell);
    subscriptions_free(NULL);
}

/* --- a service that says a lot ---------------------------------------------------------------- */

#define FLOOD (CONTEXT_EVENTS_MAX + 100)

struct flood {
    char folder[32];
    char path[64];
    int fd;
    pthread_t thread;
    pthread_barrier_t begin; /* the test has subscribed */
};

static void *flood_run(void *argument)
{
    static const char head[] =
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n";
    struct flood *flood = argument;
    char text[4096];
    int fd = accept4(flood->fd, NULL, NULL, SOCK_CLOEXEC);

    assert_true(fd >= 0);
    (void)read_until(fd, text, sizeof text, "\r\n\r\n");
    send_all(fd, head, sizeof head - 1);
    (void)pthread_barrier_wait(&flood->begin);
    for (unsigned int i = 0; i < FLOOD; i++) {
        int len = snprintf(text, sizeof text,
                           "event: job\ndata: {\"id\":\"%u\",\"vm\":{\"id\":\"x\",\"name\":\"y\"}}"
                           "\n\n",
                           i);
        send_all(fd, text, (size_t)len);
    }
    (void)read_until(fd, text, sizeof text, NULL); /* until the other side closes */
    (void)close(fd);
    return NULL;
}

static void flood_start(struct flood *flood)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    (void)snprintf(flood->folder, sizeof flood->folder, "/tmp/subscriptions-XXXXXX");
    assert_non_null(mkdtemp(flood->folder));
    (void)snprintf(flood->path, sizeof flood->path, "%s/control.sock", flood->folder);
    (void)snprintf(address.sun_path, sizeof address.sun_path, "%s", flood->path);
    flood->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(flood->fd, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(flood->fd, 4), 0);
    assert_int_equal(pthread_barrier_init(&flood->begin, NULL, 2), 0);
    assert_int_equal(pthread_create(&flood->thread, NULL, flood_run, flood), 0);
}

static void flood_stop(struct flood *flood)
{
    assert_int_equal(pthread_join(flood->thread, NULL), 0);
    (void)pthread_barrier_destroy(&flood->begin);
    (void)close(flood->fd);
    assert_int_equal(unlink(flood->path), 0);
    assert_int_equal(rmdir(flood->folder), 0);
}

/* Its number, or -1: none waits. */
static int take_number(struct subscription *subscription, uint32_t *lost)
{
    char kind[16];
    json_t *object = NULL;
    int number = -1;

    if (subscription_take(subscription, kind, &object, lost)) {
        assert_int_equal(sscanf(json_string_value(json_object_get(object, "id")), "%d", &number),
                         1);
        json_decref(object);
    }
    return number;
}

static void a_full_queue_loses_its_oldest_and_says_so(void **state)
{
    struct flood flood;
    struct bell bell;
    struct subscriptions *subscriptions = NULL;
    struct error err = {0};
    uint32_t lost = 0;

    (void)state;
    flood_start(&flood);
    bell_init(&bell);
    assert_int_equal(subscriptions_new(env_system(), flood.path, ring, &bell, &subscriptions, &err),
                     0);
    struct subscription *slow = subscribe(subscriptions, CIM_ROLE_VIEWER, NULL, CIM_ROLE_NOBODY);
    struct subscription *quick = subscribe(subscriptions, CIM_ROLE_VIEWER, NULL, CIM_ROLE_NOBODY);
    (void)pthread_barrier_wait(&flood.begin);
    for (int next = 0; next < (int)FLOOD;) { /* this one takes while they come */
        const unsigned int rung = bell_count(&bell);
        int number = take_number(quick, &lost);
        if (number < 0) {
            assert_true(bell_wait(&bell, rung, DEADLINE_S * 1000));
        } else {
            next += (int)lost;
            assert_int_equal(number, next);
            next++;
        }
    }
    assert_true(bell_wait(&bell, FLOOD - 1, DEADLINE_S * 1000)); /* of all, slow's too */
    for (unsigned int i = 0; i < CONTEXT_EVENTS_MAX; i++) {
        assert_int_equal(take_number(slow, &lost), (int)(FLOOD - CONTEXT_EVENTS_MAX + i));
        assert_int_equal(lost, i == 0 ? FLOOD - CONTEXT_EVENTS_MAX : 0);
    }
    assert_int_equal(take_number(slow, &lost), -1);
    subscription_free(slow);
    subscription_free(quick);
    subscriptions_free(subscriptions);
    flood_stop(&flood);
    bell_done(&bell);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(changes_reach_those_who_may_see_the_vm),
        cmocka_unit_test(a_change_is_the_object_of_the_control_api),
        cmocka_unit_test(hosts_and_events_are_nobodys_change),
        cmocka_unit_test(changes_come_again_when_the_service_does),
        cmocka_unit_test(changes_that_wait_are_freed),
        cmocka_unit_test(a_dropped_context_ends_its_subscription),
        cmocka_unit_test(free_ends_watching_and_waiting_at_once),
        cmocka_unit_test(a_full_queue_loses_its_oldest_and_says_so),
    };

    log_set_level(LOG_LEVEL_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
