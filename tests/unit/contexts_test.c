/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gateway/contexts.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* --- a clock and chance of our own ------------------------------------------------------------ */

struct world {
    uint64_t now_ns;
    uint8_t fill;         /* the next random byte */
    bool is_without_luck; /* there are no random bytes */
    bool is_repeating;    /* they are always the same */
    size_t asked_bytes;
};

static uint64_t world_now(void *context)
{
    return ((const struct world *)context)->now_ns;
}

static int world_random(void *context, struct span out, struct error *err)
{
    struct world *world = context;

    if (world->is_without_luck) {
        return (fail)(err, ERR_IO, 0, "there is no chance");
    }
    world->asked_bytes += out.len_bytes;
    memset(out.at, 0, out.len_bytes);
    for (size_t i = 0; i < out.len_bytes && !world->is_repeating; i++) {
        out.at[i] = world->fill++;
        out.at[i] ^= (uint8_t)(world->asked_bytes >> 4);
    }
    return 0;
}

struct rig {
    struct world world;
    struct env env;
    struct contexts *contexts;
};

static void rig_start(struct rig *rig)
{
    struct error err = {0};

    *rig = (struct rig){.world = {.now_ns = 5 * NS_PER_S}};
    rig->env = (struct env){.now_ns = world_now, .random = world_random, .context = &rig->world};
    assert_int_equal(contexts_new(&rig->env, &rig->contexts, &err), 0);
}

static void rig_stop(struct rig *rig)
{
    contexts_free(rig->contexts);
}

static struct context *add(struct rig *rig, const char *user)
{
    struct context *context = NULL;
    struct error err = {0};

    assert_int_equal(contexts_add(rig->contexts, "wsman", user, &context, &err), 0);
    assert_non_null(context);
    return context;
}

/* One that waits; its text goes to out. */
static void add_free(struct rig *rig, const char *user, char out[CONTEXT_TEXT_MAX])
{
    struct context *context = add(rig, user);

    (void)snprintf(out, CONTEXT_TEXT_MAX, "%s", context->text);
    contexts_give(rig->contexts, context);
}

/* 0, or the kind of the error. */
static int try_take(struct rig *rig, const char *protocol, const char *user, const char *text,
                    struct context **out, struct error *err)
{
    *err = (struct error){0};
    int result = contexts_take(rig->contexts, protocol, user, text, out, err);
    assert_int_equal(result, err->kind == ERR_NONE ? 0 : -1);
    return (int)err->kind;
}

static void pass_seconds(struct rig *rig, uint64_t seconds)
{
    rig->world.now_ns += seconds * NS_PER_S;
}

/* --- tests ------------------------------------------------------------------------------------ */

static void a_context_is_the_same_when_it_is_taken_again(void **state)
{
    struct rig rig;
    struct context *again = NULL;
    struct error err;
    char text[CONTEXT_TEXT_MAX];

    (void)state;
    rig_start(&rig);
    struct context *context = add(&rig, "anna");
    assert_true(context->is_busy);
    assert_string_equal(context->user, "anna");
    assert_string_equal(context->protocol, "wsman");
    assert_int_equal(context->arena.max_bytes, CIM_LIST_BYTES);
    assert_null(context->list.all);
    assert_null(context->subscription);
    const char *kept = arena_text(&context->arena, "kept");
    context->details = kept;
    context->next = 7;
    (void)snprintf(text, sizeof text, "%s", context->text);
    contexts_give(rig.contexts, context);
    assert_int_equal(try_take(&rig, "wsman", "anna", text, &again, &err), 0);
    assert_ptr_equal(again, context);
    assert_int_equal(again->next, 7);
    assert_string_equal(again->details, "kept");
    contexts_give(rig.contexts, again);
    rig_stop(&rig);
}

static void a_text_is_128_bits_of_chance(void **state)
{
    struct rig rig;
    char first[CONTEXT_TEXT_MAX];
    char second[CONTEXT_TEXT_MAX];

    (void)state;
    rig_start(&rig);
    add_free(&rig, "anna", first);
    assert_int_equal(rig.world.asked_bytes, 16);
    add_free(&rig, "anna", second);
    assert_int_equal(rig.world.asked_bytes, 32);
    assert_int_equal(strlen(first), 36);
    /* Just what chance gave: no bit of it is a version, a counter or an address. */
    assert_string_equal(first, "01000302-0504-0706-0908-0b0a0d0c0f0e");
    assert_string_not_equal(first, second);
    rig_stop(&rig);
}

static void without_chance_there_is_no_context(void **state)
{
    struct rig rig;
    struct context *context = NULL;
    struct error err = {0};

    (void)state;
    rig_start(&rig);
    rig.world.is_without_luck = true;
    assert_int_equal(contexts_add(rig.contexts, "wsman", "anna", &context, &err), -1);
    assert_int_equal(err.kind, ERR_IO);
    assert_null(context);
    rig.world.is_without_luck = false;
    rig.world.is_repeating = true;
    char text[CONTEXT_TEXT_MAX];
    add_free(&rig, "anna", text);
    assert_int_equal(contexts_add(rig.contexts, "wsman", "bert", &context, &err), -1);
    assert_int_equal(err.kind, ERR_INTERNAL);
    assert_null(context);
    rig_stop(&rig);
}

static void another_users_context_looks_like_an_unknown_one(void **state)
{
    struct rig rig;
    struct context *context = NULL;
    struct error unknown;
    struct error others;
    struct error busy_others;
    char text[CONTEXT_TEXT_MAX];
    char wrong[CONTEXT_TEXT_MAX];

    (void)state;
    rig_start(&rig);
    add_free(&rig, "anna", text);
    (void)snprintf(wrong, sizeof wrong, "%s", text);
    assert_int_equal(try_take(&rig, "wsman", "bert", text, &context, &others), ERR_USAGE);
    assert_int_equal(try_take(&rig, "wsman", "anna", text, &context, &unknown), 0);
    assert_int_equal(try_take(&rig, "wsman", "bert", text, &context, &busy_others), ERR_USAGE);
    contexts_drop(rig.contexts, context);
    assert_int_equal(try_take(&rig, "wsman", "bert", wrong, &context, &unknown), ERR_USAGE);
    assert_string_equal(others.message, unknown.message);
    assert_string_equal(busy_others.message, unknown.message);
    rig_stop(&rig);
}

static void a_context_is_of_one_protocol(void **state)
{
    struct rig rig;
    struct context *context = NULL;
    struct error err;
    char text[CONTEXT_TEXT_MAX];

    (void)state;
    rig_start(&rig);
    add_free(&rig, "anna", text);
    assert_int_equal(try_take(&rig, "cimxml", "anna", text, &context, &err), ERR_USAGE);
    assert_int_equal(try_take(&rig, "wsman", "ANNA", text, &context, &err), ERR_USAGE);
    assert_int_equal(try_take(&rig, "wsman", "anna", text, &context, &err), 0);
    contexts_give(rig.contexts, context);
    rig_stop(&rig);
}

static void texts_that_are_almost_right_are_wrong(void **state)
{
    struct rig rig;
    struct context *context = NULL;
    struct error err;
    char text[CONTEXT_TEXT_MAX];
    char wrong[CONTEXT_TEXT_MAX + 8];

    (void)state;
    rig_start(&rig);
    add_free(&rig, "anna", text);
    const char *const lengths[] = {"", "0", "01000302-0504-0706-0908-0b0a0d0c0f0"};
    for (size_t i = 0; i < ARRAY_COUNT(lengths); i++) {
        assert_int_equal(try_take(&rig, "wsman", "anna", lengths[i], &context, &err), ERR_USAGE);
    }
    (void)snprintf(wrong, sizeof wrong, "%s0", text);
    assert_int_equal(try_take(&rig, "wsman", "anna", wrong, &context, &err), ERR_USAGE);
    for (size_t i = 0; i < CONTEXT_TEXT_MAX - 1; i++) {
        (void)snprintf(wrong, sizeof wrong, "%s", text);
        wrong[i] = wrong[i] == '0' ? '1' : '0';
        assert_int_equal(try_take(&rig, "wsman", "anna", wrong, &context, &err), ERR_USAGE);
    }
    rig_stop(&rig);
}

static void a_busy_context_is_not_taken_twice(void **state)
{
    struct rig rig;
    struct context *second = NULL;
    struct error err;

    (void)state;
    rig_start(&rig);
    struct context *context = add(&rig, "anna");
    assert_int_equal(try_take(&rig, "wsman", "anna", context->text, &second, &err),
                     ERR_WRONG_STATE);
    assert_null(second);
    assert_non_null(strstr(err.message, "busy"));
    contexts_give(rig.contexts, context);
    assert_int_equal(try_take(&rig, "wsman", "anna", context->text, &second, &err), 0);
    contexts_give(rig.contexts, second);
    rig_stop(&rig);
}

static void a_dropped_context_is_gone(void **state)
{
    struct rig rig;
    struct context *context = NULL;
    struct error err;
    char text[CONTEXT_TEXT_MAX];

    (void)state;
    rig_start(&rig);
    add_free(&rig, "anna", text);
    assert_int_equal(try_take(&rig, "wsman", "anna", text, &context, &err), 0);
    contexts_drop(rig.contexts, context);
    context = NULL;
    assert_int_equal(try_take(&rig, "wsman", "anna", text, &context, &err), ERR_USAGE);
    assert_null(context);
    assert_non_null(strstr(err.message, text));
    rig_stop(&rig);
}

static void idle_contexts_go(void **state)
{
    struct rig rig;
    struct context *context = NULL;
    struct error err;
    char text[CONTEXT_TEXT_MAX];

    (void)state;
    rig_start(&rig);
    add_free(&rig, "anna", text);
    pass_seconds(&rig, CONTEXT_IDLE_S - 1);
    assert_int_equal(try_take(&rig, "wsman", "anna", text, &context, &err), 0);
    pass_seconds(&rig, 2 * CONTEXT_IDLE_S); /* a request may take long; that is no idleness */
    assert_int_equal(try_take(&rig, "wsman", "anna", text, &context, &err), ERR_WRONG_STATE);
    contexts_give(rig.contexts, context);
    pass_seconds(&rig, CONTEXT_IDLE_S - 1); /* counted from its last use */
    assert_int_equal(try_take(&rig, "wsman", "anna", text, &context, &err), 0);
    contexts_give(rig.contexts, context);
    pass_seconds(&rig, CONTEXT_IDLE_S);
    assert_int_equal(try_take(&rig, "wsman", "anna", text, &context, &err), ERR_USAGE);
    rig_stop(&rig);
}

static void a_context_expires_however_it_is_used(void **state)
{
    struct rig rig;
    struct context *context = NULL;
    struct error err;
    char text[CONTEXT_TEXT_MAX];

    (void)state;
    rig_start(&rig);
    context = add(&rig, "anna");
    (void)snprintf(text, sizeof text, "%s", context->text);
    context->expires_ns = rig.world.now_ns + 10 * NS_PER_S;
    contexts_give(rig.contexts, context);
    pass_seconds(&rig, 9);
    assert_int_equal(try_take(&rig, "wsman", "anna", text, &context, &err), 0);
    contexts_give(rig.contexts, context);
    pass_seconds(&rig, 1);
    assert_int_equal(try_take(&rig, "wsman", "anna", text, &context, &err), ERR_USAGE);
    rig_stop(&rig);
}

static void one_that_expires_while_busy_is_kept_for_its_request_only(void **state)
{
    struct rig rig;
    struct context *other = NULL;
    struct error err;
    char text[CONTEXT_TEXT_MAX];

    (void)state;
    rig_start(&rig);
    struct context *context = add(&rig, "anna");
    (void)snprintf(text, sizeof text, "%s", context->text);
    context->details = arena_text(&context->arena, "still here");
    context->expires_ns = rig.world.now_ns + NS_PER_S;
    pass_seconds(&rig, 1);
    assert_int_equal(try_take(&rig, "wsman", "anna", text, &other, &err), ERR_USAGE);
    assert_string_equal(context->details, "still here");
    contexts_give(rig.contexts, context);
    assert_int_equal(try_take(&rig, "wsman", "anna", text, &other, &err), ERR_USAGE);
    rig_stop(&rig);
}

static void one_that_expired_while_busy_may_be_dropped(void **state)
{
    struct rig rig;
    struct context *other = NULL;
    struct error err;

    (void)state;
    rig_start(&rig);
    struct context *context = add(&rig, "anna");
    context->expires_ns = rig.world.now_ns + NS_PER_S;
    pass_seconds(&rig, 1);
    assert_int_equal(try_take(&rig, "wsman", "anna", context->text, &other, &err), ERR_USAGE);
    contexts_drop(rig.contexts, context);
    rig_stop(&rig);
}

static void one_user_has_no_more_than_his_share(void **state)
{
    struct rig rig;
    struct context *context = NULL;
    struct error err = {0};
    char texts[CONTEXTS_EACH][CONTEXT_TEXT_MAX];

    (void)state;
    rig_start(&rig);
    for (size_t i = 0; i < CONTEXTS_EACH; i++) {
        add_free(&rig, "anna", texts[i]);
    }
    assert_int_equal(contexts_add(rig.contexts, "wsman", "anna", &context, &err), -1);
    assert_int_equal(err.kind, ERR_LIMIT);
    assert_non_null(strstr(err.message, "user 'anna' has 32 open"));
    err = (struct error){0};
    assert_int_equal(contexts_add(rig.contexts, "cimxml", "anna", &context, &err), -1);
    assert_int_equal(err.kind, ERR_LIMIT);
    assert_null(context);
    contexts_give(rig.contexts, add(&rig, "bert")); /* others have theirs */
    assert_int_equal(try_take(&rig, "wsman", "anna", texts[3], &context, &err), 0);
    contexts_drop(rig.contexts, context);
    contexts_give(rig.contexts, add(&rig, "anna")); /* and one that ends makes room */
    rig_stop(&rig);
}

static void idle_contexts_make_room(void **state)
{
    struct rig rig;
    struct context *busy = NULL;
    struct error err = {0};
    char text[CONTEXT_TEXT_MAX];

    (void)state;
    rig_start(&rig);
    busy = add(&rig, "anna");
    for (size_t i = 1; i < CONTEXTS_EACH; i++) {
        add_free(&rig, "anna", text);
    }
    pass_seconds(&rig, CONTEXT_IDLE_S);
    for (size_t i = 1; i < CONTEXTS_EACH; i++) {
        add_free(&rig, "anna", text);
    }
    struct context *context = NULL;
    assert_int_equal(contexts_add(rig.contexts, "wsman", "anna", &context, &err), -1);
    assert_int_equal(err.kind, ERR_LIMIT); /* the busy one still counts */
    contexts_drop(rig.contexts, busy);
    rig_stop(&rig);
}

static void all_together_have_a_limit(void **state)
{
    struct rig rig;
    struct context *context = NULL;
    struct error err = {0};
    char text[CONTEXT_TEXT_MAX];
    char user[16];

    (void)state;
    rig_start(&rig);
    for (size_t i = 0; i < CONTEXTS_MAX; i++) {
        (void)snprintf(user, sizeof user, "user%zu", i / CONTEXTS_EACH);
        add_free(&rig, user, text);
    }
    assert_int_equal(contexts_add(rig.contexts, "wsman", "late", &context, &err), -1);
    assert_int_equal(err.kind, ERR_LIMIT);
    assert_non_null(strstr(err.message, "of all users"));
    pass_seconds(&rig, CONTEXT_IDLE_S);
    contexts_give(rig.contexts, add(&rig, "late"));
    rig_stop(&rig);
}

static void a_name_that_is_too_long_is_refused(void **state)
{
    struct rig rig;
    struct context *context = NULL;
    struct error err = {0};
    char user[CALLER_NAME_MAX + 1];

    (void)state;
    rig_start(&rig);
    memset(user, 'x', sizeof user - 1);
    user[sizeof user - 1] = '\0';
    assert_int_equal(contexts_add(rig.contexts, "wsman", user, &context, &err), -1);
    assert_int_equal(err.kind, ERR_LIMIT);
    user[sizeof user - 2] = '\0';
    contexts_give(rig.contexts, add(&rig, user)); /* not cut: that would be another user's */
    rig_stop(&rig);
}

/* --- threads ---------------------------------------------------------------------------------- */

#define THREADS 4
#define ROUNDS 2000

struct crowd {
    struct contexts *contexts;
    char text[CONTEXT_TEXT_MAX];
    atomic_int holders; /* of the one context */
    atomic_uint taken;
};

static void *crowd_run(void *argument)
{
    struct crowd *crowd = argument;

    for (unsigned int i = 0; i < ROUNDS; i++) {
        struct context *context = NULL;
        if (contexts_take(crowd->contexts, "wsman", "anna", crowd->text, &context, NULL) == 0) {
            assert_int_equal(atomic_fetch_add(&crowd->holders, 1), 0);
            context->next++;
            atomic_fetch_add(&crowd->taken, 1);
            atomic_fetch_sub(&crowd->holders, 1);
            contexts_give(crowd->contexts, context);
        }
        if (contexts_add(crowd->contexts, "wsman", "bert", &context, NULL) == 0) {
            contexts_drop(crowd->contexts, context);
        }
    }
    return NULL;
}

static void one_request_at_a_time_has_a_context(void **state)
{
    struct crowd crowd = {0};
    struct context *context = NULL;
    struct error err = {0};
    pthread_t threads[THREADS];

    (void)state;
    assert_int_equal(contexts_new(env_system(), &crowd.contexts, &err), 0);
    assert_int_equal(contexts_add(crowd.contexts, "wsman", "anna", &context, &err), 0);
    (void)snprintf(crowd.text, sizeof crowd.text, "%s", context->text);
    contexts_give(crowd.contexts, context);
    for (size_t i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, crowd_run, &crowd), 0);
    }
    for (size_t i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    assert_int_equal(contexts_take(crowd.contexts, "wsman", "anna", crowd.text, &context, &err), 0);
    assert_true(atomic_load(&crowd.taken) > 0);
    assert_int_equal(context->next, atomic_load(&crowd.taken));
    contexts_drop(crowd.contexts, context);
    contexts_free(crowd.contexts);
}

static void bounds_the_memory_of_a_user_and_of_all(void **state)
{
    struct rig rig;
    struct context *context = NULL;
    struct error err = {0};
    char user[16];

    (void)state;
    rig_start(&rig);
    for (int i = 0; i < 5; i++) {
        (void)snprintf(user, sizeof user, "user%d", i);
        assert_int_equal(contexts_add(rig.contexts, "wsman", user, &context, &err), 0);
        assert_non_null(arena_take(&context->arena, CONTEXTS_EACH_BYTES + 1));
        contexts_give(rig.contexts, context);
        /* Another of the same user; after the fourth user, of anybody. */
        assert_int_equal(contexts_add(rig.contexts, "wsman", user, &context, &err), -1);
        assert_int_equal(err.kind, ERR_LIMIT);
        if (i < 3) {
            assert_int_equal(contexts_add(rig.contexts, "wsman", "other", &context, &err), 0);
            contexts_drop(rig.contexts, context);
        } else {
            break;
        }
    }
    assert_int_equal(contexts_add(rig.contexts, "wsman", "other", &context, &err), -1);
    assert_non_null(strstr(err.message, "all users"));
    rig_stop(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_context_is_the_same_when_it_is_taken_again),
        cmocka_unit_test(a_text_is_128_bits_of_chance),
        cmocka_unit_test(without_chance_there_is_no_context),
        cmocka_unit_test(another_users_context_looks_like_an_unknown_one),
        cmocka_unit_test(a_context_is_of_one_protocol),
        cmocka_unit_test(texts_that_are_almost_right_are_wrong),
        cmocka_unit_test(a_busy_context_is_not_taken_twice),
        cmocka_unit_test(a_dropped_context_is_gone),
        cmocka_unit_test(idle_contexts_go),
        cmocka_unit_test(a_context_expires_however_it_is_used),
        cmocka_unit_test(one_that_expires_while_busy_is_kept_for_its_request_only),
        cmocka_unit_test(one_that_expired_while_busy_may_be_dropped),
        cmocka_unit_test(one_user_has_no_more_than_his_share),
        cmocka_unit_test(idle_contexts_make_room),
        cmocka_unit_test(all_together_have_a_limit),
        cmocka_unit_test(a_name_that_is_too_long_is_refused),
        cmocka_unit_test(bounds_the_memory_of_a_user_and_of_all),
        cmocka_unit_test(one_request_at_a_time_has_a_context),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
