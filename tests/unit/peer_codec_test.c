/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "peer/codec.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct const_span text_span(const char *text)
{
    return (struct const_span){(const uint8_t *)text, strlen(text)};
}

static struct peer_question sample(uint32_t disk_count)
{
    struct peer_question q = {.call = PEER_PREPARE, .is_initial = true};

    q.relationship.vm.bytes[0] = 1;
    q.relationship.hop = 1;
    q.relationship.generation = INT64_MAX;
    (void)snprintf(q.relationship.vm_name, sizeof q.relationship.vm_name, "web \"1\"");
    q.relationship.settings = (struct relationship_settings){.recovery_history = 24,
                                                             .interval_s = 300,
                                                             .rate_bytes_per_s = INT64_MAX,
                                                             .auto_start_minute = 1439,
                                                             .is_auto_resync_enabled = true};
    q.relationship.disk_count = disk_count;
    q.relationship.disks = calloc(disk_count, sizeof *q.relationship.disks);
    assert_non_null(q.relationship.disks);
    for (uint32_t i = 0; i < disk_count; i++) {
        struct relationship_disk *disk = &q.relationship.disks[i];
        memset(disk->name, '"', DISK_NAME_MAX - 1);
        (void)snprintf(disk->name, 4, "%02u", i);
        disk->name[2] = '"';
        disk->size_bytes = DISK_SIZE_MAX;
        disk->is_included = i % 2 == 0;
    }
    return q;
}

static void the_largest_question_comes_back_as_it_was(void **state)
{
    struct peer_question q = sample(DISKS_MAX);
    struct peer_question back;
    struct span text;
    struct error err = {.kind = ERR_NONE};

    (void)state;
    assert_int_equal(codec_encode_question(&q, &text, &err), 0);
    if (codec_decode_question(span_const(text), &back, &err) < 0) {
        fail_msg("%s", err.message);
    }
    assert_int_equal(back.call, PEER_PREPARE);
    assert_true(back.is_initial);
    assert_true(uuid_equal(&back.relationship.vm, &q.relationship.vm));
    assert_int_equal(back.relationship.hop, 1);
    assert_true(back.relationship.generation == INT64_MAX);
    assert_string_equal(back.relationship.vm_name, q.relationship.vm_name);
    assert_int_equal(back.relationship.settings.auto_start_minute, 1439);
    assert_true(back.relationship.settings.is_auto_resync_enabled);
    assert_int_equal(back.relationship.disk_count, DISKS_MAX);
    for (uint32_t i = 0; i < DISKS_MAX; i++) {
        assert_string_equal(back.relationship.disks[i].name, q.relationship.disks[i].name);
        assert_int_equal(back.relationship.disks[i].is_included, i % 2 == 0);
    }
    free(text.at);
    free(back.relationship.disks);
    free(q.relationship.disks);
}

#define HEAD "{\"resilver\":1,\"call\":\"offer\",\"is_initial\":false,\"relationship\":{"
#define VM "\"vm\":\"01000000-0000-0000-0000-000000000000\",\"vm_name\":\"w\","
#define SETTINGS                                                                                   \
    "\"settings\":{\"recovery_history\":1,\"interval_s\":30,\"rate_bytes_per_s\":0,"               \
    "\"auto_start_minute\":0,\"auto_end_minute\":0,\"is_auto_resync_enabled\":true,"               \
    "\"is_compression_enabled\":true}"
#define DISK(name) "{\"name\":\"" name "\",\"size_bytes\":1,\"is_included\":true}"

static void what_is_missing_or_out_of_range_is_refused(void **state)
{
    static const char *const bad[] = {
        "",
        "[]",
        "{}",
        "{\"resilver\":2,\"call\":\"hello\"}",
        "{\"resilver\":1,\"call\":\"sing\"}",
        "{\"resilver\":1,\"call\":\"offer\"}",
        "{\"resilver\":1,\"resilver\":1,\"call\":\"hello\"}",
        HEAD VM "\"hop\":2,\"generation\":1," SETTINGS ",\"disks\":[]}}",
        HEAD VM "\"hop\":0,\"generation\":-1," SETTINGS ",\"disks\":[]}}",
        HEAD VM "\"hop\":0,\"generation\":1,\"settings\":{},\"disks\":[]}}",
        HEAD VM "\"hop\":0,\"generation\":1," SETTINGS ",\"disks\":{}}}",
        HEAD VM "\"hop\":0,\"generation\":1," SETTINGS ",\"disks\":[" DISK("../x") "]}}",
        HEAD VM "\"hop\":0,\"generation\":1," SETTINGS ",\"disks\":[" DISK("..") "]}}",
        HEAD VM "\"hop\":0,\"generation\":1," SETTINGS ",\"disks\":[" DISK("") "]}}",
        HEAD VM "\"hop\":0,\"generation\":1," SETTINGS ",\"disks\":[" DISK("a") "," DISK("a") "]}}",
        HEAD VM "\"hop\":0,\"generation\":1," SETTINGS ",\"disks\":[1]}}",
    };
    static const char good[] =
        HEAD VM "\"hop\":0,\"more\":[],\"generation\":1," SETTINGS ",\"disks\":[" DISK("a") "]}}";
    struct peer_question q = {.call = PEER_CALL_INVALID};

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        struct error err = {.kind = ERR_NONE};
        if (codec_decode_question(text_span(bad[i]), &q, &err) == 0) {
            fail_msg("%s passes", bad[i]);
        }
        assert_int_equal(err.kind, ERR_PEER);
        assert_int_equal(q.call, PEER_CALL_INVALID);
    }
    assert_int_equal(codec_decode_question(text_span(good), &q, NULL), 0);
    free(q.relationship.disks);
}

static void answers_come_back_and_unknown_values_do_not(void **state)
{
    struct peer_answer answer = {.end = PEER_ANSWERED, .value = RETURN_IN_USE, .message = "busy"};
    struct peer_answer back;
    struct span text;

    (void)state;
    assert_int_equal(codec_encode_answer(&answer, &text, NULL), 0);
    assert_int_equal(codec_decode_answer(span_const(text), &back, NULL), 0);
    assert_int_equal(back.end, PEER_ANSWERED);
    assert_int_equal(back.value, RETURN_IN_USE);
    assert_string_equal(back.message, "busy");
    free(text.at);
    assert_int_equal(codec_decode_answer(text_span("{\"resilver\":1,\"value\":5,\"message\":\"\","
                                                   "\"host_name\":\"\",\"version\":\"\"}"),
                                         &back, NULL),
                     -1);
    assert_int_equal(codec_decode_answer(text_span("{\"resilver\":1,\"value\":0}"), &back, NULL),
                     -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_largest_question_comes_back_as_it_was),
        cmocka_unit_test(what_is_missing_or_out_of_range_is_refused),
        cmocka_unit_test(answers_come_back_and_unknown_values_do_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
